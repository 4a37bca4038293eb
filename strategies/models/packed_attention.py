"""Softmax attention along a `Layout`, hooked into transformers under a name of its own.

Query heads that share a key head are treated as further queries of it, and what all rows begin with is one matrix that
all of them look at, so that no key is ever repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from eval.errors import AdvisorError
from strategies.models.packing import Layout

NAME = "advisor_packed"


def use_packed_attention(network: Any) -> None:
    """Let a transformers network attend along the `layout` that it is called with, and as ever without one."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, _attend)
    network.set_attn_implementation(NAME)


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    *,
    layout: Layout | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """The hook. `query`: (1, heads, line, size); `key`, `value`: (1, key heads, line, size)."""
    if layout is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        plain: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **options
        )
        return plain
    unknown = [name for name in ("softcap", "s_aux") if options.get(name) is not None]
    if unknown:
        raise AdvisorError(f"this model's attention ({', '.join(unknown)}) is not supported")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if layout.memory is None:
        out: torch.Tensor = _LineAttention.apply(query[0], key[0], value[0], layout, scale)  # type: ignore[no-untyped-call]
    else:
        out = _with_memory(query[0], key[0], value[0], layout, scale, module.layer_idx)
    return out.transpose(0, 1)[None], None


def _with_memory(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, layout: Layout, scale: float, layer: int
) -> torch.Tensor:
    """Attention over what the memory shares, what the rows have read, and the line. Has no gradient."""
    memory = layout.memory
    assert memory is not None
    shape = _Shape.of(query, key, layout)
    q = shape.queries_to_block(query * scale, layout)
    own = shape.keys_to_block(key, layout), shape.keys_to_block(value, layout)
    if layout.keep:
        parts = [memory.remember(layer, *own, layout)]
    else:
        before = memory.recall(layer)
        parts = [before, own] if before is not None else [own]
    flat = [(k.flatten(0, 1), v.flatten(0, 1)) for k, v in parts]
    scores = [torch.bmm(q, k.transpose(1, 2)) for k, _ in flat]
    together = (shape.groups, -1, shape.size)
    if memory.shared:
        shared_keys, shared_values = memory.shared[layer]
        common = torch.bmm(q.view(together), shared_keys.transpose(1, 2))
        scores = [common.view(*q.shape[:2], -1), *scores]
    whole = torch.cat(scores, dim=2).float()
    masked = layout.mask.shape[3]
    whole.view(shape.groups, layout.height, -1, layout.width, whole.shape[2])[..., -masked:].add_(layout.mask)
    weights = list(torch.split(whole.softmax(-1).to(q.dtype), [s.shape[2] for s in scores], dim=2))
    out = torch.zeros_like(q)
    if memory.shared:
        common = weights.pop(0).reshape(shape.groups, -1, shared_keys.shape[1])
        out = torch.bmm(common, shared_values).view(q.shape)
    for weight, (_, v) in zip(weights, flat, strict=True):
        out.baddbmm_(weight, v)
    return shape.queries_to_line(out, layout)


class _LineAttention(torch.autograd.Function):
    """Attention within a line, with the gradient written out."""

    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, layout: Layout, scale: float
    ) -> torch.Tensor:
        """`query`: (heads, line, size); `key` and `value`: (key heads, line, size). Returns the shape of `query`."""
        shape = _Shape.of(query, key, layout)
        q = shape.queries_to_block(query * scale, layout)
        k, v = (shape.after_shared(states, layout) for states in (key, value))
        scores = torch.bmm(q, k.transpose(1, 2)).float()
        scores.view(shape.groups, layout.height, -1, layout.width, scores.shape[2]).add_(layout.mask)
        weights = scores.softmax(-1).to(q.dtype)
        out = torch.bmm(weights, v)
        ctx.save_for_backward(q, k, v, weights, out)
        ctx.layout, ctx.scale, ctx.shape = layout, scale, shape
        return shape.queries_to_line(out, layout)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        q, k, v, weights, out = ctx.saved_tensors
        layout, shape = ctx.layout, ctx.shape
        grad = shape.gradient_to_block(gradient, layout)
        inner = torch.bmm(grad, v.transpose(1, 2))
        inner.sub_((grad * out).sum(-1, keepdim=True)).mul_(weights)
        d_query = shape.queries_to_line(torch.bmm(inner, k), layout).mul_(ctx.scale)
        d_key = shape.keys_to_line(torch.bmm(inner.transpose(1, 2), q), layout)
        d_value = shape.keys_to_line(torch.bmm(weights.transpose(1, 2), grad), layout)
        return d_query, d_key, d_value, None, None


@dataclass(frozen=True)
class _Shape:
    """Sizes of a block, and moving between it and the line."""

    groups: int
    """Key heads."""
    each: int
    """Query heads per key head."""
    rows: int
    width: int
    size: int

    @classmethod
    def of(cls, query: torch.Tensor, key: torch.Tensor, layout: Layout) -> _Shape:
        return cls(len(key), len(query) // len(key), layout.height, layout.width, query.shape[-1])

    def queries_to_block(self, line: torch.Tensor, layout: Layout) -> torch.Tensor:
        """(heads, line, size) to (key heads × rows, heads per key head × width, size)."""
        split = line.view(self.groups, self.each, -1, self.size).index_select(2, layout.block)
        return self._to_block(split)

    def gradient_to_block(self, line: torch.Tensor, layout: Layout) -> torch.Tensor:
        """As `queries_to_block`, with zeros beyond the end of a row: no gradient comes from there."""
        split = line.new_zeros(self.groups, self.each, self.rows * self.width, self.size)
        split.index_copy_(2, layout.back, line.view(self.groups, self.each, -1, self.size))
        return self._to_block(split)

    def _to_block(self, split: torch.Tensor) -> torch.Tensor:
        parted = split.view(self.groups, self.each, self.rows, self.width, self.size).transpose(1, 2)
        return parted.reshape(self.groups * self.rows, self.each * self.width, self.size)

    def queries_to_line(self, block: torch.Tensor, layout: Layout) -> torch.Tensor:
        """Inverse of `queries_to_block`; what stands beyond the end of a row is dropped."""
        parted = block.view(self.groups, self.rows, self.each, self.width, self.size).transpose(1, 2)
        joined = parted.reshape(self.groups * self.each, self.rows * self.width, self.size)
        return joined.index_select(1, layout.back)

    def keys_to_block(self, line: torch.Tensor, layout: Layout) -> torch.Tensor:
        """(key heads, line, size) to (key heads, rows, width, size)."""
        return line.index_select(1, layout.block).view(self.groups, self.rows, self.width, self.size)

    def after_shared(self, line: torch.Tensor, layout: Layout) -> torch.Tensor:
        """(key heads, line, size) to (key heads × rows, shared + width, size): every row after the shared tokens."""
        common = line[:, None, : layout.in_line].expand(-1, self.rows, -1, -1)
        return torch.cat([common, self.keys_to_block(line, layout)], dim=2).flatten(0, 1)

    def keys_to_line(self, block: torch.Tensor, layout: Layout) -> torch.Tensor:
        """Add up, for each token of the line, what comes back to it from all places that show it."""
        parted = block.view(self.groups, self.rows, -1, self.size)
        own = parted[:, :, layout.in_line :].reshape(self.groups, -1, self.size).index_select(1, layout.back)
        own[:, : layout.in_line] += parted[:, :, : layout.in_line].sum(1)
        return own
