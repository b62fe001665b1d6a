"""FVD's reference set of a measuring: any folder, another row, or none."""

import json

import pytest
from measured_folder import clip, order, report_of, scores
from pvbench_example import EndsLoader
from safetensors.numpy import load

from pvbench.errors import ProfileError, VideoError
from pvbench.evaluator import Demands, FeaturePlan
from pvbench.measuring.imported import Given
from pvbench.measuring.measure import ProblemsError, _needs, measure
from pvbench.measuring.request import role_of
from pvbench.metrics import load_metrics
from pvbench.profile import load_profile


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
    (world / "real" / "text.mp4").write_text("this is not a video")
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
    (world / "real" / "1.mkv").write_text("this is not a video")
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
