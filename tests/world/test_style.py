"""Styles are told apart at a glance, leave the person as it is, and leave photos and videos alone."""

import hashlib
from itertools import product

import numpy as np
import pytest

pytest.importorskip("warp", reason='the miniature world needs pip install "pvbench[world]"')

from pvbench.prompt import load_prompts
from pvbench.weights import weights_folder
from pvbench.world.benchmark import benchmark_person
from pvbench.world.render import Shot, render
from pvbench.world.style import DRAWN, FINE, layers_of, reduced
from pvbench.world.vocabulary import STYLES

WAVE = Shot("wave", "smiling", "beach", "jacket", "red", "white")


@pytest.fixture(scope="module")
def drawn(figure, person):
    """The person by domain, as a video or, where `single` is asked for, as one frame; drawn once."""
    kept = {}

    def of(domain, single=False, shot=WAVE, seed=5):
        key = (domain, single, shot, seed)
        if key not in kept:
            rng = np.random.default_rng(seed)
            kept[key] = render(figure, person, shot, rng, domain=domain, frames=2, single=single)
        return kept[key]

    return of


@pytest.mark.parametrize(
    ("domain", "digest"),
    [
        ("photo", "d5ba368f839d1516f80ad8adf8ada05d5525eff18fba2b2816b99e72d03d1feb"),
        ("video", "8205e766168fdc87a5dfaa33fbc5ef2a3cb5df1f1323697f672967b6615ff217"),
    ],
)
def test_photos_and_videos_are_those_of_before_there_were_styles(figure, domain, digest):
    found = render(figure, benchmark_person(figure, "ada"), WAVE, np.random.default_rng(5), domain=domain, frames=2)
    parts = (found.frames, found.person, found.head, found.landmarks)
    assert hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest() == digest


def test_every_style_of_the_vocabulary_is_drawn():
    assert set(DRAWN) == set(STYLES)
    assert len(set(STYLES.values())) == len(STYLES)


@pytest.mark.parametrize(("style", "single"), list(product(STYLES, (False, True))))
def test_geometry_is_untouched(drawn, style, single):
    found, plain = drawn(style, single), drawn("photo" if single else "video")
    assert found.frames.shape == plain.frames.shape
    np.testing.assert_array_equal(found.landmarks, plain.landmarks)
    np.testing.assert_array_equal(found.yaw, plain.yaw)
    # The same shares, from other samples of each pixel.
    assert np.abs(found.person - plain.person).mean() < 0.01
    assert np.abs(found.head - plain.head).mean() < 0.01


@pytest.mark.parametrize("style", STYLES)
def test_the_same_seed_draws_the_same_bytes(figure, person, drawn, style):
    again = render(figure, person, WAVE, np.random.default_rng(5), domain=style, frames=2)
    np.testing.assert_array_equal(drawn(style).frames, again.frames)


def spread(frames):
    """Mean distance of a pixel's channels."""
    return float(np.ptp(frames.astype(float), axis=-1).mean())


def test_a_cartoon_has_more_colour_and_a_sketch_none(drawn):
    photo, cartoon, sketch = (spread(drawn(domain, domain != "photo").frames) for domain in ("photo", *STYLES))
    assert cartoon > 1.15 * photo
    assert sketch < 0.15 * photo


def test_a_sketch_is_mostly_paper_and_has_black_lines(drawn):
    grey = drawn("sketch", True).frames.mean(axis=-1)
    assert (grey > 170).mean() > 0.3
    assert (grey < 60).mean() > 0.01


@pytest.mark.parametrize("style", STYLES)
def test_a_dark_line_runs_around_the_person(drawn, style):
    shot = Shot("still", scene="snow", colour="white")
    found, photo = drawn(style, True, shot), drawn("photo", shot=shot)
    person = found.person[0]
    around, inside = (person > 0.2) & (person < 0.8), person > 0.99
    lined, unlined = (
        one.frames[0].mean(axis=-1)[around].mean() / one.frames[0].mean(axis=-1)[inside].mean()
        for one in (found, photo)
    )
    assert lined < 0.75 * unlined


def test_a_cartoons_face_has_few_tones(drawn):
    """Neighbours on a face are alike or far apart, where a photo runs from one to the next."""
    shot = Shot("still", scene="office")
    photo, cartoon = (
        np.abs(np.diff(drawn(domain, domain != "photo", shot).frames[0, 24:44, 26:38].mean(axis=-1), axis=1))
        for domain in ("photo", "cartoon")
    )
    assert (cartoon < 1).mean() > 1.5 * (photo < 1).mean()


def test_a_picture_is_reduced_to_means():
    picture = np.arange(FINE * FINE * 2, dtype=np.float32).reshape(FINE, 2 * FINE)
    np.testing.assert_allclose(reduced(picture), [[picture[:, :FINE].mean(), picture[:, FINE:].mean()]])
    assert reduced(np.zeros((8, 4, 3))).shape == (8 // FINE, 4 // FINE, 3)


def test_shade_is_light_over_the_persons_own_colour():
    lit, flat = np.zeros((1, 2, 6), np.float32), np.zeros((1, 2, 6), np.float32)
    flat[0, 0, :4], lit[0, 0, :4] = (0.4, 0.4, 0.4, 1), (0.1, 0.1, 0.1, 1)
    found = layers_of(lit, flat, np.zeros((1, 2, 3), np.float32))
    np.testing.assert_allclose(found.shade, [[0.25, 1.0]], rtol=1e-5)
    np.testing.assert_allclose(found.colour[0, 0], 0.4 ** (1 / 2.2), rtol=1e-5)


def test_the_longest_prompt_in_a_style_is_not_cut_off():
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(weights_folder("mini") / "tokenizer")
    words = 5  # of PersonalVideo's learned keyword
    for prompt, ending in product(load_prompts("mini_evaluation").prompts, STYLES.values()):
        text = f"{prompt.render('woman')} {ending}"
        assert len(tokenizer(text).input_ids) + words <= tokenizer.model_max_length, text
