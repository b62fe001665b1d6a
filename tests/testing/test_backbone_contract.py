"""The contract of backbones: sound ones pass, and each broken promise is found by the test that is about it."""

import itertools
from contextlib import contextmanager

import pytest
import torch
from called_contract import failing
from example_inputs import EXAMPLE_PROFILE
from plain_latents import PlainLatents
from pvbench_example import ExampleBackbone

from pvbench.latent_backbone import LatentBackbone
from pvbench.profile import load_profile
from pvbench.testing import BackboneContract
from pvbench.video import Video

PROFILE, SEEDS = load_profile(EXAMPLE_PROFILE), itertools.count()


@pytest.fixture
def failing_of(tmp_path):
    """Names of the tests that a backbone fails."""
    suite = type("Suite", (BackboneContract,), {"profile_name": EXAMPLE_PROFILE})()

    def found(kind):
        def make():
            return kind(PROFILE, "cpu")

        def skip():
            pytest.skip("it only samples")

        latents = make if issubclass(kind, LatentBackbone) else skip
        return failing(suite, backbone=make, latents=latents, tmp_path=lambda: tmp_path)

    return found


@pytest.mark.parametrize("kind", [ExampleBackbone, PlainLatents])
def test_a_sound_backbone_passes(kind, failing_of):
    assert failing_of(kind) == set()


def differs_by(**methods):
    """The backbone that can be tuned, with other methods or properties."""
    return type("Broken", (PlainLatents,), methods)


class SignedAnew(ExampleBackbone):
    read = itertools.count()
    signature = property(lambda self: {"read": next(self.read)}, lambda self, value: None)


class SignedByAnObject(ExampleBackbone):
    signature = property(lambda self: {"device": self.device}, lambda self, value: None)


class OneFrameLess(ExampleBackbone):
    def sample(self, text, noise_seed):
        return Video(super().sample(text, noise_seed).frames[1:], self.sampling.fps)


class AnotherRate(ExampleBackbone):
    def sample(self, text, noise_seed):
        return Video(super().sample(text, noise_seed).frames, 2 * self.sampling.fps)


class OneText(ExampleBackbone):
    def sample(self, text, noise_seed):
        return super().sample("a man", noise_seed)


class OneSeed(ExampleBackbone):
    def sample(self, text, noise_seed):
        return super().sample(text, 0)


class Lighter(ExampleBackbone):
    def sample(self, text, noise_seed):
        self.ink += 1
        return super().sample(text, noise_seed)


def forgets(self, text, tokens=None):
    self._known.clear()
    return PlainLatents.encode(self, text)


def one_picture(self, seed, side="video", correlation=0.0):
    return PlainLatents.noise(self, seed if side == "video" else 0, side, correlation)


def uncorrelated(self, seed, side="video", correlation=0.0):
    return PlainLatents.noise(self, seed, side)


def counts_its_calls(self, latent, words, first=0, last=None, side="video"):
    self.calls = getattr(self, "calls", 0) + (last is None and 0 < first < self.steps)
    return PlainLatents.denoise(self, latent, words, first, last, side) + 1e-3 * self.calls


def predicts_another(self, latent, words, first, last, side="video"):
    return PlainLatents.clean(self, latent, words, first, last, side) * (0.9 if first == 0 else 1.0)


def frames_in_order(self, latent, frames=None, side="video"):
    return PlainLatents.decode(self, latent, frames and sorted(frames), side)


def twice_the_gradient(self, *given):
    loss = PlainLatents.through_pixels(self, *given)
    return 2 * loss - loss.detach()


def draws_of_its_own(self, latents, words, generator, side="image"):
    return PlainLatents.errors(self, latents, words, torch.Generator().manual_seed(next(SEEDS)), side)


def acts_at_once(self, rank, alpha, targets, generator, values=None, side="video", name="identity"):
    parameters = PlainLatents.add_lora(self, rank, alpha, targets, generator, values, side, name)
    if values is None:
        parameters[1].data.fill_(0.1)
    return parameters


def drawn_alike(self, rank, alpha, targets, generator, *rest, **named):
    return PlainLatents.add_lora(self, rank, alpha, targets, torch.Generator().manual_seed(0), *rest, **named)


def begins_anew(self, rank, alpha, targets, generator, values=None, side="video", name="identity"):
    return PlainLatents.add_lora(self, rank, alpha, targets, generator, None, side, name)


@contextmanager
def off_for_good(self, side="video", name="identity"):
    self.loras.pop((side, name), None)
    yield


