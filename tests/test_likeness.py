"""Is it this person? Bands, verdicts, and true people and strangers of the miniature world."""

import dataclasses
import json
import math

import numpy as np
import pytest
from PIL import Image

import pvbench.likeness.look as looking
from pvbench.digest import stable_seed
from pvbench.errors import FaceError, VideoError
from pvbench.likeness.bands import CALIBRATIONS, Bands, Calibration, bands_of, template
from pvbench.likeness.folders import best_folder, is_paired
from pvbench.likeness.look import Likeness, look
from pvbench.likeness.seen import Seen, see, verdict_of
from pvbench.profile import load_profile
from pvbench.video import Video, write_video

CALIBRATION = Calibration(stranger=0.4, gap=0.1, drop=0.2)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@pytest.fixture
def photos():
    rng = np.random.default_rng(0)
    return unit(np.ones(64) + 0.5 * rng.normal(size=(5, 64)))


def features(rows, landmarks=None, **more):
    """Features of a video whose frames have these embeddings; None stands for a frame without a face."""
    found = np.array([row is not None for row in rows], np.float32)
    width = next((len(row) for row in rows if row is not None), 64)
    embedding = np.array([np.full(width, np.nan) if row is None else row for row in rows], np.float32)
    points = np.array([[20, 20], [40, 20], [30, 32], [22, 42], [38, 42]], np.float32)
    points = np.repeat(points[None], len(rows), axis=0) if landmarks is None else landmarks
    points[found == 0] = np.nan
    return {"face/embedding": embedding, "face/detected": found, "face/landmarks": points, **more}


def test_photos_are_held_against_the_others_and_the_gap_is_taken_off(photos):
    bands = bands_of(photos, CALIBRATION)
    expected = [photo @ template(np.delete(photos, i, axis=0)) for i, photo in enumerate(photos)]
    assert bands.photos == pytest.approx(expected)
    assert bands.own == pytest.approx(np.mean(expected) - 0.1)
    assert bands.own_low == pytest.approx(np.mean(expected) - 0.2)
    assert (bands.stranger, bands.from_strangers) == (0.4, 0)


def test_without_a_calibration_nothing_is_taken_off_and_it_is_said(photos):
    bands = bands_of(photos, None)
    assert bands.own == pytest.approx(np.mean(bands.photos))
    assert math.isnan(bands.gap)
    assert math.isnan(bands.stranger)
    assert bands.own_low < bands.own


def test_strangers_that_are_given_take_the_place_of_the_known_ones(photos):
    bands = bands_of(photos, CALIBRATION, [i / 1000 for i in range(1001)])
    assert bands.stranger == pytest.approx(0.99)
    assert bands.from_strangers == 1001


def test_one_photo_is_too_few(photos):
    with pytest.raises(FaceError, match="1 photos of the person; at least two are needed"):
        bands_of(photos[:1], CALIBRATION)


BANDS = Bands(stranger=0.4, own=0.8, own_low=0.7, photos=(0.9, 0.9), gap=0.1)


@pytest.mark.parametrize(
    ("likeness", "faces", "verdict"),
    [
        (0.75, 1.0, "the person"),
        (0.7, 0.5, "the person"),
        (0.5, 1.0, "alike"),
        (0.39, 1.0, "somebody else"),
        (0.9, 0.4, "no face"),
        (math.nan, 0.0, "no face"),
    ],
)
def test_a_verdict_lies_between_the_bands(likeness, faces, verdict):
    assert verdict_of(likeness, faces, BANDS) == verdict


def test_a_stranger_who_is_more_alike_than_the_own_photos_decides():
    near = dataclasses.replace(BANDS, own_low=0.2)
    assert verdict_of(0.3, 1.0, near) == "somebody else"


def test_without_strangers_what_is_less_alike_is_unknown():
    unknown = dataclasses.replace(BANDS, stranger=math.nan)
    assert verdict_of(0.75, 1.0, unknown) == "the person"
    assert verdict_of(0.1, 1.0, unknown) == "unknown"


def test_a_quarter_of_the_frames_decides(photos):
    own, away = template(photos), unit(np.random.default_rng(1).normal(size=64))
    seen = see("a.mkv", "", features([away, away, away, own, own, None]), photos, BANDS)
    assert seen.likeness == pytest.approx(1.0, abs=1e-6)
    assert seen.faces == pytest.approx(5 / 6)
    assert math.isnan(seen.frames[5])
    assert seen.verdict == "the person"
    assert json.loads(json.dumps(seen.in_words(), allow_nan=False))["frames"][5] is None


