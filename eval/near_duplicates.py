"""Inputs that are the same text, or nearly: with a slip, other punctuation, or in a longer text a word more or less.

Two inputs are near duplicates where their words, without case and punctuation, are the same but for

- one slip: a letter too many, missing, wrong or swapped with its neighbour (but for texts of one word, where a slip
  mostly makes another word: "stub", "stab"), or a space; or
- in texts of five words and more, slips and other words that make up at most 20 % of the longer text by count, and the
  other words at most 15 % by what they say.

What a word says is its inverse document frequency (Spärck Jones 1972) among the client's own inputs: where many rows
follow a template ("play X by Y"), what fills it says nearly everything, so that such rows are no copies. A number is
never a slip of another. The shares were set by eye on ten public tasks, where most pairs beyond them ask other things.

Not all pairs are compared. Those of short texts are found by what is left of them when one character is deleted (Mor
and Fraenkel 1982), those of longer ones by prefix filtering (Chaudhuri, Ganti and Kaushik 2006): two texts that share
four fifths of their words share one of the rarest fifth. Of these pairs, few get to be aligned where many rows follow
a form: the weightiest words of the heavier text, which are more than may differ, must not all be missing from the
other, slips of them included.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from array import array
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from math import log
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import OSA, Levenshtein

from eval.reading.text import DANDAS, MARKS, UNSPACED, UNSPACED_MARKS, WORD

MOST_WORDS = 0.2
"""Share of the words of the longer text that may differ."""
MOST_WEIGHT = 0.15
"""Share of the inverse document frequencies of the longer text that different words may have."""
FEWEST_LETTERS = 4
"""With another letter, a shorter word is another word ("now", "not")."""
MOST_CHARACTERS = 100
"""A lone slip is looked for in texts up to this length; the words tell in longer ones."""
MOST_NEIGHBOURS = 100
"""So many of the next texts in alphabetical order are compared where more share a rare word, to bound the time (the
sorted neighbourhood of Hernández and Stolfo 1995)."""
_ROUNDING = 1e-9
_SMOOTHING = 0.1
"""Added to the inverse document frequency: a word that every input holds still says a little."""

_APOSTROPHE = re.compile(r"['’`]")
_WORD = re.compile(
    rf"[{UNSPACED}]"  # Scripts without spaces: each sign is a word.
    rf"|{WORD}"
    rf"|[^\w\s.,;:!?¿¡\"()\[\]{{}}«»„“”‘‚–—…{UNSPACED_MARKS}{DANDAS}-]"  # A symbol can be all the difference.
)
_MARK = re.compile(f"[{MARKS}]")

Words = tuple[str, ...]
Pair = tuple[int, int]


class _Text(NamedTuple):
    words: Words
    letters: str
    """One character per word, which is what edit distances are quickest on."""
    weight: float
    """Sum over the words."""
    held: frozenset[str]
    """The words, each once."""
    wanted: frozenset[str]
    """Words of which a near duplicate that weighs no more holds one: the weightiest, and slips of them. Empty where
    that is not known."""


def group_key(text: str) -> str:
    """Equal for inputs that are exact duplicates but for case and whitespace."""
    return " ".join(text.casefold().split())


def near_duplicate_groups(texts: Sequence[str]) -> list[tuple[int, ...]]:
    """Connected components of nearly equal texts: positions in ascending order, the components by their first.

    Texts with the same `group_key` are in one component, but components of such copies alone are left out. What is put
    together depends neither on the order of the texts nor on how often each occurs.
    """
    return list(_groups(tuple(texts)))


@lru_cache(maxsize=1)  # the audit and the folds ask for the same inputs, one after the other
def _groups(texts: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    keys = [group_key(text) for text in texts]
    wordings = {key: words_of(key) or (key,) for key in set(keys)}
    root = _roots(sorted(set(wordings.values())))
    members: defaultdict[Words, list[int]] = defaultdict(list)
    for position, key in enumerate(keys):
        members[root[wordings[key]]].append(position)
    return tuple(tuple(group) for group in members.values() if len({keys[i] for i in group}) > 1)


def forget() -> None:
    """Keep no inputs in memory any longer."""
    _groups.cache_clear()


def words_of(text: str) -> Words:
    """The words without case, punctuation and apostrophes; a symbol counts as a word."""
    return tuple(_WORD.findall(_APOSTROPHE.sub("", unicodedata.normalize("NFKC", text).casefold())))


def _roots(wordings: Sequence[Words]) -> dict[Words, Words]:
    """One of its component for each of these different wordings, which are in ascending order."""
    from scipy.cluster.hierarchy import DisjointSet

    counts = Counter(word for words in wordings for word in set(words))
    weights = {word: log((len(wordings) + 1) / (count + 1)) + _SMOOTHING for word, count in counts.items()}
    letters = {word: chr(i % sys.maxunicode) for i, word in enumerate(sorted(counts))}
    slips = _slips(weights)
    texts = [_text(words, letters, weights, slips) for words in wordings]
    components = DisjointSet(range(len(texts)))
    for a, b in _one_deletion_apart(wordings):
        if one_slip(wordings[a], wordings[b]):
            components.merge(a, b)
    for a, b in _many_words_shared(wordings, counts):
        if (
            _hold_what_weighs(texts[a], texts[b])
            and _may_differ_little(texts[a], texts[b])
            and not components.connected(a, b)
            and _differ_little(texts[a], texts[b], weights)
        ):
            components.merge(a, b)
    return {words: wordings[components[i]] for i, words in enumerate(wordings)}


def _slips(words: Collection[str]) -> dict[str, set[str]]:
    """Of each word, those that are a slip of it; longer words than `MOST_CHARACTERS` are left out."""
    known = [word for word in words if len(word) <= MOST_CHARACTERS and _letters(word) >= FEWEST_LETTERS]
    slips: defaultdict[str, set[str]] = defaultdict(set)
    for a, b in _one_deletion_apart([(word,) for word in known]):
        if _is_slip(known[a], known[b]):
            slips[known[a]].add(known[b])
            slips[known[b]].add(known[a])
    return dict(slips)


def _text(
    words: Words, letters: Mapping[str, str], weights: Mapping[str, float], slips: Mapping[str, Collection[str]]
) -> _Text:
    weight = sum(weights[word] for word in words)
    weightiest, sums = [], 0.0
    for word in sorted(words, key=weights.__getitem__, reverse=True):
        weightiest.append(word)
        sums += weights[word]
        if sums > MOST_WEIGHT * weight + _ROUNDING:
            break
    known = all(len(word) < MOST_CHARACTERS for word in weightiest)
    wanted = {like for word in weightiest for like in (word, *slips.get(word, ()))} if known else ()
    return _Text(words, "".join(letters[word] for word in words), weight, frozenset(words), frozenset(wanted))


def one_slip(a: Words, b: Words) -> bool:
    """One of several words is misspelt, or a space is missing or too many."""
    if len(a) != len(b):
        return "".join(a) == "".join(b) and _numbers(a) == _numbers(b)
    different = [(x, y) for x, y in zip(a, b, strict=True) if x != y]
    return len(different) == 1 < len(a) and _is_slip(*different[0])


def _room(a: _Text, b: _Text) -> int:
    return int(MOST_WORDS * max(len(a.words), len(b.words)))


def _hold_what_weighs(a: _Text, b: _Text) -> bool:
    """The quickest part of `_differ_little`: else the weightiest words of one text are all different."""
    heavier, lighter = (a, b) if a.weight >= b.weight else (b, a)
    return not heavier.wanted or not heavier.wanted.isdisjoint(lighter.held)


def _may_differ_little(a: _Text, b: _Text) -> bool:
    """The quick part of `_differ_little`, which nearly all pairs fail."""
    room = _room(a, b)
    return bool(Levenshtein.distance(a.letters, b.letters, score_cutoff=room) <= room)


def _differ_little(a: _Text, b: _Text, weights: Mapping[str, float]) -> bool:
    """Slips and different words are few by count, and the latter by weight; a replaced word counts on both sides."""
    slips, different = 0, list[str]()
    for edit in Levenshtein.editops(a.letters, b.letters):
        removed = [a.words[edit.src_pos]] if edit.tag != "insert" else []
        added = [b.words[edit.dest_pos]] if edit.tag != "delete" else []
        if removed and added and _is_slip(*removed, *added):
            slips += 1
        else:
            different += removed + added
    weight = sum(weights[word] for word in different)
    return slips + len(different) <= _room(a, b) and weight <= MOST_WEIGHT * max(a.weight, b.weight)


def _is_slip(a: str, b: str) -> bool:
    if a[:1] != b[:1] or min(_letters(a), _letters(b)) < FEWEST_LETTERS:
        return False
    return bool(OSA.distance(a, b, score_cutoff=1) == 1)


def _numbers(words: Words) -> list[str]:
    return [word for word in words if not _letters(word)]


def _letters(word: str) -> int:
    """Without the marks on them; none where there are other signs."""
    bare = word if word.isalpha() else _MARK.sub("", word)
    return len(bare) if bare.isalpha() else 0


def _one_deletion_apart(texts: Sequence[Words]) -> Iterator[Pair]:
    """Pairs of short texts that become the same when a character is deleted from one or from both, or a space."""
    left, owner = array("q"), array("q")
    for position, words in enumerate(texts):
        if len(line := " ".join(words)) <= MOST_CHARACTERS:
            deleted = [hash(line[:i] + line[i + 1 :]) for i in _deletable(words)]
            left.extend([hash(line), *deleted])
            owner.extend([position] * (1 + len(deleted)))
    hashes, owners = np.frombuffer(left, dtype=np.int64), np.frombuffer(owner, dtype=np.int64)
    order = np.lexsort((owners, hashes))
    starts = np.flatnonzero(np.diff(hashes[order])) + 1
    for bucket in np.split(owners[order], starts):
        if len(bucket) > 1:
            yield from combinations(sorted(set(bucket.tolist())), 2)


def _deletable(words: Words) -> Iterator[int]:
    """Where in the words, joined by spaces, a slip may be: at a space, and after the first letter of longer words.

    Elsewhere another character makes another word. What many texts share but for a short word (a Chinese sign, a
    number) would else be compared in all pairs.
    """
    start = 0
    for word in words:
        if start:
            yield start - 1
        if _letters(word) >= FEWEST_LETTERS:
            yield from range(start + 1, start + len(word))
        start += len(word) + 1


def _many_words_shared(texts: Sequence[Words], counts: Mapping[str, int]) -> Iterator[Pair]:
    """Pairs of texts of like length that share one of their rarest words."""
    holders: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    rarest = [_rarest(words, counts) for words in texts]
    for position, elements in enumerate(rarest):
        for element in elements:
            holders[element].append(position)
    for a, elements in enumerate(rarest):
        neighbours: set[int] = set()
        for element in elements:
            after = bisect_right(holders[element], a)
            neighbours.update(holders[element][after : after + MOST_NEIGHBOURS])
        yield from ((a, b) for b in neighbours)


def _rarest(words: Words, counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """As many of the rarest words as it takes to share one with every text of which enough words are the same.

    The second "the" of a text is another element than the first.
    """
    if len(words) < 1 / MOST_WORDS - 1:  # No longer text can be near enough.
        return []
    seen: Counter[str] = Counter()
    elements = []
    for word in words:
        elements.append((counts[word], word, seen[word]))
        seen[word] += 1
    return [(word, copy) for _, word, copy in sorted(elements)[: int(MOST_WORDS * len(words)) + 1]]
