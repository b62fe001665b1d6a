"""A document as Markdown, for reading in a repository or an editor."""

import re

from pvbench.report.document.block import Block, Bullets, Code, Document, Entry, Figure, Paragraph, Table


def markdown(document: Document) -> str:
    """The document in GitHub's Markdown."""
    parts = [f"# {_escaped(document.title)}", *map(_block, document.lead)]
    for section in document.sections:
        parts += [f"## {_escaped(section.title)}", *map(_block, section.blocks)]
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    match block:
        case Table():
            return table_markdown(block)
        case Paragraph():
            return _escaped(block.text)
        case Bullets():
            return "\n".join(f"- {_escaped(item)}" for item in block.items)
        case Code():
            return "\n".join(["```", *block.lines, "```"])
        case Figure():
            return f"![{_escaped(block.caption)}]({block.path.replace(' ', '%20')})\n\n*{_escaped(block.caption)}*"


def table_markdown(table: Table) -> str:
    """A table, its caption above, its notes and signatures below."""
    align = ["---"] * table.text_columns + ["---:"] * (len(table.header) - table.text_columns)
    lines = [
        f"**{_escaped(table.caption)}**",
        "",
        _line([_escaped(head) for head in table.header]),
        _line(align),
        *(_line([_entry(entry) for entry in row]) for row in table.rows),
    ]
    if table.notes:
        lines += ["", *(f"- {_escaped(note)}" for note in table.notes)]
    if table.signatures:
        lines += ["", "```", *table.signatures, "```"]
    return "\n".join(lines)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _entry(entry: Entry) -> str:
    text = _escaped(entry.text)
    if entry.place == "best":
        text = f"**{text}**"
    elif entry.place == "second":
        text = f"<ins>{text}</ins>"
    if entry.letters:
        text += f"<sup>{' '.join(entry.letters)}</sup>"
    if entry.below:
        text += f"<br><sub>{_escaped(entry.below)}</sub>"
    return text


def _escaped(text: str) -> str:
    """The text with the signs that Markdown would act on made literal, outside of backticks; others stay readable."""
    pieces = re.split(r"(`[^`]*`)", text.replace("\n", " "))
    return "".join(
        piece.replace("|", "\\|") if piece.startswith("`") else _SIGNS.sub(r"\\\g<0>", piece) for piece in pieces
    )


# An underscore acts at a word's edge only, a bracket only as part of a link.
_SIGNS = re.compile(r"[\\*<>|]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])|\](?=\()")
