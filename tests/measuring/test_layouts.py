"""Which videos a folder holds, and what folders and file names say of each."""

import os

import pytest

from pvbench.errors import IdentityError, VideoError
from pvbench.measuring.imported import Found, Given, People, slug
from pvbench.measuring.layouts import find_videos, labels_of
from pvbench.prompt import Prompt
from pvbench.video import probe_video

PROMPTS = (Prompt("surf", "A <V> surfs"), Prompt("wave-2", "A <V> waves <his> hand"))


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def shown(found):
    return [(v.method, v.identity.name if v.identity else "", v.prompt_id, v.seed) for v in found.videos]


def test_method_identity_and_prompt_come_from_the_folders(tmp_path, crowd):
    touch(
        tmp_path / "v",
        "magicme/ann/surf-0.mp4",
        "magicme/ann/surf-1.webm",
        "magicme/bob/wave-2.gif",
        "other/bob/wave-2-s3-0123456789ab.mkv",
    )
    assert shown(find_videos(tmp_path / "v", crowd, PROMPTS)) == [
        ("magicme", "ann", "surf", 0),
        ("magicme", "ann", "surf", 1),
        ("magicme", "bob", "wave-2", 0),
        ("other", "bob", "wave-2", 3),
    ]


def test_a_folder_of_identities_is_one_method_of_the_folders_name(tmp_path, crowd):
    touch(tmp_path / "mine", "ann/surf.mp4")
    assert shown(find_videos(tmp_path / "mine", crowd, PROMPTS)) == [("mine", "ann", "surf", 0)]


def test_vbenchs_names_are_texts_and_indices(tmp_path, crowd):
    touch(tmp_path / "v", "a person is riding a bike-0.mp4", "a person is riding a bike-4.mp4")
    first, second = find_videos(tmp_path / "v", crowd, PROMPTS).videos
    assert first.text == second.text == "a person is riding a bike"
    assert first.rendered_text == "a person is riding a bike"
    assert (first.prompt_id, first.seed, second.seed) == (second.prompt_id, 0, 4)
    assert first.identity is None


def test_one_word_and_an_index_is_a_text_as_in_vbench(tmp_path, crowd):
    touch(tmp_path / "v", "alley-0.mp4", "alley-4.mp4", "surf-1.mp4")
    found = find_videos(tmp_path / "v", crowd, PROMPTS)
    assert [(v.prompt_id, v.text, v.seed) for v in found.videos] == [
        ("alley", "alley", 0),
        ("alley", "alley", 4),
        ("surf", "A <V> surfs", 1),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "video-0.mp4",
        "clip-12.mp4",
        "00017-0.mp4",
        "v2-0.mp4",
        "alley.mp4",
        "IMG-1.mp4",
        "ann/take-0.mp4",
        "alley-20240101.mp4",
        "alley-s0.mp4",
    ],
)
def test_other_names_of_one_word_say_nothing(tmp_path, crowd, name):
    touch(tmp_path / "v", name)
    (video,) = find_videos(tmp_path / "v", crowd, PROMPTS).videos
    assert video.text == ""


@pytest.mark.parametrize("name", ["alley-0.mp4", "kling/alley-0.mp4", "kling/ann/alley-0.mp4", "ann/alley-0.mp4"])
def test_one_word_with_an_index_is_a_text_in_every_layout(tmp_path, crowd, name):
    touch(tmp_path / "v", name)
    (video,) = find_videos(tmp_path / "v", crowd, PROMPTS).videos
    assert (video.text, video.seed) == ("alley", 0)


def test_beside_people_an_unknown_folder_is_no_method(tmp_path, crowd):
    touch(tmp_path / "v", "ann/surf-0.mp4", "anne/surf-0.mp4", "empty/surf-0.mp4")
    found = find_videos(tmp_path / "v", crowd, PROMPTS)
    assert [video.identity.name for video in found.videos] == ["ann"]
    assert [problem.what.partition(";")[0] for problem in found.problems] == [
        "its folder 'anne' is not an identity (did you mean 'ann'?)",
        "its folder 'empty' is not an identity",
    ]
    assert [path.parent.name for path in found.unread] == ["anne", "empty"]
    touch(tmp_path / "w", "kling/surf-0.mp4", "wan/surf-0.mp4")
    assert [v.method for v in find_videos(tmp_path / "w", crowd, PROMPTS).videos] == ["kling", "wan"]


