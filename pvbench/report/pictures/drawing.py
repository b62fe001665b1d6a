"""Drawing for the report's pictures: fonts, wrapped text, frames and tables on one sheet of pixels."""

import functools
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from pvbench.errors import ReportError
from pvbench.report.document.block import Entry, Table

INK = (28, 30, 34)
GREY = (104, 110, 120)
LINE = (198, 203, 210)
PAPER = (255, 255, 255)
BEST = (222, 240, 224)
LINK = (32, 92, 168)

ROLES = {"floor": (120, 124, 130), "control": (166, 138, 100), "ceiling": (24, 26, 30), "retake": (72, 76, 84)}
# Okabe and Ito's colours, told apart by readers with any colour vision.
METHODS = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233))


@functools.cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans at a size in pixels.

    Raises:
        ReportError: matplotlib, whose font it is, is not installed completely.
    """
    spec = find_spec("matplotlib")
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / name if spec and spec.origin else Path(name)
    if not path.is_file():
        raise ReportError(f"the font {name} of matplotlib is not there; install matplotlib again")
    # The basic layout gives the same pixels with and without the optional text shaping libraries.
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def width_of(text: str, size: int, bold: bool = False) -> int:
    """The text's width in pixels."""
    return round(font(size, bold).getlength(text))


def wrapped(text: str, size: int, width: int, bold: bool = False) -> list[str]:
    """The text in lines no wider than `width` pixels, broken at spaces, and inside a word only where one is wider.

    Such a word is broken after the last of the marks `_`, `,` and `[` that fits, or anywhere if none does.
    """
    lines: list[str] = []
    line = ""
    for word in text.split():
        joined = f"{line} {word}" if line else word
        if width_of(joined, size, bold) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        while width_of(word, size, bold) > width and len(word) > 1:
            cut = next(n for n in range(len(word), 0, -1) if n == 1 or width_of(word[:n], size, bold) <= width)
            cut = max(word.rfind(mark, 1, cut) for mark in "_,[") + 1 or cut
            lines.append(word[:cut])
            word = word[cut:]
        line = word
    return [*lines, line] if line else lines


def write(
    draw: ImageDraw.ImageDraw,
    at: tuple[int, int],
    text: str,
    size: int,
    colour: tuple[int, int, int] = INK,
    bold: bool = False,
    anchor: str = "la",
) -> None:
    """Text at a place: its upper left corner, or what Pillow's `anchor` says."""
    draw.text(at, text, fill=colour, font=font(size, bold), anchor=anchor)


def paragraph(
    draw: ImageDraw.ImageDraw,
    at: tuple[int, int],
    text: str,
    size: int,
    width: int,
    colour: tuple[int, int, int] = INK,
    bold: bool = False,
) -> int:
    """Draws wrapped text and gives the y below it."""
    x, y = at
    for line in wrapped(text, size, width, bold):
        write(draw, (x, y), line, size, colour=colour, bold=bold)
        y += round(size * 1.4)
    return y


def picture_of(frame: UInt8[np.ndarray, "height width 3"], height: int) -> Image.Image:
    """The frame at another height, its proportions kept."""
    return scaled(Image.fromarray(frame), height)


def scaled(picture: Image.Image, height: int) -> Image.Image:
    """The picture in RGB at another height, its proportions kept."""
    size = (max(1, round(picture.width * height / picture.height)), height)
    return picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def plain(text: str) -> str:
    """The text without the backticks that mark literal words."""
    return text.replace("`", "")


