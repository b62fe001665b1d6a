"""The gallery's files: what the page is told, and which clips lie beside it."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest

from pvbench.report.gallery import page
from pvbench.report.gallery.page import write_gallery


def content_of(folder):
    text = (folder / "index.html").read_text()
    return json.loads(re.search(r'<script type="application/json" id="content">(.*?)</script>', text, re.DOTALL)[1])


@pytest.fixture(scope="module")
def data(make_run):
    made = make_run(people=2, prompts=2, failed=(("personalvideo", "boris", "p02"),), pictures=True)
    rng = np.random.default_rng(0)
    traces = {
        label: {cell: np.where(rng.uniform(size=8) < 0.2, math.nan, rng.uniform(size=8)) for cell in of_label}
        for label, of_label in made.scores.items()
    }
    return dataclasses.replace(made, traces=traces)


@pytest.fixture(scope="module")
def gallery(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gallery")
    return folder, write_gallery(folder, data)


def test_a_gallery_is_one_page_and_its_clips(gallery):
    folder, written = gallery
    assert written[0] == folder / "index.html"
    assert {path for path in folder.rglob("*") if path.is_file()} == set(written)
    films = [film for cell in content_of(folder)["cells"] for film in cell["films"].values()]
    named = {film["clip"] for film in films if "clip" in film}
    photos = {path for person in content_of(folder)["people"].values() for path in person["photos"]}
    assert {path.relative_to(folder).as_posix() for path in written[1:]} == named | photos
    assert len(photos) == 10


def test_numbers_are_those_of_the_tables(gallery, data):
    content = content_of(gallery[0])
    cell = data.cells[1]
    film = content["cells"][1]["films"]["personalvideo"]
    assert film["scores"]["face_sim"] == round(100 * data.scores["personalvideo"][cell]["face_sim"], 2)
    assert [metric["name"] for metric in content["metrics"]] == list(data.video_columns)
    trace = data.traces["personalvideo"][cell]
    assert film["faces"] == [None if math.isnan(value) else round(100 * value, 1) for value in trace.tolist()]


def test_rows_are_the_grid_in_its_order_and_methods_as_in_the_tables(gallery, data):
    content = content_of(gallery[0])
    assert [(cell["person"], cell["prompt"], cell["seed"]) for cell in content["cells"]] == list(data.cells)
    assert [one["label"] for one in content["methods"]] == ["base", "dreambooth_lora", "personalvideo", "oracle"]
    assert content["cells"][0]["text"] == "A woman with a blue jacket turns her head to the left on a snowy mountain"


def test_a_failed_cell_says_why(gallery):
    (failed,) = (
        film for cell in content_of(gallery[0])["cells"] for film in cell["films"].values() if "clip" not in film
    )
    assert failed["why"] == "GenerationError: the sampler gave NaN at step 7"
    assert failed["scores"]["face_sim"] is None


def test_the_page_asks_for_nothing_from_elsewhere(gallery):
    text = (gallery[0] / "index.html").read_text().replace("http://www.w3.org/2000/svg", "")
    assert "http:" not in text
    assert "https:" not in text
    assert "default-src 'none'" in text


def test_a_text_ends_neither_the_script_nor_the_page(data, tmp_path):
    wild = "</script><script>document.title = 'taken'</script> & \u2028 \"{{title}}\""
    prompts = (dataclasses.replace(data.prompts[0], text=wild), *data.prompts[1:])
    write_gallery(tmp_path, dataclasses.replace(data, prompts=prompts))
    assert content_of(tmp_path)["cells"][0]["text"] == wild
    assert (tmp_path / "index.html").read_text().count("</script>") == 2


def test_clips_are_made_once_and_stale_ones_go(data, tmp_path, monkeypatch):
    written = write_gallery(tmp_path, data)
    before = {path: path.read_bytes() for path in written}
    (tmp_path / "clips" / "old.mp4").write_bytes(b"")

    def never(*_):
        raise AssertionError("a clip was made again")

    monkeypatch.setattr(page, "encode_clip", never)
    monkeypatch.setattr(page, "write_thumbnail", never)
    write_gallery(tmp_path, data)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_one_video_that_two_cells_show_is_one_clip(data, tmp_path):
    (first, second, *_), videos = data.cells, data.videos["base"]
    twice = {**data.videos, "base": {**videos, second: videos[first]}}
    write_gallery(tmp_path, dataclasses.replace(data, videos=twice))
    one, other = (content_of(tmp_path)["cells"][place]["films"]["base"]["clip"] for place in (0, 1))
    assert one == other


def test_a_video_that_is_gone_is_told_of(data, tmp_path):
    cell = data.cells[0]
    gone = {**data.videos, "base": {**data.videos["base"], cell: tmp_path / "gone.mkv"}}
    photos = (dataclasses.replace(data.identities[0], images=(tmp_path / "gone.png",)), *data.identities[1:])
    write_gallery(tmp_path / "out", dataclasses.replace(data, videos=gone, identities=photos))
    content = content_of(tmp_path / "out")
    assert "gone.mkv" in content["cells"][0]["films"]["base"]["why"]
    assert content["people"]["ada"]["photos"] == []


def test_without_an_encoder_there_is_no_gallery(data, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "can_encode", lambda: False)
    assert write_gallery(tmp_path, data) == []
    assert not list(tmp_path.iterdir())