def scale_not_saved(self, alpha, rank, side="video", name="identity"):
    return PlainLatents.lora_tensors(self, rank, rank, side, name)


def takes_out_all(self, side=None, name=None):
    PlainLatents.remove_lora(self, side, name)
    if name == "identity":
        self.loras.clear()


def half_of_it_learns(self, side):
    for lora in self.loras.values():
        lora.down.requires_grad_(False)
    return PlainLatents.weights(self, side)


def only_without_pictures(self):
    if not any(side == "image" for side, _ in self.loras):
        PlainLatents.reset(self)


def leaves_pictures(self):
    pictures = {place: lora for place, lora in self.loras.items() if place[0] == "image"}
    PlainLatents.reset(self)
    self.loras.update(pictures)


BROKEN = [
    ("test_the_signature_can_be_digested_and_is_the_same_each_time", SignedAnew),
    ("test_the_signature_can_be_digested_and_is_the_same_each_time", SignedByAnObject),
    ("test_a_video_has_the_profiles_size", OneFrameLess),
    ("test_a_video_has_the_profiles_size", AnotherRate),
    ("test_a_video_rests_on_its_text_and_its_seed", OneText),
    ("test_a_video_rests_on_its_text_and_its_seed", OneSeed),
    ("test_a_video_rests_on_its_text_and_its_seed", Lighter),
    ("test_a_text_is_encoded_once", differs_by(encode=forgets)),
    ("test_noise_has_the_latents_shape_and_rests_on_its_seed", differs_by(noise=one_picture)),
    ("test_correlated_noise_begins_with_the_same_draws", differs_by(noise=uncorrelated)),
    ("test_noise_levels_fall_to_nothing", differs_by(level=lambda self, step: max(0.01, 1 - step / 4))),
    ("test_steps_are_counted_by_the_caller", differs_by(denoise=counts_its_calls)),
    ("test_the_last_step_predicts_what_comes_out", differs_by(clean=predicts_another)),
    ("test_noise_is_added_by_the_level", differs_by(noised=lambda self, latent, step, noise: latent + noise)),
    (
        "test_noise_is_added_by_the_level",
        differs_by(noised=lambda self, latent, step, noise: self.level(step) * noise),
    ),
    ("test_frame_groups_hold_every_frame_once", differs_by(frame_groups=((0, 1), (2, 3)))),
    ("test_chosen_frames_are_those_of_the_whole_video", differs_by(decode=frames_in_order)),
    (
        "test_images_become_latents_and_come_back_as_images",
        differs_by(encode_images=lambda self, images: torch.stack([images, images], dim=2)),
    ),
    ("test_a_loss_of_pixels_has_the_plain_gradient", differs_by(through_pixels=twice_the_gradient)),
    ("test_training_errors_rest_on_the_generator", differs_by(errors=draws_of_its_own)),
    (
        "test_training_errors_rest_on_the_generator",
        differs_by(errors=lambda self, *given: PlainLatents.errors(self, *given) - 0.1),
    ),
    ("test_a_new_adapter_changes_nothing_yet", differs_by(add_lora=acts_at_once)),
    ("test_an_adapter_is_drawn_from_the_generator", differs_by(add_lora=drawn_alike)),
    (
        "test_an_adapter_is_off_where_that_is_asked_and_gone_when_removed",
        differs_by(without_lora=off_for_good),
    ),
    ("test_a_saved_adapter_does_what_it_did", differs_by(lora_tensors=scale_not_saved)),
    ("test_an_adapter_moves_to_another_by_its_values", differs_by(add_lora=begins_anew)),
    ("test_two_adapters_are_told_apart_by_name", differs_by(remove_lora=takes_out_all)),
    ("test_gradients_reach_every_tensor_of_an_adapter", differs_by(weights=half_of_it_learns)),
    ("test_a_reset_leaves_the_model_as_it_was_loaded", differs_by(reset=only_without_pictures)),
    ("test_a_reset_leaves_the_model_as_it_was_loaded", differs_by(reset=leaves_pictures)),
    (
        "test_a_style_outlasts_what_methods_put_in_and_is_gone_when_taken_off",
        differs_by(reset=lambda self: self.loras.clear()),
    ),
]


@pytest.mark.parametrize(("test", "kind"), BROKEN)
def test_a_broken_promise_is_found(test, kind, failing_of):
    assert failing_of(kind) == {test}


def test_every_promise_was_broken():
    assert {test for test, _ in BROKEN} == {name for name in dir(BackboneContract) if name.startswith("test_")}