def test_a_copied_photo_is_named(photos):
    copy = see("a", "", features([photos[2]]), photos, BANDS)
    assert copy.copied == 3
    another = unit(np.ones(64) + 0.5 * np.random.default_rng(9).normal(size=64))
    assert see("b", "", features([another]), photos, BANDS).copied == 0


def test_a_head_that_turns_is_told(photos):
    landmarks = np.repeat(np.array([[[20, 20], [40, 20], [30, 32], [22, 42], [38, 42]]], np.float32), 2, axis=0)
    landmarks[1, 2, 0] = 38
    own = template(photos)
    assert see("a", "", features([own, own], landmarks), photos, BANDS).turned == pytest.approx(33.7, abs=0.1)


def test_a_picture_has_no_motion(photos):
    assert math.isnan(see("a.png", "", features([template(photos)]), photos, BANDS).motion)


def found_in(**folders):
    """Videos of one name in each folder, with these likenesses."""
    seen = [
        Seen(f"{number}.mkv", folder, value, (value,), 0.0, 0.0, 0)
        for folder, values in folders.items()
        for number, value in enumerate(values)
    ]
    return Likeness(BANDS, tuple(seen), ())


def test_a_folder_that_is_better_throughout_is_the_best():
    low, high = [0.1 * i for i in range(8)], [0.1 * i + 0.05 for i in range(8)]
    best, p, rival = best_folder(found_in(step_500=low, step_1000=high))
    assert (best, rival) == ("step_1000", "step_500")
    assert p == pytest.approx(2 / 256)


def test_folders_between_which_there_is_no_evidence():
    best, p, rival = best_folder(found_in(a=[0.1, 0.5, 0.3], b=[0.5, 0.1, 0.4], c=[0.0, 0.0, 0.0]))
    assert (best, rival) == ("b", "a")
    assert p > 0.05


def test_folders_whose_files_have_other_names_are_compared_all_the_same():
    def named(letter, values):
        return [Seen(f"{letter}{n}.mkv", letter, value, (value,), 0.0, 0.0, 0) for n, value in enumerate(values)]

    low, high = [0.1, 0.12, 0.14, 0.16], [0.5, 0.52, 0.54, 0.56]
    found = Likeness(BANDS, (*named("a", low), *named("b", high)), ())
    best, p, rival = best_folder(found)
    assert (best, rival, is_paired(found, "a", "b")) == ("b", "a", False)
    assert p == pytest.approx(2 / 70)  # of the ways to divide eight files into two fours
    assert is_paired(found_in(a=low, b=high), "a", "b")
    alike = Likeness(BANDS, (*named("a", low), *named("b", [0.1, 0.13, 0.14, 0.15])), ())
    assert best_folder(alike)[1] > 0.5
    assert best_folder(Likeness(BANDS, (*named("a", low[:1]), *named("b", high[:1])), ()))[1] == 1


def test_folders_are_in_the_order_of_their_numbers():
    assert found_in(step_1000=[0.1], step_500=[0.1], step_2=[0.1]).folders == ("step_2", "step_500", "step_1000")


# The miniature world

PEOPLE = 8


@pytest.fixture(scope="module")
def world(tmp_path_factory, figure):
    """Photos and videos of held-out people, of whom no figure of the calibration is."""
    from pvbench.world.benchmark import mini_prompts, reference_shots, shot_of
    from pvbench.world.person import pool_person
    from pvbench.world.render import render

    folder, prompts = tmp_path_factory.mktemp("world"), mini_prompts("evaluation")
    for number in range(PEOPLE):
        person = pool_person("held-out", 8000 + number, figure.face_sliders())
        name = f"person{number}"
        (folder / "photos" / name).mkdir(parents=True)
        for place, shot in enumerate(reference_shots()):
            rng = np.random.default_rng(stable_seed("photo", number, place))
            photo = render(figure, person, shot, rng, domain="photo", single=True, size=128).frames[0]
            Image.fromarray(photo).save(folder / "photos" / name / f"{place}.png")
        for place in range(3):
            rng = np.random.default_rng(stable_seed("video", number, place))
            made = render(figure, person, shot_of(prompts[(3 * number + place) % len(prompts)]), rng)
            write_video(folder / "videos" / name / f"{place}.mkv", Video(made.frames, 8.0))
    return folder


