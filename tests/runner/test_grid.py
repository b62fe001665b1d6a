"""Running a grid: what is made, what is made again, what fails."""

import json
import shutil

import numpy as np
import pytest
from example_inputs import EXAMPLE_PROFILE, contents, edit, make_identity
from PIL import Image

from pvbench.errors import FaceError, StoreError, WeightsError
from pvbench.method import load_adapter
from pvbench.runner.plan import Cell, make_plan
from pvbench.store import Store
from pvbench.video import read_video

ALL_WORK = {"tune": 2, "generate": 12, "measure": 12}


def test_a_run_makes_adapters_videos_and_features(run):
    done = run()
    assert done.work == ALL_WORK
    assert done.result.complete
    assert done.recorder.tallies == {"tune": (2, 0, 2), "generate": (12, 0, 12), "measure": (12, 0, 12)}
    assert done.recorder.left[-1] == 0
    assert done.recorder.ends == 1
    folder = done.store.folder
    assert len(list(folder.glob("adapters/example_stamp/*.safetensors"))) == 2
    assert len(list(folder.glob("videos/*/*/*.mkv"))) == 12
    cell = Cell("example_stamp", "ann", "surf", 0)
    features = done.result.features(cell)
    assert {"face/embedding", "reference/face", "text/clip", "video/embedding"} <= set(features)
    assert not list(folder.glob("failures/*"))


def test_a_second_run_does_nothing(run):
    run()
    again = run()
    assert again.work == {}
    assert again.result.complete


def test_bytes_do_not_depend_on_the_number_of_workers(run, tmp_path):
    one = run(workers=1, folder=tmp_path / "one")
    two = run(workers=2, folder=tmp_path / "two")
    assert contents(one.store.folder) == contents(two.store.folder)


def test_requests_start_from_the_same_noise_whatever_the_method(choice):
    plan = make_plan(choice())
    noises = {}
    for cell in plan.cells:
        noises.setdefault((cell.identity, cell.prompt), set()).add(plan.request(cell).noise_seed)
    assert all(len(seeds) == 1 for seeds in noises.values())
    assert len(set.union(*noises.values())) == 6


def test_more_prompts_make_only_the_new_cells(run):
    run()
    assert run(prompts="all").work == {"generate": 4, "measure": 4}


def test_more_seeds_make_only_the_new_cells(run):
    run()
    more = run(seeds="2")
    assert more.work == {"generate": 12, "measure": 12}
    videos = more.store.folder.glob("videos/example_drift/ann/surf-*.mkv")
    assert len({path.read_bytes() for path in videos}) == 2


def test_another_setting_makes_only_that_variant(run):
    run()
    both = run(methods="example_drift,example_drift[speed=2],example_stamp")
    assert both.work == {"generate": 6, "measure": 6}
    assert {entry["variant"] for entry in both.log} == {"example_drift[speed=2]"}


def test_a_setting_at_its_default_is_another_row_and_the_same_videos(run):
    run(methods="example_drift")
    named = run(methods="example_drift[speed=1]")
    plan = named.result.plan
    assert plan.video_key(Cell("example_drift[speed=1]", "ann", "surf", 0)) == make_plan(
        plan.choice.__class__(EXAMPLE_PROFILE, "example_drift", plan.choice.identities)
    ).video_key(Cell("example_drift", "ann", "surf", 0))


def test_a_tuning_setting_tunes_again(run):
    run()
    assert run(methods="example_stamp[steps=4]").work == {"tune": 2, "generate": 6, "measure": 6}


@pytest.mark.parametrize(
    ("text", "work"),
    [
        ("[evaluators]\nrevision = 2", {"measure": 12}),
        ("[backbone]\ngrain = 2", ALL_WORK),
        ("[methods.example_stamp]\nstrength = 0.4", {"tune": 2, "generate": 6, "measure": 6}),
        ("[cost]\nmeasure_s = 5", {}),
        ("[evaluators.metrics.dynamic_degree]\nthreshold_scale = 0.5", {}),
        ("[sampling]\nframes = 5", ALL_WORK),
    ],
)
def test_a_changed_profile_makes_only_what_it_touches(run, tmp_path, text, work):
    child = tmp_path / "child.toml"
    child.write_text(f'extends = "{EXAMPLE_PROFILE}"\n')
    run(profile=str(child))
    child.write_text(f'extends = "{EXAMPLE_PROFILE}"\n{text}\n')
    assert run(profile=str(child)).work == work


