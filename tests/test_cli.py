"""The command line: what it prints, and with which status it ends."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from example_inputs import EXAMPLE_PROFILE, edit, make_identity
from PIL import Image

from pvbench import __version__
from pvbench.identity import load_identities
from pvbench.torchvision_shim import load_torchvision
from pvbench.video import Video, write_video
from pvbench.weights import weights_folder
from pvbench.weights.published import OPTIONS


@pytest.fixture
def in_processes(pvbench, people):
    """`pvbench run` of the example profile's untuned method, with more options."""

    def run(*arguments, methods="example_drift", identities=people):
        return pvbench(
            "run",
            "--profile",
            EXAMPLE_PROFILE,
            "--methods",
            methods,
            "--identities",
            identities,
            "--out",
            "out",
            "--device",
            "cpu",
            "--workers",
            "1",
            *arguments,
        )

    return run


@pytest.fixture
def example(in_processes, inline):
    """The same, whose workers are this process."""
    return in_processes


def test_a_run_ends_with_a_report(in_processes, tmp_path):
    status, out, _ = in_processes()
    assert status == 0
    assert "1 method x 2 identities x 3 prompts x 1 seed = 6 videos" in out
    assert "report in out/report/report.md" in out
    names = {path.name for path in (tmp_path / "out" / "report").iterdir()}
    assert {"report.md", "report.tex", "scores.csv", "aggregates.json", "sheet.png"} <= names
    with (tmp_path / "out" / "report" / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["method", "identity", "prompt", "seed", "metric", "value", "video", "text"]
    assert {(row["identity"], row["prompt"]) for row in rows} == {
        (person, prompt) for person in ("ann", "bob") for prompt in ("surf", "read", "wave")
    }


def test_a_second_run_says_that_everything_is_there(example, tmp_path):
    example()
    report = tmp_path / "out" / "report" / "report.md"
    before = report.stat().st_mtime_ns
    status, out, _ = example()
    assert status == 0
    assert "Everything is there already" in out
    assert report.stat().st_mtime_ns == before


def test_a_lost_report_is_written_again(example, tmp_path):
    example()
    path = tmp_path / "out" / "report" / "report.md"
    content = path.read_bytes()
    path.unlink()
    example()
    assert path.read_bytes() == content


def test_failed_cells_are_listed_with_status_1(example, monkeypatch, tmp_path):
    monkeypatch.setenv("EXAMPLE_FAILS", "example_drift:ann:read")
    status, out, _ = example()
    assert status == 1
    assert "1 failed" in out
    assert "example_drift, ann, read, seed 0" in out
    assert "wrong on purpose" in out
    with (tmp_path / "out" / "report" / "scores.csv").open() as file:
        empty = {(row["identity"], row["prompt"]) for row in csv.DictReader(file) if row["value"] == ""}
    assert empty == {("ann", "read")}
    monkeypatch.delenv("EXAMPLE_FAILS")
    assert example()[0] == 0


def test_a_report_is_written_anew_from_a_run_folder(example, pvbench, tmp_path):
    example()
    report = tmp_path / "out" / "report"
    before = (report / "scores.csv").read_bytes()
    for path in report.rglob("*"):
        if path.is_file():
            path.unlink()
    assert pvbench("report", "out")[0] == 0
    assert (report / "scores.csv").read_bytes() == before


def test_a_run_shows_its_numbers_and_prints_them_as_json(example, pvbench, tmp_path):
    _, out, _ = example()
    assert "Face Sim. ↑" in out
    assert "Bold" not in out  # one method beats nobody
    status, out, err = example("--json")
    assert status == 0
    content = json.loads(out)
    assert content == json.loads((tmp_path / "out" / "report" / "aggregates.json").read_text())
    assert "6 videos" in err
    status, again, _ = pvbench("report", "out", "--json")
    assert (status, json.loads(again)) == (0, content)


def test_a_run_below_a_bar_ends_with_status_1(example, tmp_path):
    status, out, _ = example("--fail-under", "face_sim<101", "--fail-under", "face_sim>101")
    assert status == 1
    assert out.count("not met") == 1
    assert (tmp_path / "out" / "report" / "report.md").is_file()
    status, _, err = example("--fail-under", "face>1")
    assert (status, "no number is called 'face'" in err) == (2, True)


def test_a_bar_that_is_none_costs_no_work(example, tmp_path):
    assert example("--fail-under", "face_sim=1")[0] == 2
    assert not (tmp_path / "out").exists()


def test_two_runs_are_compared(example, pvbench, tmp_path):
    example()
    (tmp_path / "out").rename(tmp_path / "before")
    example()
    status, out, _ = pvbench("compare", "before", "out")
    assert status == 0
    assert "2 people, 6 videos of each" in out
    assert "no evidence" in out
    assert "2 people are too few" in out
    status, out, _ = pvbench("compare", "before", "out", "--json")
    assert {one["difference"] for one in json.loads(out) if one["videos"]} == {0.0}
    other = tmp_path / "out" / "report" / "aggregates.json"
    other.write_text(other.read_text().replace('"missing": 0', '"missing": 1'))
    status, out, _ = pvbench("compare", "before", "out")
    assert status == 1
    assert "not comparable Face Sim.: measured differently: missing 0 and 1" in out
    status, _, err = pvbench("compare", "before", "nothing")
    assert (status, "no aggregates.json in nothing" in err) == (2, True)


def test_a_report_of_changed_inputs_is_refused(example, pvbench, tmp_path):
    example()
    Image.fromarray(np.full((80, 72, 3), 30, np.uint8)).save(tmp_path / "people" / "ann" / "1.png")
    status, _, error = pvbench("report", "out")
    assert status == 2
    assert "identities changed since that run" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "example_drfit"], "unknown method 'example_drfit' (did you mean 'example_drift'?)"),
        (["--methods", "example_drift[sped=2]"], "unknown setting 'sped' (did you mean 'speed'?)"),
        (["--methods", "example_drift[side=up]"], "side is 'up'; expected one of left, right"),
        (["--methods", "oracle"], "method 'oracle' asks for world, which the profile 'example' with its backbone"),
        (["--metrics", "face_sin"], "unknown metric 'face_sin' (did you mean 'face_sim'?)"),
        (["--metrics", ","], "--metrics names none"),
        (["--profile", "mimi"], "unknown profile 'mimi'"),
        (["--identities", "nobody"], "unknown identity 'nobody'"),
        (["--identities", "1000"], "1000 identities were asked for"),
        (["--prompts", "serf"], "unknown prompt 'serf' (did you mean 'surf'?)"),
        (["--prompts", "9"], "9 prompts in 'evaluation' were asked for; there are 4"),
        (["--prompts", "surf,surf"], "'surf' is named twice"),
        (["--seeds", "one"], "--seeds is 'one'"),
        (["--seeds", "0"], "--seeds is '0'"),
        (["--seeds", "1,1"], "--seeds is '1,1'"),
        (["--device", "tpu"], "unknown device 'tpu'"),
        (["--out", "/dev/null/run"], "cannot write into /dev/null/run"),
        (["--out", "/proc/run"], "cannot write into /proc/run"),
    ],
)
def test_a_wrong_option_is_told_with_status_2(example, arguments, message):
    status, _, error = example(*arguments)
    assert status == 2
    assert message in error
    assert "Traceback" not in error


