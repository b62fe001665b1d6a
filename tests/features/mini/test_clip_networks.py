"""CLIP embeddings: unit vectors, differentiable, NaN where there is no face."""

import numpy as np
import torch


def images(count=3, side=64):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_images_and_texts_are_unit_vectors_of_one_space(clip):
    pictures, words = clip.images(images()), clip.texts(["a man", "a woman nodding"])
    assert pictures.shape == (3, 24)
    assert words.shape == (2, 24)
    torch.testing.assert_close(pictures.norm(dim=-1), torch.ones(3))
    torch.testing.assert_close(words.norm(dim=-1), torch.ones(2))


def test_a_picture_is_resized_to_the_models_side(clip):
    large = images(side=64)
    small = torch.nn.functional.interpolate(large, size=(32, 32), mode="bilinear", antialias=True)
    torch.testing.assert_close(clip.images(large), clip.images(small))


def test_frames_do_not_depend_on_the_batch(clip):
    every = clip.frames(images(70))
    np.testing.assert_allclose(every[66], clip.frames(images(70)[66:67])[0], atol=1e-5)
    assert every.dtype == np.float32


def test_gradients_reach_the_pictures(clip):
    pictures = images().requires_grad_(True)
    clip.images(pictures).sum().backward()
    assert pictures.grad.abs().sum() > 0


def test_a_long_text_is_cut_and_not_refused(clip):
    assert clip.texts(["a man " * 50]).shape == (1, 24)


def test_frames_without_a_face_have_rows_of_nan(clip):
    landmarks = np.full((3, 5, 2), np.nan, np.float32)
    assert np.isnan(clip.faces(images(), landmarks)).all()
    assert clip.faces(images(), landmarks).shape == (3, 24)
    landmarks[1] = [[24, 26], [40, 26], [32, 34], [26, 42], [38, 42]]
    found = clip.faces(images(), landmarks)
    assert np.isnan(found[[0, 2]]).all()
    assert abs(np.linalg.norm(found[1]) - 1) < 1e-5
