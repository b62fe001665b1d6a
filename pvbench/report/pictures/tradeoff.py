"""The question of the benchmark as one picture: the person's face against the movement of the video."""

import math
from dataclasses import dataclass

from PIL import Image, ImageDraw

from pvbench.metrics import COLUMNS
from pvbench.report.data import ReportData
from pvbench.report.pictures.drawing import GREY, INK, LINE, PAPER, colours, width_of, write
from pvbench.report.statistics.score import Aggregates, Score

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
    high = high if high > low else 1.0
    span = high - low
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


class Plot:
    """The plotting area: where values lie in pixels, and lines and discs with smooth edges."""

    left, top, below, margin = 74.0, 20.0, 62.0, 24.0

    def __init__(self, size: tuple[int, int], horizontal: Axis, vertical: Axis) -> None:
        self.size = size
        self.right, self.bottom = size[0] - self.margin, size[1] - self.below
        self.horizontal, self.vertical = horizontal, vertical
        self._picture = Image.new("RGB", (size[0] * SMOOTH, size[1] * SMOOTH), PAPER)
        self._draw = ImageDraw.Draw(self._picture)

    def across(self, value: float) -> float:
        """The x of a value."""
        return self.left + self.horizontal.share(value) * (self.right - self.left)

    def up(self, value: float) -> float:
        """The y of a value."""
        return self.bottom - self.vertical.share(value) * (self.bottom - self.top)

    def line(self, start: tuple[float, float], end: tuple[float, float], colour: Colour, thick: int) -> None:
        """A line between two places in pixels."""
        self._draw.line([(x * SMOOTH, y * SMOOTH) for x, y in (start, end)], fill=colour, width=thick * SMOOTH)

    def disc(self, x: float, y: float, colour: Colour) -> None:
        """A disc around a place in pixels."""
        box = [(x - 8) * SMOOTH, (y - 8) * SMOOTH, (x + 8) * SMOOTH, (y + 8) * SMOOTH]
        self._draw.ellipse(box, fill=colour, outline=PAPER, width=2 * SMOOTH)

    def grid(self) -> None:
        """A thin line at every tick, and the two axes."""
        for tick in self.horizontal.ticks:
            self.line((self.across(tick), self.bottom), (self.across(tick), self.top), LINE, 1)
        for tick in self.vertical.ticks:
            self.line((self.left, self.up(tick)), (self.right, self.up(tick)), LINE, 1)
        self.line((self.left, self.bottom), (self.right, self.bottom), INK, 2)
        self.line((self.left, self.top), (self.left, self.bottom), INK, 2)

    def smoothed(self) -> Image.Image:
        """The picture so far, at its size."""
        return self._picture.resize(self.size, Image.Resampling.LANCZOS)


def tradeoff(data: ReportData, numbers: Aggregates, size: tuple[int, int]) -> Image.Image:
    """The plot: up is more of the person's face, right is more movement; crosses are 95 % intervals."""
    places = points(data, numbers)
    plot = Plot(
        size,
        axis([value for place in places for value in place.x] or [1.0]),
        axis([value for place in places for value in place.y] or [1.0]),
    )
    plot.grid()
    for place in places:
        x, y = plot.across(place.x[0]), plot.up(place.y[0])
        plot.line((plot.across(place.x[1]), y), (plot.across(place.x[2]), y), place.colour, 2)
        plot.line((x, plot.up(place.y[1])), (x, plot.up(place.y[2])), place.colour, 2)
    for place in places:
        plot.disc(plot.across(place.x[0]), plot.up(place.y[0]), place.colour)
    picture = plot.smoothed()
    _name_axes(picture, plot)
    _label_points(ImageDraw.Draw(picture), plot, places)
    return picture


def _name_axes(picture: Image.Image, plot: Plot) -> None:
    draw = ImageDraw.Draw(picture)
    for tick in plot.horizontal.ticks:
        write(draw, (round(plot.across(tick)), round(plot.bottom) + 8), f"{tick:g}", 16, colour=GREY, anchor="ma")
    for tick in plot.vertical.ticks:
        write(draw, (round(plot.left) - 10, round(plot.up(tick))), f"{tick:g}", 16, colour=GREY, anchor="rm")
    middle = round((plot.left + plot.right) / 2)
    write(draw, (middle, plot.size[1] - 26), "Flow (px a pair at a short side of 256) →", 17, anchor="ma")
    _upright(picture, f"{COLUMNS[Y].display} →", (8, round((plot.top + plot.bottom) / 2)))


def _upright(picture: Image.Image, text: str, middle_left: tuple[int, int]) -> None:
    strip = Image.new("RGB", (width_of(text, 17) + 4, 24), PAPER)
    write(ImageDraw.Draw(strip), (2, 2), text, 17)
    strip = strip.rotate(90, expand=True)
    picture.paste(strip, (middle_left[0], middle_left[1] - strip.height // 2))


def _label_points(draw: ImageDraw.ImageDraw, plot: Plot, places: list[Point]) -> None:
    """Names beside the points, moved up or down until none covers another or a point."""
    centres = [(plot.across(place.x[0]), plot.up(place.y[0])) for place in places]
    taken = [(x - 10, y - 10, x + 10, y + 10) for x, y in centres]
    for place, (x, y) in zip(places, centres, strict=True):
        width = width_of(place.label, 17, True)
        boxes = [
            (start, y + rise - 11, start + width, y + rise + 11)
            for rise in (-14, 14, -34, 34, -54, 54, -74, 74)
            for start in (x + 12, x - 12 - width)
        ]
        inside = [box for box in boxes if box[0] > plot.left + 4 and box[2] < plot.size[0]]
        free = [box for box in inside if not any(_overlap(box, other) for other in taken)]
        box = (free or inside or boxes)[0]
        taken.append(box)
        write(draw, (round(box[0]), round(box[1])), place.label, 17, bold=True, colour=place.colour)


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
