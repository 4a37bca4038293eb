"""Rows of a batch as one line of tokens, and what has been read of them.

Linear layers, most of the work, see the line: no padding, and what all rows begin with only once. Only attention, which
is small, lays the rows side by side again (`strategies.models.engine.packed_attention`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from strategies.models.engine.label_trie import LabelTrie

State = tuple[torch.Tensor, torch.Tensor]
"""Keys and values of one layer."""
MOST_IN_VAIN = 1.3
"""Columns of a memory that are looked at, at most, per column in use."""
LOWEST = torch.finfo(torch.float32).min
"""Added to a score that must not count. Not minus infinity: places beyond the end of a row see nothing at all."""
MOST_MASKED = 2**25
"""Numbers of a mask that are kept for the next layer. Those of longer rows are made anew for each."""


@dataclass(frozen=True)
class Mask:
    """What is added to the scores of a block, in float32: zero where a place may look at a key, else `LOWEST`.

    It is made for a stretch of places at a time, since the whole would grow with the square of the longest row.
    """

    width: int
    """Places of each row of the block."""
    before: torch.Tensor
    """(rows or 1, 1, 1, keys): of the keys that come before those of the block, alike for all places of a row."""
    own: int
    """Keys of the block itself, one for each place and seen causally; none where they are among those before."""
    trees: Sequence[tuple[int, torch.Tensor]] = ()
    """For each row, if there are trees: at which place its tree begins, and (nodes, nodes) what its nodes see of it."""
    _kept: dict[int, torch.Tensor] = field(default_factory=dict)
    """By the first place of the stretch."""

    @property
    def keys(self) -> int:
        """How many it covers, the last of those that are looked at."""
        return self.before.shape[3] + self.own

    def stretch(self, start: int, end: int) -> torch.Tensor:
        """(rows, or 1 if all are alike, 1, places, keys but those that only later places see)."""
        if start in self._kept:
            return self._kept[start]
        made = self._make(start, end)
        if len(made) * self.width * self.keys <= MOST_MASKED:
            self._kept[start] = made
        return made

    def _make(self, start: int, end: int) -> torch.Tensor:
        rows, seen = max(len(self.before), len(self.trees)), self.own - (self.width - end)
        causal = torch.full((end - start, seen), LOWEST, device=self.before.device).triu(1 + start)
        own = causal.repeat(rows, 1, 1) if self.trees else causal.expand(rows, -1, -1)
        for row, (first, within) in zip(own, self.trees, strict=False):
            top, bottom = max(first, start), min(first + len(within), end)
            if top < bottom:
                row[top - start : bottom - start, first:bottom] = within[top - first : bottom - first, : bottom - first]
        return torch.cat([self.before.expand(rows, -1, end - start, -1), own[:, None]], dim=3)


@dataclass(frozen=True)
class Layout:
    """Where the tokens of a line stand when its rows are laid side by side, in a block of (rows, width) places."""

    tokens: torch.Tensor
    """(line,)"""
    positions: torch.Tensor
    """(line,): distance from the beginning of the row, shared tokens included."""
    block: torch.Tensor
    """(rows × width,): which token of the line stands at each place; the row's last one beyond its end."""
    back: torch.Tensor
    """(line,): the place of each token in the block."""
    mask: Mask
    """Over the keys that are a row's own (those of `in_line` come before them; those that the memory shares are seen by
    all and not part of it)."""
    in_line: int = 0
    """Tokens at the beginning of the line that all rows begin with; they are also the block's first row."""
    memory: Memory | None = None
    rows: slice = field(default_factory=lambda: slice(None))
    """The rows of the memory that these are."""
    keep: bool = False
    """Whether the memory is to remember this line."""
    column: int = 0
    """Where in the memory it is to stand."""

    @property
    def inputs(self) -> dict[str, Any]:
        """The line as a network of the transformers library takes it, once `use_packed_attention` has been there."""
        return {
            "input_ids": self.tokens[None],
            "position_ids": self.positions[None],
            "layout": self,
            "use_cache": False,
        }

    @property
    def height(self) -> int:
        """Rows of the block."""
        return len(self.block) // self.width

    @property
    def width(self) -> int:
        """Places of each row of the block."""
        return self.mask.width


