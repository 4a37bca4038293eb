"""Softmax attention along a `Layout`, hooked into transformers under a name of its own.

Query heads that share a key head are treated as further queries of it, and what all rows begin with is one matrix that
all of them look at, so that no key is ever repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from eval.errors import AdvisorError
from strategies.models.engine.packing import Layout, State

NAME = "advisor_packed"
STRETCH = 128
"""Queries of a row that attend at once."""
MOST_KEPT = 2**23
"""Weights of a layer that are kept for its gradient; of long rows there are more, and they are worked out once more,
since what they take grows with the square of a row (as Dao 2022, arXiv 2205.14135, does)."""


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
    query, key = query.to(value.dtype), key.to(value.dtype)
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
        own = memory.remember(layer, *own, layout)
    elif (before := memory.recall(layer)) is not None:
        own = torch.cat([before[0], own[0]], dim=2), torch.cat([before[1], own[1]], dim=2)
    shared = memory.shared.get(layer)
    if shared is not None and memory.shared_tokens < shape.width:  # one wide product beats two, one of them narrow
        own = _after(shared[0], own[0]), _after(shared[1], own[1])
        shared = None
    k, v = own[0].flatten(0, 1), own[1].flatten(0, 1)
    blocks = [
        _attend_block(shape.queries(q, part), k[:, :seen].contiguous(), v[:, :seen].contiguous(), mask, shared)
        for part, seen, mask in _blocks(layout, k.shape[1])
    ]
    return shape.queries_to_line(shape.join(blocks), layout)


def _after(shared: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """(key heads, shared, size) and (key heads, rows, keys, size) to (key heads, rows, shared + keys, size)."""
    return torch.cat([shared[:, None].expand(-1, own.shape[1], -1, -1), own], dim=2)


def _blocks(layout: Layout, keys: int) -> Iterator[tuple[slice, int, torch.Tensor]]:
    """Places of the block in stretches of `STRETCH`; how many of the keys each may see at the most; and their mask.

    Of a wide block half of all scores would be masked. The mask may cover fewer keys, the last ones.
    """
    for start in range(0, layout.width, STRETCH):
        end = min(start + STRETCH, layout.width)
        later = layout.width - end
        yield slice(start, end), keys - later, layout.mask.stretch(start, end)


def _attend_block(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor, shared: State | None
) -> torch.Tensor:
    """`q`: (batch, queries, size), `k` and `v`: (batch, keys, size), where a batch is key heads × rows; as `q`."""
    if shared is None:
        return torch.bmm(_weights(torch.bmm(q, k.transpose(1, 2)), mask), v)
    groups, common = len(shared[0]), shared[0].shape[1]
    scores = torch.bmm(q.reshape(groups, -1, q.shape[2]), shared[0].transpose(1, 2)).view(*q.shape[:2], -1)
    weights = _weights(torch.cat([scores, torch.bmm(q, k.transpose(1, 2))], dim=2), mask)
    out = torch.bmm(weights[..., common:].contiguous(), v)
    return out.add_(torch.bmm(weights[..., :common].reshape(groups, -1, common), shared[1]).view(q.shape))


def _weights(scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Softmax in float32 of (key heads × rows, heads per key head × width, keys), after the mask of the last keys."""
    rows, _, width, masked = mask.shape
    wide = scores.float()
    wide.view(len(scores) // rows, rows, -1, width, scores.shape[2])[..., scores.shape[2] - masked :].add_(mask)
    return wide.softmax(-1).to(scores.dtype)


class _LineAttention(torch.autograd.Function):
    """Attention within a line, with the gradient written out."""

    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, layout: Layout, scale: float
    ) -> torch.Tensor:
        """`query`: (heads, line, size); `key` and `value`: (key heads, line, size). Returns the shape of `query`."""
        shape = _Shape.of(query, key, layout)
        q = shape.queries_to_block(query * scale, layout)
        k, v = (shape.after_in_line(states, layout) for states in (key, value))
        are_kept = q.shape[0] * q.shape[1] * k.shape[1] <= MOST_KEPT
        outs, kept = [], []
        for part, seen, mask in _blocks(layout, k.shape[1]):
            weight = shape.weights(q, k, part, seen, mask)
            outs.append(torch.bmm(weight, v[:, :seen].contiguous()))
            kept += [weight] if are_kept else []
        out = shape.join(outs)
        ctx.save_for_backward(q, k, v, out, *kept)
        ctx.layout, ctx.scale, ctx.shape = layout, scale, shape
        return shape.queries_to_line(out, layout)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        q, k, v, out, *kept = ctx.saved_tensors
        layout, shape = ctx.layout, ctx.shape
        grad = shape.gradient_to_block(gradient, layout)
        along = (grad * out).sum(-1, keepdim=True)
        d_q, d_k, d_v = [], torch.zeros_like(k), torch.zeros_like(v)
        for number, (part, seen, mask) in enumerate(_blocks(layout, k.shape[1])):
            weight = kept[number] if kept else shape.weights(q, k, part, seen, mask)
            own_grad = shape.queries(grad, part)
            inner = torch.bmm(own_grad, v[:, :seen].transpose(1, 2))
            inner.sub_(shape.queries(along, part)).mul_(weight)
            d_q.append(torch.bmm(inner, k[:, :seen].contiguous()))
            d_k[:, :seen] += torch.bmm(inner.transpose(1, 2), shape.queries(q, part))
            d_v[:, :seen] += torch.bmm(weight.transpose(1, 2), own_grad)
        d_query = shape.queries_to_line(shape.join(d_q), layout).mul_(ctx.scale)
        return d_query, shape.keys_to_line(d_k, layout), shape.keys_to_line(d_v, layout), None, None


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

    def queries(self, block: torch.Tensor, part: slice) -> torch.Tensor:
        """Some places of a block of queries: (key heads × rows, heads per key head × part, size)."""
        if part.start == 0 and part.stop == self.width:
            return block
        parted = block.view(len(block), self.each, self.width, -1)[:, :, part]
        return parted.reshape(len(block), -1, block.shape[2])

    def weights(self, q: torch.Tensor, k: torch.Tensor, part: slice, seen: int, mask: torch.Tensor) -> torch.Tensor:
        """How much the queries of these places look at each of the first keys."""
        return _weights(torch.bmm(self.queries(q, part), k[:, :seen].transpose(1, 2)), mask)

    def join(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """Inverse of `queries` for parts that make up the block."""
        if len(parts) == 1:
            return parts[0]
        split = [part.view(len(part), self.each, -1, self.size) for part in parts]
        return torch.cat(split, dim=2).view(len(parts[0]), -1, self.size)

    def keys_to_block(self, line: torch.Tensor, layout: Layout) -> torch.Tensor:
        """(key heads, line, size) to (key heads, rows, width, size)."""
        return line.index_select(1, layout.block).view(self.groups, self.rows, self.width, self.size)

    def after_in_line(self, line: torch.Tensor, layout: Layout) -> torch.Tensor:
        """(key heads, line, size) to (key heads × rows, shared + width, size): every row after what they share."""
        return _after(line[:, : layout.in_line], self.keys_to_block(line, layout)).flatten(0, 1)

    def keys_to_line(self, block: torch.Tensor, layout: Layout) -> torch.Tensor:
        """Add up, for each token of the line, what comes back to it from all places that show it."""
        parted = block.view(self.groups, self.rows, -1, self.size)
        own = parted[:, :, layout.in_line :].reshape(self.groups, -1, self.size).index_select(1, layout.back)
        own[:, : layout.in_line] += parted[:, :, : layout.in_line].sum(1)
        return own
