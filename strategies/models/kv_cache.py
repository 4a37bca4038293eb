"""Key/value state with room to grow, so that a decoding step writes in place instead of copying everything."""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer


class RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values, shape (batch, heads, length, head size), inside a buffer of fixed capacity."""

    def __init__(self, batch: int, capacity: int) -> None:
        super().__init__()
        self._batch, self._capacity = batch, capacity
        self._rows = slice(None)
        self._length = 0

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append new states to the rows in focus and return all of theirs."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            _, heads, _, size = key_states.shape
            self._key_buffer = key_states.new_empty(self._batch, heads, self._capacity, size)
            self._value_buffer = value_states.new_empty(*self._key_buffer.shape[:3], value_states.shape[-1])
        end = self._length + key_states.shape[-2]
        self._key_buffer[self._rows, :, self._length : end] = key_states
        self._value_buffer[self._rows, :, self._length : end] = value_states
        self.focus(self._rows, end)
        return self.keys, self.values

    def focus(self, rows: slice, length: int) -> None:
        """Work on some rows of the batch, of which the first `length` tokens are known."""
        self._rows, self._length = rows, length
        if self.is_initialized:
            self.keys = self._key_buffer[rows, :, :length]
            self.values = self._value_buffer[rows, :, :length]

    def keep_rows(self, rows: torch.Tensor) -> None:
        """Drop all rows of the batch but these."""
        self._key_buffer, self._value_buffer = self._key_buffer[rows], self._value_buffer[rows]
        self.focus(slice(None), self._length)


class RoomyCache(Cache):  # type: ignore[misc]
    """A `RoomyLayer` for each layer of a model."""

    def __init__(self, layers: int, batch: int, capacity: int) -> None:
        super().__init__(layers=[RoomyLayer(batch, capacity) for _ in range(layers)])

    def focus(self, rows: slice, length: int) -> None:
        """Work on some rows of the batch, of which the first `length` tokens are known."""
        for layer in self.layers:
            layer.focus(rows, length)

    def keep_rows(self, rows: torch.Tensor) -> None:
        """Drop all rows of the batch but these."""
        for layer in self.layers:
            layer.keep_rows(rows)

    def copied_for(self, batch: int, capacity: int) -> RoomyCache:
        """The state of a single row, repeated for a batch, in new buffers with room for `capacity` tokens."""
        copy = RoomyCache(len(self.layers), batch, capacity)
        for source, target in zip(self.layers, copy.layers, strict=True):
            target.update(source.keys.expand(batch, -1, -1, -1), source.values.expand(batch, -1, -1, -1))
        return copy
