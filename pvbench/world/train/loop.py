"""The one training loop: seeded by step, resumable by the same command, logged, averaged, with a card at the end."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from pvbench.errors import PvbenchError

Losses = Mapping[str, Tensor]


@dataclass(frozen=True)
class Plan:
    """How long and how fast a model is trained.

    Attributes:
        warmup: steps of rising learning rate.
        decay: share of the steps, at the end, over which the rate falls to 2 %.
        average: decay of the exponential moving average of the weights; 0 keeps none.
        optimiser: `adamw`, or `muon`: matrices by Muon, the rest by AdamW. Both take the same rate.
    """

    steps: int
    batch: int
    rate: float
    warmup: int = 100
    decay: float = 0.4
    weight_decay: float = 0.01
    clip: float = 1.0
    average: float = 0.999
    seed: int = 0
    every: int = 100
    save_seconds: float = 120.0
    mixed: bool = True
    optimiser: Literal["adamw", "muon"] = "adamw"


@dataclass(frozen=True)
class Place:
    """Where a training reads its data, keeps its log and checkpoint, and computes.

    Attributes:
        start: a folder of weights to begin from instead of random values; a checkpoint goes before it.
        compiled: `torch.compile` where a training can use it; needs a C++ compiler on a CPU.
    """

    data: Path
    out: Path
    device: torch.device
    threads: int
    start: Path | None = None
    compiled: bool = False


def rate_at(step: int, plan: Plan) -> float:
    """Learning rate of a step: linear warm-up, constant, linear decay to 2 %."""
    start = plan.steps * (1 - plan.decay)
    fall = 1.0 if step < start else max(0.02, (plan.steps - step) / max(plan.steps - start, 1))
    return plan.rate * min(1.0, (step + 1) / max(plan.warmup, 1)) * fall


class _Optimiser:
    """AdamW, weight decay on matrices and kernels alone; for `muon`, Muon on matrices at AdamW's size of updates."""

    def __init__(self, parameters: Iterable[nn.Parameter], plan: Plan) -> None:
        kept = list(parameters)
        matrices = [p for p in kept if p.ndim == 2] if plan.optimiser == "muon" else []
        taken = {id(p) for p in matrices}
        rest = [p for p in kept if id(p) not in taken]
        decayed = {"params": [p for p in rest if p.ndim > 1], "weight_decay": plan.weight_decay}
        plain = {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0}
        self.parts: dict[str, torch.optim.Optimizer] = {
            "adamw": torch.optim.AdamW([decayed, plain], lr=plan.rate, betas=(0.9, 0.99))
        }
        if matrices:
            self.parts["muon"] = torch.optim.Muon(
                matrices, lr=plan.rate, weight_decay=plan.weight_decay, adjust_lr_fn="match_rms_adamw"
            )

    def set_rate(self, rate: float) -> None:
        for part in self.parts.values():
            for group in part.param_groups:
                group["lr"] = rate

    def step(self) -> None:
        for part in self.parts.values():
            part.step()
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes the state of the same optimiser; that of another is left out, and the training begins its own."""
        if set(state) == set(self.parts):
            for name, part in self.parts.items():
                part.load_state_dict(state[name])


class Trainer:
    """Runs a step function over modules.

    Args:
        name: of the model; log and checkpoint are `<out>/<name>.log.jsonl` and `<out>/<name>.checkpoint.pt`.
        modules: what is trained, by name; frozen parameters are left alone.
        step: losses of one step from its number and a generator seeded with it; `total` is minimised.
        look: called now and then with the averaged modules, to draw samples or measure.
    """

    def __init__(
        self,
        name: str,
        modules: Mapping[str, nn.Module],
        step: Callable[[int, np.random.Generator], Losses],
        plan: Plan,
        place: Place,
        look: Callable[[int], Mapping[str, float]] | None = None,
        look_every: int = 2000,
    ) -> None:
        self.name, self.modules, self.step, self.plan, self.place = name, dict(modules), step, plan, place
        self.look, self.look_every = look, look_every
        self.parameters = {
            f"{key}.{n}": p
            for key, module in self.modules.items()
            for n, p in module.named_parameters()
            if p.requires_grad
        }
        self.optimiser = _Optimiser(self.parameters.values(), plan)
        self.averages = {n: p.detach().clone() for n, p in self.parameters.items()} if plan.average else {}
        self.done, self.seconds = 0, 0.0

    @property
    def checkpoint(self) -> Path:
        return self.place.out / f"{self.name}.checkpoint.pt"

    def _own_state(self, key: str, module: nn.Module) -> dict[str, Tensor]:
        """Trained parameters and buffers. Frozen parts come from their own files, as they are now."""
        frozen = {name for name, _ in module.named_parameters() if f"{key}.{name}" not in self.parameters}
        return {name: value for name, value in module.state_dict().items() if name not in frozen}

    def save(self) -> None:
        """Writes everything a resumed training needs."""
        state = {
            "modules": {key: self._own_state(key, module) for key, module in self.modules.items()},
            "optimiser": self.optimiser.state_dict(),
            "averages": self.averages,
            "done": self.done,
            "seconds": self.seconds,
        }
        temporary = self.checkpoint.with_suffix(f".{os.getpid()}.tmp")
        torch.save(state, temporary)
        temporary.replace(self.checkpoint)

    def resume(self) -> None:
        """Goes on from the checkpoint, where there is one."""
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, map_location=self.place.device, weights_only=True)
        for key, module in self.modules.items():
            own = self._own_state(key, module)
            found = state["modules"][key]
            if set(found) != set(own):
                differing = sorted(set(found) ^ set(own))[:3]
                raise PvbenchError(
                    f"{self.checkpoint} belongs to another model (it differs in {differing}); delete it to begin anew"
                )
            module.load_state_dict(found, strict=False)
        self.optimiser.load_state_dict(state["optimiser"])
        self.averages = state["averages"]
        self.done, self.seconds = state["done"], state["seconds"]

    def use_averages(self) -> None:
        """Swaps the weights with their averages; a second call swaps them back."""
        with torch.no_grad():
            for name, average in self.averages.items():
                parameter = self.parameters[name]
                kept = parameter.detach().clone()
                parameter.copy_(average)
                average.copy_(kept)

    def run(self) -> dict[str, float]:
        """Trains to the last step; the modules then hold the averaged weights. Returns the last measures."""
        torch.set_num_threads(self.place.threads)
        self.place.out.mkdir(parents=True, exist_ok=True)
        self.resume()
        with (self.place.out / f"{self.name}.log.jsonl").open("a") as log:
            measured = self._train(log)
        if self.averages:
            self.use_averages()
        for module in self.modules.values():
            module.eval()
        if self.look and not measured:
            measured = {k: float(v) for k, v in self.look(self.done).items()}
        return measured

    def _train(self, log: IO[str]) -> dict[str, float]:
        saved = time.monotonic()
        sums: dict[str, float] = {}
        measured: dict[str, float] = {}
        amount = 0
        mixed = self.plan.mixed
        for module in self.modules.values():
            module.train()
        while self.done < self.plan.steps:
            began = time.monotonic()
            rng = np.random.default_rng([self.plan.seed, self.done])
            torch.manual_seed(int(rng.integers(1 << 62)))
            self.optimiser.set_rate(rate_at(self.done, self.plan))
            with torch.autocast(self.place.device.type, torch.bfloat16, enabled=mixed):
                losses = self.step(self.done, rng)
            losses["total"].backward()
            nn.utils.clip_grad_norm_(list(self.parameters.values()), self.plan.clip)
            self.optimiser.step()
            self.done += 1
            if self.averages:
                decay = min(self.plan.average, (self.done + 1) / (self.done + 20))
                with torch.no_grad():
                    names = list(self.averages)
                    torch._foreach_lerp_(
                        [self.averages[n] for n in names], [self.parameters[n].detach() for n in names], 1 - decay
                    )
            self.seconds += time.monotonic() - began
            for key, value in losses.items():
                sums[key] = sums.get(key, 0.0) + float(value.detach())
            amount += 1
            if self.done % self.plan.every == 0:
                line = {"step": self.done, "seconds": round(self.seconds, 1)}
                line |= {key: round(value / amount, 5) for key, value in sums.items()}
                print(json.dumps(line), file=log, flush=True)
                print(f"{self.name} {json.dumps(line)}", flush=True)
                sums, amount = {}, 0
            if self.look and (self.done % self.look_every == 0 or self.done == self.plan.steps):
                self.use_averages()
                for module in self.modules.values():
                    module.eval()
                measured = {k: float(v) for k, v in self.look(self.done).items()}
                self.use_averages()
                for module in self.modules.values():
                    module.train()
                print(json.dumps({"step": self.done, **measured}), file=log, flush=True)
                print(f"{self.name} {json.dumps({'step': self.done, **measured})}", flush=True)
            if time.monotonic() - saved > self.plan.save_seconds or self.done == self.plan.steps:
                self.save()
                saved = time.monotonic()
        return measured


def write_card(
    folder: Path,
    model: str,
    role: str,
    data: str,
    trainer: Trainer | None,
    plan: Plan,
    quality: Mapping[str, Any],
    **more: Any,
) -> None:
    """`card.json` beside the weights: data, steps, seed, hardware, time, quality, licence, and the stages before.

    `earlier_stages` come from the card of the weights that the training began from, the first of them first.
    """
    start = trainer.place.start if trainer else None
    card = {
        "model": model,
        "role": role,
        "data": data,
        "plan": asdict(plan),
        "steps": plan.steps,
        "seed": plan.seed,
        "hardware": _hardware(trainer),
        "hours": round(trainer.seconds / 3600, 3) if trainer else None,
        "began_from": "earlier weights of the same model" if start else "random values",
        "earlier_stages": _stages(start / folder.name / "card.json") if start else [],
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
