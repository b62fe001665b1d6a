"""The whole report: which files, the same bytes again, and errors that lose nothing."""

import dataclasses
import json
import subprocess
import sys

import pytest

from pvbench.errors import ReportError, StoreError, VideoError
from pvbench.metrics import metric_class
from pvbench.report import ReferenceSet, write_report
from pvbench.report.document.problem_tables import FAILURES_SHOWN, failed_table
from pvbench.report.document.tables import listed
from pvbench.report.formats.latex import table_latex
from pvbench.report.formats.markdown import table_markdown


@pytest.fixture(scope="module")
def written(run, tmp_path_factory):
    """The folder of one report and the files in it."""
    folder = tmp_path_factory.mktemp("report")
    return folder, write_report(folder, run)


def bytes_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_report_is_these_files(written):
    folder, paths = written
    names = [path.relative_to(folder).as_posix() for path in paths]
    strips = [name for name in names if name.startswith("filmstrips/")]
    assert len(strips) == 6
    clips = [name for name in names if name.startswith("clips/")]
    assert len(clips) == 8 * 4 * 4 + 8 * 5  # videos and photos
    expected = {"report.md", "report.tex", "scores.csv", "aggregates.json", "sheet.png", "index.html"}
    assert set(names) - set(strips) - set(clips) == expected
    assert all(path.stat().st_size > 0 for path in paths)


def test_every_picture_that_the_report_names_is_there(written):
    folder, _ = written
    text = (folder / "report.md").read_text()
    pictures = [line.rpartition("(")[2].rstrip(")") for line in text.splitlines() if line.startswith("![")]
    assert len(pictures) == 7
    assert all((folder / picture).is_file() for picture in pictures)


def test_the_same_run_gives_the_same_bytes(run, written, tmp_path):
    write_report(tmp_path, run)
    assert bytes_of(tmp_path) == bytes_of(written[0])


def test_the_order_in_which_cells_were_measured_does_not_matter(run, written, tmp_path):
    def turned(by_label):
        return {label: dict(reversed(list(cells.items()))) for label, cells in reversed(list(by_label.items()))}

    other = dataclasses.replace(run, scores=turned(run.scores), embeddings=turned(run.embeddings))
    write_report(tmp_path, other)
    assert bytes_of(tmp_path) == bytes_of(written[0])


def test_filmstrips_of_an_earlier_report_are_removed(make_run, tmp_path):
    write_report(tmp_path, make_run(people=3, prompts=2, pictures=True))
    write_report(tmp_path, make_run(people=1, prompts=1, pictures=True))
    assert [path.name for path in (tmp_path / "filmstrips").iterdir()] == ["1-ada-p01-s0.jpg"]


def test_a_report_says_which_cells_failed_and_on_how_many_videos_a_number_rests(make_run, tmp_path):
    write_report(tmp_path, make_run(people=2, prompts=3, failed=(("personalvideo", "boris", "p02"),)))
    text = (tmp_path / "report.md").read_text()
    assert "| 5/6 |" in text
    assert "Cells without a number: 1;" in text
    assert "| personalvideo | boris | p02 | 0 | GenerationError: the sampler gave NaN at step 7 |" in text
    assert "23 of 24 videos measured" in text


def test_long_and_empty_messages_of_failed_cells_take_one_line(make_run):
    data = make_run(people=1, prompts=2, failed=(("base", "ada", "p01"), ("base", "ada", "p02")))
    first, second = data.cells
    data.failures["base"].update({first: "", second: "ValueError: " + "x" * 200 + "\nTraceback"})
    table = failed_table(data)
    assert table is not None
    whole = "ValueError: " + "x" * 200
    assert [row[-1].text for row in table.rows] == ["", whole]
    assert f"| {whole} |" in table_markdown(table)
    # LaTeX does not wrap a cell.
    assert "ValueError: " + "x" * 87 + r"\ldots{}" in table_latex(table)


