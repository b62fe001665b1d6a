"""The picture sheet: the report on one page, for a README, a talk or a quick look."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from pvbench.report.data import ReportData
from pvbench.report.document.contents import summary
from pvbench.report.document.tables import kept_table, main_table
from pvbench.report.pictures.drawing import (
    GREY,
    LINE,
    PAPER,
    TablePicture,
    colours,
    paragraph,
    picture_of,
    plain,
    scaled,
    wrapped,
    write,
)
from pvbench.report.pictures.filmstrip import GAP, LABEL, ROW_GAP, Strip, frames_shown, paste_row, row_label
from pvbench.report.pictures.tradeoff import tradeoff
from pvbench.report.statistics.score import Aggregates

WIDTH = 1600
MARGIN = 44
STRIPS = 3
FRAMES = 3
LARGEST_CELL = 192


def sheet(data: ReportData, numbers: Aggregates, strips: Sequence[Strip]) -> Image.Image:
    """Title, results, the trade-off, what tuning costs, and the first strips side by side."""
    table = TablePicture(main_table(data, numbers), WIDTH - 2 * MARGIN)
    width = max(WIDTH, sum(table.columns) + 2 * MARGIN)
    # Cut to its content at the end.
    room = 2000 + 2 * table.height + (LARGEST_CELL + ROW_GAP) * (len(data.variants) + 1)
    canvas = Image.new("RGB", (width, room), PAPER)
    draw = ImageDraw.Draw(canvas)
    inner = width - 2 * MARGIN
    y = MARGIN
    write(draw, (MARGIN, y), f"pvbench · {data.profile}", 40, bold=True)
    write(draw, (width - MARGIN, y + 16), summary(data), 20, colour=GREY, anchor="ra")
    y += 76
    table.draw(draw, (MARGIN, y))
    y += table.height + 14
    for note in table.table.notes:
        y = paragraph(draw, (MARGIN, y), plain(note), 16, inner, colour=GREY)
    y = _middle(canvas, draw, data, numbers, y + 22)
    y = _strips(canvas, draw, data, spread(strips, STRIPS), y + 18)
    y = _signatures(draw, table, y + 12, inner)
    return canvas.crop((0, 0, width, y + MARGIN // 2))


def _middle(canvas: Image.Image, draw: ImageDraw.ImageDraw, data: ReportData, numbers: Aggregates, y: int) -> int:
    """The trade-off on the left, what tuning gains and costs on the right; nothing without both of its numbers."""
    if not (data.shows("face_sim") and data.shows("flow_magnitude")):
        return y
    left = 740
    write(draw, (MARGIN, y), "The person's face, in a video that moves", 24, bold=True)
    plot = tradeoff(data, numbers, (left - 50, 430))
    canvas.paste(plot, (MARGIN, y + 40))
    below = y + 40 + plot.height
    if not any(numbers.kept.values()):
        return below
    x = MARGIN + left
    kept = TablePicture(kept_table(data, numbers), canvas.width - MARGIN - x)
    write(draw, (x, y), kept.table.caption, 24, bold=True)
    kept.draw(draw, (x, y + 48))
    right = y + 48 + kept.height + 12
    for note in kept.table.notes:
        right = paragraph(draw, (x, right), plain(note), 16, kept.width, colour=GREY)
    return max(below, right)


def _strips(canvas: Image.Image, draw: ImageDraw.ImageDraw, data: ReportData, strips: Sequence[Strip], y: int) -> int:
    """The strips side by side, a row for each method."""
    if not strips:
        return y
    draw.line((MARGIN, y, canvas.width - MARGIN, y), fill=LINE)
    y += 16
    start = MARGIN + LABEL
    room = (canvas.width - MARGIN - start + 3 * ROW_GAP) // len(strips)
    cell = _cell_height(strips, room - 3 * ROW_GAP)
    lines = [wrapped(strip.text, 18, room - 3 * ROW_GAP) for strip in strips]
    for index, strip in enumerate(strips):
        x = start + index * room
        below = paragraph(draw, (x, y), strip.text, 18, room - 3 * ROW_GAP)
        write(draw, (x, below), f"{strip.identity.name} · prompt {strip.cell.prompt}", 15, colour=GREY)
    y += 25 * max(map(len, lines)) + 30
    write(draw, (MARGIN, y + cell // 2 - 12), "reference", 18, bold=True)
    for index, strip in enumerate(strips):
        images = [scaled(image, cell) for image in strip.references]
        paste_row(canvas, (start + index * room, y), images, start + (index + 1) * room - 3 * ROW_GAP)
    y += cell + ROW_GAP
    variants = data.in_table_order
    tints = colours([variant.role for variant in variants])
    for row, (variant, tint) in enumerate(zip(variants, tints, strict=True)):
        row_label(draw, data, None, variant, tint, (MARGIN, y), cell)
        for index, strip in enumerate(strips):
            x = start + index * room
            video = strip.videos[row][1]
            if video is None:
                write(draw, (x, y + cell // 2 - 10), "failed", 18, colour=GREY)
                continue
            images = [picture_of(frame, cell) for frame in frames_shown(video, FRAMES)]
            paste_row(canvas, (x, y), images, x + room - 3 * ROW_GAP)
        y += cell + ROW_GAP
    return y


def spread(strips: Sequence[Strip], count: int) -> list[Strip]:
    """`count` of the strips, evenly spaced, of different people where there are as many."""
    of_people = list({strip.cell.identity: strip for strip in reversed(strips)}.values())[::-1]
    chosen = of_people if len(of_people) >= count else strips
    return [chosen[index * len(chosen) // count] for index in range(count)] if len(chosen) > count else list(chosen)


def _cell_height(strips: Sequence[Strip], room: int) -> int:
    """The height at which a row of frames fills the room, whatever the videos' shape."""
    shapes = [video.frames.shape for strip in strips for _, video in strip.videos if video is not None]
    widest = max((shape[2] / shape[1] for shape in shapes), default=1.0)
    return min(LARGEST_CELL, int((room - (FRAMES - 1) * GAP) / (FRAMES * widest)))


def _signatures(draw: ImageDraw.ImageDraw, table: TablePicture, y: int, width: int) -> int:
    for line in table.table.signatures:
        y = paragraph(draw, (MARGIN, y), line, 14, width, colour=GREY)
    return y
