"""The semantic consistency reward (SCR): frames match the prompt as the frozen model's frames do."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from pvbench.features.clip import ClipModel


class SemanticReward:
    """A preference-tuned CLIP, frozen.

    Source: PersonalVideo, eq. 3 and 4: a softmax over M frames' scores, and the KL divergence of the tuned model's
    from the frozen model's. The scores are raw cosines, over which a softmax is nearly uniform, so `temperature`
    multiplies them; 100 is CLIP's own logit scale.
    """

    def __init__(self, model: ClipModel) -> None:
        self.model = model

    @classmethod
    def load(cls, weights: Path, device: torch.device) -> SemanticReward:
        """The mini network out of a folder of weights."""
        return cls(ClipModel.load(weights, "reward", device))

    def scores(self, images: Tensor, text: str) -> Tensor:
        """Cosine (n,) of each image to the text; differentiable."""
        with torch.no_grad():
            wanted = self.model.texts([text])[0]
        return self.model.images(images) @ wanted


def divergence(tuned: Tensor, frozen: Tensor, temperature: float) -> Tensor:
    """KL(softmax(tuned) || softmax(frozen)) over the frames (M,), in nats; 0 where the scores differ by a constant."""
    target = torch.log_softmax(temperature * tuned, dim=-1)
    source = torch.log_softmax(temperature * frozen.detach(), dim=-1)
    return (target.exp() * (target - source)).sum()


def shortfall(tuned: Tensor, frozen: Tensor, temperature: float) -> Tensor:
    """Mean loss of match per frame, in logits, zero where the tuned frames match as well or better.

    The divergence cannot see a match that falls in all frames alike; this can.
    """
    return (temperature * (frozen.detach() - tuned)).clamp(min=0).mean()