def test_a_gpu_that_is_absent_is_told_with_status_2(example, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    status, _, error = example("--device", "cuda")
    assert status == 2
    assert "torch sees no GPU" in error


def break_image(people):
    path = people / "ann" / "0.png"
    path.write_bytes(path.read_bytes()[:50])


def drop_placeholder(people):
    edit(people.parent / "profile" / "evaluation.toml", "a <V> surfs", "a man surfs")


def misspell_field(people):
    edit(people.parent / "profile" / "example.toml", "guidance", "guidence")


def hide_face(people):
    Image.fromarray(np.zeros((80, 72, 3), np.uint8)).save(people / "ann" / "0.png")


def show_two_faces(people):
    Image.fromarray(np.full((80, 72, 3), 255, np.uint8)).save(people / "ann" / "0.png")


def tune_on_what_is_scored(people):
    edit(people.parent / "profile" / "simulated.toml", "a <V> walks through a forest", "a <V> surfs on a sunny beach")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (break_image, "0.png does not decode as an image"),
        (hide_face, "reference 1 shows no face"),
        (show_two_faces, "reference 1 shows 2 faces"),
        (drop_placeholder, "prompt 'surf' has <V> 0 times"),
        (misspell_field, "unknown field 'guidence' (did you mean 'guidance'?)"),
        (tune_on_what_is_scored, "what is scored must not be tuned on"),
    ],
)
def test_a_wrong_input_is_told_with_status_2(pvbench, inline, people, tmp_path, spoil, message):
    home = tmp_path / "profile"
    home.mkdir()
    for file in Path(EXAMPLE_PROFILE).parent.glob("*.toml"):
        (home / file.name).write_text(file.read_text())
    spoil(tmp_path / "people")
    status, _, error = pvbench(
        "run",
        "--profile",
        "profile/example.toml",
        "--methods",
        "example_drift",
        "--identities",
        people,
        "--out",
        "out",
        "--workers",
        "1",
    )
    assert status == 2
    assert message in error


