"""Which rows are computed together. A function of the rows alone, so that equal calls make equal batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

MOST_ROWS = 256
MOST_TOKENS = 24_576
PACK_TOKENS = 2048
"""Training tokens computed at once: more would not stay in the processor's caches."""

Answer = TypeVar("Answer")


def batches(
    lengths: Sequence[int], extra: int, most_rows: int = MOST_ROWS, most_tokens: int = MOST_TOKENS
) -> list[list[int]]:
    """Cut rows, by index, into batches of similar length, the longest first.

    `extra` tokens (of the answer to come) are added to every row; a batch holds at most `most_tokens`
    of rows padded to its longest, and at least one row.
    """
    found: list[list[int]] = []
    widest = 0
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        full = found and (len(found[-1]) >= most_rows or (len(found[-1]) + 1) * widest > most_tokens)
        if not found or full:
            found.append([])
            widest = lengths[index] + extra
        found[-1].append(index)
    return found


def in_batches(
    answer: Callable[[list[Sequence[int]]], Sequence[Answer]],
    rows: Sequence[Sequence[int]],
    extra: int,
    most_tokens: int = MOST_TOKENS,
) -> list[Answer]:
    """What `answer` makes of the rows, asked batch by batch, in the order of the rows."""
    found: dict[int, Answer] = {}
    for batch in batches([len(row) for row in rows], extra, most_tokens=most_tokens):
        found.update(zip(batch, answer([rows[i] for i in batch]), strict=True))
    return [found[i] for i in range(len(rows))]


def stretches(lengths: Sequence[int], most_tokens: int) -> Iterator[slice]:
    """Cut rows, in their order, into stretches of at most so many tokens, and at least one row."""
    start = tokens = 0
    for number, length in enumerate(lengths):
        if number > start and tokens + length > most_tokens:
            yield slice(start, number)
            start, tokens = number, 0
        tokens += length
    yield slice(start, len(lengths))
