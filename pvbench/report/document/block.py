"""What a document consists of, without a format: Markdown, LaTeX and the picture sheet draw the same blocks."""

from dataclasses import dataclass

from pvbench.report.statistics.score import Place


@dataclass(frozen=True)
class Entry:
    """One cell of a table."""

    text: str
    below: str = ""
    """Small print under the text, such as an interval."""
    place: Place = ""
    letters: tuple[str, ...] = ()
    """Raised behind the text: the rows that this one is significantly better than."""


@dataclass(frozen=True)
class Table:
    """A table: the first column is text, the others are numbers or short words."""

    name: str
    """A word for anchors and labels; unique in a document."""
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]
    rules: tuple[int, ...] = ()
    """Rows, counted from 0, that a line is drawn above."""
    notes: tuple[str, ...] = ()
    """Sentences that belong under the table."""
    signatures: tuple[str, ...] = ()
    """Lines under the notes, in a fixed-width font."""
    text_columns: int = 1
    """How many columns from the left are aligned left."""


@dataclass(frozen=True)
class Paragraph:
    """Running text; words between backticks are literal."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of short texts, as in `Paragraph`."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Code:
    """Lines to be shown as they are."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Figure:
    """A picture beside the document."""

    path: str
    """Relative to the document, with forward slashes."""
    caption: str


Block = Table | Paragraph | Bullets | Code | Figure


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    sections: tuple[Section, ...]
    lead: tuple[Block, ...] = ()
    """What stands between the title and the first section."""