def test_corrupt_weights_are_told_with_status_2_and_nothing_is_lost(in_processes, monkeypatch, tmp_path):
    in_processes()
    videos = sorted(tmp_path.glob("out/videos/**/*.mkv"))
    monkeypatch.setenv("EXAMPLE_BAD_WEIGHTS", "backbone")
    status, _, error = in_processes("--prompts", "all")
    assert status == 2
    assert "weights of the example are corrupt" in error
    assert sorted(tmp_path.glob("out/videos/**/*.mkv")) == videos


def test_a_full_disk_is_told_with_status_2_and_nothing_is_lost(in_processes, monkeypatch, tmp_path):
    monkeypatch.setenv("EXAMPLE_FILLS_DISK", "example_drift:bob:read")
    status, _, error = in_processes()
    assert status == 2
    assert "the disk is full" in error
    assert len(list(tmp_path.glob("out/videos/**/*.mkv"))) >= 3


@pytest.mark.parametrize("what", ["methods", "metrics", "profiles", "prompts"])
def test_lists_are_printed(pvbench, what):
    status, out, _ = pvbench("list", what, "--profile", EXAMPLE_PROFILE)
    assert status == 0
    expected = {"methods": "example_drift", "metrics": "face_sim_detected", "profiles": "profile", "prompts": "surf"}
    assert expected[what] in out


def test_people_and_prompts_for_development_are_listed_apart(pvbench):
    for what, benchmark, development in (("identities", "ada", "alma"), ("prompts", "ev01-", "de01-")):
        scored, chosen = (pvbench("list", what, *split)[1] for split in ((), ("--split", "development")))
        assert benchmark in scored
        assert development not in scored
        assert development in chosen
        assert benchmark not in chosen


def test_methods_are_listed_with_their_settings(pvbench):
    out = pvbench("list", "methods")[1]
    assert "side=right | left" in out
    assert "noise that drifts" in out


def test_the_version_is_printed(pvbench):
    assert pvbench("--version")[1].strip() == f"pvbench {__version__}"


def test_help_loads_neither_torch_nor_ray():
    script = (
        "import sys\nfrom pvbench import cli\nsys.argv = ['pvbench', '--help']\n"
        "try:\n    cli.main()\nfinally:\n"
        "    print(sorted({'torch', 'ray', 'numpy', 'warp', 'anny'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=600, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "measure" in done.stdout


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
        ("nobody/surf.mkv", [], "its folder 'nobody' is no identity"),
        ("x/unheard-of.mkv", ["--identity", "people/ann"], "nobody says what was asked for"),
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


def test_the_doctor_names_what_is_wrong(pvbench, monkeypatch):
    monkeypatch.setenv("EXAMPLE_BAD_WEIGHTS", "backbone")
    status, out, _ = pvbench("doctor", "--profile", EXAMPLE_PROFILE, "--device", "cpu")
    assert status == 2
    assert "weights of the example are corrupt" in out
    assert "4 to score, 2 to tune on, none in both" in out


def test_the_doctor_tells_weights_that_every_report_needs_from_those_of_one_metric(pvbench, monkeypatch, tmp_path):
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "400")
    status, out, _ = pvbench("doctor", "--profile", "animatediff", "--device", "cpu")
    lines = {line.split()[1].rstrip(":"): line for line in out.splitlines() if len(line.split()) > 1}
    assert status == 2
    assert lines["flow"].split()[0] == "bad"
    assert lines["hps"].split()[0] == "note"
    assert "only hps_score needs it" in lines["hps"]
    assert "HPS_v2.1_compressed.pt" in lines["hps"]
    assert lines["backbone"].split()[0] == "note"
    assert "pvbench run needs it, pvbench measure does not" in lines["backbone"]