def test_a_person_whose_folder_is_named_in_no_utf_8_is_found(tmp_path):
    from example_inputs import make_identity

    home = os.fsdecode(b"caf\xe9")
    (make_identity(tmp_path / "photos", "eve") / "card.toml").unlink()
    (tmp_path / "photos" / "eve").rename(tmp_path / "photos" / home)
    touch(tmp_path / "v", f"{home}/surf-0.mp4")
    for root in (tmp_path / "photos", tmp_path / "photos" / home):
        (video,) = find_videos(tmp_path / "v", People(root), PROMPTS).videos
        assert video.identity.images[0].exists()


def test_a_slip_of_one_word_is_no_text(tmp_path, crowd):
    touch(tmp_path / "v", "surv-0.mp4")
    assert "did you mean 'surf'" in find_videos(tmp_path / "v", crowd, PROMPTS).problems[0].what


def test_a_name_that_says_nothing_has_no_prompt(tmp_path, crowd):
    touch(tmp_path / "v", "00017.mp4")
    (video,) = find_videos(tmp_path / "v", crowd, PROMPTS).videos
    assert (video.text, video.identity, video.method) == ("", None, "v")


def test_a_folder_of_frames_is_one_video(tmp_path, crowd):
    touch(tmp_path / "v", "ann/surf-1/0001.png", "ann/surf-1/0002.png", ".hidden/a.mp4")
    (video,) = find_videos(tmp_path / "v", crowd, PROMPTS).videos
    assert (video.path.name, video.prompt_id, video.seed) == ("surf-1", "surf", 1)


def test_links_are_followed_and_one_that_leads_back_ends(tmp_path, crowd):
    touch(tmp_path / "v", "m/ann/surf.mp4")
    touch(tmp_path / "elsewhere", "bob/wave-2.mp4")
    (tmp_path / "v" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "v" / "m" / "ann" / "back").symlink_to(tmp_path / "v")
    assert shown(find_videos(tmp_path / "v", crowd, PROMPTS)) == [
        ("linked", "bob", "wave-2", 0),
        ("m", "ann", "surf", 0),
    ]


def test_what_is_named_as_a_video_and_is_no_file_is_no_less_found(tmp_path, crowd):
    (tmp_path / "v" / "surf-1.mp4").mkdir(parents=True)
    (tmp_path / "v" / "surf-2.mp4").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "v" / "surf-3.mp4")
    videos = find_videos(tmp_path / "v", crowd, PROMPTS).videos
    for video, message in zip(
        videos,
        ("holds no pictures", "is a link to .*nothing, which is not there", "is not a regular file"),
        strict=True,
    ):
        with pytest.raises(VideoError, match=message):
            probe_video(video.path)


def test_reports_and_what_measuring_left_are_no_videos(tmp_path, crowd):
    touch(
        tmp_path / "v",
        "m/ann/surf.mp4",
        "out/report/aggregates.json",
        "out/report/filmstrips/1.jpg",
        "out/features/video/1.png",
        "m/old/aggregates.json",
        "m/old/filmstrips/1.jpg",
    )
    besides = (tmp_path / "v" / "out" / "features", tmp_path / "v" / "out" / "report")
    assert shown(find_videos(tmp_path / "v", crowd, PROMPTS, besides=besides)) == [("m", "ann", "surf", 0)]


def test_of_a_run_folder_the_videos_are_read(tmp_path, crowd):
    touch(
        tmp_path / "run",
        "plan.json",
        "videos/base/ann/surf-s0-0123456789ab.mkv",
        "adapters/x/1.png",
        "report/aggregates.json",
        "report/filmstrips/1.jpg",
    )
    assert shown(find_videos(tmp_path / "run", crowd, PROMPTS)) == [("base", "ann", "surf", 0)]


def test_the_command_line_goes_before_folders_and_names(tmp_path, crowd):
    touch(tmp_path / "v", "x/ann/anything-7.mp4")
    found = find_videos(tmp_path / "v", crowd, PROMPTS, Given("bob", "a <V> flies", "mine"))
    assert shown(found) == [("mine", "bob", slug("a <V> flies"), 7)]
    assert found.videos[0].rendered_text == "a man flies"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("magicme/anne/surf.mp4", "'anne' is not an identity (did you mean 'ann'?)"),
        ("magicme/ann/surv.mp4", "begins with no prompt's id (did you mean 'surf'?)"),
    ],
)
def test_a_slip_in_a_name_is_told(tmp_path, crowd, name, message):
    touch(tmp_path / "v", name)
    found = find_videos(tmp_path / "v", crowd, PROMPTS)
    assert not found.videos
    assert message in found.problems[0].what


def test_two_videos_of_one_cell_are_told(tmp_path, crowd):
    touch(tmp_path / "v", "ann/surf-0.mp4", "ann/surf.mkv")
    found = find_videos(tmp_path / "v", crowd, PROMPTS)
    assert len(found.videos) == 1
    assert "the same method, identity, prompt and seed as" in found.problems[0].what


