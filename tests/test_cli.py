"""The command line: what it prints, and with which status it ends."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from example_inputs import EXAMPLE_PROFILE, edit, make_identity
from PIL import Image

from pvbench.identity import load_identities
from pvbench.weights import weights_folder


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
    Image.fromarray(np.zeros((80, 72, 3), np.uint8)).save(people / "ann" / "2.png")


def show_two_faces(people):
    Image.fromarray(np.full((80, 72, 3), 255, np.uint8)).save(people / "ann" / "2.png")


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
    Image.fromarray(np.concatenate(beside, axis=1)).save(home / "1.png")
    status, _, err = mini(pvbench, "--methods", "dreambooth_lora", "--identities", str(home))
    assert status == 2
    assert message in " ".join(err.split())


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
