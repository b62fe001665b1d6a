"""Grid and tint: a pattern in every patch is seen, others are not, and colours are compared cell by cell."""

import numpy as np
import pytest

from pvbench.errors import PvbenchError
from pvbench.store import Store
from pvbench.video import Video, write_video
from workshop.grid import corners, marks, stripes, videos

RNG = np.random.default_rng(0)
PLAIN = RNG.integers(90, 160, (2, 64, 64, 3)).astype(np.uint8)


def striped(period, axis=2, size=12):
    wave = np.round(size * np.cos(2 * np.pi * np.arange(64) / period)).astype(int)
    return (PLAIN + (wave[:, None, None] if axis == 1 else wave[None, :, None])).astype(np.uint8)


def test_stripes_as_wide_as_a_patch_are_seen_and_others_are_not():
    upright, level = stripes(PLAIN)
    assert stripes(striped(4))[0] > 5 * upright
    assert stripes(striped(4))[1] == pytest.approx(level, rel=0.05)
    assert stripes(striped(4, axis=1))[1] > 5 * level
    for period in (8, 64 / 10, 3):
        assert stripes(striped(period))[0] == pytest.approx(upright, rel=0.5)


@pytest.mark.parametrize(("contrast", "lighter"), [(1, 1), (1, 30), (2, 0), (2, 9)])
def test_light_and_contrast_do_not_count(contrast, lighter):
    dark = PLAIN // 3
    assert stripes(contrast * dark + np.uint8(lighter)) == pytest.approx(stripes(dark))


def test_frames_that_hold_no_whole_patches_are_refused():
    with pytest.raises(PvbenchError, match="frames of 62 pixels; expected a multiple of 4"):
        stripes(PLAIN[:, :, :62])


def test_corners_are_the_background_above():
    frames = np.zeros((2, 64, 60, 3), np.uint8)
    frames[:, :, 10:50] = 255
    frames[:, 32:] = 255
    assert corners(frames) == pytest.approx([0, 0, 0])
    frames[:, :32, :10] = (0, 100, 0)
    assert corners(frames) == pytest.approx([0, 50, 0])


def _store(tmp_path, row, frames, people="abcdef", key="0" * 64):
    for person in people:
        path = Store(tmp_path).video_path(key, row, person, "p1-talk", 0)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, Video(frames, 8))


def test_rows_are_compared_with_the_untuned_models_same_cells(tmp_path):
    _store(tmp_path, "base", PLAIN)
    _store(tmp_path, "a[b=c]", striped(4))
    _store(tmp_path, "tinted", PLAIN + np.array([3, 0, 4], np.uint8), people="abcdefgh")
    found = marks(tmp_path, ["a[b=c]", "tinted"])
    assert list(found) == ["base", "a[b=c]", "tinted"]
    assert {one.videos for one in found.values()} == {6}
    assert found["base"].p == 1
    assert found["base"].tint == 0
    assert found["a[b=c]"].upright > 5 * found["base"].upright
    assert found["a[b=c]"].p == pytest.approx(2 / 2**6)
    assert found["tinted"].tint == pytest.approx(5)


def test_a_folder_names_a_row_whose_name_was_cut_short(tmp_path):
    row = f"row[{','.join(f'a{i}=1' for i in range(40))}]"
    _store(tmp_path, row, PLAIN)
    (folder,) = (tmp_path / "videos").iterdir()
    assert folder.name != row
    assert videos(tmp_path, folder.name) == videos(tmp_path, row)


def test_rows_that_cannot_be_compared_are_told(tmp_path):
    with pytest.raises(PvbenchError, match="has no videos; expected a run of base"):
        marks(tmp_path, ["row"])
    _store(tmp_path, "base", PLAIN, people="ab")
    _store(tmp_path, "row", PLAIN, people="cd")
    with pytest.raises(PvbenchError, match="base, row have no cell in common"):
        marks(tmp_path, ["row"])
    _store(tmp_path, "row", PLAIN, people="c", key="1" * 64)
    with pytest.raises(PvbenchError, match="are videos of one cell; delete the older"):
        videos(tmp_path, "row")
