"""LaTeX that pdflatex takes, whatever the names and texts hold."""

import shutil
import subprocess
from pathlib import Path

import pytest

from pvbench.report import write_report
from pvbench.report.document.block import Bullets, Code, Document, Entry, Figure, Paragraph, Section, Table
from pvbench.report.formats.latex import LONGEST_ON_ONE_PAGE, latex, table_latex

NASTY = "50 % of <V> & {x}_y^2 ~ $a$ #1 \\end | “quoted” — ± × ≤ é ß ž ł 漢 `lit_er%al`"


def compiled(folder, text):
    """The text of pdflatex's log; the test is skipped without pdflatex and booktabs."""
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex here; install texlive-latex-base and texlive-latex-recommended to compile reports")
    if not subprocess.run(["kpsewhich", "booktabs.sty"], capture_output=True, check=False).stdout:
        pytest.skip("no booktabs here; install texlive-latex-recommended to compile reports")
    (folder / "report.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert (folder / "report.pdf").stat().st_size > 1000
    return done.stdout


def test_a_whole_report_compiles_beside_its_pictures(make_run, tmp_path):
    data = make_run(people=3, prompts=2, pictures=True, failed=(("personalvideo", "ada", "p01"),))
    write_report(tmp_path, data)
    log = compiled(tmp_path, (tmp_path / "report.tex").read_text())
    assert "Overfull" not in log


def test_the_kept_report_compiles(tmp_path):
    kept = Path(__file__).parents[3] / "reports/mini"
    shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    assert "Overfull" not in compiled(tmp_path, (kept / "report.tex").read_text(encoding="utf-8"))


def test_long_names_in_a_list_break_at_their_underscores(tmp_path):
    item = "face: extractor mini-face, weights (" + "face_detector_of_a_long_name df2a9faf175ecaaa, " * 6 + ")"
    assert "Overfull" not in compiled(tmp_path, latex(Document("T", (Section("S", (Bullets((item,)),)),))))


def test_every_sign_compiles(tmp_path):
    rows = ((Entry(NASTY, below=NASTY, letters=("a",)), Entry("1")), (Entry("[2pt] first"), Entry("[1, 2]")))
    table = Table("t", NASTY, (NASTY[:12], "x ↑"), rows, rules=(0,))
    blocks = (Paragraph(NASTY), Bullets((NASTY,)), Code((NASTY, "a" * 300)), table)
    compiled(tmp_path, latex(Document(NASTY, (Section(NASTY, blocks),))))


def test_a_long_table_breaks_over_pages(tmp_path):
    rows = tuple((Entry(f"row {i}"), Entry(f"{i}", below="[1, 2]")) for i in range(LONGEST_ON_ONE_PAGE + 90))
    table = Table("t", "Long", ("Name", "Value"), rows, rules=(40,))
    assert r"\begin{longtable}" in table_latex(table)
    log = compiled(tmp_path, latex(Document("Long", (Section("Long", (table,)),))))
    assert "(3 pages" in log or "(4 pages" in log


def test_a_wide_table_is_scaled_to_the_page(tmp_path):
    header = ("Method", *(f"column number {i}" for i in range(14)))
    table = Table("t", "Wide", header, ((Entry("x"), *(Entry("1234.56") for _ in range(14))),))
    log = compiled(tmp_path, latex(Document("Wide", (Section("Wide", (table,)),))))
    assert "Overfull" not in log


def test_best_second_letters_and_intervals_are_set():
    row = (Entry("m_1"), Entry("62.35", place="best", below="[60, 64]"), Entry("1", place="second", letters=("a", "b")))
    lines = table_latex(Table("t", "C", ("M", "F ↑", "G ↓"), (row,))).split("\n")
    assert r"M & F $\uparrow$ & G $\downarrow$ \\" in lines
    assert r"m\_1 & \textbf{62.35} & \underline{1}\textsuperscript{a b} \\*" in lines
    assert r" & {\scriptsize [60, 64]} &  \\[2pt]" in lines


def test_pictures_are_included_by_their_relative_path():
    text = latex(Document("T", (), (Figure("filmstrips/1-ada.png", "Ada"),)))
    assert "{filmstrips/1-ada.png}" in text
