"""Which queries are answered together. A function of the prompts alone, so that equal calls make equal batches."""

from __future__ import annotations

from collections.abc import Sequence

MOST_ROWS = 256
MOST_TOKENS = 24_576


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
