"""Writes a report: the same data give the same bytes, and a file appears whole or not at all."""

import io
from pathlib import Path

from PIL import Image

from pvbench.atomic import write_bytes, write_text
from pvbench.errors import ReportError
from pvbench.report.data import ReportData
from pvbench.report.document.block import Figure
from pvbench.report.document.contents import contents
from pvbench.report.formats.files import aggregates_json, scores_csv
from pvbench.report.formats.latex import latex
from pvbench.report.formats.markdown import markdown
from pvbench.report.gallery.page import write_gallery
from pvbench.report.pictures.filmstrip import Strip, chosen_cells, filmstrip, load_strip
from pvbench.report.pictures.sheet import sheet
from pvbench.report.statistics.aggregate import aggregate

FILMSTRIPS = 6


def write_report(folder: Path, data: ReportData) -> tuple[Path, ...]:
    """The files of the report, written to `folder`.

    They are report.md and .tex, scores.csv, aggregates.json, the pictures, and the gallery with its clips. Filmstrips
    of an earlier report in the folder are removed. Numbers come first, so that a video that cannot be read costs the
    pictures alone.

    Raises:
        ReportError: the grid is empty.
        MetricError: an embedding is NaN or infinite.
        VideoError: a video that the run names is not there or corrupt.
        StoreError: the folder cannot be written, or the disk is full.
    """
    _check(data)
    numbers = aggregate(data)
    written = [folder / "scores.csv", folder / "aggregates.json"]
    write_text(written[0], scores_csv(data))
    write_text(written[1], aggregates_json(data, numbers))
    strips = [load_strip(data, cell) for cell in chosen_cells(data, FILMSTRIPS)]
    figures = _write_filmstrips(folder / "filmstrips", data, strips)
    document = contents(data, numbers, [figure for _, figure in figures])
    written += [folder / "sheet.png", *(path for path, _ in figures), folder / "report.md", folder / "report.tex"]
    _save(folder / "sheet.png", sheet(data, numbers, strips))
    write_text(folder / "report.md", markdown(document))
    write_text(folder / "report.tex", latex(document))
    written += write_gallery(folder, data)
    return tuple(written)


def _check(data: ReportData) -> None:
    if not data.variants or not data.cells:
        raise ReportError(
            "the run has no method or no cell, so there is nothing to report; choose at least one method, identity, "
            "prompt and seed"
        )
    labels = [variant.label for variant in data.variants]
    if len(set(labels)) < len(labels):
        raise ReportError(f"two methods have the same label among {', '.join(labels)}; name each once")


def _write_filmstrips(folder: Path, data: ReportData, strips: list[Strip]) -> list[tuple[Path, Figure]]:
    for old in sorted(path for path in folder.glob("*") if path.suffix in (".jpg", ".png")):
        old.unlink()
    figures = []
    for number, strip in enumerate(strips, start=1):
        path = folder / f"{number}-{strip.cell.identity}-{strip.cell.prompt}-s{strip.cell.seed}.jpg"
        _save(path, filmstrip(data, strip))
        caption = f"{strip.identity.name}: “{strip.text}” (prompt {strip.cell.prompt}, seed {strip.cell.seed})"
        figures.append((path, Figure(f"filmstrips/{path.name}", caption)))
    return figures


def _save(path: Path, picture: Image.Image) -> None:
    # Without metadata: the pixels alone decide the bytes.
    content = io.BytesIO()
    if path.suffix == ".jpg":
        # Frames of video fill a filmstrip: a fifth of a PNG's size, and no difference to the eye.
        picture.save(content, format="JPEG", quality=80, optimize=True)
    else:
        picture.save(content, format="PNG", compress_level=6)
    write_bytes(path, content.getvalue())
