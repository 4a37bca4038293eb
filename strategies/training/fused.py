"""The few operations on which training time goes, with their gradients written out.

Autograd would keep and convert far more than is needed: the base weights are frozen, so a linear layer needs gradients
for its input and its adapter alone, and the loss can leave behind the gradient of its input at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from strategies.models.engine.precision import SOFTMAX_ROWS, softmax_and_norm

HEAD_ROWS = 256
"""Rows whose logits are computed at once: fewer waste the matrix product, more do not fit the processor's caches."""


class _LoraLinear(torch.autograd.Function):
    """x Wᵀ + b + s (x Aᵀ) Bᵀ (Hu et al. 2021, arXiv 2106.09685) with W and b frozen, computed in the type of W."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        a: torch.Tensor,
        b: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        """`x`: (..., in); `weight`: (out, in); `a`: (rank, in); `b`: (out, rank). Returns (..., out)."""
        down, up = a.to(weight.dtype), (b * scale).to(weight.dtype)
        flat = x.reshape(-1, x.shape[-1]).to(weight.dtype)
        low = flat @ down.t()
        out = torch.nn.functional.linear(flat, weight, bias)
        out.addmm_(low, up.t())
        ctx.save_for_backward(flat, low, weight, down, up)
        ctx.scale, ctx.shape = scale, x.shape
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        flat, low, weight, down, up = ctx.saved_tensors
        grad = gradient.reshape(-1, gradient.shape[-1])
        grad_low = grad @ up
        d_x = None
        if ctx.needs_input_grad[0]:
            d_x = (grad @ weight).addmm_(grad_low, down).view(ctx.shape)
        return d_x, None, None, (grad_low.t() @ flat).float(), (grad.t() @ low).float().mul_(ctx.scale), None


class _AnswerLoss(torch.autograd.Function):
    """Summed cross-entropy of a frozen head over the vocabulary; the logits are never held all at once.

    The gradient of the hidden states is computed along with the loss, since the logits are at hand then.
    """

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, head: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """`hidden`: (rows, size); `head`: (vocabulary, size); `targets`: (rows,). Returns a float32 scalar."""
        total = torch.zeros((), device=hidden.device)
        d_hidden = torch.empty_like(hidden)
        for start in range(0, len(hidden), HEAD_ROWS):
            rows = slice(start, start + HEAD_ROWS)
            logits = hidden[rows] @ head.t()
            parts = torch.split(logits, SOFTMAX_ROWS), torch.split(targets[rows], SOFTMAX_ROWS)
            for part, wanted in zip(*parts, strict=True):
                total += _to_gradient(part, wanted)
            d_hidden[rows] = logits @ head
        ctx.save_for_backward(d_hidden)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (d_hidden,) = ctx.saved_tensors
        return d_hidden * gradient, None, None


def _to_gradient(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Put the gradient of the summed cross-entropy in the logits' place, and return the sum."""
    places = targets[:, None]
    wanted = logits.gather(1, places).float()
    shares, norm = softmax_and_norm(logits)
    shares.scatter_add_(1, places, shares.new_full(places.shape, -1.0))
    logits.copy_(shares)
    return (norm - wanted).sum()


def answer_loss(hidden: torch.Tensor, head: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Summed cross-entropy, float32, of the logits `hidden` × `head`ᵀ. `hidden`: (rows, size); `targets`: (rows,)."""
    loss: torch.Tensor = _AnswerLoss.apply(hidden, head, targets)  # type: ignore[no-untyped-call]
    return loss


@contextmanager
def fused(wrapped: Any) -> Iterator[None]:
    """Let the linear layers of a PEFT model run as above for a while."""
    from peft.tuners.lora import Linear

    changed = [m for m in wrapped.modules() if isinstance(m, Linear) and type(m.get_base_layer()) is torch.nn.Linear]
    for module in changed:
        module.forward = _forward(module)
    try:
        yield
    finally:
        for module in changed:
            del module.forward


def _forward(module: Any) -> Any:
    (name,) = module.active_adapters
    base, a, b, scale = module.get_base_layer(), module.lora_A[name], module.lora_B[name], module.scaling[name]
    return lambda x: _LoraLinear.apply(x, base.weight, base.bias, a.weight, b.weight, scale)  # type: ignore[no-untyped-call]
