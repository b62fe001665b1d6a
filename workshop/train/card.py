"""The card of a trained model: what it learnt from, how long and where, and what it is worth."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from workshop.train.loop import Plan, Trainer


def write_card(
    folder: Path,
    model: str,
    role: str,
    data: str,
    trainer: Trainer | None,
    plan: Plan,
    quality: Mapping[str, Any],
    before: Path | None = None,
    **more: Any,
) -> None:
    """`card.json` beside the weights: data, steps, seed, hardware, time, quality, licence, and the stages before.

    Args:
        before: folder of the stage that the training began from; by default that of the same name in the place's
            `start`. `earlier_stages` come from its card, the first of them first.
    """
    if before is None and trainer and trainer.place.start and (trainer.place.start / folder.name).is_dir():
        before = trainer.place.start / folder.name
    card = {
        "model": model,
        "role": role,
        "data": data,
        "plan": asdict(plan),
        "steps": trainer.done if trainer else plan.steps,
        "ended_by": "the clock: a repetition takes other steps" if plan.seconds else "the number of steps",
        "seed": plan.seed,
        "hardware": _hardware(trainer),
        "hours": round(trainer.seconds / 3600, 3) if trainer else None,
        "began_from": "earlier weights of the same model" if before else "random values",
        "earlier_stages": _stages(before / "card.json") if before else [],
        "torch": torch.__version__,
        "quality_on_held_out_people": dict(quality),
        "licence": "Apache-2.0 (trained on renderings of CC0 assets only)",
        **more,
    }
    (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n")


def _stages(card: Path) -> list[dict[str, Any]]:
    if not card.is_file():
        return []
    told = json.loads(card.read_text())
    kept = ("data", "steps", "seed", "hardware", "hours", "began_from")
    return [*told.get("earlier_stages", []), {name: told[name] for name in kept if name in told}]


def _hardware(trainer: Trainer | None) -> str:
    if trainer is not None and trainer.place.device.type == "cuda":
        return torch.cuda.get_device_name(trainer.place.device)
    threads = trainer.place.threads if trainer else torch.get_num_threads()
    return f"CPU ({torch.backends.cpu.get_cpu_capability()}), {threads} thread(s), {platform.machine()}"
