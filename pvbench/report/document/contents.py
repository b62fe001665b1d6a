"""What a report says, in which order: the result first, then the pictures, then what it rests on."""

from collections.abc import Iterable, Sequence

from pvbench.metrics import columns_in
from pvbench.report.data import ReportData
from pvbench.report.document.block import Block, Bullets, Code, Document, Figure, Paragraph, Section
from pvbench.report.document.judged_tables import judged_tables
from pvbench.report.document.paper import is_published, published_blocks
from pvbench.report.document.problem_tables import doubts_table, failed_table, left_out_table
from pvbench.report.document.protocols import protocols_table
from pvbench.report.document.style_table import style_table
from pvbench.report.document.tables import (
    beside_tables,
    comparison_table,
    extra_table,
    fvd_table,
    identity_table,
    kept_table,
    listed,
    main_table,
    outlying_table,
    set_name,
)
from pvbench.report.statistics.score import Aggregates


def contents(data: ReportData, numbers: Aggregates, filmstrips: Sequence[Figure]) -> Document:
    """The whole report. `filmstrips` and the sheet are pictures that were written beside it."""
    sections = []
    if columns_in("main", data.metrics):
        sections.append(Section("Results", (main_table(data, numbers),)))
        sections.append(Section("Face, motion and prompt together", tuple(_kept_blocks(data, numbers))))
    if beside := beside_tables(data, numbers):
        sections.append(Section("Beside the six numbers", beside))
    if extra := extra_table(data, numbers):
        remarks = () if sections else tuple(map(Paragraph, data.remarks))
        sections.append(Section("Extra metrics", (extra, *remarks)))
    if styles := style_table(data):
        sections.append(Section("In a style", (styles,)))
    if judged := judged_tables(data):
        sections.append(Section("Judged blind", judged))
    if protocols := protocols_table(data, numbers):
        sections.append(Section("By every face protocol", (protocols,)))
    if filmstrips:
        how = (
            "Every strip shows one cell: the reference images, then each method's frames for the same prompt"
            + (" from the same noise" if data.expected is None else "")
            + ". The cells are picked by their place in the grid, not by their looks."
        )
        sections.append(Section("What the numbers look like", (Paragraph(how), *filmstrips)))
    if columns_in("main", data.metrics) == columns_in("main") and is_published(data):
        sections.append(Section("Beside the published numbers", tuple(published_blocks(data, numbers))))
    if numbers.comparisons:
        apart = outlying_table(numbers)
        tables = (comparison_table(data, numbers), *((apart,) if apart else ()))
        sections.append(Section("Comparisons", tables))
    if data.shows("fvd"):
        sections.append(Section("FVD", tuple(_fvd_blocks(data, numbers))))
    if data.shows("face_sim"):
        sections.append(Section("Face Sim. of each person", (identity_table(data, numbers),)))
    if missing := [table for table in (failed_table(data), left_out_table(data)) if table]:
        sections.append(Section("Failed cells", tuple(missing)))
    if doubts := doubts_table(data):
        sections.append(Section("Problems", (doubts,)))
    sections.append(Section("How this was made", tuple(_protocol(data))))
    lead = (Paragraph(summary(data)), Figure("sheet.png", "The report in one picture."))
    return Document(f"pvbench report: profile {data.profile}", tuple(sections), lead)


def summary(data: ReportData) -> str:
    """One sentence with the size of the grid and how much of it is done."""
    done = sum(len(data.done(variant.label)) for variant in data.variants)
    planned = sum(len(data.planned(variant.label)) for variant in data.variants)
    factors = (
        (len(data.variants), "method"),
        (len(data.people), "person"),
        (len(data.prompts), "prompt"),
        (len(data.seeds), "seed"),
    )
    plural = {"method": "methods", "person": "people", "prompt": "prompts", "seed": "seeds"}
    # Videos from elsewhere fill no grid.
    between = " × " if data.expected is None else ", "
    grid = between.join(f"{count} {noun if count == 1 else plural[noun]}" for count, noun in factors if count)
    beside = f" {len(data.left_out)} more were given and stand for no cell: see Failed cells." if data.left_out else ""
    if data.doubts:
        some = "1 problem is" if len(data.doubts) == 1 else f"{len(data.doubts)} problems are"
        beside += f" {some} listed below: see Problems."
    return f"{grid}: {done} of {planned} videos measured.{beside}"


def _kept_blocks(data: ReportData, numbers: Aggregates) -> Iterable[Block]:
    if any(numbers.kept.values()):
        yield kept_table(data, numbers)
    else:
        yield Paragraph(
            "Without videos of the method `base` for the same cells there is nothing to relate the methods to."
        )


def _fvd_blocks(data: ReportData, numbers: Aggregates) -> Iterable[Block]:
    table = fvd_table(data, numbers)
    if table is None:
        ask = "" if data.expected is None else "; `--reference FOLDER` names one"
        yield Paragraph(
            f"Without the method `oracle` or `base` in the run there is no set to measure the distance to{ask}."
        )
        return
    yield table
    for reference, floor in numbers.floors.items():
        name = set_name(data, reference)
        if floor.cells <= floor.width:
            yield Paragraph(
                f"The set `{name}` has {floor.cells} videos and embeddings of width {floor.width}: the covariances "
                "have no full rank, so FVD here mostly measures the mean and the few directions the sample spans. "
                "Order methods by it at this size only; KVD has no such bias."
            )


def _protocol(data: ReportData) -> Iterable[Block]:
    if data.command:
        yield Code((data.command,))
    height, width = data.size
    yield Bullets(
        (
            f"Videos: {'; '.join(data.shapes)}."
            if data.shapes
            else f"Videos: {data.frames} frames of {width} × {height} pixels at {data.fps:g} a second.",
            f"Seeds: {', '.join(map(str, data.seeds))}."
            + (" Every method starts a cell from the same noise." if data.expected is None else ""),
            *(f"{part}: {listed(made_by)}" for part, made_by in data.evaluators.items()),
            *(f"licence of {part}: {terms}" for part, terms in data.licences.items()),
            *(f"{name} {version}" for name, version in data.versions.items()),
            *(f"{name}: {value}" for name, value in data.machine.items()),
        )
    )
    yield Paragraph("Methods and their settings:")
    yield Bullets(
        tuple(
            f"`{variant.label}`{f' ({variant.summary})' if variant.summary else ''}: {listed(variant.settings)}"
            for variant in data.in_table_order
        )
    )
