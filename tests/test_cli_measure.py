"""The command line of measuring: what it prints, and with which status it ends."""

import csv
import json
import os
import shutil

import numpy as np
import pytest
from example_inputs import EXAMPLE_PROFILE, make_identity

from pvbench.video import Video, write_video
from pvbench.weights.published import OPTIONS


def video(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = np.random.default_rng(seed).integers(0, 256, (6, 32, 24, 3), dtype=np.uint8)
    write_video(path, Video(frames, 8.0))


def rows_of(folder):
    with (folder / "report" / "scores.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_report_of_a_measuring_is_written_anew(pvbench, inline, tmp_path):
    ann = make_identity(tmp_path / "people", "ann")
    video(tmp_path / "videos" / "surf-s0.mkv", 0)
    options = ("--identity", str(ann), "--profile", EXAMPLE_PROFILE, "--out", "out", "--fail-under", "face_sim>-101")
    assert pvbench("measure", "videos", *options)[0] == 0
    page = tmp_path / "out" / "report" / "report.md"
    content = page.read_text()
    page.write_text("")
    status, out, _ = pvbench("report", "out")
    assert status == 0
    assert "0 videos measured, 1 known from before" in out
    assert page.read_text() == content
    assert pvbench("report", "out", "--fail-under", "face_sim>101")[0] == 1
    assert json.loads(pvbench("report", "out", "--json")[1])["methods"].keys() == {"videos"}
    status, _, err = pvbench("report", "out", "--keep", "kept")
    assert (status, "only the report of a run is kept" in err) == (2, True)
    # What cannot be made anew leaves what was known.
    shutil.rmtree(tmp_path / "videos")
    assert pvbench("report", "out")[0] == 2
    assert page.read_text() == content
    video(tmp_path / "videos" / "surf-s0.mkv", 0)
    assert pvbench("report", "out")[0] == 0


def test_videos_from_elsewhere_are_measured(pvbench, tmp_path):
    ann = make_identity(tmp_path / "people", "ann")
    video(tmp_path / "videos" / "surf-s0.mkv", 0)
    video(tmp_path / "videos" / "wave-s3.mkv", 1)
    status, out, _ = pvbench("measure", "videos", "--identity", str(ann), "--profile", EXAMPLE_PROFILE, "--out", "out")
    assert status == 0
    assert "2 videos measured" in out
    rows = rows_of(tmp_path / "out")
    assert {(row["method"], row["identity"], row["prompt"], row["seed"]) for row in rows} == {
        ("videos", "ann", "surf", "0"),
        ("videos", "ann", "wave", "3"),
    }
    assert {row["metric"] for row in rows} >= {"face_sim", "clip_t", "flow_magnitude"}
    assert {"report.md", "report.tex", "aggregates.json", "sheet.png"} <= {
        path.name for path in (tmp_path / "out" / "report").iterdir()
    }


def test_measured_videos_score_as_in_a_run(example, pvbench, people, tmp_path):
    example("--prompts", "surf")
    status, out, error = pvbench(
        "measure",
        "out/videos/example_drift/ann",
        "--identity",
        people.split(",")[0],
        "--profile",
        EXAMPLE_PROFILE,
        "--out",
        "mine",
    )
    assert status == 0, out + error
    mine = {row["metric"]: float(row["value"]) for row in rows_of(tmp_path / "mine")}
    theirs = {row["metric"]: float(row["value"]) for row in rows_of(tmp_path / "out") if row["identity"] == "ann"}
    assert mine.keys() == theirs.keys()
    assert all(mine[name] == pytest.approx(theirs[name], rel=1e-6) for name in mine)


def test_a_prompt_can_be_given_as_text(pvbench, inline, tmp_path):
    ann = make_identity(tmp_path / "people", "ann")
    video(tmp_path / "videos" / "anything.mkv")
    status, _, _ = pvbench(
        "measure", "videos", "--identity", str(ann), "--prompt", "a <V> flies", "--profile", EXAMPLE_PROFILE
    )
    assert status == 0


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nobody/surf.mkv", [], "its folder 'nobody' is not an identity"),
        ("x/unheard-of.mkv", ["--identity", "people/ann"], "nothing says what was asked for"),
        ("x/surf.mkv", ["--identity", "people/bob"], "no card.toml in people/bob"),
        ("x/surf.mkv", ["--metrics", "clip_x"], "unknown metric 'clip_x' (did you mean 'clip_"),
        ("x/surf.mkv", ["--weights", "raft"], "expected NAME=PATH"),
        ("x/surf.mkv", ["--weights", "rafd=x", "--profile", "animatediff"], "is called 'rafd' (did you mean 'raft'?)"),
    ],
)
def test_what_cannot_be_measured_as_asked_is_refused(pvbench, tmp_path, name, options, message):
    make_identity(tmp_path / "people", "ann")
    video(tmp_path / "videos" / name)
    status, out, error = pvbench("measure", "videos", "--profile", EXAMPLE_PROFILE, *options)
    assert status == 2
    assert message in " ".join((out + error).split())
    assert not (tmp_path / "runs").exists()


