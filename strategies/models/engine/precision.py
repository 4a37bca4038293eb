"""Where a network computes in which precision: what is added up in float32, matrix products in the weights' type.

Rounded to bfloat16 after every layer, the sum of the layers is where most of the error comes from, and of what makes an
answer depend on the batch it is computed in; the products are what costs time.
"""

from __future__ import annotations

from typing import Any

import torch

SOFTMAX_ROWS = 32
"""Rows of logits that are turned to float32 at once: more would not stay in the processor's caches."""


def softmax_and_norm(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Softmax, float32, of (rows, vocabulary), and each row's log-sum-exp, shape (rows, 1).

    The norm comes by way of the softmax, which torch computes several times faster than exponentials or their sum.
    """
    wide = logits.float()
    shares = wide.softmax(-1)
    return shares, wide.amax(-1, keepdim=True) - shares.amax(-1, keepdim=True).log()


def log_norms(logits: torch.Tensor) -> torch.Tensor:
    """Log-sum-exp of each row of `logits`, float32, without turning them to float32 all at once."""
    return torch.cat([softmax_and_norm(part)[1][:, 0] for part in torch.split(logits, SOFTMAX_ROWS)])


def keep_sums_wide(network: Any) -> None:
    """Set a network of the transformers library up that way, for inference and for training.

    A network with weights in anything but embeddings, linear layers and plain RMS norms is left as it is.
    """
    weighted = [module for module in network.modules() if any(True for _ in module.parameters(recurse=False))]
    linear = [module for module in weighted if isinstance(module, torch.nn.Linear)]
    norms = [module for module in weighted if not isinstance(module, torch.nn.Linear | torch.nn.Embedding)]
    if not all(_is_plain(module) for module in norms):
        return
    network.get_input_embeddings().register_forward_hook(lambda module, inputs, output: output.float())
    for module in linear:
        module.register_forward_pre_hook(_narrowed)
    for module in norms:
        module.forward = _norm(module)


def _narrowed(module: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return (inputs[0].to(module.weight.dtype), *inputs[1:])


def _norm(module: Any) -> Any:
    def forward(x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = _RmsNorm.apply(x, module.weight, module.variance_epsilon)  # type: ignore[no-untyped-call]
        return out

    return forward


class _RmsNorm(torch.autograd.Function):
    """x / rms(x) · w (Zhang and Sennrich 2019, arXiv 1910.07467), w frozen: the norm in float32, the result as w."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
        """`x`: (..., size); `weight`: (size,)."""
        wide = x.float()
        length = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
        inverse = (length.square_() / x.shape[-1] + epsilon).rsqrt_()
        normed = wide * inverse
        if x.requires_grad:
            ctx.save_for_backward(normed.to(weight.dtype), inverse, weight)
        return torch.mul(normed, weight.float(), out=torch.empty_like(x, dtype=weight.dtype))

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        normed, inverse, weight = ctx.saved_tensors
        grad, wide = (gradient * weight).float(), normed.float()
        along = (grad * wide).mean(-1, keepdim=True)
        return (grad - wide.mul_(along)).mul_(inverse), None, None


@torch.no_grad()
def _is_plain(module: Any) -> bool:
    """Whether a module computes what `_RmsNorm` does; the norms of some models add one to the weight, for instance."""
    if not type(module).__name__.endswith("RMSNorm") or not hasattr(module, "variance_epsilon"):
        return False
    weight = module.weight
    x = torch.linspace(-2, 3, 2 * len(weight), dtype=torch.float32, device=weight.device).view(2, -1)
    return bool(torch.allclose(module(x).float(), _norm(module)(x).float(), rtol=2e-2, atol=1e-5))
