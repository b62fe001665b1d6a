"""Gradient checkpoints: activations are computed again in the backward pass, with the adapters as they were before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

Recall = Callable[[], Callable[[], AbstractContextManager[None]]]
"""Looks at what a forward pass rests on now, and returns what brings it back, as a context."""


def enable_checkpointing(model: Any, recalled: Sequence[Recall] = (), *, host: bool = False) -> None:
    """A diffusers model keeps the inputs of its blocks only, where gradients are on.

    A block that is computed again must find adapters and image prompts as they were in the forward pass, which may be
    long over: torch would complain of other tensors at best, and be silently wrong at worst.

    Args:
        recalled: of what the model's outputs rest on besides its inputs.
        host: whether the inputs lie in the host's memory until their block is computed again.
    """

    def compute(block: Callable[..., Any], *given: Any) -> Any:
        states = [recall() for recall in recalled]

        def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
            return nullcontext(), _all(states)

        # The block's own tensors go to the hooks of the checkpoint inside; these see the inputs alone.
        with saved_tensors_hooks(_to_host, _from_host) if host else nullcontext():
            return checkpoint(block, *given, use_reentrant=False, context_fn=contexts)

    model.enable_gradient_checkpointing(gradient_checkpointing_func=compute)


def checkpoint_calls(network: nn.Module) -> None:
    """Each call of a network keeps its input only, where gradients are on and its own checkpoints are enabled.

    A network that is called for one piece after another holds the block inputs of all pieces otherwise. The forward
    pass is computed once more.
    """
    forward = type(network).forward

    def call(*given: Any) -> Any:
        if not (torch.is_grad_enabled() and network.gradient_checkpointing):
            return forward(network, *given)
        return checkpoint(forward, network, *given, use_reentrant=False)

    network.forward = call


def _to_host(tensor: Tensor) -> tuple[torch.device, Tensor]:
    """Where a tensor lies, and its copy in the host's memory, which is pinned where there is a GPU."""
    copy = torch.empty_like(tensor, device="cpu", pin_memory=tensor.is_cuda)
    return tensor.device, copy.copy_(tensor, non_blocking=True)


def _from_host(kept: tuple[torch.device, Tensor]) -> Tensor:
    device, copy = kept
    return copy.to(device, non_blocking=True)


@contextmanager
def _all(states: Sequence[Callable[[], AbstractContextManager[None]]]) -> Iterator[None]:
    with ExitStack() as stack:
        for state in states:
            stack.enter_context(state())
        yield
