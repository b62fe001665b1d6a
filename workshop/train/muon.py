"""Muon for matrices and convolution kernels, in updates as large as AdamW's."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

_MOMENTUM = 0.95
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


def orthogonal(matrices: Tensor) -> Tensor:
    """Matrices (n, rows, columns) with all their singular values brought near 1, in bfloat16.

    Source: Newton and Schulz's iteration with Keller Jordan's coefficients, as in `torch.optim.Muon`.
    """
    a, b, c = _COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.bfloat16()
    x = x.mT if tall else x
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp(min=1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Moves each matrix along its orthogonalised momentum, and each kernel as a matrix (out, in * height * width).

    The update's root mean square is 0.2 times the rate, about that of AdamW, so that both take the same rate. Does what
    `torch.optim.Muon(adjust_lr_fn="match_rms_adamw")` does, which takes matrices alone and each by itself: a network
    has a hundred small ones of a few shapes, and those of one shape go through the iteration together here.

    Source: Jordan et al., "Muon", 2024; the size of updates: Liu et al., "Muon is Scalable for LLM Training", 2025.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], rate: float, weight_decay: float) -> None:
        super().__init__(parameters, {"lr": rate, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Moves the parameters that have a gradient."""
        for group in self.param_groups:
            gradients = {p: p.grad for p in group["params"] if p.grad is not None}
            if gradients:
                self._move(gradients, group["lr"], group["weight_decay"])

    def _move(self, of: dict[Tensor, Tensor], rate: float, weight_decay: float) -> None:
        moved, gradients = list(of), list(of.values())
        for p in moved:
            if not self.state[p]:
                self.state[p]["momentum_buffer"] = torch.zeros_like(p)
        momenta = [self.state[p]["momentum_buffer"] for p in moved]
        torch._foreach_lerp_(momenta, gradients, 1 - _MOMENTUM)
        directions = torch._foreach_lerp(gradients, momenta, _MOMENTUM)
        torch._foreach_mul_(moved, 1 - rate * weight_decay)
        alike: dict[tuple[int, int], list[int]] = {}
        for number, p in enumerate(moved):
            alike.setdefault((len(p), p[0].numel()), []).append(number)
        for shape, numbers in alike.items():
            found = orthogonal(torch.stack([directions[i].flatten(1) for i in numbers])).float()
            updates = [update.reshape(moved[i].shape) for i, update in zip(numbers, found, strict=True)]
            size = 0.2 * max(shape) ** 0.5
            torch._foreach_add_([moved[i] for i in numbers], updates, alpha=-rate * size)
