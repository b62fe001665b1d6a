"""What lies below a folder: videos, folders of frames, links, and what is passed over."""

import pytest

from pvbench.measuring.tree import is_one_video, look_below


@pytest.fixture
def tree(tmp_path):
    """Makes files by their names, and looks."""

    def make(*names, besides=()):
        for name in names:
            path = tmp_path / "videos" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        found = look_below(tmp_path / "videos", [tmp_path / "videos" / name for name in besides])
        return tuple([str(path.relative_to(tmp_path / "videos")) for path in kind] for kind in found)

    return make


@pytest.mark.parametrize(
    ("names", "videos", "others"),
    [
        (["b.mp4", "a.mkv", "notes.txt"], ["a.mkv", "b.mp4"], ["notes.txt"]),
        (["m/ann/surf-0.MP4", "m/readme"], ["m/ann/surf-0.MP4"], ["m/readme"]),
        # Pictures in a folder are a video's frames; beside folders or videos they are not.
        (["m/surf-0/1.png", "m/surf-0/2.png"], ["m/surf-0"], []),
        (["m/1.png", "m/a.mp4"], ["m/a.mp4"], ["m/1.png"]),
        (["m/1.png", "m/x/1.png"], ["m/x"], ["m/1.png"]),
        (["surf-0.mp4/1.png"], ["surf-0.mp4"], []),
        (["surf-0.mp4/readme"], ["surf-0.mp4"], []),
        # A person's photos are not a video.
        (["ann/card.toml", "ann/1.png"], [], ["ann/1.png", "ann/card.toml"]),
        # What begins with a dot is not shown.
        ([".a.mp4", ".cache/b.mp4", "c.mp4"], ["c.mp4"], []),
        # Nor is what lies beside a report's numbers.
        (["report/aggregates.json", "report/a.mp4", "c.mp4"], ["c.mp4"], []),
    ],
)
def test_what_is_a_video(tree, names, videos, others):
    assert tree(*names) == (videos, others)


def test_folders_that_are_named_are_not_looked_into(tree):
    assert tree("a/1.mp4", "b/2.mp4", besides=["b"]) == (["a/1.mp4"], [])


def test_links_are_followed_but_not_round_and_round(tree, tmp_path):
    tree("a/1.mp4")
    (tmp_path / "videos" / "a" / "up").symlink_to(tmp_path / "videos")
    (tmp_path / "videos" / "b").symlink_to(tmp_path / "videos" / "a")
    assert tree() == (["a/1.mp4", "b/1.mp4"], [])


def test_a_link_to_nowhere_is_a_video_so_that_reading_it_says_what_is_wrong(tree, tmp_path):
    tree("a.mp4")
    (tmp_path / "videos" / "b.mp4").symlink_to(tmp_path / "none.mp4")
    assert tree() == (["a.mp4", "b.mp4"], [])


def test_an_empty_folder_holds_nothing_and_is_no_video(tree, tmp_path):
    (tmp_path / "videos" / "empty").mkdir(parents=True)
    assert tree() == ([], [])
    assert not is_one_video(tmp_path / "videos" / "empty")