def test_many_failed_cells_are_counted_and_not_all_listed(make_run):
    names = [f"p{index:02d}" for index in range(1, 61)]
    data = make_run(people=1, prompts=60, labels=("base",), failed=tuple(("base", "ada", name) for name in names))
    table = failed_table(data)
    assert len(table.rows) == FAILURES_SHOWN
    assert table.caption.startswith("Cells without a number: 60;")
    assert "And 20 more" in table.notes[0]


def test_a_report_says_when_no_difference_could_be_significant(make_run, tmp_path):
    write_report(tmp_path, make_run(people=4, prompts=2))
    assert "With 4 people the smallest p of the sign-flip test is 0.125" in (tmp_path / "report.md").read_text()


def test_a_report_warns_of_covariances_without_full_rank(make_run, tmp_path):
    write_report(tmp_path, make_run(people=2, prompts=4))
    assert "has 8 videos and embeddings of width 24" in (tmp_path / "report.md").read_text()


def test_a_report_holds_every_signature(written):
    text = (written[0] / "report.md").read_text()
    for name in ("face_sim", "dynamic_degree", "fvd", "temporal_consistency", "clip_t", "clip_i"):
        assert f"\n{name}.v{metric_class(name).version} | " in text


def test_a_report_of_one_failed_method_alone_is_written(make_run, tmp_path):
    data = make_run(people=1, prompts=1, labels=("personalvideo",), failed=(("personalvideo", "ada", "p01"),))
    write_report(tmp_path, data)
    scores = json.loads((tmp_path / "aggregates.json").read_text())["methods"]["personalvideo"]["scores"]
    assert scores["face_sim"] | {"value": None, "n": 0, "note": "no video"} == scores["face_sim"]


def test_a_report_without_floor_and_ceiling_says_what_is_missing(make_run, tmp_path):
    write_report(tmp_path, make_run(people=2, prompts=2, labels=("dreambooth_lora", "personalvideo")))
    text = (tmp_path / "report.md").read_text()
    assert "Without videos of the method `base` for the same cells" in text
    assert "Without the method `oracle` or `base` in the run" in text
    assert "no reference set 'rendered'" in text


def test_a_given_reference_set_is_described(make_run, tmp_path):
    data = make_run(people=2, prompts=2)
    rendered = ReferenceSet("rendered", "the videos of an earlier run", data.embeddings["oracle"])
    rows = tuple(variant for variant in data.variants if variant.label != "oracle")
    write_report(tmp_path, dataclasses.replace(data, variants=rows, reference_sets=(rendered,)))
    assert "The set `rendered`: the videos of an earlier run." in (tmp_path / "report.md").read_text()


def test_settings_are_printed_for_readers_and_digests_shortened():
    facts = {"weights": {"face": "ab" * 32, "crop": 48}, "scr": False, "span": (0.5, 1.0), "size": [64, 64]}
    assert listed(facts) == "weights (face abababababab…, crop 48), scr off, span 0.5 1.0, size 64 64"
    assert listed({}) == "–"


def test_an_empty_grid_is_refused(make_run, tmp_path):
    data = make_run(people=1, prompts=1)
    with pytest.raises(ReportError, match="no method or no cell"):
        write_report(tmp_path, dataclasses.replace(data, prompts=()))
    with pytest.raises(ReportError, match="same label"):
        write_report(tmp_path, dataclasses.replace(data, variants=data.variants[:1] * 2))


def test_a_video_that_cannot_be_read_costs_the_pictures_and_not_the_numbers(make_run, tmp_path):
    data = make_run(people=1, prompts=1, pictures=True)
    data.videos["oracle"][data.cells[0]].write_bytes(b"no video")
    with pytest.raises(VideoError, match="corrupt"):
        write_report(tmp_path, data)
    assert (tmp_path / "scores.csv").is_file()
    assert (tmp_path / "aggregates.json").is_file()


def test_a_folder_that_cannot_be_written_is_named(make_run, tmp_path):
    (tmp_path / "report").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="cannot write"):
        write_report(tmp_path / "report", make_run(people=1, prompts=1))


def test_the_report_needs_no_torch():
    code = "import sys, pvbench.report, pvbench.metrics, pvbench.stats; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
