"""A grammar for JSON answers of a known shape, and its use while decoding (xgrammar).

The grammar writes `json.dumps` style: one space after commas and colons. Keys come in the order that the examples
share, or most of them, so that none is written twice; each value is of a kind that was seen for its key.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

from eval.reading.text import SURROGATE
from strategies.models.base import JsonShape

if TYPE_CHECKING:
    import torch

MOST_KEYS = 300
"""A grammar of more takes seconds and hundreds of megabytes to compile, growing with their square: any object then."""
MOST_PAIRED = 50
"""Keys of which each pair is counted to find their order; of more, neighbours alone: there are too many pairs."""
MOST_BYTES = 256 * 2**20
"""Of compiled grammars that are kept."""

_VALUES = r"""
string ::= "\"" characters "\""
characters ::= "" | [^"\\\x00-\x1f] characters | "\\" escape characters
escape ::= ["\\/bfnrt] | "u" [0-9a-fA-F] [0-9a-fA-F] [0-9a-fA-F] [0-9a-fA-F]
number ::= "-"? ("0" | [1-9] [0-9]*) ("." [0-9]+)? ([eE] [-+]? [0-9]+)?
boolean ::= "true" | "false"
null ::= "null"
object ::= "{}" | "{" string ": " any (", " string ": " any)* "}"
array ::= "[]" | "[" any (", " any)* "]"
any ::= string | number | boolean | null | object | array
"""


def shape_of(objects: Sequence[dict[str, Any]], keys: Sequence[str] = ()) -> JsonShape:
    """The shape that all the objects have, and any further `keys` (as strings)."""
    kinds: dict[str, set[str]] = {}
    for item in objects:
        for key, value in item.items():
            kinds.setdefault(whole(key), set()).add(_kind(value))
    order = common_order([list(map(whole, item)) for item in objects])
    for key in keys:
        kinds.setdefault(key, {"string"})
    names = dict.fromkeys((*order, *kinds))
    return JsonShape(tuple((key, tuple(sorted(kinds[key]))) for key in names))


def whole(key: str) -> str:
    """Half a character may stand escaped in a key, and no tokenizer reads it."""
    return SURROGATE.sub("\ufffd", key)


def common_order(sequences: Sequence[Sequence[str]]) -> list[str]:
    """The order of all items that the sequences follow, or most of them where they contradict each other.

    Where the sequences leave it open which of two items comes first, the alphabet decides: keys are often sorted, and
    then two that never met before will stand in that order too.
    """
    after: dict[str, dict[str, int]] = {item: {} for sequence in sequences for item in sequence}
    before = Counter[tuple[str, str]]()
    for sequence, times in Counter(map(tuple, sequences)).items():
        for pair in combinations(sequence, 2) if len(after) <= MOST_PAIRED else pairwise(sequence):
            before[pair] += times
    for first, second in {pair for sequence in sequences for pair in pairwise(sequence)}:
        if (lead := before[first, second] - before[second, first]) > 0:
            after[first][second] = lead
    against = Counter[str]()  # what stands before an item, in so many sequences
    for own in after.values():
        against.update(own)
    waiting, order = [(against[item], item) for item in after], dict[str, None]()
    heapify(waiting)
    while waiting:
        _, item = heappop(waiting)
        if item in order:
            continue
        order[item] = None
        for later, times in after[item].items():
            against[later] -= times
            heappush(waiting, (against[later], later))
    return list(order)


def _kind(value: object) -> str:
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "null" if value is None else "any"


def ebnf(shape: JsonShape, space: str = "") -> str:
    """The grammar in xgrammar's EBNF, of an answer after such a space."""
    whole = '("[]" | "[" answer (", " answer)* "]")' if shape.repeated else "answer"
    return f"root ::= {_quoted(space)} {whole}\n{_answer(shape)}{_VALUES}"


def _answer(shape: JsonShape) -> str:
    """One object."""
    if not 0 < len(shape.keys) <= MOST_KEYS:
        return "answer ::= object"
    pairs = [f'{_quoted(json.dumps(key, ensure_ascii=False))} ": " ({" | ".join(kinds)})' for key, kinds in shape.keys]
    rules = ['answer ::= "{}" | "{" from0 "}"']
    last = len(pairs) - 1
    for i, pair in enumerate(pairs):  # from_i: one or more pairs, of the keys from the i-th on
        more = f'{pair} (", " from{i + 1})? | from{i + 1}' if i < last else pair
        rules.append(f"from{i} ::= {more}")
    return "\n".join(rules)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


class GrammarCompiler:
    """Compiles shapes for one tokenizer, each once; `space` is what an answer begins with (see `ChatFormat`)."""

    def __init__(self, tokenizer: Any, vocabulary: int, stop_tokens: Sequence[int], space: str = "") -> None:
        import xgrammar

        info = xgrammar.TokenizerInfo.from_huggingface(
            tokenizer, vocab_size=vocabulary, stop_token_ids=list(stop_tokens)
        )
        self._compiler = xgrammar.GrammarCompiler(info, cache_limit_bytes=MOST_BYTES)
        self._vocabulary, self._space = vocabulary, space

    def start(self, shape: JsonShape, rows: int) -> GrammarState:
        """Fresh matchers for a batch."""
        grammar = self._compiler.compile_grammar(ebnf(shape, self._space))  # which keeps what it compiled
        return GrammarState(grammar, rows, self._vocabulary)


class GrammarState:
    """Where each row of a batch stands in the grammar."""

    def __init__(self, grammar: Any, rows: int, vocabulary: int) -> None:
        import xgrammar

        self._matchers = [xgrammar.GrammarMatcher(grammar) for _ in range(rows)]
        self._vocabulary = vocabulary

    def mask(self, logits: torch.Tensor) -> None:
        """Rule out, in place, every token that the grammar does not allow next. Logits: (rows, vocabulary)."""
        import xgrammar

        bitmask = xgrammar.allocate_token_bitmask(len(self._matchers), self._vocabulary)
        for row, matcher in enumerate(self._matchers):
            if not matcher.is_terminated():
                matcher.fill_next_token_bitmask(bitmask, row)
        xgrammar.apply_token_bitmask_inplace(logits, bitmask.to(logits.device))

    def accept(self, tokens: Sequence[int]) -> None:
        """Move each row on by its token."""
        for matcher, token in zip(self._matchers, tokens, strict=True):
            if not matcher.is_terminated():
                matcher.accept_token(token)

    def keep_rows(self, rows: Sequence[int]) -> None:
        """Drop all rows but these."""
        self._matchers = [self._matchers[row] for row in rows]