def test_a_corrupt_video_is_told_with_status_2_and_left_out_when_asked(pvbench, inline, tmp_path):
    ann = make_identity(tmp_path / "people", "ann")
    video(tmp_path / "videos" / "surf.mkv")
    video(tmp_path / "videos" / "wave.mkv", 1)
    path = tmp_path / "videos" / "surf.mkv"
    path.write_bytes(path.read_bytes()[:2000])
    options = ("measure", "videos", "--identity", str(ann), "--profile", EXAMPLE_PROFILE, "--out", "out")
    status, out, error = pvbench(*options)
    assert status == 2
    assert "surf.mkv" in out
    assert "1 problem with the videos" in error
    status, out, _ = pvbench(*options, "--allow-partial")
    assert status == 1
    text = (tmp_path / "out" / "report" / "report.md").read_text()
    assert "1 of 2 videos measured" in text
    assert "1 video measured, 0 known from before, 1 without a number" in out
    assert "1 problem" in out
    # Whole in Markdown, however long.
    assert "delete it, or make it again |" in text
    values = {(row["prompt"], row["metric"]): row["value"] for row in rows_of(tmp_path / "out")}
    assert values["surf", "face_sim"] == ""
    assert values["wave", "face_sim"] != ""


def test_whatever_is_listed_gives_status_1(pvbench, inline, tmp_path):
    ann = make_identity(tmp_path / "people", "ann")
    for name in ("surf", "wave"):
        video(tmp_path / "videos" / f"{name}.mkv")
    write_video(tmp_path / "videos" / "read.mkv", Video(np.zeros((8, 32, 24, 3), np.uint8), 8.0))
    options = ("measure", "videos", "--identity", str(ann), "--profile", EXAMPLE_PROFILE, "--allow-partial")
    status, out, _ = pvbench(*options)
    assert status == 1
    assert "1 problem" in out
    assert "most videos of 'videos' have 6 frames" in " ".join(out.split())


def test_a_folder_without_videos_is_told(pvbench, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "no videos in empty" in pvbench("measure", "empty", "--profile", EXAMPLE_PROFILE)[2]


def test_the_help_of_measure_names_every_weight(pvbench, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    status, out, _ = pvbench("measure", "--help")
    assert status == 0
    assert all(name in out for name in OPTIONS.values())


def test_names_with_brackets_and_names_that_are_no_utf_8_are_measured(pvbench, inline, people, tmp_path):
    names = [
        "ours [v1]/ann/surf-0.mkv",
        "ours [/red]/ann/surf-0.mkv",
        os.fsdecode(b"caf\xe9/ann/a plage \xe0 midi-0.mkv"),
    ]
    for seed, name in enumerate(names):
        (tmp_path / "videos" / name).parent.mkdir(parents=True)
        frames = np.random.default_rng(seed).integers(0, 255, (6, 32, 24, 3), dtype=np.uint8)
        write_video(tmp_path / "videos" / name, Video(frames, 8.0))
    (tmp_path / "videos" / "ours [v1]" / "[b].wav").write_bytes(b"")
    status, out, err = pvbench(
        *("measure", "videos", "--profile", EXAMPLE_PROFILE, "--identities", str(people).partition("/ann")[0]),
        *("--metrics", "face_sim,clip_t", "--workers", "1"),
    )
    assert (status, err) == (0, "")
    assert "3 videos of 3 methods (caf?, ours [/red], ours [v1])" in out
    assert "1 .wav ([b].wav)" in out
    text = (tmp_path / "runs" / "measured" / "report" / "scores.csv").read_text()
    assert "videos/caf?/ann/a plage ? midi-0.mkv,a plage ? midi" in text
