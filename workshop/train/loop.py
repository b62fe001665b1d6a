"""The one training loop: seeded by step, resumable by the same command, logged, averaged."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from pvbench.errors import PvbenchError
from pvbench.machine.devices import computes_bfloat16
from workshop.train.muon import Muon

Losses = Mapping[str, Tensor]


@dataclass(frozen=True)
class Plan:
    """How long and how fast a model is trained.

    Attributes:
        steps: how many, in all; 0 where `seconds` says how long.
        seconds: of training in all, as an alternative to steps. The rate then follows the clock, so that a repetition
            takes other steps and ends with other weights.
        warmup: steps of rising learning rate.
        decay: share of the training, at the end, over which the rate falls to 2 %.
        average: decay of the exponential moving average of the weights; 0 keeps none.
        optimiser: `adamw`, or `muon`: matrices by Muon, the rest by AdamW. Both take the same rate.
        muon_kernels: Muon takes convolution kernels, too.
        precision: `float32`; `mixed`, in which autocast chooses what it computes in bfloat16; `bfloat16`, in which
            modules hold bfloat16 copies of float32 weights, and the step function gives them bfloat16 numbers; or
            `auto`, which `on` makes mixed where the device computes bfloat16 by itself, else float32.

    Raises:
        PvbenchError: the plan has both steps and seconds, or neither.
    """

    steps: int
    batch: int
    rate: float
    seconds: float = 0.0
    warmup: int = 100
    decay: float = 0.4
    weight_decay: float = 0.01
    clip: float = 1.0
    average: float = 0.999
    seed: int = 0
    every: int = 100
    save_seconds: float = 120.0
    precision: Literal["float32", "mixed", "bfloat16", "auto"] = "mixed"
    optimiser: Literal["adamw", "muon"] = "adamw"
    muon_kernels: bool = False

    def __post_init__(self) -> None:
        if (self.steps > 0) == (self.seconds > 0):
            raise PvbenchError(
                f"a plan of {self.steps} steps and {self.seconds:g} seconds: expected one of them, and the other 0"
            )

    def on(self, device: torch.device) -> Plan:
        """The plan with the precision that `auto` stands for on a device."""
        if self.precision != "auto":
            return self
        return replace(self, precision="mixed" if device.type != "cpu" or computes_bfloat16() else "float32")


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

    def finished(self, model: str) -> Path:
        """Folder of a model that another training made: in `out`, or else in `start`.

        Raises:
            PvbenchError: neither has it.
        """
        folders = [folder / model for folder in (self.out, self.start) if folder]
        for folder in folders:
            if folder.is_dir():
                return folder
        raise PvbenchError(
            f"no {model} in {' or '.join(str(folder.parent) for folder in folders)}; train it first, or name a folder "
            "of weights that has it: --start"
        )


def rate_at(step: int, plan: Plan, share: float | None = None) -> float:
    """Learning rate of a step: linear warm-up, constant, linear decay to 2 %.

    Args:
        share: of the training that is done, in [0, 1]; by default that of the steps.
    """
    share = step / plan.steps if share is None else share
    fall = 1.0 if share < 1 - plan.decay or not plan.decay else max(0.02, (1 - share) / plan.decay)
    return plan.rate * min(1.0, (step + 1) / max(plan.warmup, 1)) * fall


def generator_on(device: torch.device, rng: np.random.Generator) -> torch.Generator:
    """A generator that draws on the device, seeded by the next number of a step's `rng`."""
    return torch.Generator(device).manual_seed(int(rng.integers(1 << 62)))


def _by_muon(name: str, weight: Tensor, plan: Plan) -> bool:
    if plan.optimiser != "muon" or "embedding" in name:
        return False
    # A kernel that leads to a few channels, as a network's last, is not a map between spaces of features.
    return weight.ndim == 2 or (plan.muon_kernels and weight.ndim > 2 and min(len(weight), weight[0].numel()) >= 16)


