"""Backbones whose steps are DDIM's: taken by index, along any falling list of time steps."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from pvbench.backbones.stepped import SteppedBackbone
from pvbench.backbones.steps import DdimSteps


class DdimBackbone(SteppedBackbone):
    """A diffusion model around a pipeline of diffusers, whose scheduler names the noise levels.

    Attributes:
        pipe: its `scheduler` is a DDIM scheduler, of any family.
    """

    pipe: Any

    @cached_property
    def schedule(self) -> DdimSteps:
        """The noise levels of the steps, and what one step does to a latent."""
        return DdimSteps.of(self.pipe.scheduler, self.sampling.steps, self.sampling.shift, self.device)
