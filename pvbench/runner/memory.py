"""Whether the GPU has the memory that a run's rows take, known before anything is tuned."""

from __future__ import annotations

from typing import Any

from pvbench.backbone import backbone_loader
from pvbench.errors import DeviceError
from pvbench.machine.devices import memory_of
from pvbench.method import Method
from pvbench.profile import Profile
from pvbench.reward import IDENTITY_REWARD
from pvbench.runner.plan import Plan

_GIB = 1024**3


def expected_gib(plan: Plan) -> dict[str, float]:
    """By row, about how much memory of a GPU it takes; rows of which that is little or not known are left out.

    Raises:
        WeightsError: a file of the backbone is missing.
    """
    needs = {variant.label: row_gib(variant.cls, variant.settings, plan.profile) for variant in plan.variants}
    return {label: need for label, need in needs.items() if need}


def expected_host_gib(plan: Plan) -> dict[str, float]:
    """By row that tunes with gradients in the host's memory, about how much of that a worker takes.

    Raises:
        WeightsError: a file of the backbone is missing.
    """
    rows = [one for one in plan.variants if one.cls.uses_backbone and _rewarded(one.cls, one.settings)]
    needs = {one.label: backbone_loader(plan.profile).host_gib(plan.profile) for one in rows}
    return {label: need for label, need in needs.items() if need}


def row_gib(cls: type[Method], settings: Any, profile: Profile) -> float:
    """About how much memory of a GPU a row takes; 0 where neither the backbone nor the method says.

    A row that tunes by an identity reward carries gradients through sampled videos, which takes the most.

    Raises:
        WeightsError: a file of the backbone is missing.
    """
    own = cls.gpu_gib(settings)
    if not cls.uses_backbone:
        return own
    return own + backbone_loader(profile).memory_gib(profile, gradient=_rewarded(cls, settings))


def _rewarded(cls: type[Method], settings: Any) -> bool:
    """Whether a row carries gradients through sampled videos."""
    return cls.tunes and IDENTITY_REWARD in cls.asks(settings)


def gpu_gib() -> float:
    """GiB of the GPU that this process sees first."""
    return memory_of("cuda") / _GIB


def check_memory(plan: Plan, device: str, have: float | None = None) -> None:
    """Refuses a run that the device cannot hold.

    Args:
        have: GiB of the device; asked of it by default.

    Raises:
        DeviceError: rows are expected to take more than the GPU has.
    """
    if not device.startswith("cuda"):
        return
    expected = expected_gib(plan)
    if not expected:
        return
    have = memory_of(device) / _GIB if have is None else have
    short = {label: need for label, need in expected.items() if need > have}
    if short:
        sampling = plan.profile.sampling
        rows = ", ".join(f"{label} about {need:.0f} GiB" for label, need in short.items())
        raise DeviceError(
            f"{device} has {have:.0f} GiB of memory; at {sampling.frames} frames of {sampling.height} x "
            f"{sampling.width} pixels {rows} are expected: lower frames, height or width in the profile's [sampling] "
            f'(a LoRA knows no size), set checkpointing to true or "host", leave these rows out, or take a larger GPU'
        )
