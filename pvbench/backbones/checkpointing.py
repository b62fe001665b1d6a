"""Gradient checkpoints: activations are computed again in the backward pass, with the adapters as they were before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

from torch.utils.checkpoint import checkpoint

Recall = Callable[[], Callable[[], AbstractContextManager[None]]]
"""Looks at what a forward pass rests on now, and returns what brings it back, as a context."""


def enable_checkpointing(model: Any, recalled: Sequence[Recall] = ()) -> None:
    """A diffusers model keeps the inputs of its blocks only, where gradients are on.

    A block that is computed again must find adapters and image prompts as they were in the forward pass, which may be
    long over: torch would complain of other tensors at best, and be silently wrong at worst.

    Args:
        recalled: of what the model's outputs rest on besides its inputs.
    """

    def compute(block: Callable[..., Any], *given: Any) -> Any:
        states = [recall() for recall in recalled]

        def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
            return nullcontext(), _all(states)

        return checkpoint(block, *given, use_reentrant=False, context_fn=contexts)

    model.enable_gradient_checkpointing(gradient_checkpointing_func=compute)


@contextmanager
def _all(states: Sequence[Callable[[], AbstractContextManager[None]]]) -> Iterator[None]:
    with ExitStack() as stack:
        for state in states:
            stack.enter_context(state())
        yield