class _Optimiser:
    """AdamW, weight decay on matrices and kernels alone; for `muon`, Muon on what the plan gives to it."""

    def __init__(self, weights: Mapping[str, nn.Parameter], plan: Plan) -> None:
        shaped = [p for n, p in weights.items() if _by_muon(n, p, plan)]
        rest = [p for n, p in weights.items() if not _by_muon(n, p, plan)]
        decayed = {"params": [p for p in rest if p.ndim > 1], "weight_decay": plan.weight_decay}
        plain = {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0}
        self.parts: dict[str, torch.optim.Optimizer] = {
            "adamw": torch.optim.AdamW([decayed, plain], lr=plan.rate, betas=(0.9, 0.99))
        }
        if shaped:
            self.parts["muon"] = Muon(shaped, plan.rate, plan.weight_decay)

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
        if _sizes(state) == _sizes(self.state_dict()):
            for name, part in self.parts.items():
                part.load_state_dict(state[name])


def _sizes(state: Mapping[str, Any]) -> dict[str, list[int]]:
    return {name: [len(group["params"]) for group in part["param_groups"]] for name, part in state.items()}


class Trainer:
    """Runs a step function over modules.

    Args:
        name: of the model; log and checkpoint are `<out>/<name>.log.jsonl` and `<out>/<name>.checkpoint.pt`.
        modules: what is trained, by name; frozen parameters are left alone.
        step: losses of one step from its number and a generator seeded with it; `total` is minimised.
        look: called now and then with the averaged modules, to draw samples or measure.

    Attributes:
        masters: the float32 weights that the optimiser moves, by name; with `bfloat16` the modules hold copies of them
            until `run` ends, otherwise the weights themselves.
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
        plan = plan.on(place.device)
        self.name, self.modules, self.step, self.plan, self.place = name, dict(modules), step, plan, place
        self.look, self.look_every = look, look_every
        self.parameters = {
            f"{key}.{n}": p
            for key, module in self.modules.items()
            for n, p in module.named_parameters()
            if p.requires_grad
        }
        self.masters = self.parameters
        self._exact: dict[str, dict[str, Tensor]] = {}
        if plan.precision == "bfloat16":
            self.masters = {n: nn.Parameter(p.detach().float().clone()) for n, p in self.parameters.items()}
            self._exact = {key: self._untrained(key, module) for key, module in self.modules.items()}
            for module in self.modules.values():
                module.to(torch.bfloat16)
        self.optimiser = _Optimiser(self.masters, plan)
        self.averages = {n: m.detach().clone() for n, m in self.masters.items()} if plan.average else {}
        self.done, self.seconds = 0, 0.0

    @property
    def checkpoint(self) -> Path:
        """Where a training that was stopped goes on from."""
        return self.place.out / f"{self.name}.checkpoint.pt"

    @property
    def share(self) -> float:
        """Share of the training that is done; 1 or more at its end."""
        return self.seconds / self.plan.seconds if self.plan.seconds else self.done / self.plan.steps

    def _untrained(self, key: str, module: nn.Module) -> dict[str, Tensor]:
        state = module.state_dict().items()
        return {n: v.clone() for n, v in state if v.is_floating_point() and f"{key}.{n}" not in self.parameters}

    def _full_state(self, key: str) -> dict[str, Tensor]:
        """A module's state without the rounding of its copies: masters, and exactly what training did not change."""
        state: dict[str, Tensor] = self.modules[key].state_dict()
        exact = self._exact.get(key, {}).items()
        state |= {name: value for name, value in exact if torch.equal(state[name], value.bfloat16())}
        return {name: self.masters.get(f"{key}.{name}", value).detach() for name, value in state.items()}

    def _own_state(self, key: str, module: nn.Module) -> dict[str, Tensor]:
        """Trained weights and buffers. Frozen parts come from their own files, as they are now."""
        frozen = {name for name, _ in module.named_parameters() if f"{key}.{name}" not in self.parameters}
        return {name: value for name, value in self._full_state(key).items() if name not in frozen}

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
        # By way of the CPU, where AdamW keeps its counts of steps: on a GPU it would wait to read each of them.
        state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        for key, module in self.modules.items():
            own = self._own_state(key, module)
            found = state["modules"][key]
            if set(found) != set(own):
                differing = sorted(set(found) ^ set(own))[:3]
                raise PvbenchError(
                    f"{self.checkpoint} belongs to another model (it differs in {differing}); delete it to begin anew"
                )
            module.load_state_dict(found, strict=False)
            with torch.no_grad():
                for name, value in found.items():
                    if f"{key}.{name}" in self.masters:
                        self.masters[f"{key}.{name}"].copy_(value)
        self.optimiser.load_state_dict(state["optimiser"])
        self.averages = {name: value.to(self.place.device) for name, value in state["averages"].items()}
        self.done, self.seconds = state["done"], state["seconds"]

    def use_averages(self) -> None:
        """Swaps the weights with their averages; a second call swaps them back."""
        with torch.no_grad():
            for name, average in self.averages.items():
                master = self.masters[name]
                kept = master.detach().clone()
                master.copy_(average)
                average.copy_(kept)
        self._copy_masters()

    def run(self) -> dict[str, float]:
        """Trains to the end; the modules then hold the averaged weights, in float32. Returns the last measures.

        A training that was stopped goes on from its checkpoint: a plan of steps ends with the weights of one that never
        stopped (on a GPU but for the last bits, where kernels add in no fixed order). A plan of seconds counts those of
        training, measuring and saving, of all runs together.
        """
        torch.set_num_threads(self.place.threads)
        self.place.out.mkdir(parents=True, exist_ok=True)
        self.resume()
        with (self.place.out / f"{self.name}.log.jsonl").open("a") as log:
            for module in self.modules.values():
                module.train()
            self._train(log)
            self.use_averages()
            self._widen()
            for module in self.modules.values():
                module.eval()
            return self._measure(log)

    def _train(self, log: IO[str]) -> None:
        began = time.monotonic() - self.seconds
        saved = time.monotonic()
        sums: dict[str, Any] = {}
        amount = 0
        mixed = self.plan.precision == "mixed"
        while self.share < 1:
            rng = np.random.default_rng([self.plan.seed, self.done])
            torch.manual_seed(int(rng.integers(1 << 62)))
            self.optimiser.set_rate(rate_at(self.done, self.plan, self.share))
            with torch.autocast(self.place.device.type, torch.bfloat16, enabled=mixed):
                losses = self.step(self.done, rng)
            losses["total"].backward()
            self._update()
            self.done += 1
            self._average()
            # Added up where they are: reading a number would make every step wait for the device.
            for key, value in losses.items():
                sums[key] = sums.get(key, 0.0) + value.detach()
            amount += 1
            if self.done % self.plan.every == 0:
                means = {key: round(float(value) / amount, 5) for key, value in sums.items()}
                self._tell(log, {"seconds": round(time.monotonic() - began, 1), **means})
                sums, amount = {}, 0
            self.seconds = time.monotonic() - began
            if self.look and self.done % self.look_every == 0 and self.share < 1:
                self.use_averages()
                for module in self.modules.values():
                    module.eval()
                self._measure(log)
                self.use_averages()
                for module in self.modules.values():
                    module.train()
                self.seconds = time.monotonic() - began
            if time.monotonic() - saved > self.plan.save_seconds or self.share >= 1:
                self.save()
                saved = time.monotonic()

    def _update(self) -> None:
        """Moves the weights along the gradients that the modules hold."""
        if self.masters is not self.parameters:
            for name, parameter in self.parameters.items():
                self.masters[name].grad = None if parameter.grad is None else parameter.grad.float()
                parameter.grad = None
        nn.utils.clip_grad_norm_(list(self.masters.values()), self.plan.clip)
        self.optimiser.step()
        self._copy_masters()

    def _average(self) -> None:
        if self.averages:
            decay = min(self.plan.average, (self.done + 1) / (self.done + 20))
            with torch.no_grad():
                now = [self.masters[name].detach() for name in self.averages]
                torch._foreach_lerp_(list(self.averages.values()), now, 1 - decay)

    def _copy_masters(self) -> None:
        if self.masters is not self.parameters:
            with torch.no_grad():
                torch._foreach_copy_(list(self.parameters.values()), list(self.masters.values()))

    def _widen(self) -> None:
        """Brings modules that held bfloat16 copies back to float32."""
        for key in self._exact:
            full = self._full_state(key)
            self.modules[key].float().load_state_dict(full)

    def _measure(self, log: IO[str]) -> dict[str, float]:
        if self.look is None:
            return {}
        measured = {key: float(value) for key, value in self.look(self.done).items()}
        self._tell(log, measured)
        return measured

    def _tell(self, log: IO[str], numbers: Mapping[str, float]) -> None:
        line = json.dumps({"step": self.done, **numbers})
        print(line, file=log, flush=True)
        print(f"{self.name} {line}", flush=True)