@pytest.fixture(scope="module")
def verdicts(world):
    """By person, what is said of everybody's videos."""
    known, features_of = {}, looking._features

    def once(evaluators, path, *, prompted):
        # A video's features do not depend on whose photos it is held against.
        if path not in known:
            known[path] = features_of(evaluators, path, prompted=prompted)
        return dict(known[path])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looking, "_features", once)
        return {
            name: look(world / "photos" / name, [world / "videos"], load_profile("mini"))
            for name in (f"person{number}" for number in range(PEOPLE))
        }


def test_nine_of_ten_true_videos_are_accepted_where_one_stranger_in_a_hundred_is(verdicts):
    accepted = {True: [], False: []}
    for name, found in verdicts.items():
        for one in found.seen:
            accepted[one.folder == f"videos/{name}"].append(one.verdict in ("the person", "alike"))
    assert (len(accepted[True]), len(accepted[False])) == (3 * PEOPLE, 3 * PEOPLE * (PEOPLE - 1))
    assert np.mean(accepted[True]) >= 0.9
    assert np.mean(accepted[False]) <= 0.01


def test_the_persons_own_folder_is_the_best(verdicts):
    for name, found in verdicts.items():
        assert best_folder(found)[0] == f"videos/{name}"


def test_a_face_on_its_way_to_the_persons_is_ranked_so(world, figure, tmp_path):
    """Five steps from somebody else, by the shape of the face and the colours of skin and eyes."""
    from scipy.stats import kendalltau

    from pvbench.world.benchmark import reference_shots
    from pvbench.world.person import pool_person
    from pvbench.world.render import render

    own, other = (pool_person("held-out", 8000 + number, figure.face_sliders()) for number in (0, 3))
    if own.class_noun != other.class_noun:
        other = next(
            one
            for number in range(9000, 9020)
            if (one := pool_person("held-out", number, figure.face_sliders())).class_noun == own.class_noun
        )

    def between(share):
        def mixed(a, b):
            if isinstance(a, dict):
                return {key: mixed(a[key], b[key]) for key in a}
            if isinstance(a, tuple):
                return tuple(mixed(x, y) for x, y in zip(a, b, strict=True))
            return (1 - share) * a + share * b

        names = ("phenotypes", "sliders", "skin", "iris", "brow", "blush", "lip")
        return dataclasses.replace(own, **{name: mixed(getattr(other, name), getattr(own, name)) for name in names})

    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    for step, share in enumerate(shares):
        for place, shot in enumerate(reference_shots()[:3]):
            rng = np.random.default_rng(stable_seed("morph", place))
            made = render(figure, between(share), shot, rng)
            write_video(tmp_path / f"step{step}" / f"{place}.mkv", Video(made.frames, 8.0))
    found = look(world / "photos" / "person0", [tmp_path], load_profile("mini"))
    means = [np.mean([one.likeness for one in found.of(folder)]) for folder in found.folders]
    assert len(means) == 5
    assert kendalltau(shares, means).statistic >= 0.9


def test_pictures_are_looked_at_and_brought_to_the_networks_size(world):
    found = look(world / "photos" / "person1", [world / "photos" / "person2", world / "photos" / "person1"],
                 load_profile("mini"))  # fmt: skip
    assert len(found.seen) == 10
    assert {one.copied > 0 for one in found.of("person1")} == {True}
    assert {one.verdict for one in found.of("person2")} <= {"somebody else", "alike"}


def test_the_command_prints_verdicts_and_json(world, pvbench):
    arguments = ("likeness", str(world / "photos" / "person1"), str(world / "videos" / "person1"))
    status, out, _ = pvbench(*arguments)
    assert status == 0
    assert "the person" in out
    assert "One stranger in a hundred reaches: 45.6." in out
    assert "No evidence" not in out
    status, out, _ = pvbench(*arguments, str(world / "videos" / "person0"), "--json")
    words = json.loads(out)
    assert words["best"]["folder"] == "person1"
    assert len(words["seen"]) == 6
    assert words["best"]["paired"] is True
    assert words["bands"]["stranger"] == CALIBRATIONS["mini_face"].stranger