def test_the_doctor_looks_at_weights_of_ones_own_and_says_what_each_part_takes(pvbench, monkeypatch, tmp_path):
    monkeypatch.setenv("PVBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "999")
    (tmp_path / "my.pth").write_bytes(b"nothing of the sort")
    network = load_torchvision().models.optical_flow.raft_small(weights=None)
    torch.save(network.state_dict(), tmp_path / "raft.pth")
    options = ("doctor", "--profile", "animatediff", "--device", "cpu", "--weights")
    _, out, _ = pvbench(*options, "raft=raft.pth")
    lines = {line.split()[1].rstrip(":"): line for line in out.splitlines() if len(line.split()) > 1}
    assert lines["flow"].split()[0] == "good"
    assert "raft.pth loads" in lines["flow"]
    assert len(re.findall(r"takes about \d GiB of memory, [\d.]+ are there", " ".join(out.split()))) == len(OPTIONS)
    status, out, _ = pvbench(*options, "hps=my.pth")
    assert status == 2
    assert any(line.split()[:2] == ["bad", "hps:"] for line in out.splitlines())


def test_the_doctor_stops_at_a_profile_that_does_not_load(pvbench):
    status, out, _ = pvbench("doctor", "--profile", "mimi")
    assert status == 2
    assert "unknown profile 'mimi'" in out


def test_the_help_of_measure_names_every_weight(pvbench, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    status, out, _ = pvbench("measure", "--help")
    assert status == 0
    assert all(name in out for name in OPTIONS.values())


def test_what_list_metrics_names_is_what_the_option_takes(pvbench):
    from pvbench.metrics import choose, installed

    _, out, _ = pvbench("list", "metrics")
    for metric in installed():
        assert metric.name in out
        assert choose(metric.name) == (metric.name,)


def test_a_folder_that_is_no_run_has_no_report(pvbench, tmp_path):
    status, _, error = pvbench("report", "nothing")
    assert status == 2
    assert "no run in nothing" in error
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "plan.json").write_text(json.dumps({"choice": {"colour": "red"}}))
    assert pvbench("report", "old")[0] == 2


def mini(pvbench, *arguments):
    """A run of one real cell, which the shipped networks look at before it costs anything."""
    return pvbench("run", "--prompts", "1", "--out", "out", "--device", "cpu", "--workers", "1", *arguments)


def test_mini_weights_with_a_flipped_bit_stop_a_run_with_their_names(pvbench, inline, tmp_path):
    weights = shutil.copytree(weights_folder("mini"), tmp_path / "weights")
    file = weights / "unet" / "diffusion_pytorch_model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    (tmp_path / "mine.toml").write_text(f'extends = "mini"\n[backbone]\nweights = "{weights}"\n')
    status, _, err = mini(pvbench, "--profile", "mine.toml", "--methods", "base", "--identities", "1")
    assert status == 2
    assert "diffusion_pytorch_model.safetensors" in err
    assert "sha256" in err


@pytest.mark.parametrize(("pictures", "message"), [(2, "shows 2 faces"), (0, "shows no face")])
def test_a_reference_photo_without_a_single_face_stops_a_run_of_mini(pvbench, inline, tmp_path, pictures, message):
    home = make_identity(tmp_path, "zoe", images=1)
    (ada, *_), (ben, *_) = (person.references() for person in load_identities(["ada", "ben"]))
    beside = [ada, ben][:pictures] or [np.full_like(ada, 128)]
    Image.fromarray(np.concatenate(beside, axis=1)).save(home / "0.png")
    status, _, err = mini(pvbench, "--methods", "dreambooth_lora", "--identities", str(home))
    assert status == 2
    assert message in " ".join(err.split())


def test_what_was_not_foreseen_ends_in_status_3_without_a_traceback(pvbench, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr("pvbench.profile.load_profile", fail)
    status, out, err = pvbench("measure", "videos")
    assert status == 3
    assert "internal error: RuntimeError: nobody thought of this; this is a mistake in pvbench" in err
    assert "Traceback" not in out + err
    (written,) = re.findall(r"with (\S+\.txt)", err)
    assert "Traceback" in Path(written).read_text()
    Path(written).unlink()


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


def test_a_plan_says_what_a_run_would_take_and_makes_nothing(pvbench, people, tmp_path):
    options = ["--profile", EXAMPLE_PROFILE, "--identities", people, "--out", "out", "--device", "cpu"]
    status, out, _ = pvbench("plan", *options)
    assert status == 0
    assert "0 of 12 videos are in out" in out
    assert "Disk: about" in out
    status, out, _ = pvbench("plan", *options, "--json")
    assert json.loads(out)["cells"] == 12
    assert not (tmp_path / "out").exists()


def test_a_run_takes_weights_of_ones_own_in_the_place_of_the_profiles(pvbench, inline, tmp_path):
    weights = shutil.copytree(weights_folder("mini"), tmp_path / "weights")
    file = weights / "unet" / "diffusion_pytorch_model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    status, _, error = mini(pvbench, "--methods", "base", "--identities", "1", "--weights", "weights=weights")
    assert status == 2
    assert str(file) in error.replace("\n", "")
    assert "sha256" in error


@pytest.mark.parametrize("command", ["run", "plan", "ablate", "doctor"])
def test_weights_that_a_command_does_not_know_or_find_are_told(pvbench, command, tmp_path):
    for given, message in (
        ("bse=.", "has no weights 'bse' (did you mean 'base'?)"),
        ("base=nowhere", "--weights base=nowhere: there is no such file or folder; check the path"),
    ):
        status, out, error = pvbench(command, "--profile", "wan", "--device", "cpu", "--weights", given)
        assert status == 2
        assert message in " ".join((out + error).split())
    assert not (tmp_path / "runs").exists()
