"""LoRA adapters on a network, by name: put in, switched off, taken out, in the key names that diffusers loads."""

from __future__ import annotations

# ruff: noqa: E402  the shim comes before anything that imports torchvision
from pvbench.torchvision_shim import load_torchvision

load_torchvision()

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor, nn

from pvbench.errors import MethodError
from pvbench.latent_backbone import STYLE


class LoraSlots:
    """The adapters of one network.

    Args:
        network: a diffusers model.
        prefix: what diffusers' pipelines put before the network's keys, such as "unet.".
    """

    def __init__(self, network: Any, prefix: str) -> None:
        self.network, self.prefix = network, prefix
        self._active: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The adapters that are in the network."""
        return tuple(getattr(self.network, "peft_config", None) or ())

    def add(
        self,
        name: str,
        rank: int,
        alpha: float,
        targets: str,
        generator: torch.Generator,
        values: Mapping[str, Tensor] | None = None,
    ) -> list[nn.Parameter]:
        """A new adapter on the modules that a regular expression matches; returns its parameters."""
        self._insert(name, LoraConfig(r=rank, lora_alpha=alpha, target_modules=targets))
        parameters = []
        for key, parameter in self._parameters(name):
            parameter.requires_grad_(True)
            parameters.append(parameter)
            if "lora_A" in key:
                # peft draws from the global generator; a run's bytes may depend on its seed alone.
                bound = parameter.shape[1] ** -0.5
                parameter.data.copy_(torch.rand(parameter.shape, generator=generator) * 2 * bound - bound)
            # The image side has no motion modules: theirs begin as drawn.
            if values and key in values:
                parameter.data.copy_(values[key])
        return parameters

    def values(self, name: str) -> dict[str, Tensor]:
        """Copies of an adapter's parameters by the layers' names."""
        return {key: value.detach().clone() for key, value in self._parameters(name)}

    def tensors(self, name: str, alpha: float, rank: int) -> dict[str, Tensor]:
        """An adapter under diffusers' keys, in half precision, its scale multiplied in."""
        state = get_peft_model_state_dict(self.network, adapter_name=name)
        scale = alpha / rank
        return {
            f"{self.prefix}{key}": (value.detach() * (scale if "lora_B" in key else 1.0)).half().cpu().contiguous()
            for key, value in state.items()
        }

    def load(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Puts in an adapter under diffusers' keys, frozen.

        Raises:
            MethodError: the tensors do not fit the network.
        """
        foreign = [key for key in tensors if not key.startswith(self.prefix)]
        if foreign:
            raise MethodError(
                f"the adapter holds {foreign[0]!r}; keys of this backbone begin with {self.prefix!r}: it was tuned on "
                f"another one"
            )
        state = {key.removeprefix(self.prefix): value.float() for key, value in tensors.items()}
        ranks = {value.shape[0] for key, value in state.items() if "lora_A" in key}
        if len(ranks) != 1:
            raise MethodError(f"an adapter of this backbone has one rank; found {sorted(ranks) or 'no LoRA tensors'}")
        rank = ranks.pop()
        modules = sorted({key.split(".lora_")[0] for key in state})
        self._insert(name, LoraConfig(r=rank, lora_alpha=rank, target_modules=modules))
        found = set_peft_model_state_dict(self.network, state, adapter_name=name)
        wrong = list(getattr(found, "unexpected_keys", None) or [])
        if wrong:
            self.remove(name)
            raise MethodError(f"the adapter holds tensors that this backbone has no place for: {wrong[:3]}")
        self.network.requires_grad_(False)

    def remove(self, name: str | None = None) -> None:
        """Takes out an adapter, if it is there; by default all but that of a style, which outlasts methods."""
        for one in [one for one in self.names if one != STYLE] if name is None else [name]:
            if one in self.names:
                # peft warns when it deletes an adapter that is active.
                self._activate(tuple(other for other in self.names if other != one))
                # What diffusers calls so is `delete_adapter` in transformers.
                delete = getattr(self.network, "delete_adapters", None) or self.network.delete_adapter
                delete(one)
        self._activate(self.names)

    @contextmanager
    def without(self, name: str) -> Iterator[None]:
        """Inside of the block one adapter is off; the others stay on."""
        with self._only(tuple(one for one in self._active if one != name)):
            yield

    def adopt(self, name: str, scale: float = 1.0) -> None:
        """An adapter that diffusers put in itself becomes one of these, frozen, with its strength multiplied."""
        for layer in self.network.modules():
            if isinstance(layer, BaseTunerLayer) and name in getattr(layer, "scaling", {}):
                layer.set_scale(name, scale)
        self.network.requires_grad_(False)
        self._activate(self.names)

    def discard(self, name: str) -> None:
        """Takes out what is left of an adapter that diffusers put in and did not fill."""
        self._activate(tuple(one for one in self.names if one != name))
        for layer in self.network.modules():
            if isinstance(layer, BaseTunerLayer) and name in layer.lora_A:
                layer.delete_adapter(name)
        left = getattr(self.network, "peft_config", None) or {}
        left.pop(name, None)
        self.network._hf_peft_config_loaded = bool(left)

    def recall(self) -> Callable[[], AbstractContextManager[None]]:
        """What makes those adapters active again, inside of a block, that are active now."""
        now = self._active
        return lambda: self._only(now)

    @contextmanager
    def _only(self, names: tuple[str, ...]) -> Iterator[None]:
        before = self._active
        if names == before:
            yield
            return
        self._activate(names)
        try:
            yield
        finally:
            self._activate(before)

    def _insert(self, name: str, config: LoraConfig) -> None:
        self.remove(name)
        try:
            with warnings.catch_warnings():
                # Several adapters are meant; peft thinks that they may be a mistake.
                warnings.filterwarnings("ignore", message="Already found a `peft_config`")
                self.network.add_adapter(config, adapter_name=name)
        except ValueError as error:
            # diffusers notes that there are adapters before it finds that this one has no place.
            self.network._hf_peft_config_loaded = hasattr(self.network, "peft_config")
            self.remove(name)
            raise MethodError(f"the adapter does not fit this backbone: {error}") from error
        self._activate(self.names)

    def _activate(self, names: tuple[str, ...]) -> None:
        self._active = names
        # peft's own switch walks the whole tree and turns gradients on and off; the list behind it does neither.
        for layer in self.network.modules():
            if isinstance(layer, BaseTunerLayer):
                layer._active_adapter = [one for one in names if one in layer.lora_A]

    def _parameters(self, name: str) -> Iterator[tuple[str, nn.Parameter]]:
        """An adapter's parameters, and their names without the adapter's."""
        for key, parameter in self.network.named_parameters():
            if f".lora_A.{name}." in key or f".lora_B.{name}." in key:
                yield key.replace(f".{name}.", "."), parameter