class TablePicture:
    """A table drawn for a sheet: as wide as it is told, as high as it needs; a wide one in smaller type."""

    padding = 10
    largest, smallest = 22, 13

    def __init__(self, table: Table, width: int) -> None:
        self.table = table
        self.width = width
        self.size = self.largest
        while sum(self._needed()) > width and self.size > self.smallest:
            self.size -= 1
        self.small = round(self.size * 0.7)
        self.row_height = round(self.size * (2.65 if self._has_small_print() else 1.75))
        self.head_height = 2 * self.size
        self.columns = self._column_widths()

    @property
    def height(self) -> int:
        """Of header and rows, without notes."""
        return self.head_height + self.row_height * len(self.table.rows) + 6

    def draw(self, draw: ImageDraw.ImageDraw, at: tuple[int, int]) -> None:
        """Draws header, rows and rules with the upper left corner at `at`."""
        x, y = at
        right = x + self.width
        draw.line((x, y, right, y), fill=INK, width=2)
        for index, head in enumerate(self.table.header):
            self._text(draw, index, x, y + round(self.size * 0.5), head, self.size, bold=True)
        y += self.head_height
        draw.line((x, y, right, y), fill=INK, width=1)
        for number, row in enumerate(self.table.rows):
            if number in self.table.rules:
                draw.line((x, y, right, y), fill=LINE, width=2)
            for index, entry in enumerate(row):
                self._entry(draw, index, x, y, entry)
            y += self.row_height
        draw.line((x, y + 2, right, y + 2), fill=INK, width=2)

    def _has_small_print(self) -> bool:
        return any(entry.below for row in self.table.rows for entry in row)

    def _needed(self) -> list[int]:
        self.small = round(self.size * 0.7)
        return [
            max([width_of(head, self.size, True), *(self._entry_width(row[index]) for row in self.table.rows)])
            + 2 * self.padding
            for index, head in enumerate(self.table.header)
        ]

    def _column_widths(self) -> list[int]:
        needed = self._needed()
        spare = max(0, self.width - sum(needed))
        numbers = max(1, len(needed) - self.table.text_columns)
        return [w + (spare // numbers if i >= self.table.text_columns else 0) for i, w in enumerate(needed)]

    def _entry_width(self, entry: Entry) -> int:
        text = width_of(entry.text, self.size, entry.place == "best") + self._letters_width(entry)
        return max(text, width_of(entry.below, self.small))

    def _letters_width(self, entry: Entry) -> int:
        return width_of(" ".join(entry.letters), self.small) + 3 if entry.letters else 0

    def _entry(self, draw: ImageDraw.ImageDraw, index: int, x: int, y: int, entry: Entry) -> None:
        left, right = self._edges(index, x)
        if entry.place == "best":
            draw.rectangle((left + 3, y + 3, right - 3, y + self.row_height - 3), fill=BEST)
        top = y + round(self.size * 0.36)
        letters = self._letters_width(entry)
        self._text(draw, index, x, top, entry.text, self.size, bold=entry.place == "best", shift=letters)
        if entry.place == "second":
            end = right - self.padding - letters
            start = end - width_of(entry.text, self.size)
            draw.line((start, top + self.size + 4, end, top + self.size + 4), fill=INK, width=2)
        if entry.letters:
            at = (right - self.padding - letters + 3, top - 3)
            write(draw, at, " ".join(entry.letters), self.small, colour=LINK)
        if entry.below:
            self._text(draw, index, x, top + round(self.size * 1.32), entry.below, self.small, colour=GREY)

    def _edges(self, index: int, x: int) -> tuple[int, int]:
        left = x + sum(self.columns[:index])
        return left, left + self.columns[index]

    def _text(
        self,
        draw: ImageDraw.ImageDraw,
        index: int,
        x: int,
        y: int,
        text: str,
        size: int,
        bold: bool = False,
        colour: tuple[int, int, int] = INK,
        shift: int = 0,
    ) -> None:
        left, right = self._edges(index, x)
        if index < self.table.text_columns:
            write(draw, (left + self.padding, y), text, size, bold=bold, colour=colour)
        else:
            write(draw, (right - self.padding - shift, y), text, size, bold=bold, colour=colour, anchor="ra")


def colours(roles: Sequence[str]) -> list[tuple[int, int, int]]:
    """A colour for each variant by its role: those of `ROLES`; methods are told apart."""
    chosen = []
    methods = 0
    for role in roles:
        if role == "method":
            chosen.append(METHODS[methods % len(METHODS)])
            methods += 1
        else:
            chosen.append(ROLES[role])
    return chosen
