"""The fields of a JSON value, or of lines of `name: value`, and which of them two values share.

A field is a path with a value. What belongs together in a list's objects stays together: each item of one list is held
against one item of the other at most, so that a right quantity in the wrong line is no hit. Lists of plain values are
bags. A null, an empty text, list or object is no field: to leave open what is open is nothing found (as blank slots are
left out in MUC-5, Chinchor and Sundheim 1993), while a value there, or none where one is wanted, is wrong.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from eval.reading.text import CURRENCIES, MARKS, UNSPACED

MOST_LEVELS = 100
"""Of lists in lists."""
MOST_PAIRS = 10_000
"""Of items that are weighed one by one; of more, those that are most alike are taken for each other."""

BLANK = ("null", "")
"""Leaves that say that there is no value."""

Leaf = tuple[str, str]
"""Path and value: `a.b` for nested keys, `a[]` for list items, whose order does not count."""


_LINE = re.compile(rf"([^\W\d_][\w{MARKS}{UNSPACED} ./'&%()-]{{0,40}}?) ?(?::(?!\S)|：) ?(.*)")
"""A name, which begins with a letter, and what stands after its colon."""
_BESIDE_NUMBER = re.compile(rf"(?<=[{CURRENCIES}])(?=[-−]?\d)|(?<=\d)(?=[{CURRENCIES}%‰])")


class Number(str):
    """A number as it is written."""


@dataclass(frozen=True)
class Fields:
    """The fields of one value."""

    leaves: frozenset[tuple[Leaf, int]]
    """Those in no object of a list, each with a number that tells equal ones apart."""
    lists: dict[str, tuple[Fields, ...]]
    """By path: the objects and lists in a list."""
    key: bytes
    """The same for values with the same fields."""

    def every(self) -> Iterator[Leaf]:
        """All fields, those of lists with them."""
        yield from (leaf for leaf, _ in self.leaves)
        for items in self.lists.values():
            for item in items:
                yield from item.every()


def parsed(text: str, number: Callable[[str], Any] | None = None) -> Any:
    """The value of a JSON text, its numbers as `number` makes them of what is written.

    Raises ValueError for what RFC 8259 does not allow, such as the NaN that Python writes, and RecursionError for what
    is nested too deeply.
    """
    return json.loads(text, parse_int=number, parse_float=number, parse_constant=_refuse_constant)


def fields_of(text: str) -> Fields | None:
    """The fields of a JSON text; None where it is no JSON (RFC 8259), or nested too deeply."""
    try:
        return _fields(parsed(text, Number))
    except (ValueError, RecursionError):
        return None


def lines_of(text: str) -> list[tuple[str, str]]:
    """Name and value of each line that is not blank; the name is empty where a line has none."""
    lines = filter(None, (" ".join(line.split()) for line in text.splitlines()))
    return [(found[1], found[2]) if (found := _LINE.fullmatch(line)) else ("", line) for line in lines]


def fields_of_lines(text: str) -> Fields:
    """The fields of a text that is lines of `name: value`, in any order; a line without a name is a field all the same.

    Plain numbers are the same without their last zeros.
    """
    leaves = ((name, " ".join(with_plain_numbers(value))) for name, value in lines_of(text) if value not in BLANK)
    return Fields(_numbered(leaves), {}, b"")


def f1_of_fields(a: Fields, b: Fields) -> float:
    """F1 over the fields; two values without any agree."""
    size = sum(1 for value in (a, b) for _ in value.every())
    return 2 * len(shared(a, b)) / size if size else 1.0


def shared(a: Fields, b: Fields) -> list[Leaf]:
    """The fields that two values share, with list items paired so that these are as many as can be."""
    found = [leaf for leaf, _ in a.leaves & b.leaves]
    ours, theirs = a.leaves - b.leaves, b.leaves - a.leaves
    found += _numbers_as_texts(ours, theirs) + _numbers_as_texts(theirs, ours)
    for path, items in a.lists.items():
        found += _shared_by_items(items, b.lists.get(path, ()))
    return found


def _numbers_as_texts(numbers: Iterable[tuple[Leaf, int]], texts: Iterable[tuple[Leaf, int]]) -> list[Leaf]:
    """The numbers of one value that stand in the other as texts with further zeros: 5 and "5.00"."""
    wanted = Counter(leaf for leaf, _ in numbers if isinstance(leaf[1], Number))
    if not wanted:
        return []
    written = Counter((path, as_number(text)) for (path, text), _ in texts if not isinstance(text, Number))
    return list((wanted & written).elements())


def _shared_by_items(ours: Sequence[Fields], theirs: Sequence[Fields]) -> list[Leaf]:
    """Equal items are paired first, which is never worse, and quick where nearly all are equal."""
    unpaired: defaultdict[bytes, list[Fields]] = defaultdict(list)
    for item in theirs:
        unpaired[item.key].append(item)
    found, rest = list[Leaf](), list[Fields]()
    for item in ours:
        if unpaired[item.key]:
            found += unpaired[item.key].pop().every()
        else:
            rest.append(item)
    others = [item for items in unpaired.values() for item in items]
    if len(rest) * len(others) > MOST_PAIRS:
        return found + [leaf for a, b in _most_alike(rest, others) for leaf in shared(a, b)]
    return found + _best_assignment([[shared(a, b) for b in others] for a in rest])


def _best_assignment(found: Sequence[Sequence[list[Leaf]]]) -> list[Leaf]:
    """What is shared in all, where each row gets a column of its own (linear assignment; Kuhn 1955)."""
    if not found or not found[0]:
        return []
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment([[len(leaves) for leaves in row] for row in found], maximize=True)
    return [leaf for row, column in zip(rows, columns, strict=True) for leaf in found[row][column]]


def _most_alike(ours: Sequence[Fields], theirs: Sequence[Fields]) -> Iterator[tuple[Fields, Fields]]:
    """Pairs of items, those with most fields in common first, without regard to lists within."""
    import numpy as np
    from scipy.sparse import csr_array

    places: dict[tuple[Leaf, int], int] = {}
    bags = [
        [[places.setdefault(f, len(places)) for f in _numbered(i.every())] for i in side] for side in (ours, theirs)
    ]
    rows = [np.repeat(range(len(side)), [len(bag) for bag in side]) for side in bags]
    columns = [np.concatenate(side) for side in bags]
    left, right = (
        csr_array((np.ones(len(row), dtype=np.int32), (row, column)), shape=(len(side), len(places)))
        for row, column, side in zip(rows, columns, bags, strict=True)
    )
    alike = (left @ right.T).tocoo()
    first, second = set(range(len(ours))), set(range(len(theirs)))
    for place in np.lexsort((alike.col, alike.row, -alike.data)):
        a, b = int(alike.row[place]), int(alike.col[place])
        if a in first and b in second:
            first.remove(a)
            second.remove(b)
            yield ours[a], theirs[b]


def _fields(value: Any, path: str = "", level: int = 0) -> Fields:
    if level > MOST_LEVELS:
        raise ValueError("nested too deeply")
    plain, lists = list[Leaf](), defaultdict[str, list[Fields]](list)
    for place, inner in _walk(value, path):
        if isinstance(inner, dict | list):
            lists[place].append(_fields(inner, place, level + 1))
        elif (leaf := _leaf(inner)) not in BLANK:
            plain.append((place, leaf))
    leaves = _numbered(plain)
    inner_keys = sorted((place, sorted(item.key for item in items)) for place, items in lists.items())
    key = blake2b(repr((sorted(leaves), inner_keys)).encode(), digest_size=16).digest()
    return Fields(leaves, {place: tuple(items) for place, items in lists.items()}, key)


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Paths with what stands there: a leaf, or an object or list that is an item of a list."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _walk(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        yield from ((f"{path}[]", inner) for inner in value)
    else:
        yield path, value


def _leaf(value: Any) -> str:
    """A leaf as text: 6, "6" and 6.0 are equal, "007" and 7 are not; nor are the texts "1.1" and "1.10" (versions)."""
    if isinstance(value, Number):
        return Number(as_number(value))
    return " ".join(value.split()) if isinstance(value, str) else json.dumps(value)


def as_number(text: str) -> str:
    """A plain number without its last zeros, which add nothing; codes ("007", "0101.20") and text as they are."""
    return text.rstrip("0").rstrip(".") if re.fullmatch(r"-?(0|[1-9]\d*)\.\d+", text) else text


def with_plain_numbers(text: str) -> list[str]:
    """The words of a text, of which each plain number is `as_number` makes it, the sign of a currency or % apart."""
    return list(map(as_number, _BESIDE_NUMBER.sub(" ", text).split()))


def _numbered(leaves: Iterable[Leaf]) -> frozenset[tuple[Leaf, int]]:
    """A multiset as a set, of which the intersection is quick to take."""
    return frozenset((leaf, number) for leaf, count in Counter(leaves).items() for number in range(count))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
