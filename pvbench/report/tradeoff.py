"""The question of the benchmark as one picture: the person's face against the movement of the video."""

import math
from dataclasses import dataclass

from PIL import Image, ImageDraw

from pvbench.metrics import COLUMNS
from pvbench.report.aggregate import Aggregates, Score
from pvbench.report.data import ReportData
from pvbench.report.picture import GREY, INK, LINE, PAPER, colours, width_of, write

X, Y = "flow_magnitude", "face_sim"
# Lines and discs are drawn larger and scaled down, which smooths their edges.
SMOOTH = 3

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Point:
    """A method's place: both values with their intervals, as printed."""

    label: str
    colour: Colour
    x: tuple[float, float, float]
    """Value, low end and high end; the ends are the value where there is no interval."""
    y: tuple[float, float, float]


@dataclass(frozen=True)
class Axis:
    """A linear scale between two ends, with round ticks."""

    low: float
    high: float
    step: float

    @property
    def ticks(self) -> list[float]:
        """Multiples of the step within the ends."""
        first = math.ceil(self.low / self.step - 1e-9)
        last = math.floor(self.high / self.step + 1e-9)
        return [index * self.step for index in range(first, last + 1)]

    def share(self, value: float) -> float:
        """Where the value lies, from 0 at the low end to 1 at the high end."""
        return (value - self.low) / (self.high - self.low)


def axis(values: list[float]) -> Axis:
    """An axis that starts at 0, or below where values do, and leaves room above the largest."""
    low, high = min(0.0, *values), max(0.0, *values)
    span = (high - low) or 1.0
    step = 10.0 ** math.floor(math.log10(span))
    step = next(step * factor for factor in (0.1, 0.2, 0.5, 1.0, 2.0) if span / (step * factor) <= 7)
    return Axis(low - (0.05 * span if low < 0 else 0.0), high + 0.08 * span, step)


def points(data: ReportData, numbers: Aggregates) -> list[Point]:
    """One for each method that has both numbers."""
    variants = data.in_table_order
    found = []
    for variant, colour in zip(variants, colours([variant.role for variant in variants]), strict=True):
        scores = numbers.scores[variant.label]
        if not math.isnan(scores[X].value) and not math.isnan(scores[Y].value):
            found.append(Point(variant.label, colour, _ends(X, scores[X]), _ends(Y, scores[Y])))
    return found


def _ends(name: str, score: Score) -> tuple[float, float, float]:
    scale = COLUMNS[name].scale
    interval = score.interval
    ends = (score.value, score.value) if interval is None or math.isnan(interval.low) else (interval.low, interval.high)
    return score.value * scale, ends[0] * scale, ends[1] * scale


def tradeoff(data: ReportData, numbers: Aggregates, size: tuple[int, int]) -> Image.Image:
    """The plot: up is more of the person's face, right is more movement; crosses are 95 % intervals."""
    places = points(data, numbers)
    width, height = size
    left, right, top, bottom = 74, width - 24, 20, height - 62
    picture = Image.new("RGB", (width * SMOOTH, height * SMOOTH), PAPER)
    draw = ImageDraw.Draw(picture)
    horizontal = axis([value for place in places for value in place.x] or [1.0])
    vertical = axis([value for place in places for value in place.y] or [1.0])

    def at(x: float, y: float) -> tuple[float, float]:
        across = left + horizontal.share(x) * (right - left)
        up = bottom - vertical.share(y) * (bottom - top)
        return across, up

    def line(start: tuple[float, float], end: tuple[float, float], colour: Colour, thick: int) -> None:
        draw.line([tuple(v * SMOOTH for v in start), tuple(v * SMOOTH for v in end)], fill=colour, width=thick * SMOOTH)

    for tick in horizontal.ticks:
        line((at(tick, 0)[0], bottom), (at(tick, 0)[0], top), LINE, 1)
    for tick in vertical.ticks:
        line((left, at(0, tick)[1]), (right, at(0, tick)[1]), LINE, 1)
    line((left, bottom), (right, bottom), INK, 2)
    line((left, top), (left, bottom), INK, 2)
    for place in places:
        line(at(place.x[1], place.y[0]), at(place.x[2], place.y[0]), place.colour, 2)
        line(at(place.x[0], place.y[1]), at(place.x[0], place.y[2]), place.colour, 2)
    for place in places:
        x, y = at(place.x[0], place.y[0])
        box = [(x - 8) * SMOOTH, (y - 8) * SMOOTH, (x + 8) * SMOOTH, (y + 8) * SMOOTH]
        draw.ellipse(box, fill=place.colour, outline=PAPER, width=2 * SMOOTH)
    picture = picture.resize(size, Image.Resampling.LANCZOS)

    draw = ImageDraw.Draw(picture)
    for tick in horizontal.ticks:
        write(draw, (round(at(tick, 0)[0]), bottom + 8), f"{tick:g}", 16, colour=GREY, anchor="ma")
    for tick in vertical.ticks:
        write(draw, (left - 10, round(at(0, tick)[1])), f"{tick:g}", 16, colour=GREY, anchor="rm")
    write(draw, ((left + right) // 2, height - 26), "Flow (px a pair at a short side of 256) →", 17, anchor="ma")
    _upright(picture, f"{COLUMNS[Y].display} →", (8, (top + bottom) // 2))
    _labels(draw, [(place, at(place.x[0], place.y[0])) for place in places], right)
    return picture


def _upright(picture: Image.Image, text: str, middle_left: tuple[int, int]) -> None:
    strip = Image.new("RGB", (width_of(text, 17) + 4, 24), PAPER)
    write(ImageDraw.Draw(strip), (2, 2), text, 17)
    strip = strip.rotate(90, expand=True)
    picture.paste(strip, (middle_left[0], middle_left[1] - strip.height // 2))


def _labels(draw: ImageDraw.ImageDraw, placed: list[tuple[Point, tuple[float, float]]], right: int) -> None:
    """Names beside the points, moved up or down until none covers another or a point."""
    taken = [(x - 10, y - 10, x + 10, y + 10) for _, (x, y) in placed]
    for point, (x, y) in placed:
        width = width_of(point.label, 17, True)
        boxes = [
            (start, y + rise - 11, start + width, y + rise + 11)
            for rise in (-14, 14, -34, 34, -54, 54, -74, 74)
            for start in (x + 12, x - 12 - width)
        ]
        inside = [box for box in boxes if box[0] > 80 and box[2] < right + 20]
        free = [box for box in inside if not any(_overlap(box, other) for other in taken)]
        box = next(iter(free or inside or boxes))
        taken.append(box)
        write(draw, (round(box[0]), round(box[1])), point.label, 17, bold=True, colour=point.colour)


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