def test_an_empty_folder_and_no_folder_are_told(tmp_path, crowd):
    with pytest.raises(VideoError, match="no videos in"):
        find_videos(tmp_path, People(), PROMPTS)
    with pytest.raises(VideoError, match="neither a folder with videos nor a manifest"):
        find_videos(tmp_path / "nothing", crowd, PROMPTS)
    with pytest.raises(VideoError, match="cannot be looked up"):
        find_videos(tmp_path / ("a" * 300), crowd, PROMPTS)
    with pytest.raises(IdentityError, match="no identities in"):
        People(tmp_path / "nothing")


def test_sources_are_told_apart_by_as_many_folders_as_it_takes(tmp_path):
    names = ("a/videos", "b/videos", "b/other.v1", "c/list.csv")
    assert labels_of([tmp_path / name for name in names]) == ("a/videos", "b/videos", "other.v1", "list")
    assert labels_of([tmp_path / "x", tmp_path / "x"]) == (str(tmp_path / "x")[1:],) * 2


@pytest.mark.parametrize(
    ("name", "text", "seed"),
    [
        ("a woman talking_0.mp4", "a woman talking", 0),
        ("a woman talking_00012_.mp4", "a woman talking", 12),
        ("a woman talking (3).mp4", "a woman talking", 3),
        ("a woman talking-seed42.mp4", "a woman talking", 42),
        ("a woman talking_seed_7.mp4", "a woman talking", 7),
        ("a woman talking seed 7.mp4", "a woman talking", 7),
        ("a woman talking-s5.mp4", "a woman talking", 5),
        ("a man of 40.mp4", "a man of 40", 0),
        ("一个男人在海边跑步-0.mp4", "一个男人在海边跑步", 0),
        ("女の人が笑っている_2.mp4", "女の人が笑っている", 2),
        ("ผู้หญิงหัวเราะ-1.mp4", "ผู้หญิงหัวเราะ", 1),
        ("женщина смеётся в лесу-4.mp4", "женщина смеётся в лесу", 4),
        ("sample 1.mp4", "", 0),
        ("视频-3.mp4", "", 0),
        ("ComfyUI_00003_.mp4", "", 0),
    ],
)
def test_a_name_says_text_and_seed(tmp_path, crowd, name, text, seed):
    touch(tmp_path / "v", f"ann/{name}")
    (video,) = find_videos(tmp_path / "v", crowd, PROMPTS).videos
    assert (video.text, video.seed) == (text, seed)


@pytest.mark.parametrize(
    "names",
    [
        *("00000 00001 00002", "sample_0 sample_1 sample_2", "seed0 seed1 seed2", "sample-0 sample-1 sample-2"),
        *("a_00000_ a_00001_ a_00002_", "clip0 clip1 clip2", "x(0) x(1) x(2)", "0_final 1_final 2_final"),
    ],
)
def test_numbers_are_seeds_where_the_prompt_is_given(tmp_path, crowd, names):
    touch(tmp_path / "v", *(f"{name}.mp4" for name in names.split()))
    found = find_videos(tmp_path / "v", crowd, PROMPTS, Given("ann", "a woman talking"))
    assert [video.seed for video in found.videos] == [0, 1, 2]
    assert not found.problems


def test_names_that_say_no_seeds_are_counted_in_their_order_where_the_prompt_is_given(tmp_path, crowd):
    touch(tmp_path / "v", "smiling.webm", "walking.webm", "a-480p.mp4", "b-480p.mp4")
    found = find_videos(tmp_path / "v", crowd, PROMPTS, Given("ann", "a woman talking"))
    assert [(video.path.name, video.seed) for video in found.videos] == [
        ("a-480p.mp4", 0),
        ("b-480p.mp4", 1),
        ("smiling.webm", 2),
        ("walking.webm", 3),
    ]
    assert found.notes == ["4 videos of one prompt (a-480p.mp4 ...): their seeds are counted in their order"]


@pytest.mark.parametrize("asked", ["一个男人在海边跑步", "dancing", "Frühling"])
def test_a_given_prompt_is_a_text_whatever_is_in_it(tmp_path, crowd, asked):
    touch(tmp_path / "v", "1.mp4")
    (video,) = find_videos(tmp_path / "v", crowd, PROMPTS, Given("ann", asked)).videos
    assert video.text == asked
    (tmp_path / "list.csv").write_text(f"video,prompt\nv/1.mp4,{asked}\n")
    (video,) = find_videos(tmp_path / "list.csv", crowd, PROMPTS).videos
    assert video.text == asked


