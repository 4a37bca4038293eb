"""Holdouts without leaks: rows with the same input stay on one side.

Which rows go where is decided by a hash of (seed, id), so that it depends neither on the order of the file nor on the
process. Targets are looked at for stratification only.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from eval.contracts import Example
from eval.errors import RequestError


class Split(NamedTuple):
    """Two disjoint parts, each in file order."""

    train: tuple[Example, ...]
    test: tuple[Example, ...]


@dataclass(frozen=True)
class _Group:
    """Rows whose inputs are the same; they move together."""

    key: str
    rank: bytes
    """Pseudo-random place in the draw."""
    stratum: str
    labels: frozenset[str]
    size: int


def group_key(text: str) -> str:
    """Equal for inputs that are exact duplicates but for case and whitespace."""
    return " ".join(text.casefold().split())


def default_test_size(n: int) -> int:
    """A quarter of the rows, at least 20 and at most 200, but never more than half."""
    return max(1, min(200, max(20, round(n / 4)), n // 2))


def split(examples: Sequence[Example], *, test_size: int, seed: int, stratify: bool) -> Split:
    """Set about `test_size` rows aside: exactly that many unless groups of duplicates or rare labels forbid it.

    With `stratify`, labels keep their shares, and a label that occurs in two or more groups keeps a row in train.
    Raises `RequestError` where one part would be empty.
    """
    return _holdout(examples, test_size, f"test:{seed}", stratify)


def dev_split(
    train: Sequence[Example], *, dev_size: int, seed: int, stratify: bool
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """(fit, dev): the same mechanism inside the training part, with a draw of its own."""
    fit, dev = _holdout(train, dev_size, f"dev:{seed}", stratify)
    return fit, dev


def _holdout(examples: Sequence[Example], size: int, salt: str, stratify: bool) -> Split:
    groups = _group(examples, salt, stratify)
    if size < 1 or size >= len(examples) or len(groups) < 2:
        raise RequestError(
            f"{len(examples)} examples with {len(groups)} different inputs are too few to set {size} aside; "
            "add examples, or ask for a smaller part."
        )
    held = _draw(groups, size)
    parts: tuple[list[Example], list[Example]] = ([], [])
    for example in examples:
        parts[group_key(example.input) in held].append(example)
    return Split(tuple(parts[0]), tuple(parts[1]))


def _group(examples: Iterable[Example], salt: str, stratify: bool) -> list[_Group]:
    """The groups in the order of the draw."""
    members: defaultdict[str, list[Example]] = defaultdict(list)
    for example in examples:
        members[group_key(example.input)].append(example)
    groups = []
    for key, rows in members.items():
        first = min(rows, key=lambda row: (row.id, row.target))
        labels = frozenset(" ".join(row.target.split()) for row in rows) if stratify else frozenset({""})
        stratum = " ".join(first.target.split()) if stratify else ""
        groups.append(_Group(key, _hash(salt, first.id), stratum, labels, len(rows)))
    return sorted(groups, key=lambda group: (group.rank, group.key))


def _hash(salt: str, text: str) -> bytes:
    return blake2b(f"{salt}\0{text}".encode(errors="surrogatepass"), digest_size=16).digest()


def _draw(groups: Sequence[_Group], size: int) -> set[str]:
    """Keys of the held-out groups: first each stratum up to its quota, then whatever still fits."""
    remaining = Counter(label for group in groups for label in group.labels)
    protected = {label for label, count in remaining.items() if count > 1}
    held: set[str] = set()

    def take(candidates: Iterable[_Group], room: int) -> int:
        """Hold candidates out while they fit into `room` rows and train keeps their labels; the room that is left."""
        for group in candidates:
            keeps_labels = all(remaining[label] > 1 for label in group.labels & protected)
            keeps_a_group = len(held) < len(groups) - 1
            if group.key not in held and group.size <= room and keeps_labels and keeps_a_group:
                held.add(group.key)
                remaining.subtract(group.labels)
                room -= group.size
        return room

    unused = 0
    for stratum, quota in _quotas(groups, size).items():
        unused += take((group for group in groups if group.stratum == stratum), quota)
    take(groups, unused)
    if not held:  # Every group is larger than the part asked for: one of the smallest is the nearest to it.
        take(groups, min(group.size for group in groups))
    return held


def _quotas(groups: Sequence[_Group], size: int) -> dict[str, int]:
    """Rows to hold out per stratum, in proportion to its rows, rounded by largest remainder (ties: first drawn)."""
    rows: Counter[str] = Counter()
    for group in groups:
        rows[group.stratum] += group.size
    total = rows.total()
    quotas = {stratum: count * size // total for stratum, count in rows.items()}
    by_remainder = sorted(rows, key=lambda stratum: -(rows[stratum] * size % total))
    for stratum in by_remainder[: size - sum(quotas.values())]:
        quotas[stratum] += 1
    return quotas
