"""Every built-in backbone keeps the contract, and a random one of each family is tuned by PersonalVideo."""

from dataclasses import replace

import pytest
import torch
from example_inputs import EXAMPLE_PROFILE

from pvbench.identity import load_identities
from pvbench.method import METHODS, request_for, settings_from
from pvbench.profile import load_profile
from pvbench.prompt import load_prompts
from pvbench.reward import IdentityReward, load_semantic_reward
from pvbench.testing import BackboneContract

SIMULATED = load_prompts("mini_simulated")


class Lighter(IdentityReward):
    """Random networks draw no faces: the nearer to white, the more alike."""

    def reference(self, photos, height, width):
        return None

    def __call__(self, images, reference, jitter, generator):
        return 1 - images.flatten(1).mean(dim=1).tanh()

    def landmarks(self, images):
        return torch.full((len(images), 5, 2), torch.nan)

    def face_mask(self, images):
        return torch.zeros(len(images), 1, *images.shape[2:])


class TestMini(BackboneContract):
    @pytest.fixture(scope="class")
    @classmethod
    def backbone(cls, short_backbone):
        return short_backbone


class TestTinyAnimateDiff(BackboneContract):
    """Loaded out of folders."""

    @pytest.fixture(scope="class")
    @classmethod
    def backbone(cls, tiny_animatediff, checkpoints):
        cls.profile_name = str(checkpoints / "tiny-animatediff.toml")
        return tiny_animatediff


class TestTinyHunyuan(BackboneContract):
    """Loaded out of its folder."""

    @pytest.fixture(scope="class")
    @classmethod
    def backbone(cls, tiny_hunyuan, checkpoints):
        cls.profile_name = str(checkpoints / "tiny-hunyuan.toml")
        return tiny_hunyuan


class TestTinyWan(BackboneContract):
    """Loaded out of its folder."""

    @pytest.fixture(scope="class")
    @classmethod
    def backbone(cls, tiny_wan, checkpoints):
        cls.profile_name = str(checkpoints / "tiny-wan.toml")
        return tiny_wan


class TestTinyWanVace(BackboneContract):
    """Loaded out of its folder."""

    @pytest.fixture(scope="class")
    @classmethod
    def backbone(cls, tiny_vace, checkpoints):
        cls.profile_name = str(checkpoints / "tiny-vace.toml")
        return tiny_vace


class TestTinyCogVideoX(BackboneContract):
    """Loaded out of its folder."""

    @pytest.fixture(scope="class")
    @classmethod
    def backbone(cls, tiny_cogvideox, checkpoints):
        cls.profile_name = str(checkpoints / "tiny-cogvideox.toml")
        return tiny_cogvideox


class TestForeign(BackboneContract):
    """The simplest there is: it samples, and nothing else."""

    profile_name = EXAMPLE_PROFILE


@pytest.mark.parametrize("name", ["tiny_animatediff", "tiny_hunyuan", "tiny_wan", "tiny_cogvideox"])
def test_personalvideo_takes_a_step_and_every_tensor_has_a_finite_gradient(name, request, monkeypatch):
    backbone, gradients = request.getfixturevalue(name), []
    profile = replace(load_profile("mini"), sampling=backbone.sampling)
    cls = METHODS.get("personalvideo")
    settings = {"steps": 2, "prefixes": 1, "token": "rare", "keyword": "ohwx", "rank": 2, "span": 0.5}
    method = cls(settings_from(cls.Settings, settings), backbone, profile)
    method._rewards = Lighter(), load_semantic_reward(profile, "cpu")
    step = torch.optim.AdamW.step
    monkeypatch.setattr(
        torch.optim.AdamW,
        "step",
        lambda self, *rest: (
            gradients.append([one.grad.clone() for group in self.param_groups for one in group["params"]]),
            step(self, *rest),
        )[1],
    )
    ada = load_identities(["ada"])[0]
    adapter = method.tune(ada, SIMULATED, seed=0, progress=lambda *_: None)
    assert len(gradients) == 2
    assert all(bool(one.isfinite().all()) for found in gradients for one in found)
    # After the first step the second matrices are no longer zero, so that all of them are reached.
    assert all(float(one.abs().max()) > 0 for one in gradients[1])
    assert any(float(value.abs().max()) > 0 for key, value in adapter.tensors.items() if "lora_B" in key)
    prompt = load_prompts("mini_evaluation").prompts[0]
    tuned = next(method.generate(ada, adapter, [request_for(ada, prompt, 0)]))
    backbone.reset()
    plain = backbone.sample(prompt.render("woman", "ohwx"), request_for(ada, prompt, 0).noise_seed)
    assert tuned.digest != plain.digest


@pytest.mark.parametrize("name", ["tiny_animatediff", "tiny_hunyuan", "tiny_wan", "tiny_cogvideox"])
def test_dreambooth_reconstructs_photos_on_it(name, request):
    backbone, losses = request.getfixturevalue(name), []
    profile = replace(load_profile("mini"), sampling=backbone.sampling)
    cls = METHODS.get("dreambooth_lora")
    method = cls(settings_from(cls.Settings, {"steps": 2, "token": "none", "references": 1}), backbone, profile)
    ada = load_identities(["ada"])[0]
    adapter = method.tune(ada, SIMULATED, seed=0, progress=lambda *given: losses.append(given[2]["reconstruction"]))
    assert len(losses) == 2
    assert all(bool(value.isfinite().all()) for value in adapter.tensors.values())
