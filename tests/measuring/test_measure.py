"""Measuring as a whole, with evaluators that are quick."""

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from example_inputs import EXAMPLE_PROFILE
from example_videos import encode, turned
from measured_folder import clip, order, report_of, scores

from pvbench.errors import FaceError, ReportError
from pvbench.features.published.settings import with_weights
from pvbench.measuring.imported import Given
from pvbench.measuring.measure import ProblemsError, _people, find, measure
from pvbench.measuring.request import MeasureRequest
from pvbench.measuring.work import Work
from pvbench.profile import load_profile
from pvbench.prompt import load_prompts
from pvbench.report.frame import scores as read_scores
from pvbench.torchvision_shim import load_torchvision


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
    first, again = measure(order(world)), measure(order(world))
    text = (first.report / "report.md").read_text()
    # On the screen as well, and by the same command again, which measures nothing.
    assert [note.partition(" (")[0] for note in first.notes] == [
        "4 videos without a face in any frame",
        "4 videos with two faces or more in a frame",
    ]
    assert again.notes == first.notes
    assert "4 videos without a face in any frame (surf-0.mkv, surf-0.mkv, surf-0.mkv ...): Face Sim. is 0" in text
    assert "4 videos with two faces or more in a frame" in text


def test_the_own_report_among_the_videos_is_passed_over(world):
    out = world / "videos" / "measured"
    measure(order(world, out=out))
    done = measure(order(world, out=out))
    assert (done.made, done.reused, done.problems) == (0, 12, ())


def test_videos_without_identity_or_prompt_have_the_metrics_that_need_neither(world):
    clip(world / "plain" / "001.mkv")
    done = measure(order(world, world / "plain", metrics=("dynamic_degree", "temporal_consistency")))
    assert {key[1] for key in scores(done)} == {"-"}
    with pytest.raises(ProblemsError, match="2 problems"):
        measure(order(world, world / "plain"))


def test_an_identity_without_a_face_is_told_and_costs_its_own_metrics_alone(world):
    from PIL import Image

    Image.fromarray(np.zeros((80, 72, 3), np.uint8)).save(world / "people" / "ann" / "2.png")
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


def test_a_folder_that_is_taken_for_a_shipped_person_is_noted(tmp_path):
    for name in ("maya", "ben"):
        (tmp_path / "films" / name).mkdir(parents=True)
        (tmp_path / "films" / name / "a woman walks.mp4").write_bytes(b"")
    given = MeasureRequest((tmp_path / "films",), load_profile("mini"), tmp_path / "out")
    (note,) = find(given).notes
    assert note.startswith("ben, maya: these are taken for the rendered people")
    assert find(dataclasses.replace(given, identities=Path("shipped"))).notes == []


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

    for wider, name in enumerate(("ann", "bob")):
        Image.fromarray(np.zeros((80, 72 + wider, 3), np.uint8)).save(world / "people" / name / "2.png")
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
    assert "is not an identity" in text
    assert "stands for the same method, identity, prompt and seed" in text
