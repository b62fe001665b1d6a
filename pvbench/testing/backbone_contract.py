"""What every backbone keeps, as tests: subclass `BackboneContract` in a test file of the plug-in's own.

    from pvbench.testing import BackboneContract

    class TestMyBackbone(BackboneContract):
        profile_name = "my_profile.toml"

By default the suite loads the profile's backbone on the CPU. Override the fixture `backbone` for one that is made
another way, such as a small random one. What methods tune is tested where the backbone is a `LatentBackbone`.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from safetensors.torch import save_file

from pvbench.backbone import STYLES, Backbone, backbone_loader, load_backbone
from pvbench.digest import digest
from pvbench.latent_backbone import LatentBackbone
from pvbench.profile import load_profile
from pvbench.style import Style

TEXT, OTHER = "a woman in a red coat on a beach", "a man in the snow"


class BackboneContract:
    """Tests of one backbone. Set `profile_name`, or override the fixture `backbone`.

    Attributes:
        tolerance: how far values may lie apart that are computed in another way, such as frames that are decoded one
            by one; a share of their standard deviation.
    """

    profile_name: ClassVar[str] = "mini"
    tolerance: ClassVar[float] = 1e-3

    @pytest.fixture(scope="class")
    @classmethod
    def backbone(cls) -> Backbone:
        """The backbone, on the CPU."""
        return load_backbone(load_profile(cls.profile_name), "cpu")

    @pytest.fixture
    def latents(self, backbone: Backbone) -> LatentBackbone:
        """The backbone as methods that tune see it, without any adapter."""
        if not isinstance(backbone, LatentBackbone):
            pytest.skip("not a LatentBackbone")
        backbone.reset()
        return backbone

    def near(self, one: torch.Tensor, other: torch.Tensor) -> bool:
        """Whether two tensors agree within the tolerance."""
        return bool((one - other).abs().max() <= self.tolerance * float(other.std()))

    # Every backbone

    def test_the_signature_can_be_digested_and_is_the_same_each_time(self, backbone: Backbone) -> None:
        """It is part of every key."""
        assert digest(backbone.signature) == digest(backbone.signature)
        profile = load_profile(self.profile_name)
        loader = backbone_loader(profile)
        assert digest(loader.signature(profile)) == digest(loader.signature(profile))

    def test_a_video_has_the_profiles_size(self, backbone: Backbone) -> None:
        """Frames, sides and rate."""
        video, sampling = backbone.sample(TEXT, 1), backbone.sampling
        assert video.frames.shape == (sampling.frames, sampling.height, sampling.width, 3)
        assert video.fps == sampling.fps

    def test_a_video_rests_on_its_text_and_its_seed(self, backbone: Backbone) -> None:
        """The same both give the same bytes, whatever was made in between."""
        first = backbone.sample(TEXT, 1)
        others = backbone.sample(TEXT, 2), backbone.sample(OTHER, 1)
        assert first.digest not in {other.digest for other in others}
        assert backbone.sample(TEXT, 1).digest == first.digest

    # Words and latents

    def test_a_text_is_encoded_once(self, latents: LatentBackbone) -> None:
        """And `prepare` is an encoding ahead of time."""
        latents.prepare([OTHER])
        assert latents.encode(TEXT) is latents.encode(TEXT)
        assert latents.encode(TEXT).text == TEXT

    def test_noise_has_the_latents_shape_and_rests_on_its_seed(self, latents: LatentBackbone) -> None:
        """On both sides; a picture has one point in time."""
        for side in ("video", "image"):
            noise = latents.noise(3, side)
            assert noise.shape == (1, *latents.latent_shape(side))
            assert noise.dtype == torch.float32
            assert torch.equal(noise, latents.noise(3, side))
            assert not torch.equal(noise, latents.noise(4, side))
        assert latents.latent_shape("image")[1] == 1

    def test_correlated_noise_begins_with_the_same_draws(self, latents: LatentBackbone) -> None:
        """Its first frame is that of the plain noise; the others rest on it, the more the higher the correlation."""
        plain, some, more = (latents.noise(3, correlation=value) for value in (0.0, 0.3, 0.9))
        assert torch.equal(plain, latents.noise(3))
        assert some.shape == plain.shape
        torch.testing.assert_close(some[:, :, 0], plain[:, :, 0])
        if plain.shape[2] > 1:

            def change(noise: torch.Tensor) -> float:
                return float(noise.diff(dim=2).square().mean())

            assert change(more) < change(some) < change(plain)

    def test_noise_levels_fall_to_nothing(self, latents: LatentBackbone) -> None:
        """From the first step to the end."""
        levels = [latents.level(step) for step in range(latents.steps + 1)]
        assert all(high > low for high, low in pairwise(levels))
        assert levels[0] <= 1
        assert levels[-1] == 0

    def test_steps_are_counted_by_the_caller(self, latents: LatentBackbone) -> None:
        """A trajectory in pieces ends where the whole one ends, and the same call twice gives the same."""
        words, noise, middle = latents.encode(TEXT), latents.noise(3), latents.steps // 2
        with torch.no_grad():
            whole = latents.denoise(noise, words)
            half = latents.denoise(noise, words, 0, middle)
            assert torch.equal(latents.denoise(half, words, middle), whole)
            assert torch.equal(latents.denoise(half, words, middle), whole)

    def test_the_last_step_predicts_what_comes_out(self, latents: LatentBackbone) -> None:
        """`clean` of all steps is the noiseless end."""
        words, noise = latents.encode(TEXT), latents.noise(3)
        with torch.no_grad():
            assert self.near(latents.clean(noise, words, 0, latents.steps), latents.denoise(noise, words))

    def test_noise_is_added_by_the_level(self, latents: LatentBackbone) -> None:
        """`level` is the noise's share of the amplitude."""
        clean, noise = latents.noise(1), latents.noise(2)
        for step in range(latents.steps):
            added = latents.noised(torch.zeros_like(clean), step, noise)
            assert self.near(added, latents.level(step) * noise)
            both = latents.noised(clean, step, noise)
            assert both.shape == clean.shape
        assert not torch.equal(both, added), "the last step is given nothing of the latent"

    # Pixels

    def test_frame_groups_hold_every_frame_once(self, latents: LatentBackbone) -> None:
        """In order."""
        frames = [frame for group in latents.frame_groups for frame in group]
        assert frames == list(range(latents.sampling.frames))

    def test_chosen_frames_are_those_of_the_whole_video(self, latents: LatentBackbone) -> None:
        """In the order that was asked for."""
        noise = latents.noise(3)
        with torch.no_grad():
            whole = latents.decode(noise)
            assert whole.shape == (latents.sampling.frames, 3, latents.sampling.height, latents.sampling.width)
            chosen = [latents.sampling.frames - 1, 0, latents.sampling.frames // 2]
            assert self.near(latents.decode(noise, chosen), whole[chosen])

    def test_images_become_latents_and_come_back_as_images(self, latents: LatentBackbone) -> None:
        """Several at once."""
        sampling = latents.sampling
        images = torch.rand(2, 3, sampling.height, sampling.width, generator=torch.Generator().manual_seed(0)) * 2 - 1
        encoded = latents.encode_images(images)
        assert encoded.shape == (2, *latents.latent_shape("image"))
        with torch.no_grad():
            assert latents.decode(encoded, side="image").shape == images.shape

    def test_a_loss_of_pixels_has_the_plain_gradient(self, latents: LatentBackbone) -> None:
        """Through the freed graph as through the whole one."""
        noise, frames = latents.noise(3), [latents.frame_groups[-1][0], latents.frame_groups[-1][-1]]
        wanted = torch.rand(2, 3, latents.sampling.height, latents.sampling.width)
        gradients = []
        for through in (True, False):
            leaf = noise.clone().requires_grad_(True)
            latent = 0.5 * leaf

            def score(images: torch.Tensor) -> torch.Tensor:
                return (images - wanted).square().mean()

            loss = latents.through_pixels(latent, frames, score) if through else score(latents.decode(latent, frames))
            loss.backward()
            assert leaf.grad is not None
            gradients.append(leaf.grad)
        assert self.near(*gradients)
        assert float(gradients[1].abs().max()) > 0

    # Reconstruction

    def test_training_errors_rest_on_the_generator(self, latents: LatentBackbone) -> None:
        """Element by element, none below zero, and the same from the same draws."""
        words = [latents.encode(TEXT), latents.encode(OTHER), latents.encode(TEXT)]
        clean = torch.cat([latents.noise(seed, "image") for seed in range(3)])
        with torch.no_grad():
            first, again, other = (
                latents.errors(clean, words, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
            )
        assert first.shape == clean.shape
        assert bool((first >= 0).all())
        assert torch.equal(first, again)
        assert not torch.equal(first, other)

    # Adapters

    def test_a_new_adapter_changes_nothing_yet(self, latents: LatentBackbone) -> None:
        """Its second matrices are zero."""
        before = self.end(latents)
        parameters = self.add(latents)
        assert parameters
        assert all(parameter.requires_grad for parameter in parameters)
        assert self.near(self.end(latents), before)

    def test_an_adapter_is_drawn_from_the_generator(self, latents: LatentBackbone) -> None:
        """And from nothing else."""
        drawn = []
        for seed in (0, 0, 1):
            self.add(latents, seed)
            drawn.append(latents.lora_values())
        assert all(torch.equal(drawn[0][name], drawn[1][name]) for name in drawn[0])
        assert any(not torch.equal(drawn[0][name], drawn[2][name]) for name in drawn[0])

    def test_an_adapter_is_off_where_that_is_asked_and_gone_when_removed(self, latents: LatentBackbone) -> None:
        """The model is then what it was."""
        before = self.end(latents)
        self.learn(latents)
        tuned = self.end(latents)
        assert not self.near(tuned, before)
        with latents.without_lora():
            assert torch.equal(self.end(latents), before)
        assert torch.equal(self.end(latents), tuned)
        latents.remove_lora()
        assert torch.equal(self.end(latents), before)

    def test_a_saved_adapter_does_what_it_did(self, latents: LatentBackbone) -> None:
        """But for half precision; its scale is in the tensors."""
        self.learn(latents, alpha=8.0)
        tuned, tensors = self.end(latents), latents.lora_tensors(8.0, 4)
        before = self.end_without(latents)
        latents.load_lora(tensors)
        again = self.end(latents)
        assert float((again - tuned).abs().mean()) < 0.05 * float((tuned - before).abs().mean())

    def test_an_adapter_moves_to_another_by_its_values(self, latents: LatentBackbone) -> None:
        """As from the side of images to that of videos."""
        self.learn(latents)
        values, tuned = latents.lora_values(), self.end(latents)
        latents.add_lora(4, 4.0, next(iter(latents.targets)), torch.Generator().manual_seed(9), values)
        assert torch.equal(self.end(latents), tuned)

    def test_two_adapters_are_told_apart_by_name(self, latents: LatentBackbone) -> None:
        """The one that is not named stays on."""
        self.learn(latents, name="style")
        style = self.end(latents)
        self.learn(latents, seed=1)
        both = self.end(latents)
        assert not self.near(both, style)
        with latents.without_lora():
            assert torch.equal(self.end(latents), style)
        latents.remove_lora(name="identity")
        assert torch.equal(self.end(latents), style)

    def test_gradients_reach_every_tensor_of_an_adapter(self, latents: LatentBackbone) -> None:
        """Through the last step and the pixels, all of them finite."""
        parameters = self.learn(latents)
        words, last = latents.encode(TEXT), latents.steps - 1
        with torch.no_grad():
            latent = latents.denoise(latents.noise(3), words, 0, last)
        latent = latents.denoise(latent, words, last)
        frames = list(latents.frame_groups[0][:2])
        latents.through_pixels(latent, frames, lambda images: images.square().mean()).backward()
        gradients = [parameter.grad for parameter in parameters]
        assert all(gradient is not None and bool(gradient.isfinite().all()) for gradient in gradients)
        assert all(gradient is not None and float(gradient.abs().max()) > 0 for gradient in gradients)

    def test_a_reset_leaves_the_model_as_it_was_loaded(self, latents: LatentBackbone) -> None:
        """Whatever was put in, on either side."""
        before, picture = self.end(latents), self.picture(latents)
        self.learn(latents)
        generator = torch.Generator().manual_seed(0)
        for value in latents.add_lora(2, 2.0, next(iter(latents.targets)), generator, side="image", name="b"):
            value.data.normal_(0, 0.3, generator=generator)
        assert not torch.equal(self.picture(latents), picture), "an adapter of pictures changes no picture"
        latents.reset()
        assert torch.equal(self.end(latents), before)
        assert torch.equal(self.picture(latents), picture)

    def test_a_style_outlasts_what_methods_put_in_and_is_gone_when_taken_off(
        self, latents: LatentBackbone, tmp_path: Path
    ) -> None:
        """It acts in the span of the identity's adapter and outside of it, and a reset leaves it."""
        if STYLES not in backbone_loader(load_profile(self.profile_name)).offers:
            pytest.skip("takes no styles")
        before = self.end(latents)
        self.learn(latents)
        identity = self.end(latents)
        made = latents.lora_tensors(4.0, 4)
        latents.reset()
        save_file(
            {key: -value if "lora_B" in key else value for key, value in made.items()}, tmp_path / "a.safetensors"
        )
        style = Style("ink", lora=tmp_path / "a.safetensors")
        try:
            latents.wear(style)
            drawn = self.end(latents)
            assert not self.near(drawn, before)
            latents.reset()
            latents.wear(style)
            assert torch.equal(self.end(latents), drawn)
            self.learn(latents, seed=1)
            assert not self.near(self.end(latents), drawn)
            assert not self.near(self.end(latents), identity)
            with latents.without_lora():
                assert torch.equal(self.end(latents), drawn)
            latents.remove_lora()
            assert torch.equal(self.end(latents), drawn)
            latents.wear(Style("faint", lora=style.lora, scale=1e-4))
            assert not self.near(self.end(latents), drawn)
        finally:
            latents.wear(None)
        assert torch.equal(self.end(latents), before)

    def add(
        self, latents: LatentBackbone, seed: int = 0, alpha: float = 4.0, name: str = "identity"
    ) -> list[torch.nn.Parameter]:
        """An adapter of rank 4 on the first targets."""
        generator = torch.Generator().manual_seed(seed)
        return latents.add_lora(4, alpha, next(iter(latents.targets)), generator, name=name)

    def learn(
        self, latents: LatentBackbone, seed: int = 0, alpha: float = 4.0, name: str = "identity"
    ) -> list[torch.nn.Parameter]:
        """An adapter that does something."""
        generator = torch.Generator().manual_seed(seed)
        parameters = self.add(latents, seed, alpha, name)
        for parameter in parameters:
            parameter.data.normal_(0, 0.2, generator=generator)
        return parameters

    @torch.no_grad()
    def end(self, latents: LatentBackbone) -> torch.Tensor:
        """What the last step predicts from noise, with whatever adapters there are."""
        words, last = latents.encode(TEXT), latents.steps - 1
        return latents.clean(latents.noise(5), words, last, last + 1)

    @torch.no_grad()
    def picture(self, latents: LatentBackbone) -> torch.Tensor:
        """The same of a picture."""
        words, last = latents.encode(TEXT), latents.steps - 1
        return latents.clean(latents.noise(5, "image"), words, last, last + 1, "image")

    def end_without(self, latents: LatentBackbone) -> torch.Tensor:
        """The same without the identity's adapter."""
        with latents.without_lora():
            return self.end(latents)
