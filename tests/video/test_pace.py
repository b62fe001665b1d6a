"""When frames are shown: by their time stamps, and not by the rate that a file declares."""

from fractions import Fraction

import numpy as np
import pytest
from example_videos import encode

from pvbench.video import probe_video, read_video
from pvbench.video.pace import pace_of

MILLI = Fraction(1, 1000)


def pace(stamps, declared=(), last=0, tick=MILLI):
    return pace_of(stamps, last, tick, [Fraction(rate) for rate in declared])


def test_a_declared_rate_that_agrees_with_the_stamps_is_taken_as_it_is():
    stamps = [round(1000 * index / 23.976) for index in range(48)]
    found = pace(stamps, [Fraction(24000, 1001)])
    assert found.fps == 24000 / 1001
    assert found.shown is None


@pytest.mark.parametrize("declared", [60, 1000])
def test_a_declared_rate_that_the_stamps_contradict_is_not(declared):
    found = pace([round(1000 * index / 15) for index in range(48)], [declared])
    assert (found.fps, found.shown) == (15, None)


def test_small_differences_are_rounding():
    assert pace([0, 33, 67, 100, 133, 167], [30]).shown is None
    assert pace([0, 3000, 6100, 8950, 12000], [30], tick=Fraction(1, 90000)).shown is None


def test_unequal_times_are_told_with_the_end_of_the_last():
    found = pace([500, 600, 800, 900], [60])
    assert found.shown == pytest.approx([0, 0.1, 0.3, 0.4, 0.5])
    assert found.fps == 8


def test_a_last_frame_that_is_held_makes_times_unequal():
    found = pace([0, 10, 20, 30], [10], last=100, tick=Fraction(1, 100))
    assert found.shown == pytest.approx([0, 0.1, 0.2, 0.3, 1.3])


def test_without_stamps_the_declared_rate_stands():
    assert pace([None, None], [25]).fps == 25
    assert pace([7], [25]).fps == 25
    assert pace([3, 3, 3], [25]).fps == 25
    assert pace([None, None]) is None


def times_at(rate, seconds=2):
    return [round(1000 * index / rate) for index in range(int(rate * seconds))]


@pytest.mark.parametrize("declared", [60, 1000])
def test_files_are_read_and_looked_at_by_their_stamps(tmp_path, declared):
    steady = encode(tmp_path / "a.mkv", 24, codec="ffv1", pixels="bgr0", rate=declared, times=times_at(12), tick=MILLI)
    for facts in (probe_video(steady), read_video(steady)):
        assert facts.fps == 12
    assert probe_video(steady).steady
    times = [0, 100, 200, 600, 700, 1000]
    uneven = encode(tmp_path / "b.mkv", 6, codec="ffv1", pixels="bgr0", rate=declared, times=times, tick=MILLI)
    video = read_video(uneven)
    assert video.shown[:-1] == pytest.approx(np.array(times) / 1000)
    assert not probe_video(uneven).steady
    assert video.fps == pytest.approx(6 / video.shown[-1], rel=1e-3)
    assert probe_video(uneven).fps == video.fps


def test_a_gif_that_holds_a_frame_says_so(tmp_path):
    from PIL import Image

    pictures = [Image.fromarray(np.full((16, 16, 3), 60 * index, np.uint8)) for index in range(4)]
    path = tmp_path / "a.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=[100, 100, 800, 100])
    assert read_video(path).shown == pytest.approx([0, 0.1, 0.2, 1.0, 1.1])