def test_a_single_video_is_a_source(tmp_path, crowd):
    touch(tmp_path / "mine", "a man runs-3.mp4", "ann/surf-1.mp4", "frames/1.png")
    (video,) = find_videos(tmp_path / "mine" / "a man runs-3.mp4", crowd, PROMPTS).videos
    assert (video.method, video.identity, video.text, video.seed) == ("mine", None, "a man runs", 3)
    (video,) = find_videos(tmp_path / "mine" / "ann" / "surf-1.mp4", crowd, PROMPTS).videos
    assert shown(Found([video])) == [("ann", "ann", "surf", 1)]
    (video,) = find_videos(tmp_path / "mine" / "frames", crowd, PROMPTS, Given("ann", "a man runs")).videos
    assert video.path.name == "frames"


def test_single_videos_of_one_folder_are_of_one_method(tmp_path):
    touch(tmp_path, "x/a.mp4", "x/b.mp4", "y/z/c.mp4", "y/x/d.mp4")
    sources = [tmp_path / "x/a.mp4", tmp_path / "x/b.mp4", tmp_path / "y/z/c.mp4"]
    assert labels_of(sources) == ("x", "x", "z")


def test_every_file_that_is_passed_over_is_named(tmp_path, crowd):
    touch(tmp_path / "v", "ann/surf-0.m4v", "ann/surf-1.TS", "ann/thumb.jpg", "ann/sound.wav", "ann/b.wav", "log.txt")
    found = find_videos(tmp_path / "v", crowd, PROMPTS)
    assert [video.seed for video in found.videos] == [0, 1]
    assert found.notes == [f"in {tmp_path / 'v'}, 3 files passed over as no video: 2 .wav (b.wav) 1 .jpg (thumb.jpg)"]


def test_moving_webp_is_a_video_and_still_webp_a_frame(tmp_path, crowd):
    from PIL import Image

    pictures = [Image.new("RGB", (16, 16), (80 * index, 90, 90)) for index in range(3)]
    for index in range(3):
        for folder in ("moving", "still", "both"):
            (tmp_path / folder / "ann").mkdir(parents=True, exist_ok=True)
            path, others = tmp_path / folder / "ann" / f"surf-{index}.webp", pictures[1:] if folder != "still" else []
            pictures[0].save(path, save_all=bool(others), append_images=others)
    touch(tmp_path / "both", "ann/wave-2.mp4")
    counts = [len(find_videos(tmp_path / name, crowd, PROMPTS).videos) for name in ("moving", "still", "both")]
    assert counts == [3, 1, 4]


def test_a_name_that_is_no_utf_8_is_read(tmp_path, crowd):
    touch(tmp_path / "v", os.fsdecode(b"ann/une femme \xe0 la plage-0.mp4"))
    (video,) = find_videos(tmp_path / "v", crowd, PROMPTS).videos
    assert (video.text, video.seed) == ("une femme ? la plage", 0)
    assert video.path.exists()
    video.source.encode()


def test_a_folder_of_photos_is_a_person(tmp_path):
    from example_inputs import make_identity

    for name in ("eve", "ben"):
        (make_identity(tmp_path / "photos", name) / "card.toml").unlink()
    touch(tmp_path / "v", "mine/eve/surf-0.mp4", "mine/ben/surf-0.mp4")
    both = find_videos(tmp_path / "v", People(tmp_path / "photos"), PROMPTS).videos
    assert [video.identity.images[0].parent for video in both] == [tmp_path / "photos/ben", tmp_path / "photos/eve"]
    assert {video.rendered_text for video in both} == {"A person surfs"}
    one = find_videos(tmp_path / "v", People(tmp_path / "photos" / "eve"), PROMPTS)
    assert [video.identity.name for video in one.videos] == ["eve"]
    assert "'ben' is not an identity" in one.problems[0].what


def test_a_shipped_person_is_not_taken_for_one_of_the_same_name(tmp_path, monkeypatch):
    touch(tmp_path / "v", "maya/surf-0.mp4", "ben/surf-0.mp4")
    nobody = People(shipped=False)
    found = find_videos(tmp_path / "v", nobody, PROMPTS)
    assert [video.identity for video in found.videos] == [None, None]
    assert "pvbench ships rendered people named ben, maya: the folders of these names are not taken" in found.notes[0]
    with pytest.raises(IdentityError, match="nothing says who 'maya' is; give the folder with the photos"):
        nobody.find("maya")
    assert People().find("maya").licence.startswith("CC0")
    # A folder of that name beside the user is the user's own.
    from example_inputs import make_identity

    make_identity(tmp_path, "maya")
    monkeypatch.chdir(tmp_path)
    assert People().find("maya").source == "made by the tests"
