"""The pictures: what they show, that they fit, and that the same run gives the same pixels."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from pvbench.errors import VideoError
from pvbench.report import CellKey
from pvbench.report.document.tables import main_table
from pvbench.report.pictures.drawing import TablePicture, font, picture_of, width_of, wrapped
from pvbench.report.pictures.filmstrip import chosen_cells, filmstrip, frames_shown, load_strip
from pvbench.report.pictures.sheet import WIDTH, sheet, spread
from pvbench.report.pictures.tradeoff import axis, points, tradeoff
from pvbench.report.statistics.aggregate import aggregate
from pvbench.video import Video


def holds(picture: Image.Image, colour: tuple[int, int, int]) -> bool:
    return bool((np.asarray(picture) == colour).all(axis=2).any())


def test_strips_are_spread_over_people_and_prompts(run):
    cells = chosen_cells(run, 4)
    assert len(set(cells)) == 4
    assert len({cell.identity for cell in cells}) == 4
    assert len({cell.prompt for cell in cells}) == 4


def test_more_strips_than_people_show_a_person_again_with_another_prompt(make_run):
    data = make_run(people=2, prompts=4, pictures=True)
    cells = chosen_cells(data, 6)
    assert len(set(cells)) == 6
    assert {cell.identity for cell in cells} == {"ada", "boris"}


def test_a_cell_that_failed_for_one_method_is_shown_only_without_complete_ones(make_run):
    data = make_run(people=2, prompts=1, pictures=True, failed=(("base", "ada", "p01"),))
    assert chosen_cells(data, 2) == (CellKey("boris", "p01", 0),)
    data = make_run(people=1, prompts=1, pictures=True, failed=(("base", "ada", "p01"),))
    assert chosen_cells(data, 2) == (CellKey("ada", "p01", 0),)
    strip = load_strip(data, CellKey("ada", "p01", 0))
    assert strip.videos[0][1] is None
    filmstrip(data, strip)


def test_a_run_without_videos_has_no_strips(make_run):
    assert chosen_cells(make_run(), 6) == ()


def test_a_strip_names_the_person_and_follows_the_class_noun(run):
    strip = load_strip(run, run.cells[0])
    assert strip.text == "A woman with a blue jacket turns her head to the left on a snowy mountain"
    assert [variant.label for variant, _ in strip.videos] == ["base", "dreambooth_lora", "personalvideo", "oracle"]
    assert len(strip.references) == 5


def test_a_strip_has_a_row_for_the_references_and_every_method(run):
    strip = load_strip(run, run.cells[0])
    picture = filmstrip(run, strip, frames=8, height=168)
    assert picture.height > 5 * 168
    assert picture.width >= 196 + 8 * 168
    # The first frame of the last row is the oracle's, at its place.
    frame = np.asarray(picture_of(strip.videos[-1][1].frames[0], 168)).astype(int)
    array = np.asarray(picture).astype(int)
    left = 196 + 16
    bottom = array[array.shape[0] - 168 - 8 : array.shape[0] - 8, left : left + 168]
    assert (bottom == frame).all()


def test_frames_are_spread_from_the_first_to_the_last():
    frames = np.zeros((49, 4, 4, 3), np.uint8)
    frames[:, 0, 0, 0] = np.arange(49)
    shown = [int(frame[0, 0, 0]) for frame in frames_shown(Video(frames, 8.0), 8)]
    assert (shown[0], shown[-1], len(shown)) == (0, 48, 8)
    assert len(frames_shown(Video(frames[:3], 8.0), 8)) == 3


def test_videos_of_any_size_are_shown_at_the_same_height(make_run):
    data = make_run(people=1, prompts=1, pictures=True, side=192)
    strip = load_strip(data, data.cells[0])
    assert filmstrip(data, strip).size == filmstrip(*small_run(make_run)).size


def small_run(make_run):
    data = make_run(people=1, prompts=1, pictures=True, side=64)
    return data, load_strip(data, data.cells[0])


def test_a_missing_video_is_an_error_that_names_the_file(run):
    cell = run.cells[0]
    gone = run.videos["base"][cell].parent / "gone.mkv"
    data = dataclasses.replace(run, videos={**run.videos, "base": {cell: gone}})
    with pytest.raises(VideoError, match=r"gone\.mkv"):
        load_strip(data, cell)


def test_the_sheet_shows_every_methods_colour_and_fits_its_width(run):
    strips = [load_strip(run, cell) for cell in chosen_cells(run, 3)]
    picture = sheet(run, aggregate(run), strips)
    assert picture.width == WIDTH
    for colour in ((120, 124, 130), (0, 114, 178), (213, 94, 0), (24, 26, 30)):
        assert holds(picture, colour)
    margin = np.asarray(picture)[:, -20:]
    assert (margin == 255).all()


def test_the_same_run_gives_the_same_pixels(run):
    strips = [load_strip(run, cell) for cell in chosen_cells(run, 3)]
    first, second = (sheet(run, aggregate(run), strips) for _ in range(2))
    assert np.array_equal(np.asarray(first), np.asarray(second))


def test_a_sheet_without_videos_untuned_model_or_intervals_is_still_a_sheet(make_run):
    data = make_run(people=1, prompts=1, labels=("personalvideo",))
    assert sheet(data, aggregate(data), []).height > 500


def test_the_sheet_shows_different_people_where_there_are_as_many(make_run):
    data = make_run(people=4, prompts=8, pictures=True, labels=("base",))
    strips = [load_strip(data, cell) for cell in chosen_cells(data, 6)]
    assert len({strip.identity.name for strip in spread(strips, 3)}) == 3
    assert len(spread(strips, 6)) == 6
    assert len(spread(strips[:2], 3)) == 2


def test_many_methods_make_a_taller_sheet_and_no_wider_one(make_run):
    labels = ("base", "dreambooth_lora", "personalvideo", "personalvideo[scr=off]", "oracle")
    few, many = make_run(labels=labels[:2]), make_run(labels=labels)
    pictures = [sheet(data, aggregate(data), []) for data in (few, many)]
    assert pictures[1].height > pictures[0].height
    assert pictures[1].width == pictures[0].width == WIDTH


def test_a_wide_table_takes_smaller_type_until_it_fits(make_run):
    data = make_run(labels=("base", "dreambooth_lora", "personalvideo[scr=off]"))
    table = main_table(data, aggregate(data))
    wide, narrow = TablePicture(table, 1500), TablePicture(table, 1100)
    assert wide.size == TablePicture.largest
    assert narrow.size < wide.size
    assert sum(narrow.columns) <= 1100


def test_text_wraps_at_spaces_and_inside_words_only_where_it_must():
    lines = wrapped("a rather long sentence about nothing at all", 18, 150)
    assert " ".join(lines) == "a rather long sentence about nothing at all"
    assert all(width_of(line, 18) <= 150 for line in lines)
    pieces = wrapped("personalvideo[scr=off,span=0.25,frames=4]", 18, 150)
    assert pieces == ["personalvideo[", "scr=off,", "span=0.25,", "frames=4]"]
    assert all(width_of(line, 18) <= 150 for line in pieces)
    assert wrapped("personalvideo_plus", 18, 150) == ["personalvideo_", "plus"]
    assert wrapped("", 18, 150) == []


def test_the_font_has_the_signs_that_reports_use():
    missing = font(18).getmask("\uffff").getbbox()
    for sign in "↑↓→×±–“”·é…":
        assert font(18).getmask(sign).getbbox() not in (None, missing), sign


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.0, 6.1], [0, 1, 2, 3, 4, 5, 6]),
        ([9.0, 86.0], [0, 20, 40, 60, 80]),
        ([-0.1, 0.35], [-0.1, 0.0, 0.1, 0.2, 0.3]),
        ([0.0], [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
    ],
)
def test_axes_have_round_ticks(values, ticks):
    assert axis(values).ticks == pytest.approx(ticks)


def test_the_plot_has_a_point_for_every_method_with_both_numbers(make_run):
    data = make_run()
    numbers = aggregate(data)
    assert [point.label for point in points(data, numbers)] == ["base", "dreambooth_lora", "personalvideo", "oracle"]
    assert points(data, numbers)[-1].y[0] == pytest.approx(100 * numbers.scores["oracle"]["face_sim"].value)
    assert tradeoff(data, numbers, (690, 430)).size == (690, 430)
