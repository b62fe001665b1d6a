"""Measuring as a whole, with evaluators that are quick."""

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from example_inputs import EXAMPLE_PROFILE, make_identity
from example_videos import encode, turned
from pvbench_example import Differences, EndsLoader, Faces
from safetensors.numpy import load

from pvbench.errors import FaceError, ProfileError, ReportError, VideoError
from pvbench.evaluator import Demands, FeaturePlan, evaluator_loaders
from pvbench.features.published import i3d
from pvbench.features.published.settings import PREPROCESSINGS, settings_of, with_weights
from pvbench.measuring.imported import Given
from pvbench.measuring.jobs import Bench, MeasureSetup
from pvbench.measuring.kept import KeptFeatures, make_features
from pvbench.measuring.measure import ProblemsError, _needs, _people, measure
from pvbench.measuring.request import MeasureRequest, role_of
from pvbench.measuring.work import Work
from pvbench.metrics import PAPER, MetricError, choose, load_metrics
from pvbench.profile import load_profile
from pvbench.prompt import load_prompts
from pvbench.report.frame import scores as read_scores
from pvbench.store import Store
from pvbench.torchvision_shim import load_torchvision
from pvbench.video import Video, content_digest, read_video, write_video


def clip(path, seed=0, frames=6):
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(seed).integers(1, 255, (frames, 32, 24, 3), dtype=np.uint8)
    # A level of its own for each video, so that no two have the same numbers.
    write_video(path, Video(array // 2 + np.uint8(9 * (seed % 12)), 8.0))


@pytest.fixture
def crowded(tmp_path):
    """Two people, two methods, three prompts."""
    make_identity(tmp_path / "people", "ann", brightness=90)
    make_identity(tmp_path / "people", "bob", "man", 180)
    seed = 0
    for method in ("mine", "theirs"):
        for person in ("ann", "bob"):
            for prompt in ("surf", "read", "wave"):
                clip(tmp_path / "videos" / method / person / f"{prompt}-0.mkv", seed)
                seed += 1
    return tmp_path


@pytest.fixture
def world(crowded, inline):
    """The same, measured without processes."""
    return crowded


def order(world, *sources, **options):
    options = {"identities": world / "people", "out": world / "out", "workers": 1} | options
    return MeasureRequest(sources or (world / "videos",), load_profile(EXAMPLE_PROFILE), **options)


def scores(measured):
    with (measured.report / "scores.csv").open() as file:
        return {tuple(list(row.values())[:5]): row["value"] for row in csv.DictReader(file)}


def report_of(measured, method="mine"):
    return json.loads((measured.report / "aggregates.json").read_text())["methods"][method]["scores"]


def test_workers_order_and_company_move_no_number(crowded):
    world = crowded
    one = measure(order(world))
    both = scores(one)
    assert len(both) == 12 * 9
    folders = world / "videos" / "theirs", world / "videos" / "mine"
    other = measure(order(world, *folders, workers=2, out=world / "other"))
    assert scores(other) == both
    # Means, intervals, the bootstrap's too, places and signatures, whatever the order of the rows.
    assert all(report_of(other, method) == report_of(one, method) for method in ("mine", "theirs"))
    alone = scores(measure(order(world, world / "videos" / "mine", out=world / "alone")))
    assert alone == {key: value for key, value in both.items() if key[0] == "mine"}


def test_a_method_that_was_made_in_part_stands_as_a_part(world):
    for path in sorted((world / "videos" / "theirs").rglob("*.mkv"))[1:]:
        path.unlink()
    notes = []
    done = measure(order(world), looked=lambda found: notes.extend(found.notes))
    assert done.failed == 0
    assert "theirs has 1 of the 6 cells that methods have between them" in notes[0]
    text = (done.report / "report.md").read_text()
    assert "| 1/6 |" in text
    assert "Over the 1 cell that all methods have, means are mine: Face Sim. " in text
    assert "7 of 12 videos measured" in text


def test_every_row_says_its_file_and_its_text(world):
    by_id = {one.id: one.text for one in load_prompts(load_profile(EXAMPLE_PROFILE).prompts.evaluation).prompts}
    done = measure(order(world, metrics=("dynamic_degree",)))
    with (done.report / "scores.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["method"] == "mine" and row["prompt"] == "surf"]
    assert rows[0]["video"] == str(world / "videos" / "mine" / "ann" / "surf-0.mkv")
    assert rows[0]["text"] == by_id["surf"]


def test_scores_are_a_frame_of_pandas(world):
    done = measure(order(world, metrics=("dynamic_degree",)))
    for folder in (world / "out", done.report):
        frame = read_scores(folder)
        assert len(frame) == 12 * 2
        assert frame[frame.metric == "flow_magnitude"].groupby("method").value.mean().to_dict() == {
            name: pytest.approx(report_of(done, name)["flow_magnitude"]["value"], rel=1e-6)
            for name in ("mine", "theirs")
        }
    with pytest.raises(ReportError, match=r"no scores\.csv in"):
        read_scores(world)


def test_scores_go_through_parquet_unchanged(world):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow", reason='Parquet needs pip install "pvbench[parquet]"')
    measure(order(world, metrics=("face_sim",)))
    frame = read_scores(world / "out")
    frame.to_parquet(world / "scores.parquet")
    pandas.testing.assert_frame_equal(pandas.read_parquet(world / "scores.parquet"), frame)


def test_a_later_call_with_other_metrics_says_what_it_replaces(world):
    measure(order(world, metrics=("dynamic_degree", "clip_t")))
    later = measure(order(world, metrics=("clip_t", "face_sim")))
    assert later.replaced == ("dynamic_degree",)
    assert {key[4] for key in scores(later)} == {"clip_t", "face_sim", "face_sim_detected", "face_detected"}
    assert measure(order(world, metrics=("clip_t", "face_sim"))).replaced == ()


def test_videos_with_no_face_and_with_two_are_told(world, monkeypatch):
    counts = {"surf-0.mkv": [0.0] * 6, "read-0.mkv": [1.0, 2.0, 1.0, 1.0, 1.0, 1.0]}

    def features(self, video, before=Work.features):
        found = before(self, video)
        return found | {"face/count": np.array(counts.get(video.path.name, [1.0] * 6), np.float32)}

    monkeypatch.setattr(Work, "features", features)
    text = (measure(order(world)).report / "report.md").read_text()
    assert "4 videos without a face in any frame (surf-0.mkv, surf-0.mkv, surf-0.mkv ...): Face Sim. is 0" in text
    assert "4 videos with two faces or more in a frame" in text


def test_what_is_measured_is_kept(world):
    first = measure(order(world))
    assert (first.made, first.reused) == (12, 0)
    before = {path: path.read_bytes() for path in first.report.rglob("*") if path.is_file()}
    written = first.report.stat().st_mtime_ns
    second = measure(order(world))
    assert (second.made, second.reused) == (0, 12)
    assert first.report.stat().st_mtime_ns == written
    assert {path: path.read_bytes() for path in first.report.rglob("*") if path.is_file()} == before
    clip(world / "videos" / "mine" / "ann" / "surf-0.mkv", 77)
    third = measure(order(world))
    assert (third.made, third.reused) == (1, 11)


def test_the_own_report_among_the_videos_is_passed_over(world):
    out = world / "videos" / "measured"
    measure(order(world, out=out))
    done = measure(order(world, out=out))
    assert (done.made, done.reused, done.problems) == (0, 12, ())


def test_a_video_that_moved_is_known_by_its_content(world):
    measure(order(world))
    (world / "videos").rename(world / "elsewhere")
    assert measure(order(world, world / "elsewhere")).made == 0


def test_metrics_that_are_not_asked_for_are_neither_made_nor_shown(world):
    done = measure(order(world, metrics=("dynamic_degree",)))
    kinds = {path.name.split("-")[1] for path in (world / "out" / "features" / "video").iterdir()}
    assert len(kinds) == 1
    assert not (world / "out" / "features" / "reference").exists()
    assert {key[4] for key in scores(done)} == {"dynamic_degree", "flow_magnitude"}
    text = (done.report / "report.md").read_text()
    assert "Dyna. Deg." in text
    assert "Face Sim. ↑" not in text
    more = measure(order(world, metrics=("dynamic_degree", "clip_t")))
    assert more.made == 12


def test_videos_without_identity_or_prompt_have_the_metrics_that_need_neither(world):
    clip(world / "plain" / "001.mkv")
    done = measure(order(world, world / "plain", metrics=("dynamic_degree", "temporal_consistency")))
    assert {key[1] for key in scores(done)} == {"-"}
    with pytest.raises(ProblemsError, match="2 problems"):
        measure(order(world, world / "plain"))


def test_the_reference_set_can_be_any_folder(world):
    for index in range(5):
        clip(world / "real" / f"{index}.mkv", 20 + index)
    done = measure(order(world, reference=str(world / "real")))
    numbers = json.loads((done.report / "aggregates.json").read_text())
    fvd = numbers["methods"]["mine"]["scores"]["fvd"]
    assert fvd["n"] == 6
    assert fvd["value"] > 0
    assert fvd["signature_long"]["n_reference"] == 5
    assert fvd["signature_long"]["reference"].startswith("real@")
    assert numbers["methods"]["mine"]["scores"]["kvd"]["value"] is not None
    with pytest.raises(VideoError, match="it holds 0 videos"):
        measure(order(world, reference=str(world / "people")))
    with pytest.raises(VideoError, match="it holds 0 videos"):
        measure(order(world, reference="a" * 300))
    with pytest.raises(ProblemsError, match="12 problems"):
        measure(order(world, given=Given("./" + "a" * 300)))
    with pytest.raises(ProfileError, match="rendered is for the miniature world"):
        measure(order(world, reference="rendered"))


def test_broken_videos_of_the_reference_set_are_listed_and_the_sets_digest_covers_the_others(world):
    for index in range(4):
        clip(world / "real" / f"{index}.mkv", 20 + index)
    whole = report_of(measure(order(world, reference=str(world / "real"))))["fvd"]["signature_long"]
    (world / "real" / "text.mp4").write_text("this is no video")
    (world / "real" / "empty.webm").write_bytes(b"")
    with pytest.raises(ProblemsError) as refused:
        measure(order(world, reference=str(world / "real")))
    assert [problem.where.rsplit("/")[-1] for problem in refused.value.found.problems] == ["empty.webm", "text.mp4"]
    done = measure(order(world, reference=str(world / "real"), allow_partial=True))
    assert len(done.problems) == 2
    signed = report_of(done)["fvd"]["signature_long"]
    assert (signed["n_reference"], signed["reference"]) == (4, whole["reference"])
    text = (done.report / "report.md").read_text()
    assert "2 problems are listed below" in text
    assert "empty.webm | is empty (0 bytes); make it again |" in text


def test_a_reference_video_that_breaks_while_measured_is_listed(world):
    for index in range(4):
        clip(world / "real" / f"{index}.mkv", 20 + index)
    path = world / "real" / "2.mkv"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    done = measure(order(world, reference=str(world / "real")))
    assert [problem.where for problem in done.problems] == [str(path)]
    assert report_of(done)["fvd"]["signature_long"]["n_reference"] == 3
    assert "2.mkv" in (done.report / "report.md").read_text()
    assert done.failed == 0


def test_a_reference_set_of_which_one_video_is_whole_is_refused(world):
    clip(world / "real" / "0.mkv", 20)
    (world / "real" / "1.mkv").write_text("this is no video")
    with pytest.raises(VideoError, match="1 of its 2 videos can be used"):
        measure(order(world, reference=str(world / "real"), allow_partial=True))


def test_a_set_compared_with_itself_has_no_distance(world):
    done = measure(order(world, world / "videos" / "mine", reference=str(world / "videos" / "mine")))
    numbers = json.loads((done.report / "aggregates.json").read_text())
    assert numbers["methods"]["mine"]["scores"]["fvd"]["value"] == pytest.approx(0, abs=1e-9)


def test_without_a_reference_set_there_is_no_fvd(world):
    done = measure(order(world))
    assert json.loads((done.report / "aggregates.json").read_text())["methods"]["mine"]["scores"]["fvd"]["n"] == 0
    assert (done.report / "report.md").read_text().count("fvd needs --reference FOLDER") == 1
    # Nothing was made for it.
    assert not any("video/embedding" in load(path.read_bytes()) for path in (world / "out" / "features").rglob("*.*"))
    with pytest.raises(ProfileError, match="fvd needs --reference FOLDER"):
        measure(order(world, metrics=("fvd",)))


def test_without_a_reference_set_short_videos_are_not_asked_to_be_longer(world):
    profile = load_profile("animatediff")
    metrics = load_metrics({}, ("dynamic_degree", "fvd"))
    assert _needs(FeaturePlan(profile, {"flow/top5"}), metrics).frames == 1
    assert _needs(FeaturePlan(profile, {"flow/top5", "video/embedding"}), metrics).frames == 10


def test_the_row_of_another_method_is_a_reference_set(world):
    assert [role_of(name) for name in ("base", "oracle", "theirs")] == ["floor", "ceiling", "method"]
    (world / "videos" / "theirs").rename(world / "videos" / "base")
    done = measure(order(world))
    assert report_of(done)["fvd_base"]["n"] == 6
    assert "fvd needs" not in (done.report / "report.md").read_text()


def test_an_identity_without_a_face_is_told_and_costs_its_own_metrics_alone(world):
    from PIL import Image

    Image.fromarray(np.zeros((80, 72, 3), np.uint8)).save(world / "people" / "ann" / "0.png")
    with pytest.raises(FaceError, match="identity ann: reference 1 shows no face"):
        measure(order(world))
    done = measure(order(world, allow_partial=True))
    found = scores(done)
    assert found["mine", "ann", "surf", "0", "face_sim"] == ""
    assert found["mine", "ann", "surf", "0", "flow_magnitude"] != ""
    assert found["mine", "bob", "surf", "0", "face_sim"] != ""
    assert [problem.where for problem in done.problems] == ["identity ann"]
    assert "identity ann | reference 1 shows no face" in (done.report / "report.md").read_text()


def test_a_photo_of_a_plain_folder_that_shows_no_face_is_named_and_left_out(world):
    from PIL import Image

    ann = world / "people" / "ann"
    (ann / "card.toml").unlink()
    alone = scores(measure(order(world)))
    Image.fromarray(np.zeros((80, 72, 3), np.uint8)).save(ann / "dark.png")
    (ann / "bad.jpg").write_text("no picture")
    for _ in range(2):
        done = measure(order(world))
        assert scores(done) == alone
        assert [problem.where for problem in done.problems] == ["identity ann"] * 2
        assert "bad.jpg does not decode" in done.problems[0].what
        assert done.problems[1].what.startswith("dark.png is left out: reference 1 shows no face")
    more = measure(order(world, metrics=("clip_i", "face_sim", "identity_consistency")))
    assert more.failed == 0


def test_of_a_published_profile_the_shipped_people_are_not_the_users(world):
    profile = load_profile("animatediff")
    assert _people(MeasureRequest((world,), profile, world)).names == ()
    assert "maya" in _people(MeasureRequest((world,), profile, world, identities=Path("shipped"))).names
    assert "maya" in _people(MeasureRequest((world,), load_profile("mini"), world)).names


@pytest.fixture(scope="module")
def raft(tmp_path_factory):
    """RAFT of random weights, as a file."""
    path = tmp_path_factory.mktemp("raft") / "raft.pth"
    torch.save(load_torchvision().models.optical_flow.raft_small(weights=None).state_dict(), path)
    return path


def odd_videos(folder):
    encode(folder / "one.mp4", frames=1)
    encode(folder / "grey.mkv", codec="ffv1", pixels="gray", frames=3)
    encode(folder / "alpha.mkv", codec="ffv1", pixels="bgra", frames=3)
    encode(folder / "odd.mkv", codec="ffv1", pixels="bgr0", width=33, height=21, frames=3)
    turned(encode(folder / "rotated.mp4", frames=3))
    encode(folder / "vp9.webm", codec="libvpx-vp9", frames=3)
    encode(folder / "short.gif", codec="gif", pixels="rgb8", frames=3)
    encode(folder / "4k.mp4", width=3840, height=2160, frames=2)


def test_odd_videos_are_measured_or_told(world, raft, monkeypatch):
    # A machine of some size, of whose memory 4k needs more.
    monkeypatch.setattr("pvbench.measuring.place.memory_of", lambda device: 16 << 30)
    odd_videos(world / "odd")
    profile = with_weights(load_profile("animatediff"), [f"raft={raft}"])
    asked = MeasureRequest((world / "odd",), profile, world / "out", metrics=("dynamic_degree",), workers=1)
    with pytest.raises(ProblemsError) as refused:
        measure(asked)
    (large,) = [problem for problem in refused.value.found.problems if "RAFT" in problem.what]
    assert large.what.startswith("is too large for RAFT")
    assert "4k.mp4" in large.where
    done = measure(dataclasses.replace(asked, allow_partial=True))
    found = {key[2].rsplit("-", 1)[0]: value for key, value in scores(done).items() if key[4] == "flow_magnitude"}
    assert [name for name, value in found.items() if not value] == ["4k"]
    assert len(found) == 8
    assert all(np.isfinite(float(value)) for value in found.values() if value)
    assert float(found["one"]) == 0
    assert done.failed == 1


def test_all_identities_without_a_face_are_named(world):
    from PIL import Image

    for name in ("ann", "bob"):
        Image.fromarray(np.zeros((80, 72, 3), np.uint8)).save(world / "people" / name / "0.png")
    with pytest.raises(FaceError, match=r"identity ann: .*identity bob: .*--allow-partial"):
        measure(order(world))


def test_a_video_that_breaks_while_measured_is_listed_and_not_counted(world, monkeypatch):
    path = world / "videos" / "mine" / "ann" / "surf-0.mkv"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF  # the head is whole, a frame is not what was written
    path.write_bytes(data)
    done = measure(order(world))
    assert any("corrupt" in problem.what for problem in done.problems)
    assert scores(done)["mine", "ann", "surf", "0", "face_sim"] == ""
    assert "11 of 12 videos measured" in (done.report / "report.md").read_text()


def test_features_that_worked_are_kept_where_others_fail(tmp_path, monkeypatch):
    def too_large(self, video, have):
        raise VideoError("frames are too large")

    monkeypatch.setattr(Differences, "flow", too_large)
    evaluators = Bench(MeasureSetup(load_profile(EXAMPLE_PROFILE), "cpu", None, tmp_path / "log")).evaluators
    kept = KeptFeatures(evaluators.plan, Store(tmp_path))
    files = kept.files("video", "0" * 64)
    video = Video(np.full((6, 32, 24, 3), 90, np.uint8), 8.0)
    with pytest.raises(VideoError, match="too large"):
        make_features(evaluators, "video", video, kept.missing(files), files)
    assert [group for group, _ in kept.missing(files)] == ["flow"]


def test_a_kept_file_that_was_damaged_is_noticed_and_made_again(world):
    """By its checksum: one flipped bit leaves a file that reads well."""
    measure(order(world))
    for path in sorted((world / "out" / "features" / "video").iterdir())[::12]:
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    before = scores(measure(order(world, out=world / "other")))
    again = measure(order(world))
    assert 1 <= again.made < 12
    assert scores(again) == before


def test_features_that_others_read_are_taken_from_their_file(world, monkeypatch):
    """Where crops of faces alone are missing, faces are not found again."""
    measure(order(world))
    for path in (world / "out" / "features" / "video").iterdir():
        if "clip/face" in load(path.read_bytes()):
            path.unlink()
    monkeypatch.setenv("EXAMPLE_FAILS", "")
    monkeypatch.setattr(Faces, "face", lambda self, video, have: pytest.fail("faces were found again"))
    plan = FeaturePlan(load_profile(EXAMPLE_PROFILE))
    kept = KeptFeatures(plan, Store(world / "out"))
    path = world / "videos" / "mine" / "ann" / "surf-0.mkv"
    files = kept.files("video", content_digest(path))
    assert [group for group, _ in kept.missing(files)][:1] == ["clip_face"]
    bench = Bench(MeasureSetup(plan.profile, "cpu", None, world / "log"))
    wanted = tuple(one for one in kept.missing(files) if one[0] == "clip_face")
    make_features(bench.evaluators, "video", read_video(path), wanted, files)
    assert "clip_face" not in dict(kept.missing(files))


def test_nothing_is_computed_while_there_are_problems(world):
    (world / "videos" / "mine" / "ann" / "bad-0.mkv").write_text("no video")
    with pytest.raises(ProblemsError) as refused:
        measure(order(world))
    assert "is corrupt or no video" in refused.value.found.problems[0].what
    assert not (world / "out").exists()


def test_a_video_of_another_length_is_measured_and_listed(world):
    clip(world / "videos" / "mine" / "ann" / "wave-0.mkv", frames=9)
    done = measure(order(world))
    assert done.made == 12
    text = (done.report / "report.md").read_text()
    assert "12 of 12 videos measured. 1 problem is listed below" in text
    assert report_of(done)["face_sim"]["signature_long"]["frames"] == "6-9"
    assert "wave-0.mkv | has 9 frames of 24x32 pixels at 8 a second; most videos of 'mine' have 6 frames" in text


def test_methods_of_one_name_in_two_sources_are_told_apart_from_seeds(world):
    clip(world / "other" / "mine" / "ann" / "surf-0.mkv", 30)
    with pytest.raises(ProblemsError) as refused:
        measure(order(world, world / "videos", world / "other"))
    assert "each with its own --method" in refused.value.found.problems[0].what


def test_one_prompt_may_be_given_for_all(world):
    clip(world / "one" / "x-0.mkv")
    clip(world / "one" / "x-1.mkv", 1)
    done = measure(order(world, world / "one", given=Given("ann", "a <V> flies", "kite")))
    assert {key[:2] for key in scores(done)} == {("kite", "ann")}


def test_a_prompt_of_three_hundred_words_is_measured(world):
    clip(world / "one" / "x.mkv")
    text = " ".join(["a man walks"] * 100)
    done = measure(order(world, world / "one", given=Given("ann", text)))
    assert done.made == 1
    assert (
        "CLIP reads 77 tokens of a prompt: what follows plays no part in CLIP-T for a-man-walks"
        in (done.report / "report.md").read_text()
    )
    clip(world / "short" / "x.mkv")
    assert (
        "CLIP reads"
        not in (
            measure(order(world, world / "short", given=Given("ann", "a man walks"))).report / "report.md"
        ).read_text()
    )


def test_what_stands_for_no_cell_is_listed_in_the_report_and_counted_apart(world):
    clip(world / "videos" / "mine" / "ann" / "surf-00.mkv", 50)
    clip(world / "videos" / "mine" / "nobody" / "surf-0.mkv", 51)
    done = measure(order(world, allow_partial=True))
    assert len(done.problems) == 2
    text = (done.report / "report.md").read_text()
    assert "12 of 12 videos measured. 2 more were given and stand for no cell" in text
    assert "Given, but no cell: 2" in text
    assert "is no identity" in text
    assert "stands for the same method, identity, prompt and seed" in text


def test_a_video_that_is_too_short_for_fvd_has_the_other_numbers(world, monkeypatch):
    monkeypatch.setattr(EndsLoader, "demands", lambda profile: Demands(frames=6))
    clip(world / "videos" / "mine" / "ann" / "wave-0.mkv", 60, frames=5)
    for index in range(4):
        clip(world / "real" / f"{index}.mkv", 20 + index)
    done = measure(order(world, reference=str(world / "real")))
    assert done.failed == 0
    assert [problem.what.split(":")[0] for problem in done.problems][:1] == ["is too short"]
    found = {key[4]: value for key, value in scores(done).items() if key[:3] == ("mine", "ann", "wave")}
    assert all(found[name] for name in ("face_sim", "flow_magnitude", "temporal_consistency", "clip_t", "clip_i"))
    assert (report_of(done)["fvd"]["n"], report_of(done, "theirs")["fvd"]["n"]) == (5, 5)


def test_what_is_made_of_features_that_a_video_lacks_is_lacking_too():
    """The miniature world's judge reads the embedding of the video."""
    profile = load_profile("mini")
    plan = FeaturePlan(profile, FeaturePlan(profile).features)
    (judge,) = [group.name for group in plan.of("video") if "video/embedding" in group.reads]
    needs = _needs(plan, load_metrics({}, PAPER))
    assert needs.counting >= {judge, "video"}
    assert needs.counting < needs.groups


def test_names_of_metrics_and_weights_are_checked():
    assert choose(None) == PAPER
    assert choose("fvd, clip_t,fvd") == ("fvd", "clip_t")
    with pytest.raises(MetricError, match="did you mean 'face_sim'"):
        choose("face_sin")
    with pytest.raises(MetricError, match="names none"):
        choose(" , ")
    profile = load_profile(EXAMPLE_PROFILE)
    assert with_weights(profile, []) is profile
    profile = load_profile("animatediff")
    assert with_weights(profile, ["raft=a=b", "i3d=c"]).evaluators["files"] == {"flow": "a=b", "video": "c"}


def test_a_shipped_profile_with_evaluators_of_its_own_takes_no_files():
    with pytest.raises(ProfileError, match="evaluators' weights in one folder"):
        with_weights(load_profile("mini"), ["raft=x"])


def test_the_report_says_what_the_publishers_allow():
    from pvbench.measuring.report import licences_of

    profile = load_profile("animatediff")
    assert list(licences_of(profile, ("face",))) == ["face"]
    assert "non-commercial" in licences_of(profile, ("face",))["face"]
    assert "Apache" in licences_of(profile, ("face", "hps"))["hps"]
    own = licences_of(with_weights(profile, ["face=elsewhere"]), ("face", "flow"))
    assert own["face"] == "a file of your own, whose licence pvbench does not know"


def test_metrics_that_rest_on_one_network_have_features_of_their_own(world):
    few, flow, warp = world / "videos" / "mine" / "ann", ("dynamic_degree",), ("warping_error",)
    # One after the other in one folder, and then both.
    one = scores(measure(order(world, few, metrics=flow)))
    other = measure(order(world, few, metrics=warp))
    assert other.made == 3
    both = measure(order(world, few, metrics=flow + warp))
    assert (both.made, scores(both)) == (0, one | scores(other))
    assert all(scores(both).values())
    assert scores(measure(order(world, few, metrics=flow + warp, out=world / "both"))) == scores(both)


def test_a_feature_that_evaluators_do_not_make_is_told_before_anything_is_computed(world):
    asked = order(world, world / "videos" / "mine" / "ann", metrics=("dynamic_degree", "subject_consistency"))
    with pytest.raises(MetricError, match="'subject_consistency' needs the feature 'dino/frame', which no evaluator"):
        measure(asked)
    assert not (world / "out").exists()


def test_every_group_of_features_has_a_file_of_its_own(world):
    names = (*PAPER, "identity_consistency", "warping_error", "background_consistency")
    measure(order(world, world / "videos" / "mine", metrics=names))
    for kind in ("video", "reference", "text"):
        found = [set(load(path.read_bytes())) for path in (world / "out" / "features" / kind).iterdir()]
        loaders = evaluator_loaders(load_profile(EXAMPLE_PROFILE)).values()
        groups = [group for loader in loaders for group in loader.groups]
        assert all(any(names == set(group.features) for group in groups) for names in found)


def test_a_file_that_is_listed_several_times_is_decoded_once(world, monkeypatch):
    lines = [f"videos/mine/ann/surf-0.mkv,ann,surf,mine,{seed}" for seed in range(4)]
    (world / "list.csv").write_text("\n".join(["video,identity,prompt,method,seed", *lines]) + "\n")
    done = measure(order(world, world / "list.csv", metrics=("dynamic_degree",)))
    assert (done.made, done.reused, done.failed) == (1, 0, 0)
    assert len(set(scores(done).values())) == 2  # the verdict and the flow
    assert len(scores(done)) == 8


def test_nobody_is_no_person_in_intervals_and_tests(world):
    lines = [
        f"videos/{method}/{who}/{prompt}-0.mkv,{who if who == 'ann' else ''},{prompt},{method},0"
        for method in ("mine", "theirs")
        for who in ("ann", "bob")
        for prompt in ("surf", "read")
    ]
    (world / "list.csv").write_text("\n".join(["video,identity,prompt,method,seed", *lines]) + "\n")
    done = measure(order(world, world / "list.csv", metrics=("dynamic_degree", "temporal_consistency")))
    found = report_of(done)["temporal_consistency"]
    assert (found["n"], found["identities"]) == (4, 1)
    assert found["interval"] is None or found["interval"]["low"] is None
    text = (done.report / "report.md").read_text()
    assert "2 methods, 1 person, 2 prompts, 1 seed: 8 of 8 videos measured." in text
    assert "It is not known of every video whom it shows" in text
    assert "over the 2 people" not in text


def test_a_report_of_one_extra_metric_has_no_empty_tables(world):
    done = measure(order(world, world / "videos" / "mine", metrics=("warping_error",)))
    text = (done.report / "report.md").read_text()
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Extra metrics",
        "## What the numbers look like",
        "## How this was made",
    ]
    assert "Face Sim" not in text
    assert "face: " not in text
    text = (measure(order(world, world / "videos" / "mine", metrics=("clip_t",))).report / "report.md").read_text()
    assert "CLIP-T is a cosine × 100." in text
    assert "Dyna. Deg." not in text


def test_a_given_reference_set_is_called_by_its_name_throughout(world):
    for seed in range(3):
        clip(world / "others" / f"{seed}.mkv", 50 + seed)
    text = (measure(order(world, reference=str(world / "others"))).report / "report.md").read_text()
    assert "The set `others@" in text
    assert "in FVD's reference set, too" not in text
    assert "`rendered`" not in text


def test_videos_that_are_in_their_own_reference_set_are_told(world):
    done = measure(order(world, world / "videos" / "mine", reference=str(world / "videos")))
    assert "6 of the 6 videos measured are in FVD's reference set, too" in (done.report / "report.md").read_text()


def test_a_preprocessing_that_does_not_exist_is_refused_before_anything_is_computed():
    profile = load_profile("animatediff")
    wrong = dataclasses.replace(profile, evaluators={**profile.evaluators, "preprocessing": "cdfv"})
    with pytest.raises(ProfileError, match=r"unknown preprocessing 'cdfv'.*did you mean.*cdfvd"):
        settings_of(wrong)
    assert tuple(i3d.PREPROCESSINGS) == PREPROCESSINGS


def test_extra_metrics_are_measured_and_shown_where_they_are_named(world):
    done = measure(order(world, metrics=choose("all,identity_consistency")))
    found = scores(done)
    assert float(found["mine", "ann", "surf", "0", "identity_consistency"]) > 0.9
    text = (done.report / "report.md").read_text()
    assert "## Extra metrics" in text
    assert "A still face is best in ID Cons. and drift" in text
    assert "What cheats identity_consistency: A still face scores 1" in text
    assert "HPS is by the network" not in text
    assert "Extra metrics" not in (measure(order(world)).report / "report.md").read_text()