def test_another_tuning_seed_tunes_again_and_leaves_the_untuned(run, tmp_path):
    child = tmp_path / "child.toml"
    child.write_text(f'tune_seed = 3\nextends = "{EXAMPLE_PROFILE}"\n')
    run(profile=str(child))
    child.write_text(f'tune_seed = 4\nextends = "{EXAMPLE_PROFILE}"\n')
    again = run(profile=str(child))
    # The example's tuning draws nothing, so the videos come out the same and keep their features' digests.
    assert {(entry["stage"], entry["variant"]) for entry in again.log} == {
        ("tune", "example_stamp"),
        ("generate", "example_stamp"),
        ("measure", "example_stamp"),
    }


def test_a_changed_reference_touches_only_that_person(run, tmp_path):
    run()
    Image.fromarray(np.full((80, 72, 3), 30, np.uint8)).save(tmp_path / "people" / "ann" / "1.png")
    again = run()
    assert again.work == {"tune": 1, "generate": 6, "measure": 6}
    assert {entry["identity"] for entry in again.log} == {"ann"}


def test_a_changed_prompt_touches_only_that_prompt(run, tmp_path):
    home = tmp_path / "profile"
    shutil.copytree(EXAMPLE_PROFILE.removesuffix("example.toml"), home)
    profile = str(home / "example.toml")
    run(profile=profile)
    edit(home / "evaluation.toml", "surfs on a sunny beach", "surfs on a rainy beach")
    again = run(profile=profile)
    assert again.work == {"generate": 4, "measure": 4}
    assert {entry["prompt"] for entry in again.log} == {"surf"}


def test_changed_tuning_prompts_tune_again(run, tmp_path):
    home = tmp_path / "profile"
    shutil.copytree(EXAMPLE_PROFILE.removesuffix("example.toml"), home)
    profile = str(home / "example.toml")
    run(profile=profile)
    edit(home / "simulated.toml", "sings at night", "hums at night")
    assert run(profile=profile).work == {"tune": 2, "generate": 6, "measure": 6}


def test_a_lost_video_is_made_again(run):
    done = run()
    before = contents(done.store.folder)
    next(done.store.folder.glob("videos/example_stamp/ann/*.mkv")).unlink()
    again = run()
    assert again.work["generate"] == 1
    assert contents(done.store.folder) == before


