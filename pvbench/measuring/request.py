"""What is to be measured, and how: a request, before anything is looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pvbench.errors import MethodError, ProfileError
from pvbench.measuring.imported import Given, Problem
from pvbench.method import METHODS, Role
from pvbench.metrics import PAPER
from pvbench.profile import Profile
from pvbench.store import Store

EMBEDDING = "video/embedding"
"""What FVD compares."""

FEWEST_IN_A_SET = 2

_RENDERED = "rendered"


@dataclass(frozen=True)
class MeasureRequest:
    """What is to be measured, and how.

    Attributes:
        sources: folders and manifests.
        metrics: names; all by default.
        optional: those of them that are left out where their weights are missing, as of a whole protocol.
        root: the folder that manifests' paths may not leave; each manifest's own by default.
        reference: FVD's reference set: a folder of videos, `rendered` for the mini world's, empty for the profile's
            own choice.
        allow_partial: go on without the videos that have problems.
        workers: processes; None for one a core, or one a GPU.
        executor: where workers are: processes on this machine, or what Ray places on a cluster, whose nodes must see
            the videos, the photos and `out` at the same paths.
        address: the cluster's, for Ray alone; by default RAY_ADDRESS, else Ray is started for as long as it lasts.
        command: what makes this report again.
    """

    sources: tuple[Path, ...]
    profile: Profile
    out: Path
    metrics: tuple[str, ...] = PAPER
    given: Given = field(default_factory=Given)
    identities: Path | None = None
    root: Path | None = None
    reference: str = ""
    allow_partial: bool = False
    device: str = "auto"
    workers: int | None = None
    executor: Literal["local", "ray"] = "local"
    address: str | None = None
    command: str = ""
    optional: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reported:
    """A report that was written.

    Attributes:
        failed: how many videos have no number.
        problems, notes: those that showed only when the videos had been looked at.
    """

    files: tuple[Path, ...]
    failed: int
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()


def runs_among(order: MeasureRequest) -> list[Store]:
    """The run folders among the sources, whose features are known."""
    return [Store(source) for source in order.sources if (source / "plan.json").is_file()]


def takes_renderings(order: MeasureRequest) -> bool:
    """Whether FVD's reference set is the miniature world's own."""
    if order.reference == _RENDERED and not order.profile.is_miniature:
        raise ProfileError(
            f"--reference rendered is for the miniature world; the profile {order.profile.name!r} takes "
            f"a folder of videos"
        )
    return order.profile.is_miniature and order.reference in ("", _RENDERED)


def role_of(name: str) -> Role:
    """The role of the installed method that videos are named after; they compete where there is none."""
    if name not in METHODS.names():
        return "method"
    try:
        return METHODS.get(name).role
    except MethodError:
        return "method"
