"""A document as LaTeX, for pasting tables into a paper: pdflatex with booktabs, nothing exotic."""

import re
import unicodedata

from pvbench.report.document.block import Block, Bullets, Code, Document, Entry, Figure, Paragraph, Table

LONGEST_ENTRY = 100
"""Signs of a table's cell, which LaTeX would not wrap: what is longer is cut, and whole in Markdown."""

LONGEST_ON_ONE_PAGE = 30

_PREAMBLE = r"""\documentclass[10pt]{article}
\usepackage[utf8]{inputenc}
\IfFileExists{lmodern.sty}{\usepackage[T1]{fontenc}\usepackage{lmodern}}{}
\usepackage[a4paper,margin=18mm]{geometry}
\usepackage{booktabs}
\usepackage{graphicx}
\usepackage{longtable}
\renewcommand{\labelitemi}{$\bullet$}
\setlength{\parindent}{0pt}
\setlength{\parskip}{4pt}
\setlength{\emergencystretch}{4em}
\begin{document}
"""

_SIGNS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "→": r"$\rightarrow$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "−": r"$-$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "·": r"$\cdot$",
    "–": "--",
    "—": "---",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "…": r"\ldots{}",
    "\u00a0": "~",
}


_KEPT_TOGETHER = r"\begin{minipage}{\linewidth}"


def latex(document: Document) -> str:
    """The document as a LaTeX article that compiles by itself beside its pictures."""
    parts = [_PREAMBLE + rf"\section*{{{_escaped(document.title)}}}", *map(_block, document.lead)]
    for section in document.sections:
        parts += [rf"\subsection*{{{_escaped(section.title)}}}", *map(_block, section.blocks)]
    return "\n\n".join([*parts, r"\end{document}"]) + "\n"


def _block(block: Block) -> str:
    match block:
        case Table():
            return table_latex(block)
        case Paragraph():
            return _escaped(block.text)
        case Bullets():
            return _bullets(block.items)
        case Code():
            return _fixed_width(block.lines)
        case Figure():
            picture = rf"\includegraphics[width=\linewidth,height=0.82\textheight,keepaspectratio]{{{block.path}}}"
            caption = rf"\textit{{{_escaped(block.caption)}}}"
            return "\n".join([_KEPT_TOGETHER, r"\centering", picture, "", caption, r"\end{minipage}\par\bigskip"])


def table_latex(table: Table) -> str:
    """A booktabs table, its caption above, its notes and signatures below; a long one breaks over pages."""
    lines = _long(table) if len(table.rows) > LONGEST_ON_ONE_PAGE else _whole(table)
    if table.notes:
        lines.append(r"{\footnotesize" + "\n" + _bullets(table.notes) + "}")
    if table.signatures:
        lines.append(_fixed_width(table.signatures))
    return "\n".join(lines)


def _whole(table: Table) -> list[str]:
    # Only a table wider than the text is scaled.
    scaled = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
    caption = rf"\textbf{{{_escaped(table.caption)}}}\par\medskip"
    tabular = rf"\begin{{tabular}}{{{_align(table)}}}"
    begin = [_KEPT_TOGETHER, caption, r"\centering", r"\small", scaled, tabular, r"\toprule"]
    end = [r"\bottomrule", r"\end{tabular}}", r"\end{minipage}\par\medskip"]
    return [*begin, _head(table), r"\midrule", *_rows(table), *end]


def _long(table: Table) -> list[str]:
    caption = rf"\multicolumn{{{len(table.header)}}}{{@{{}}l@{{}}}}{{\textbf{{{_escaped(table.caption)}}}}} \\[2pt]"
    begin = [r"{\footnotesize", rf"\begin{{longtable}}{{{_align(table)}}}", caption, r"\toprule"]
    return [*begin, _head(table), r"\midrule", r"\endhead", *_rows(table), r"\bottomrule", r"\end{longtable}}"]


def _align(table: Table) -> str:
    return "@{}" + "l" * table.text_columns + "r" * (len(table.header) - table.text_columns) + "@{}"


def _head(table: Table) -> str:
    return " & ".join(_escaped(header) for header in table.header) + r" \\"


def _rows(table: Table) -> list[str]:
    lines = []
    for index, row in enumerate(table.rows):
        if index in table.rules:
            lines.append(r"\midrule")
        small = any(entry.below for entry in row)
        lines.append(" & ".join(_entry(entry) for entry in row) + (r" \\*" if small else r" \\"))
        if small:
            lines.append(" & ".join(_below(entry) for entry in row) + r" \\[2pt]")
    return lines


def _bullets(items: tuple[str, ...]) -> str:
    """A list; a name of several words may break at its underscores."""
    texts = (_escaped(item).replace(r"\_", r"\_\allowbreak{}") for item in items)
    return "\n".join([r"\begin{itemize}", *(rf"\item {text}" for text in texts), r"\end{itemize}"])


def _fixed_width(lines: tuple[str, ...]) -> str:
    """Lines in small type that wrap; every sign may end a line, since signatures have few spaces."""
    rows = [rf"{_breakable(line)}\par" for line in lines]
    return "\n".join([r"{\scriptsize\ttfamily\raggedright\hangindent=2em", *rows, "}"])


def _breakable(line: str) -> str:
    return re.sub(r"([:@,/|=]|\\_)", r"\1\\allowbreak{}", _escaped(line, literal=False))


def _entry(entry: Entry) -> str:
    text = _escaped(entry.text if len(entry.text) <= LONGEST_ENTRY else f"{entry.text[: LONGEST_ENTRY - 1]}…")
    if text.startswith("["):
        # At the start of a row TeX would read it as the height of the row above.
        text = "{}" + text
    if entry.place == "best":
        text = rf"\textbf{{{text}}}"
    elif entry.place == "second":
        text = rf"\underline{{{text}}}"
    if entry.letters:
        text += rf"\textsuperscript{{{' '.join(entry.letters)}}}"
    return text


def _below(entry: Entry) -> str:
    return rf"{{\scriptsize {_escaped(entry.below)}}}" if entry.below else ""


def _escaped(text: str, literal: bool = True) -> str:
    """The text with TeX's signs made literal; words between backticks in a fixed-width font."""
    if literal:
        pieces = re.split(r"`([^`]*)`", text)
        return "".join(
            rf"\texttt{{{_escaped(piece, literal=False)}}}" if index % 2 else _escaped(piece, literal=False)
            for index, piece in enumerate(pieces)
        )
    return "".join(_sign(sign) for sign in text)


def _sign(sign: str) -> str:
    if sign in _SIGNS:
        return _SIGNS[sign]
    # pdflatex stops at signs that its fonts lack: Latin-1 letters are safe, others lose their accent or are named.
    if ord(sign) < 128 or ("À" <= sign <= "ÿ" and sign not in "ÐðÞþ×÷"):
        return sign
    base = unicodedata.normalize("NFKD", sign)[0]
    return base if base.isascii() and base.isalnum() else f"[U+{ord(sign):04X}]"