def line_up(prefix: Sequence[int], rows: Sequence[Sequence[int]], device: torch.device) -> Layout:
    """One line of `prefix` and then all rows, each of which follows it."""
    parts = [list(prefix), *map(list, rows)] if prefix else [list(row) for row in rows]
    shared = len(prefix)
    places = _Places.of([len(part) for part in parts])
    before = torch.zeros(len(parts) if prefix else 1, 1, 1, shared, device=device)
    before[0] = LOWEST  # the shared tokens themselves, which are the block's first row
    positions = [torch.arange(len(part)) + (shared if prefix and number else 0) for number, part in enumerate(parts)]
    return Layout(
        _flat(parts, device),
        torch.cat(positions).to(device),
        places.block.to(device),
        places.back.to(device),
        Mask(places.width, before, places.width),
        in_line=shared,
    )


class Memory:
    """Keys and values of a batch: of what all its rows begin with, once, and of what each row has read since."""

    def __init__(self, shared: Mapping[int, State], rows: int, capacity: int, device: torch.device) -> None:
        self.shared = shared
        """By the layer's number, of shape (key heads, tokens, head size); empty where rows share nothing."""
        self.device = device
        self._capacity = capacity
        self._own: dict[int, State] = {}
        self.length = 0
        """Columns in use: the most that a row has read."""
        self.read = torch.zeros(rows, dtype=torch.long, device=device)
        """(rows,): tokens of each row, shared ones not counted."""
        self._mask = torch.full((rows, capacity), LOWEST, device=device)

    @property
    def rows(self) -> int:
        return len(self.read)

    @property
    def shared_tokens(self) -> int:
        return next(keys.shape[1] for keys, _ in self.shared.values()) if self.shared else 0

    def reading(self, first: int, rows: Sequence[Sequence[int]]) -> Layout:
        """The line of some rows, `first` and those after it, that have read nothing yet; it will be remembered."""
        lengths = [len(row) for row in rows]
        places = _Places.of(lengths)
        part = slice(first, first + len(rows))
        self.length = max(self.length, places.width)
        self.read[part] = torch.tensor(lengths, device=self.device)
        self._mask[part, : places.width] = places.mask.to(self.device)
        mask = Mask(places.width, self._mask.new_zeros(1, 1, 1, 0), places.width)
        return self._layout(rows, places, [range(n) for n in lengths], mask, rows=part, keep=True)

    def step(self, tokens: Sequence[int]) -> Layout:
        """One more token for every row, to be remembered."""
        column = self.length
        self._mask[:, column] = 0
        positions = self.shared_tokens + self.read
        self.length, self.read = column + 1, self.read + 1
        every = torch.arange(self.rows, device=self.device)
        # looking at some columns in vain is quicker than cutting them off, which copies all others
        seen = self._capacity if self._capacity <= MOST_IN_VAIN * self.length else self.length
        mask = Mask(1, self._mask[:, None, None, :seen], own=0)
        line = torch.tensor(tokens, device=self.device)
        return Layout(line, positions, every, every, mask, memory=self, keep=True, column=column)

    def branching(self, trees: Sequence[LabelTrie]) -> Layout:
        """A tree of continuations for every row; nothing of them is remembered."""
        places = _Places.of([len(tree.tokens) for tree in trees])
        before = self._mask[:, None, None, : self.length]
        mask = Mask(places.width, before, places.width, [(0, _within(tree).to(self.device)) for tree in trees])
        positions = [[n + depth for depth in tree.depths] for n, tree in zip(self.read.tolist(), trees, strict=True)]
        return self._layout([tree.tokens for tree in trees], places, positions, mask)

    def passing(self, rows: Sequence[Sequence[int]], tree: LabelTrie) -> Layout:
        """Rows that have read nothing yet, each followed at once by the tree; nothing is remembered."""
        parts = [[*row, *tree.tokens] for row in rows]
        places = _Places.of([len(part) for part in parts])
        within = _within(tree).to(self.device)
        nothing = self._mask.new_zeros(1, 1, 1, 0)
        mask = Mask(places.width, nothing, places.width, [(len(row), within) for row in rows])
        positions = [[*range(len(row)), *(len(row) + depth for depth in tree.depths)] for row in rows]
        return self._layout(parts, places, positions, mask)

    def _layout(
        self,
        parts: Sequence[Sequence[int]],
        places: _Places,
        positions: Sequence[Sequence[int]],
        mask: Mask,
        rows: slice = slice(None),
        keep: bool = False,
    ) -> Layout:
        return Layout(
            _flat(parts, self.device),
            _flat(positions, self.device) + self.shared_tokens,
            places.block.to(self.device),
            places.back.to(self.device),
            mask,
            memory=self,
            rows=rows,
            keep=keep,
        )

    def remember(self, layer: int, keys: torch.Tensor, values: torch.Tensor, layout: Layout) -> State:
        """Add a block's states, of shape (key heads, rows, width, head size), and return all of these rows' own."""
        if layer not in self._own:
            shape = (keys.shape[0], self.rows, self._capacity, keys.shape[3])
            self._own[layer] = keys.new_zeros(shape), values.new_zeros(*shape[:3], values.shape[3])
        columns = slice(layout.column, layout.column + layout.width)
        for buffer, states in zip(self._own[layer], (keys, values), strict=True):
            buffer[:, layout.rows, columns] = states
        return self._part(layer, layout.rows, layout.mask.keys)

    def recall(self, layer: int) -> State | None:
        """What the rows have read of their own, of shape (key heads, rows, columns, head size)."""
        return self._part(layer, slice(None), self.length) if layer in self._own else None

    def _part(self, layer: int, rows: slice, end: int) -> State:
        keys, values = self._own[layer]
        # contiguous, since torch's batched product would make copies of its own, far more slowly
        return keys[:, rows, :end].contiguous(), values[:, rows, :end].contiguous()

    def as_shared(self) -> dict[int, State]:
        """The state of a memory of one row that shares nothing, for other memories to share."""
        return {
            layer: (keys[:, 0, : self.length], values[:, 0, : self.length])
            for layer, (keys, values) in self._own.items()
        }

    def keep_rows(self, rows: Sequence[int]) -> None:
        """Forget all rows but these."""
        kept = torch.tensor(rows, device=self.device)
        self.read, self._mask = self.read[kept], self._mask[kept]
        self._own = {layer: (keys[:, kept], values[:, kept]) for layer, (keys, values) in self._own.items()}


@dataclass(frozen=True)
class _Places:
    """Rows of some lengths, side by side."""

    width: int
    block: torch.Tensor
    back: torch.Tensor
    mask: torch.Tensor
    """(rows, width): the lowest number beyond the end of a row."""

    @classmethod
    def of(cls, lengths: Sequence[int]) -> _Places:
        sizes = torch.tensor(lengths)
        width = int(sizes.max())
        columns = torch.arange(width)[None]
        inside = columns < sizes[:, None]
        starts = (sizes.cumsum(0) - sizes)[:, None]
        block = starts + torch.minimum(columns, sizes[:, None] - 1)
        mask = torch.zeros(inside.shape).masked_fill_(~inside, LOWEST)
        return cls(width, block.flatten(), inside.flatten().nonzero()[:, 0], mask)


def _within(tree: LabelTrie) -> torch.Tensor:
    """(nodes, nodes): every node sees only what leads to it."""
    mask = torch.full((len(tree.tokens), len(tree.tokens)), LOWEST)
    for node, seen in enumerate(tree.ancestors()):
        mask[node, seen] = 0
    return mask


def _flat(parts: Sequence[Sequence[int]], device: torch.device) -> torch.Tensor:
    return torch.tensor([value for part in parts for value in part], device=device)
