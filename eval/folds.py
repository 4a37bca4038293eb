"""Holdouts and folds without leaks: rows of one group stay on one side.

A group is what `Example.group` says (`with_groups`), else the rows with the same input. Which rows go where is decided
by a hash of (seed, id), so that it depends neither on the order of the file nor on the process. Targets are looked at
for stratification only.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from hashlib import blake2b
from itertools import accumulate
from math import floor, isfinite
from typing import NamedTuple

from eval.contracts import Example
from eval.errors import RequestError
from eval.near_duplicates import group_key, near_duplicate_groups

MOST_TEST_ROWS = 200
"""That one holdout sets aside."""


class Split(NamedTuple):
    """Two disjoint parts, each in file order."""

    train: tuple[Example, ...]
    test: tuple[Example, ...]


@dataclass(frozen=True)
class _Group:
    """Rows that move together."""

    key: str
    rank: bytes
    """Pseudo-random place in the draw."""
    stratum: str
    labels: frozenset[str]
    size: int


def with_groups(examples: Sequence[Example], values: Sequence[str] | None = None) -> tuple[Example, ...]:
    """The examples, with `group` set where rows belong together; a row on its own keeps an empty one.

    Rows belong together that have the same input (`group_key`), nearly the same (`near_duplicate_groups`), or the same
    value but an empty one (`values`, parallel to the examples: the client's own grouping), and so do all rows that a
    chain of such pairs joins. Names are hashes: they show no text and depend on no order.
    """
    from scipy.cluster.hierarchy import DisjointSet

    alike: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for position, example in enumerate(examples):
        alike["input", group_key(example.input)].append(position)
    for position, (_, value) in enumerate(zip(examples, values, strict=True) if values is not None else ()):
        if value.strip():
            alike["value", value.strip()].append(position)
    joined = DisjointSet(range(len(examples)))
    for members in (*alike.values(), *near_duplicate_groups([example.input for example in examples])):
        for member in members[1:]:
            joined.merge(members[0], member)
    grouped = list(examples)
    for component in joined.subsets():
        first = min((examples[i].id, examples[i].input) for i in component)
        name = _hash("group", "\0".join(first)).hex() if len(component) > 1 else ""
        for i in component:
            grouped[i] = replace(examples[i], group=name)
    return tuple(grouped)


def default_test_size(n: int) -> int:
    """A quarter of the rows, at least 20 and at most 200, but never more than half."""
    return max(1, min(MOST_TEST_ROWS, max(20, round(n / 4)), n // 2))


def split(examples: Sequence[Example], *, test_size: int, seed: int, stratify: bool) -> Split:
    """Set about `test_size` rows aside: exactly that many unless groups of duplicates or rare labels forbid it.

    With `stratify`, labels keep their shares, and a label that occurs in two or more groups keeps a row in train. Rows
    whose label occurs once are tested as often as others: queries to come will have labels that no one has learnt, too.
    Raises `RequestError` where one part would be empty.
    """
    return _holdout(examples, test_size, f"test:{seed}", stratify, _fair_quotas)


def dev_split(
    train: Sequence[Example], *, dev_size: int, seed: int, stratify: bool
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """(fit, dev): the same mechanism inside the training part, with a draw of its own.

    Here labels of few rows stay where they can be learnt, since configurations are compared and nothing is estimated.
    """
    fit, dev = _holdout(train, dev_size, f"dev:{seed}", stratify, _frequent_quotas)
    return fit, dev


def k_folds(examples: Sequence[Example], *, folds: int, seed: int, stratify: bool) -> tuple[Split, ...]:
    """Cross-fitting: `folds` splits in which every example is a test example exactly once.

    Where no two rows share a group, the test parts differ by at most one row, and with `stratify` so do the rows of
    each label in them. A label of two or more groups is in two or more test parts, so that it can be learnt wherever it
    is asked for. (scikit-learn's StratifiedGroupKFold refuses data in which every label is rarer than `folds`.)
    Raises `RequestError` where there are fewer groups than folds.
    """
    groups = _group(examples, f"fold:{seed}", stratify)
    if len(groups) < folds or folds < 2:
        raise RequestError(
            f"{len(examples)} examples in {len(groups)} groups of like inputs are too few for {folds} folds; "
            "add examples, or ask for fewer folds."
        )
    fold_of = _deal(groups, folds)
    placed = [(example, fold_of[_key(example)]) for example in examples]
    return tuple(
        Split(tuple(e for e, place in placed if place != fold), tuple(e for e, place in placed if place == fold))
        for fold in range(folds)
    )


def fewer(rows: Sequence[Example], *, size: int, seed: int, stratify: bool) -> tuple[Example, ...]:
    """So many of some test rows, in their order. Row by row, for nothing is learnt from those that are left.

    With `stratify`, labels keep their shares, the rare ones now and then by chance; also under macro F1, since what
    errors cost is counted row by row. Of fewer rows all are among those of more.
    """
    salt = f"fewer:{seed}"
    drawn: defaultdict[str, list[Example]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: _hash(salt, row.id)):
        drawn[" ".join(row.target.split()) if stratify else ""].append(row)
    places: dict[str, float] = {}  # in a line of all rows, in which those of a label are evenly spread
    for label, of_label in drawn.items():
        first = int.from_bytes(_hash(salt, f"label\0{label}")) / 2**128
        places |= {row.id: (number + first) / len(of_label) for number, row in enumerate(of_label)}
    kept = set(sorted(places, key=lambda name: (places[name], _hash(salt, name)))[:size])
    return tuple(row for row in rows if row.id in kept)


def latest(examples: Sequence[Example], times: Sequence[float], *, test_size: int) -> Split:
    """Test on the latest groups; `times` are parallel to the examples, in any unit.

    A group is as old as its first row, and all of a group is tested that began at a certain time or later. What is
    learnt from is all earlier than that: the later rows of groups that began earlier are in neither part. Groups of the
    same age stay together, so that the test part has about `test_size` rows: the number that comes nearest.
    Raises `RequestError` where times are missing, or too few are different for a test part of no more rows than are
    learnt from.
    """
    began: dict[str, float] = {}
    for example, time in zip(examples, times, strict=True):
        if not isfinite(time):
            raise RequestError(f"Row {example.row} has no time; fill in its --time-column, or leave the option out.")
        began[_key(example)] = min(time, began.get(_key(example), time))
    ages = [began[_key(example)] for example in examples]
    tested = _since(ages)
    allowed = [age for age, later in _since(times).items() if age in tested and tested[age] <= len(examples) - later]
    if not allowed or test_size < 1:
        raise RequestError(
            f"The latest {test_size} of {len(examples)} examples cannot be set aside: too many rows, or groups of "
            "rows, have the same latest time, or began early; give finer times, or leave --time-column or --group-by "
            "out."
        )
    cut = min(allowed, key=lambda age: abs(tested[age] - test_size))
    dated = list(zip(examples, times, ages, strict=True))
    return Split(tuple(e for e, time, _ in dated if time < cut), tuple(e for e, _, age in dated if age >= cut))


def _since(times: Sequence[float]) -> dict[float, int]:
    """How many are at each time or later, the latest first."""
    counts = Counter(times)
    latest_first = sorted(counts, reverse=True)
    return dict(zip(latest_first, accumulate(counts[time] for time in latest_first), strict=True))


def _key(example: Example) -> str:
    """The same for rows that move together; the hash of a group is never the text of an input."""
    return f"group\0{example.group}" if example.group else group_key(example.input)


def _deal(groups: Sequence[_Group], folds: int) -> dict[str, int]:
    """The fold of each group: large groups first, then rare labels, each to the fold with least of its label."""
    rows = _rows(groups)
    fold_of: dict[str, int] = {}
    held: list[Counter[str]] = [Counter() for _ in range(folds)]
    sizes = [0] * folds
    for group in sorted(groups, key=lambda group: (-group.size, rows[group.stratum], group.stratum)):
        fold = min(range(folds), key=lambda fold: (held[fold][group.stratum], sizes[fold], fold))
        held[fold][group.stratum] += group.size
        sizes[fold] += group.size
        fold_of[group.key] = fold
    return fold_of


Quotas = Callable[[Mapping[str, Fraction], Fraction], dict[str, int]]
"""How many groups of each stratum are held out, of groups of one size: from how many would be its share, first drawn
first, and any number below 1."""


def _holdout(examples: Sequence[Example], size: int, salt: str, stratify: bool, quotas: Quotas) -> Split:
    groups = _group(examples, salt, stratify)
    if size < 1 or size >= len(examples) or len(groups) < 2:
        raise RequestError(
            f"{len(examples)} examples in {len(groups)} groups of like inputs are too few to set {size} aside; "
            "add examples that differ."
        )
    held = _draw(groups, size, quotas)
    parts: tuple[list[Example], list[Example]] = ([], [])
    for example in examples:
        parts[_key(example) in held].append(example)
    return Split(tuple(parts[0]), tuple(parts[1]))


def _group(examples: Iterable[Example], salt: str, stratify: bool) -> list[_Group]:
    """The groups in the order of the draw."""
    members: defaultdict[str, list[Example]] = defaultdict(list)
    for example in examples:
        members[_key(example)].append(example)
    groups = []
    for key, rows in members.items():
        first = min(rows, key=lambda row: (row.id, row.target))
        labels = frozenset(" ".join(row.target.split()) for row in rows) if stratify else frozenset({""})
        stratum = " ".join(first.target.split()) if stratify else ""
        groups.append(_Group(key, _hash(salt, first.id), stratum, labels, len(rows)))
    return sorted(groups, key=lambda group: (group.rank, group.key))


def _hash(salt: str, text: str) -> bytes:
    return blake2b(f"{salt}\0{text}".encode(errors="surrogatepass"), digest_size=16).digest()


def _draw(groups: Sequence[_Group], size: int, quotas: Quotas) -> set[str]:
    """Keys of the held-out groups, about `size` rows in all.

    The largest are drawn first, and the smaller ones of their stratum make up for what these were more or less than
    their share: so strata keep theirs, and how likely a row is held out does not hang on how many others belong to it.
    Groups of more than `size` rows are not drawn: a part that is one group says nothing of others. No group is drawn
    beyond half of all rows.
    """
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

    small = [group for group in groups if group.size <= size]
    by_size: defaultdict[int, list[_Group]] = defaultdict(list)
    strata: defaultdict[tuple[int, str], list[_Group]] = defaultdict(list)
    for group in small:
        by_size[group.size].append(group)
        strata[group.size, group.stratum].append(group)
    rest = _rows(small)
    total = rest.total()
    rooms = {stratum: Fraction(rows * size, total) for stratum, rows in rest.items()}
    room, beyond = size, max(0, sum(group.size for group in groups) // 2 - size)
    for rows, alike in sorted(by_size.items(), reverse=True):
        wanted = {stratum: max(stratum_room, Fraction(0)) for stratum, stratum_room in rooms.items()}
        scale = max(room, 0) / (sum(wanted.values()) or Fraction(1))  # some strata had more than their share
        counts = Counter(group.stratum for group in alike)
        shares = {s: count * min(Fraction(1), wanted[s] * scale / rest[s]) for s, count in counts.items()}
        start = Fraction(int.from_bytes(alike[0].rank[8:]) % rest.total(), rest.total())
        for stratum, quota in quotas(shares, start).items():
            allowed = min(quota * rows, room + beyond)
            taken = allowed - take(strata[rows, stratum], allowed)
            room -= taken
            rooms[stratum] -= taken
            rest[stratum] -= rows * counts[stratum]
        rooms = {stratum: left for stratum, left in rooms.items() if rest[stratum]}
    take(groups, room)
    if not held:  # Every group is larger than the part asked for: one of the smallest is the nearest to it.
        take(groups, min(group.size for group in groups))
    return held


def _fair_quotas(shares: Mapping[str, Fraction], start: Fraction) -> dict[str, int]:
    """In proportion, rounded up or down as it comes by systematic sampling (Madow 1949): strata lie one after the
    other, first drawn first, and from a random start every so many groups one is held out."""
    quotas, end = dict[str, int](), start
    for stratum, share in shares.items():
        start, end = end, end + share
        quotas[stratum] = floor(end) - floor(start)
    return quotas


def _frequent_quotas(shares: Mapping[str, Fraction], start: Fraction) -> dict[str, int]:
    """In proportion, rounded by largest remainder (ties: first drawn): rare strata mostly get none."""
    quotas, total = {stratum: floor(share) for stratum, share in shares.items()}, floor(sum(shares.values()) + start)
    by_remainder = sorted(shares, key=lambda stratum: quotas[stratum] - shares[stratum])
    for stratum in by_remainder[: total - sum(quotas.values())]:
        quotas[stratum] += 1
    return quotas


def _rows(groups: Sequence[_Group]) -> Counter[str]:
    """Rows of each stratum."""
    rows = Counter[str]()
    for group in groups:
        rows[group.stratum] += group.size
    return rows
