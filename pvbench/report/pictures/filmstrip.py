"""Filmstrips: the reference images, then each method's frames for one prompt, one person and one seed."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from pvbench.errors import PromptError
from pvbench.metrics import COLUMNS
from pvbench.prompt import PERSON, Prompt
from pvbench.report.data import CellKey, ReportData, ReportIdentity, ReportPrompt, ReportVariant
from pvbench.report.pictures.drawing import GREY, LINE, PAPER, colours, paragraph, picture_of, scaled, wrapped, write
from pvbench.video import Video, read_video

GAP = 4
ROW_GAP = 8
LABEL = 196


@dataclass(frozen=True)
class Strip:
    """One cell's pictures: what was asked for, of whom, and each method's video; None where there is none."""

    cell: CellKey
    identity: ReportIdentity
    text: str
    references: tuple[Image.Image, ...]
    videos: tuple[tuple[ReportVariant, Video | None], ...]


def chosen_cells(data: ReportData, count: int) -> tuple[CellKey, ...]:
    """Up to `count` cells spread evenly over people and prompts, those that all methods have first.

    Chosen by their place in the grid alone, so that the pretty ones are not picked.
    """
    has = [data.videos.get(variant.label, {}) for variant in data.variants]
    complete = [cell for cell in data.cells if has and all(cell in of_one for of_one in has)]
    cells = complete or [cell for cell in data.cells if any(cell in of_one for of_one in has)]
    people = list(dict.fromkeys(cell.identity for cell in cells))
    count = min(count, len(cells))
    chosen: list[CellKey] = []
    for index in range(count):
        person = people[index * len(people) // count if count <= len(people) else index % len(people)]
        left = [cell for cell in cells if cell not in chosen]
        own = [cell for cell in left if cell.identity == person] or left
        chosen.append(own[index * len(own) // count])
    return tuple(chosen)


def load_strip(data: ReportData, cell: CellKey) -> Strip:
    """The cell's reference images and videos.

    Raises:
        VideoError: a video that the run names is not there or corrupt.
    """
    identity = next(one for one in data.identities if one.name == cell.identity)
    prompt = next(one for one in data.prompts if one.id == cell.prompt)
    return Strip(
        cell=cell,
        identity=identity,
        text=shown_text(prompt, identity),
        references=tuple(_opened(path) for path in identity.images),
        videos=tuple((variant, _video(data, variant, cell)) for variant in data.in_table_order),
    )


def shown_text(prompt: ReportPrompt, identity: ReportIdentity) -> str:
    """The prompt as a reader reads it: with the person's class noun, or its id where it has no text."""
    if PERSON in prompt.text and identity.class_noun:
        with suppress(PromptError):  # a text from elsewhere may hold anything
            return Prompt(prompt.id, prompt.text).render(identity.class_noun)
    return prompt.text or prompt.id


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def _video(data: ReportData, variant: ReportVariant, cell: CellKey) -> Video | None:
    path = data.videos.get(variant.label, {}).get(cell)
    return read_video(path) if path is not None else None


def frames_shown(video: Video, count: int) -> list[np.ndarray]:
    """Up to `count` frames evenly spread from the first to the last."""
    total = video.frames.shape[0]
    places = np.linspace(0, total - 1, min(count, total)).round().astype(int)
    return [video.frames[place] for place in places]


def filmstrip(data: ReportData, strip: Strip, frames: int = 8, height: int = 168) -> Image.Image:
    """The picture of one cell: a heading, a row of references, a row for each method."""
    picture, draw, y = _headed(strip, strip_width(strip, frames, height), height)
    x = LABEL + 2 * ROW_GAP
    write(draw, (ROW_GAP, y + height // 2 - 20), "reference", 18, bold=True)
    write(draw, (ROW_GAP, y + height // 2 + 4), strip.identity.name, 15, colour=GREY)
    paste_row(picture, (x, y), [scaled(image, height) for image in strip.references], picture.width)
    y += height + ROW_GAP
    draw.line((ROW_GAP, y - ROW_GAP // 2, picture.width - ROW_GAP, y - ROW_GAP // 2), fill=LINE)
    tints = colours([variant.role for variant, _ in strip.videos])
    for (variant, video), tint in zip(strip.videos, tints, strict=True):
        row_label(draw, data, strip.cell, variant, tint, (ROW_GAP, y), height)
        if video is None:
            write(draw, (x, y + height // 2 - 10), "no video: this cell failed", 18, colour=GREY)
        else:
            images = [picture_of(frame, height) for frame in frames_shown(video, frames)]
            paste_row(picture, (x, y), images, picture.width)
        y += height + ROW_GAP
    return picture.crop((0, 0, picture.width, y))


def strip_width(strip: Strip, frames: int, height: int) -> int:
    """Pixels that the widest row takes, and enough for the heading."""
    rows = [[scaled(image, height).width for image in strip.references]]
    for _, video in strip.videos:
        if video is not None:
            rows.append([picture_of(frame, height).width for frame in frames_shown(video, frames)])
    widest = max(sum(row) + GAP * len(row) for row in rows)
    return max(LABEL + 3 * ROW_GAP + widest, 900)


def _headed(strip: Strip, width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw, int]:
    lines = len(wrapped(strip.text, 22, width - 2 * ROW_GAP, bold=True))
    rows = (1 + len(strip.videos)) * (height + ROW_GAP)
    picture = Image.new("RGB", (width, 60 + 31 * lines + rows), PAPER)
    draw = ImageDraw.Draw(picture)
    y = paragraph(draw, (ROW_GAP, 14), strip.text, 22, width - 2 * ROW_GAP, bold=True)
    about = f"{strip.identity.name} · prompt {strip.cell.prompt} · seed {strip.cell.seed}"
    y = paragraph(draw, (ROW_GAP, y), about, 16, width - 2 * ROW_GAP, colour=GREY)
    return picture, draw, y + 10


def row_label(
    draw: ImageDraw.ImageDraw,
    data: ReportData,
    cell: CellKey | None,
    variant: ReportVariant,
    tint: tuple[int, int, int],
    at: tuple[int, int],
    height: int,
) -> None:
    """A method's name in its colour and, with a cell, that video's Face Sim. and flow."""
    x, y = at
    names = wrapped(variant.label.replace("[", " ["), 18, LABEL - 14, bold=True)
    scores = data.scores.get(variant.label, {}).get(cell, {}) if cell else {}
    facts = [
        f"{word} {scores[name] * COLUMNS[name].scale:.1f}"
        for name, word in (("face_sim", "face"), ("flow_magnitude", "flow"))
        if name in scores
    ]
    block = 25 * len(names) + 21 * len(facts)
    draw.rectangle((x, y, x + 5, y + height), fill=tint)
    y += max(0, (height - block) // 2)
    for line in names:
        write(draw, (x + 14, y), line, 18, bold=True)
        y += 25
    for fact in facts:
        write(draw, (x + 14, y), fact, 15, colour=GREY)
        y += 21


def paste_row(picture: Image.Image, at: tuple[int, int], images: Sequence[Image.Image], right: int) -> None:
    """Puts images side by side up to `right`; what does not fit whole is left out."""
    x, y = at
    for image in images:
        if x + image.width > right:
            break
        picture.paste(image, (x, y))
        x += image.width + GAP
