"""What a measuring computes, keeps and shows of what was asked for."""

import dataclasses

import numpy as np
import pytest
from example_inputs import EXAMPLE_PROFILE
from measured_folder import clip, order, scores
from pvbench_example import Differences, Faces
from safetensors.numpy import load

from pvbench.errors import ProfileError, VideoError
from pvbench.evaluator import FeaturePlan, evaluator_loaders
from pvbench.features.published import i3d
from pvbench.features.published.settings import PREPROCESSINGS, settings_of, with_weights
from pvbench.measuring.jobs import Bench, MeasureSetup
from pvbench.measuring.kept import KeptFeatures, make_features
from pvbench.measuring.measure import _needs, measure
from pvbench.metrics import PAPER, MetricError, choose, load_metrics
from pvbench.profile import load_profile
from pvbench.store import Store
from pvbench.video import Video, content_digest, read_video


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
    with pytest.raises(MetricError, match=r"'dino/frame', which no evaluator of this profile .* --profile animatediff"):
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