def test_a_damaged_video_is_made_again_and_told(run):
    done = run()
    before = contents(done.store.folder)
    video = next(done.store.folder.glob("videos/example_stamp/ann/*.mkv"))
    content = bytearray(video.read_bytes())
    content[-len(content) // 3] ^= 0xFF
    video.write_bytes(content)
    shutil.rmtree(done.store.folder / "features" / "video")
    again = run()
    assert again.result.complete
    assert again.work == {"generate": 1, "measure": 12}
    assert len(again.recorder.notes) == 1
    assert str(video) in again.recorder.notes[0]
    assert contents(done.store.folder) == before


@pytest.mark.parametrize("folder", ["video", "reference", "text"])
def test_damaged_features_are_made_again(run, folder):
    done = run()
    before = contents(done.store.folder)
    path = next(done.store.folder.glob(f"features/{folder}/*"))
    path.write_bytes(path.read_bytes()[:-5])
    assert run().result.complete
    assert contents(done.store.folder) == before


def test_a_damaged_adapter_is_made_again_when_it_is_needed(run):
    done = run()
    before = contents(done.store.folder)
    path = next(done.store.folder.glob("adapters/example_stamp/ann*.safetensors"))
    path.write_bytes(path.read_bytes()[:-2])
    assert run().work == {}
    shutil.rmtree(done.store.folder / "videos" / "example_stamp" / "ann")
    assert run().work["tune"] == 1
    assert contents(done.store.folder) == before


def test_adapters_hold_what_was_learned(run):
    done = run()
    plan = done.result.plan
    key = plan.adapter_key(plan.variant("example_stamp"), plan.identity("ann"))
    adapter = load_adapter(done.store.adapter_path(key, "example_stamp", "ann"))
    assert adapter.span == (0.5, 1.0)
    assert adapter.info == {"prompts": 2}


def test_the_losses_of_a_tuning_lie_beside_its_adapter(run):
    done = run()
    plan = done.result.plan
    key = plan.adapter_key(plan.variant("example_stamp"), plan.identity("bob"))
    table = done.store.adapter_path(key, "example_stamp", "bob").with_suffix(".csv").read_text().splitlines()
    assert table[0] == "step,distance"
    assert [line.split(",")[0] for line in table[1:]] == ["1", "2", "3"]
    losses = [float(line.split(",")[1]) for line in table[1:]]
    assert losses == sorted(losses, reverse=True)
    assert any("example_stamp bob, step 2/3, distance " in doing for doing in done.recorder.doing)


def test_a_video_that_fails_is_recorded_and_tried_again(run, tmp_path, monkeypatch):
    monkeypatch.setenv("EXAMPLE_FAILS", "example_drift:ann:read")
    failed = run()
    cell = Cell("example_drift", "ann", "read", 0)
    assert not failed.result.complete
    assert set(failed.result.failures) == {cell}
    failure = failed.result.failures[cell]
    assert (failure.error, failure.message, failure.stage) == ("RuntimeError", "wrong on purpose", "generate")
    assert "pvbench_example.py" in failure.traceback
    assert failure.where == "example_drift, ann, read, seed 0"
    assert failed.work == {"tune": 2, "generate": 11, "measure": 11}
    assert failed.recorder.tallies["generate"] == (11, 1, 12)
    assert failed.recorder.failures == [failure]
    monkeypatch.delenv("EXAMPLE_FAILS")
    again = run()
    assert again.result.complete
    assert again.work == {"generate": 1, "measure": 1}
    assert again.store.failures() == {}
    clean = run(folder=tmp_path / "clean")
    assert contents(again.store.folder) == contents(clean.store.folder)


def test_a_tuning_that_fails_fails_its_cells_and_no_others(run, monkeypatch):
    monkeypatch.setenv("EXAMPLE_FAILS", "example_stamp:ann:step1")
    failed = run()
    assert {(cell.variant, cell.identity) for cell in failed.result.failures} == {("example_stamp", "ann")}
    assert len(failed.result.failures) == 3
    assert failed.work == {"tune": 1, "generate": 9, "measure": 9}
    assert failed.recorder.tallies["tune"] == (1, 1, 2)
    assert [failure.stage for failure in failed.store.failures().values()] == ["tune"]
    monkeypatch.delenv("EXAMPLE_FAILS")
    assert run().work == {"tune": 1, "generate": 3, "measure": 3}


def test_a_worker_that_dies_fails_one_cell_and_the_others_go_on(run, monkeypatch):
    monkeypatch.setenv("EXAMPLE_KILLS_WORKER", "example_drift:ann:read")
    failed = run(workers=1)
    assert set(failed.result.failures) == {Cell("example_drift", "ann", "read", 0)}
    assert "SIGKILL" in next(iter(failed.result.failures.values())).message
    assert failed.work == {"tune": 2, "generate": 11, "measure": 11}


def test_a_worker_that_dies_while_tuning_fails_that_tuning(run, monkeypatch):
    monkeypatch.setenv("EXAMPLE_KILLS_WORKER", "example_stamp:bob:step0")
    failed = run(workers=2)
    assert {(cell.variant, cell.identity) for cell in failed.result.failures} == {("example_stamp", "bob")}


@pytest.mark.parametrize(
    ("variable", "workers", "message"),
    [
        ("EXAMPLE_FAILS", None, "wrong on purpose"),
        ("EXAMPLE_KILLS_WORKER", 1, "SIGKILL"),
    ],
)
def test_a_measuring_that_fails_keeps_the_video_and_is_tried_again(
    run, tmp_path, monkeypatch, variable, workers, message
):
    # The first video alone: the marker file says that it was done.
    monkeypatch.setenv(variable, f"measuring@{tmp_path / 'marker'}")
    failed = run(workers=workers)
    (failure,) = failed.result.failures.values()
    assert failure.stage == "measure"
    assert message in failure.message
    assert failed.work == {"tune": 2, "generate": 12, "measure": 11}
    assert failed.recorder.tallies["measure"] == (11, 1, 12)
    again = run()
    assert again.work == {"measure": 1}
    assert again.store.failures() == {}


@pytest.mark.parametrize("part", ["backbone", "evaluators"])
def test_corrupt_weights_end_the_run(run, monkeypatch, part):
    monkeypatch.setenv("EXAMPLE_BAD_WEIGHTS", part)
    with pytest.raises(WeightsError, match="corrupt; reinstall"):
        run()


def test_a_full_disk_ends_the_run_and_loses_nothing(run, tmp_path, monkeypatch):
    monkeypatch.setenv("EXAMPLE_FILLS_DISK", "example_drift:bob:read")
    with pytest.raises(StoreError, match="disk is full"):
        run(workers=2)
    assert len(list(tmp_path.glob("run/videos/*/*/*.mkv"))) > 0
    monkeypatch.delenv("EXAMPLE_FILLS_DISK")
    again = run()
    assert again.result.complete
    assert 0 < again.work["generate"] < 12
    clean = run(folder=tmp_path / "clean")
    assert contents(again.store.folder) == contents(clean.store.folder)


@pytest.mark.parametrize(("value", "message"), [(0, "shows no face"), (255, "shows 2 faces")])
def test_a_reference_without_one_face_ends_the_run_before_anything_is_made(run, tmp_path, value, message):
    Image.fromarray(np.full((80, 72, 3), value, np.uint8)).save(tmp_path / "people" / "bob" / "2.png")
    with pytest.raises(FaceError, match=message) as caught:
        run()
    assert "bob" in str(caught.value)
    assert "reference 1" in str(caught.value)
    assert not list(tmp_path.glob("run/adapters/**/*"))
    assert not list(tmp_path.glob("run/videos/**/*"))


def test_two_runs_do_not_share_a_folder(run, tmp_path):
    with Store(tmp_path / "run").locked(), pytest.raises(StoreError, match="another run"):
        run()


def test_what_a_killed_run_left_half_written_is_removed(run, tmp_path):
    half = tmp_path / "run" / "videos" / "example_drift" / ".x.mkv.1-ab.tmp"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    run()
    assert not half.exists()


def test_the_plan_is_written_down(run):
    done = run()
    plan = json.loads((done.store.folder / "plan.json").read_text())
    assert list(plan["identities"]) == ["ann", "bob"]
    assert plan["methods"]["example_drift"]["settings"] == {"side": "right", "speed": 1}
    assert plan["choice"]["profile"] == EXAMPLE_PROFILE


def test_what_libraries_print_goes_to_a_file(run):
    done = run(workers=1, methods="example_drift")
    assert "the example is loaded" in (done.store.folder / "workers.log").read_text()


def test_every_video_is_the_one_that_its_method_made(run):
    done = run()
    plan = done.result.plan
    cell = Cell("example_drift", "bob", "wave", 0)
    video = read_video(done.store.video_path(plan.video_key(cell), *vars(cell).values()))
    rng = np.random.default_rng(plan.request(cell).noise_seed)
    noise = rng.integers(60, 100, (6, 32, 24, 3), dtype=np.uint8)
    np.testing.assert_array_equal(video.frames[2], np.roll(noise[0], 2, axis=1))


def test_identities_of_one_run_have_different_names(choice, tmp_path):
    from pvbench.errors import IdentityError

    other = make_identity(tmp_path / "others", "ann")
    people = choice().identities
    with pytest.raises(IdentityError, match="two identities are named 'ann'"):
        make_plan(choice(identities=f"{people},{other}"))
