"""MagicMe learns words on the person's pixels only: contract, mask, noise prior, and bugs that it must not have."""

import numpy as np
import pytest
import torch
from short_contract import ShortContract

from pvbench.errors import MethodError, SettingError
from pvbench.identity import load_identities
from pvbench.method import Adapter, request_for
from pvbench.methods.magicme import CAPTION, MagicMe, MagicMeSettings, masked_mean, part_around
from pvbench.pixels import photo_tensor
from pvbench.prompt import load_prompts
from pvbench.reward import PersonSegmenter
from pvbench.video import Video

EVALUATION = load_prompts("mini_evaluation").prompts
SIMULATED = load_prompts("mini_simulated")


class TestContract(ShortContract):
    method = MagicMe
    settings = {"steps": 2}  # noqa: RUF012


class Left(PersonSegmenter):
    """The person is the left half of every picture."""

    def person(self, images):
        return (
            (torch.arange(images.shape[-1]) < images.shape[-1] // 2).float().expand(len(images), 1, *images.shape[2:])
        )

    def head(self, images):
        return self.person(images)


class Nobody(Left):
    def person(self, images):
        return torch.zeros_like(images[:, :1])


def test_defaults_are_the_published_ones():
    published = MagicMeSettings()
    assert (published.token_words, published.steps, published.rate, published.batch) == (4, 400, 1e-3, 4)
    assert (published.decay, published.whole, published.mirror, published.correlation) == (1e-2, 0.05, 0.5, 0.05)
    assert CAPTION.render("man", "<ada>") == "photo of a <ada> man"


def test_it_reconstructs_the_person_better_than_at_first(make, ada, quiet):
    """Under the same noise, on the photos as they are."""

    def error(adapter):
        method = make("magicme")
        images = photo_tensor(ada.references(), 64, 64, method.backbone.device)
        masks = method._masks(images, ada)
        latents = method.backbone.encode_images(images)
        text, generator = CAPTION.render("woman", "<ada> <ada>_1 <ada>_2 <ada>_3"), torch.Generator().manual_seed(7)
        with torch.no_grad():
            words = [method.backbone.encode(text, adapter.tokens)] * len(images)
            drawn = [masked_mean(method.backbone.errors(latents, words, generator), masks) for _ in range(12)]
        return float(torch.cat(drawn).mean())

    first, last = (
        make("magicme", steps=steps, rate=rate).tune(ada, SIMULATED, seed=0, progress=quiet)
        for steps, rate in ((1, 1e-9), (50, 2e-2))
    )
    assert error(last) < 0.99 * error(first)
    assert last.tokens["<ada>"].shape == (4, 128)
    # Nothing of the network is changed.
    assert last.tensors == {}
    assert 0.2 < last.info["person_share"] < 0.9


class TestTheMask:
    def test_only_what_counts_is_counted(self):
        errors = torch.zeros(2, 3, 1, 4, 4)
        errors[0, :, :, :, 2:] = 7.0  # outside of the mask of the first
        errors[1, :, :, :, :2] = 3.0
        counts = Left().person(torch.zeros(2, 3, 16, 16))
        assert masked_mean(errors, counts).tolist() == pytest.approx([0.0, 3.0])

    def test_a_mask_of_everything_is_the_plain_mean(self):
        errors = torch.rand(3, 5, 1, 4, 4)
        plain = errors.flatten(1).mean(dim=1)
        torch.testing.assert_close(masked_mean(errors, torch.ones(3, 1, 16, 16)), plain)

    def test_a_channel_more_counts_no_more(self):
        """The published code multiplies a mask of three channels with four latent ones."""
        errors = torch.rand(1, 4, 1, 4, 4).expand(2, 4, 1, 4, 4)
        counts = Left().person(torch.zeros(2, 3, 16, 16))
        once = masked_mean(errors, counts)
        torch.testing.assert_close(masked_mean(errors.repeat(1, 3, 1, 1, 1), counts), once)

    def test_an_empty_mask_costs_nothing_and_is_finite(self):
        found = masked_mean(torch.rand(1, 4, 1, 4, 4), torch.zeros(1, 1, 16, 16))
        assert found.tolist() == [0.0]

    def test_the_loss_of_a_tuning_is_masked_by_the_segmenter(self, make, ada, quiet, monkeypatch):
        still = {"steps": 2, "turn": 0.0, "smallest": 1.0, "largest": 1.0, "whole": 0.0, "mirror": 0.0}
        method, counted = make("magicme", **still), []
        method._segmenter = Left()
        monkeypatch.setattr(
            "pvbench.methods.magicme.masked_mean",
            lambda errors, counts: counted.append(counts) or masked_mean(errors, counts),
        )
        method.tune(ada, SIMULATED, seed=0, progress=quiet)
        assert all(float(counts[..., 33:].abs().max()) == 0 for counts in counted)
        assert all(float(counts[..., :31].min()) == pytest.approx(1) for counts in counted)

    def test_a_photo_without_a_person_is_named(self, make, ada, quiet):
        method = make("magicme", steps=1)
        method._segmenter = Nobody()
        with pytest.raises(MethodError, match=r"no person is found in .*reference_1\.jpg"):
            method.tune(ada, SIMULATED, seed=0, progress=quiet)

    def test_without_a_mask_no_segmenter_is_asked_for(self, make, ada, quiet):
        method = make("magicme", steps=1, mask=False)
        method._segmenter = Nobody()
        assert method.tune(ada, SIMULATED, seed=0, progress=quiet).info["person_share"] == 1
        assert "reward.segmenter" not in MagicMe.asks(MagicMeSettings(mask=False))
        assert "reward.segmenter" in MagicMe.asks(MagicMeSettings())


class TestTheAugmentation:
    def shown(self, make, ada, **settings):
        still = {"turn": 0.0, "smallest": 1.0, "largest": 1.0, "whole": 0.0, "mirror": 0.0}
        method = make("magicme", **{**still, **settings})
        images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
        masks = Left().person(images)
        return images, masks, *method._augmented(images, masks, torch.Generator().manual_seed(1))

    def test_nothing_is_changed_where_nothing_is_asked_for(self, make, ada):
        images, masks, seen, counts = self.shown(make, ada)
        torch.testing.assert_close(seen, images, rtol=0, atol=1e-5)
        torch.testing.assert_close(counts, masks, rtol=0, atol=1e-5)

    def test_a_mirrored_photo_has_a_mirrored_mask(self, make, ada):
        images, masks, seen, counts = self.shown(make, ada, mirror=1.0)
        torch.testing.assert_close(seen, images.flip(-1), rtol=0, atol=1e-5)
        torch.testing.assert_close(counts, masks.flip(-1), rtol=0, atol=1e-5)

    def test_a_smaller_photo_stands_on_grey_that_does_not_count(self, make, ada):
        _, _, seen, counts = self.shown(make, ada, smallest=0.5, largest=1.0, whole=1.0)
        small = [i for i in range(4) if float(counts[i].mean()) < 0.9]
        assert small
        for i in small:
            outside = counts[i, 0] == 0
            assert outside.any()
            assert float(seen[i][:, outside].abs().max()) == 0

    def test_turns_are_as_wide_as_asked_for(self, make, ada):
        """The published code turns in 70 % of cases where its setting says 30."""
        _, _, plain, _ = self.shown(make, ada)
        _, _, turned, _ = self.shown(make, ada, turn=8.0)
        assert float((plain - turned).abs().mean()) > 0.01


class TestTheVectors:
    def test_only_the_words_are_changed_and_decay(self, make, ada, quiet):
        """The published code lets AdamW shrink the whole table of words."""
        method = make("magicme", steps=2)
        table = method.backbone.word_vectors("woman beach red").clone()
        method.tune(ada, SIMULATED, seed=0, progress=quiet)
        assert torch.equal(method.backbone.word_vectors("woman beach red"), table)

    def test_fewer_photos_than_a_batch_are_learned_from(self, make, ada, quiet):
        """The published code drops the last batch, and saves words that were never tuned."""
        first = make("magicme", steps=1, references=1).tune(ada, SIMULATED, seed=0, progress=quiet)
        later = make("magicme", steps=3, references=1).tune(ada, SIMULATED, seed=0, progress=quiet)
        assert not torch.equal(first.tokens["<ada>"], later.tokens["<ada>"])

    def test_another_seed_gives_other_words(self, make, ada, quiet):
        method = make("magicme", steps=2)
        one, two = (method.tune(ada, SIMULATED, seed=seed, progress=quiet).tokens["<ada>"] for seed in (0, 1))
        assert not torch.equal(one, two)

    def test_words_are_read_by_diffusers_as_other_learned_words_are(self, make, ada, quiet, tmp_path):
        from safetensors.torch import load_file

        from pvbench.method import load_adapter, save_adapter, tokens_path

        adapter = make("magicme", steps=1).tune(ada, SIMULATED, seed=0, progress=quiet)
        save_adapter(tmp_path / "ada.safetensors", adapter)
        assert list(load_file(tokens_path(tmp_path / "ada.safetensors"))) == ["<ada>"]
        assert torch.equal(load_adapter(tmp_path / "ada.safetensors").tokens["<ada>"], adapter.tokens["<ada>"])

    def test_an_adapter_without_words_is_refused(self, make, ada):
        with pytest.raises(MethodError, match="holds no learned words"):
            next(make("magicme").generate(ada, Adapter({}), [request_for(ada, EVALUATION[0], 0)]))


class TestTheNoisePrior:
    def video(self, make, ada, correlation, seed=0):
        adapter = Adapter({}, tokens={"<ada>": torch.zeros(1, 128)}, text_encoder="")
        method = make("magicme", correlation=correlation)
        return next(method.generate(ada, adapter, [request_for(ada, EVALUATION[0], seed)]))

    def test_it_rests_on_the_cells_seed(self, make, ada):
        """The published prior ignores the generator, so that no seed gives the same video again."""
        assert self.video(make, ada, 0.15).digest == self.video(make, ada, 0.15).digest
        assert self.video(make, ada, 0.15).digest != self.video(make, ada, 0.15, seed=1).digest

    def test_without_it_the_noise_is_the_rivals(self, make, ada, monkeypatch):
        asked = []
        method = make("magicme", correlation=0.0)
        noise = method.backbone.noise
        monkeypatch.setattr(
            method.backbone, "noise", lambda seed, **given: asked.append(noise(seed, **given)) or asked[-1]
        )
        self.video(make, ada, 0.0)
        torch.testing.assert_close(asked[0], noise(request_for(ada, EVALUATION[0], 0).noise_seed), rtol=0, atol=0)

    def test_more_of_it_makes_frames_more_alike(self, make, ada):
        def change(correlation):
            return float(np.abs(np.diff(self.video(make, ada, correlation).frames.astype(float), axis=0)).mean())

        assert change(0.9) < change(0.0)


class TestTheSecondStage:
    def video(self, make, ada, segmenter=Left, **settings):
        method = make("magicme", correlation=0.0, **settings)
        method._segmenter = segmenter()
        adapter = Adapter({}, tokens={"<ada>": method.backbone.word_vectors("woman")}, text_encoder="")
        return next(method.generate(ada, adapter, [request_for(ada, EVALUATION[0], 0)]))

    def test_the_head_is_made_again_and_nothing_else(self, make, ada):
        """The head is the left half here; its edge is one pixel wide."""
        before, after = self.video(make, ada), self.video(make, ada, face_vcd=True)
        changed = np.abs(before.frames.astype(int) - after.frames)
        assert changed[:, :, 34:].max() == 0
        assert changed[:, :, :30].mean() > 2

    def test_more_of_the_steps_change_more(self, make, ada):
        before = self.video(make, ada).frames.astype(int)
        changes = [
            np.abs(self.video(make, ada, face_vcd=True, face_denoise=share).frames - before).mean()
            for share in (0.25, 0.8)
        ]
        assert 0 < changes[0] < changes[1]

    def test_it_starts_from_noise_of_its_own_that_rests_on_the_cells_seed(self, make, ada, monkeypatch):
        again = [self.video(make, ada, face_vcd=True).digest for _ in range(2)]
        assert again[0] == again[1]
        method = make("magicme", face_vcd=True)
        asked, noise = [], method.backbone.noise
        monkeypatch.setattr(method.backbone, "noise", lambda seed, **given: asked.append(seed) or noise(seed, **given))
        self.video(make, ada, face_vcd=True)
        assert len(set(asked)) == 2

    def test_a_video_without_a_head_stays_as_it_is(self, make, ada):
        assert self.video(make, ada, segmenter=Nobody, face_vcd=True).digest == self.video(make, ada).digest

    def test_a_backbone_with_one_latent_for_several_frames_is_refused(self, make, ada, monkeypatch):
        method = make("magicme")
        monkeypatch.setattr(method.backbone, "latent_shape", lambda side="video": (4, 2, 8, 8), raising=False)
        with pytest.raises(MethodError, match="a latent for each frame"):
            method._nearer(Video(np.zeros((4, 64, 64, 3), np.uint8), 8.0), "a woman", {}, 0)

    def test_it_asks_for_a_segmenter_without_a_mask_too(self):
        assert "reward.segmenter" in MagicMe.asks(MagicMeSettings(mask=False, face_vcd=True))


@pytest.mark.parametrize(
    ("places", "crop", "expected"),
    [
        ([(10, 8), (29, 15)], 1.0, (slice(10, 30), slice(7, 17))),  # half of the frame's height, and so of its width
        ([(10, 8), (29, 15)], 1.5, (slice(5, 35), slice(4, 19))),
        ([(0, 0)], 10.0, (slice(0, 20), slice(0, 10))),  # within the frame
        ([(39, 19)], 10.0, (slice(20, 40), slice(10, 20))),
        ([(0, 0), (39, 19)], 2.0, (slice(0, 40), slice(0, 20))),
        ([], 2.0, None),
    ],
)
def test_a_part_of_the_frames_shape_holds_all_places_of_the_head(places, crop, expected):
    heads = torch.zeros(2, 1, 40, 20, dtype=torch.bool)
    for frame, (row, column) in enumerate(places):
        heads[frame, 0, row, column] = True
    found = part_around(heads, crop)
    assert (found and found[1:]) == expected


def test_more_photos_than_there_are_are_refused(ada, short_profile):
    with pytest.raises(SettingError, match="references is 9; identity 'ada' has 5 photos"):
        MagicMe.check(MagicMeSettings(references=9), short_profile, load_identities(["ada"]), SIMULATED)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"token_words": 0}, "token_words must be positive"),
        ({"token_words": 9}, "at most 8"),
        ({"rate": 0.0}, "rate must be positive"),
        ({"correlation": 1.0}, "correlation is 1.0; expected a number from 0 to below 1"),
        ({"correlation": -0.1}, "correlation cannot be negative"),
        ({"whole": 1.5}, "whole is 1.5; expected a probability"),
        ({"smallest": 1.2}, "expected 1 between them"),
        ({"largest": 0.9}, "expected 1 between them"),
        ({"face_denoise": 0.0}, "face_denoise is 0.0; expected a share of the steps, above 0"),
        ({"face_denoise": 1.1}, "face_denoise is 1.1; expected a share of the steps, above 0 and up to 1"),
        ({"face_crop": 0.5}, "face_crop is 0.5; expected at least 1"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        MagicMeSettings(**settings)