def test_strangers_may_be_given(world, pvbench):
    status, out, _ = pvbench(
        "likeness", str(world / "photos" / "person1"), str(world / "videos" / "person1"),
        "--strangers", str(world / "photos" / "person0"), "--json",
    )  # fmt: skip
    assert status == 0
    assert json.loads(out)["bands"]["from_strangers"] == 5


def test_a_file_that_cannot_be_looked_at_is_left_out(world, pvbench, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.mp4").write_bytes(b"no video")
    status, out, err = pvbench(
        "likeness", str(world / "photos" / "person1"), str(world / "videos" / "person1"), "broken"
    )
    assert status == 1
    assert "left out" in err
    assert "a.mp4" in err
    assert "the person" in out


def test_files_that_are_refused_alike_are_one_line(world, pvbench, tmp_path):
    (tmp_path / "broken").mkdir()
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        (tmp_path / "broken" / name).write_bytes(b"no video")
    status, _, err = pvbench("likeness", str(world / "photos" / "person1"), str(world / "videos" / "person1"), "broken")
    assert status == 1
    assert err.count("left out") == 1
    assert "a.mp4 (and 2 more like it)" in err


def test_where_no_file_can_be_looked_at_the_status_is_2(world, pvbench, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.mp4").write_bytes(b"no video")
    status, _, err = pvbench("likeness", str(world / "photos" / "person1"), "broken")
    assert status == 2
    assert "a.mp4" in err


def test_a_photo_that_cannot_serve_is_named_and_the_others_keep_their_names(world, pvbench, tmp_path):
    folder = tmp_path / "ann"
    folder.mkdir()
    for number, path in enumerate(sorted((world / "photos" / "person1").glob("*.*"))[:3]):
        Image.open(path).save(folder / f"shot{number}.png")
    Image.new("RGB", (96, 96), (120, 120, 120)).save(folder / "grey.png")
    (folder / "apple.heic").write_bytes(b"heic")
    (folder / "torn.jpg").write_bytes(b"no picture")
    (tmp_path / "seen").mkdir()
    (tmp_path / "seen" / "again.png").write_bytes((folder / "shot2.png").read_bytes())
    Image.open(folder / "shot0.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "shot3.jpg")
    status, out, err = pvbench("likeness", "ann", "seen")
    assert status == 1
    assert "(a copy of shot2.png?)" in " ".join(out.split())
    for name in ("grey.png shows no face", "apple.heic", "torn.jpg", "shot3.jpg is shot0.png once more, or nearly"):
        assert name in err
    assert err.count("it is left out") == 4


@pytest.mark.parametrize(
    ("photos", "videos", "error", "message"),
    [
        ("photos/person1", "nowhere", VideoError, "there is no such file or folder"),
        ("photos/person1", "empty", VideoError, "no videos and no pictures in"),
        ("grey", "videos/person1", FaceError, r"0 of 2 photos can be used; at least two .*0\.png shows no face"),
        ("one", "videos/person1", FaceError, r"1 of 1 photo can be used; at least two that show one face each"),
    ],
)
def test_what_cannot_be_held_against_anything_is_refused(world, photos, videos, error, message):
    (world / "empty").mkdir(exist_ok=True)
    (world / "grey").mkdir(exist_ok=True)
    (world / "one").mkdir(exist_ok=True)
    first = sorted((world / "photos" / "person1").glob("*.*"))[0]
    (world / "one" / first.name).write_bytes(first.read_bytes())
    for number in range(2):
        Image.new("RGB", (96, 96), (120, 120, 120 + number)).save(world / "grey" / f"{number}.png")
    with pytest.raises(error, match=message):
        look(world / photos, [world / videos], load_profile("mini"))


def test_two_faces_in_a_picture_are_noted(world, tmp_path):
    two = [Image.open(path).resize((96, 96)) for path in sorted((world / "photos" / "person1").glob("*.*"))[:2]]
    picture = Image.new("RGB", (192, 192), (128, 128, 128))
    picture.paste(two[0], (0, 48))
    picture.paste(two[1], (96, 48))
    (tmp_path / "seen").mkdir()
    picture.save(tmp_path / "seen" / "both.png")
    found = look(world / "photos" / "person1", [tmp_path / "seen"], load_profile("mini"))
    (note,) = found.notes
    assert note.startswith("1 file with two faces or more in a frame (both.png): one of them counts")
