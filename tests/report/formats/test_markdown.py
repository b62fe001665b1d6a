"""Markdown of every kind of block."""

from pvbench.report.document.block import Bullets, Code, Document, Entry, Figure, Paragraph, Section, Table
from pvbench.report.formats.markdown import markdown, table_markdown

TABLE = Table(
    name="t",
    caption="What a_b* means",
    header=("Method", "Face Sim. ↑"),
    rows=(
        (Entry("dreambooth_lora"), Entry("42.62", below="[40.1, 45.0]", letters=("a", "c"))),
        (Entry("x[scr=off]"), Entry("62.35", place="best")),
        (Entry("a|b"), Entry("50.51", place="second")),
    ),
    notes=("`base` is <untuned>.",),
    signatures=("face_sim.v1 | n:160",),
)


def test_a_table_has_marks_letters_intervals_notes_and_signatures():
    assert table_markdown(TABLE).split("\n") == [
        "**What a_b\\* means**",
        "",
        "| Method | Face Sim. ↑ |",
        "| --- | ---: |",
        "| dreambooth_lora | 42.62<sup>a c</sup><br><sub>[40.1, 45.0]</sub> |",
        "| x[scr=off] | **62.35** |",
        "| a\\|b | <ins>50.51</ins> |",
        "",
        "- `base` is \\<untuned\\>.",
        "",
        "```",
        "face_sim.v1 | n:160",
        "```",
    ]


def test_a_document_is_headings_and_blocks_with_a_line_between():
    document = Document(
        "Title",
        (Section("First", (Paragraph("Text."), Bullets(("one", "two")), Code(("a  b",)))),),
        (Figure("pictures/sheet one.png", "A sheet"),),
    )
    assert markdown(document) == (
        "# Title\n\n![A sheet](pictures/sheet%20one.png)\n\n*A sheet*\n\n## First\n\nText.\n\n- one\n- two\n\n"
        "```\na  b\n```\n"
    )


def test_signs_that_markdown_acts_on_become_literal():
    text = markdown(Document("<V> _x_ [a](b) `keep_|`", ()))
    assert text == "# \\<V\\> \\_x\\_ [a\\](b) `keep_\\|`\n"
