"""`pvbench list` and `pvbench doctor`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from pvbench.cli.options import DeviceOption, ProfileOption, RunWeightsOption, SplitOption, console
from pvbench.errors import PvbenchError


def list_(
    what: Annotated[
        Literal[
            "methods", "identities", "prompts", "metrics", "profiles", "studies", "backbones", "rewards", "evaluators"
        ],
        typer.Argument(help="Which kind of thing."),
    ],
    profile: ProfileOption = "mini",
    split: SplitOption = "benchmark",
) -> None:
    """Show what is installed."""
    from pvbench import listing

    console.print(listing.listing(what, profile, split))


def doctor(
    profile: ProfileOption = "mini",
    weights: RunWeightsOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Check that everything a run needs is there and whole: libraries, device, weights, identities, prompts, disk."""
    from pvbench.doctor import examine, findings_table

    findings = examine(profile, device, weights or ())
    console.print(findings_table(findings))
    if any(finding.verdict == "bad" for finding in findings):
        raise typer.Exit(PvbenchError.exit_status)
