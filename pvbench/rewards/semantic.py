"""The semantic consistency reward (SCR): frames match the prompt as the frozen model's frames do."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from pvbench.features.published.open_clip_model import OpenClip, hps_prepared
from pvbench.reward import SemanticReward


@runtime_checkable
class PreferenceModel(Protocol):
    """A preference-tuned CLIP, frozen; embeddings (n, E) have length 1."""

    def images(self, images: Float[Tensor, "n 3 H W"]) -> Float[Tensor, "n d"]:
        """Of images (n, 3, H, W) in [-1, 1]; differentiable."""
        ...

    def texts(self, texts: list[str]) -> Float[Tensor, "n d"]:
        """Of texts; what is beyond the context is cut off."""
        ...


class HpsModel:
    """HPSv2 under the pictures of a sampler.

    Source: hpsv2 1.2.0; what it embeds is what the metric `hps_score` embeds, with gradient and without rounding to
    whole levels.
    """

    def __init__(self, network: OpenClip) -> None:
        self.network = network

    def images(self, images: Float[Tensor, "n 3 H W"]) -> Float[Tensor, "n d"]:
        """Unit features (n, d) of pictures (n, 3, H, W) in -1..1, with gradient."""
        return self.network.images(hps_prepared((images + 1) / 2, self.network.side))

    def texts(self, texts: list[str]) -> Float[Tensor, "n d"]:
        """Unit features (n, d) of prompts."""
        return torch.from_numpy(self.network.texts(texts)).to(self.network.device)


class PreferenceReward(SemanticReward):
    """How well pictures match a prompt, by a preference-tuned CLIP.

    Source: PersonalVideo, eq. 3 and 4: a softmax over M frames' scores, and the KL divergence of the tuned model's
    from the frozen model's. The scores are raw cosines, over which a softmax is nearly uniform, so `temperature`
    multiplies them; 100 is CLIP's own logit scale.
    """

    def __init__(self, model: PreferenceModel) -> None:
        self.model = model

    def scores(self, images: Float[Tensor, "n 3 H W"], text: str) -> Float[Tensor, " n"]:
        """Cosine (n,) of each image to the text; differentiable."""
        with torch.no_grad():
            wanted = self.model.texts([text])[0]
        return self.model.images(images) @ wanted
