"""Reading, writing and weighing sequences of tokens with a causal network, in batches, on CPU or GPU.

What rows begin with is read once and its state kept. Rows are read as one line without padding, all labels of a row are
weighed in one pass over their token tree, and rows whose answer has ended leave the batch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from strategies.models.engine.answer_search import CHOICES, AnswerSearch
from strategies.models.engine.batching import batches, in_batches, stretches
from strategies.models.engine.label_search import LabelSearch, LabelTree, Part
from strategies.models.engine.label_trie import MOST_TRIE_NODES, LabelTrie
from strategies.models.engine.packed_attention import use_packed_attention
from strategies.models.engine.packing import Layout, Memory, State
from strategies.models.engine.precision import keep_sums_wide, log_norms

CPU_LINE, GPU_LINE = 1536, 32_768
"""Tokens read at once. On CPU more would not stay in the processor's caches."""
MOST_LOGIT_ROWS = 4096
"""Tokens whose logits over the whole vocabulary are held at once."""
NEGLIGIBLE, LITTLE = 0.01, 0.2
"""Probability that may stay unread, as a share of that of the labels weighed."""
STILL_WRITING = 0.75
"""Rows leave the batch once no more than this share of it is still writing."""

Row = Sequence[int]


class Constraint(Protocol):
    """What may be written next, for every row of a batch."""

    def mask(self, logits: torch.Tensor) -> None: ...

    def accept(self, tokens: Sequence[int]) -> None: ...

    def keep_rows(self, rows: Sequence[int]) -> None: ...


@dataclass(frozen=True)
class Written:
    """A continuation."""

    tokens: list[int]
    """Without the token that ended it."""
    first_token_seconds: float
    """From the beginning of its batch."""


@dataclass(frozen=True)
class Weighed:
    """Labels weighed as continuations of a row."""

    log_likelihoods: list[float]
    """Per label, its end token included."""
    nodes: int
    """Tokens that were read for it."""


class Engine:
    """A network of the transformers library and the state of the prefix that was read last."""

    def __init__(self, network: Any, device: torch.device, end_token: int, stop_tokens: frozenset[int]) -> None:
        self.network, self.device = network, device
        self.end_token, self.stop_tokens = end_token, stop_tokens
        self._line = CPU_LINE if device.type == "cpu" else GPU_LINE
        self._prefix: tuple[tuple[int, ...], dict[int, State]] | None = None
        use_packed_attention(network)
        keep_sums_wide(network)

    def forget_prefix(self) -> None:
        """Drop the shared prefix's state: the weights behind it have changed."""
        self._prefix = None

    # Writing

    def write(
        self,
        prefix: tuple[int, ...],
        rows: Sequence[Row],
        most_tokens: int,
        constrain: Callable[[int], Constraint] | None = None,
    ) -> list[Written]:
        """Continue each row greedily until a stop token, for at most `most_tokens`.

        `constrain` is called once a batch, with its number of rows.
        """
        return in_batches(lambda batch: self._write(prefix, batch, most_tokens, constrain), rows, most_tokens)

    def write_likeliest(self, prefix: tuple[int, ...], rows: Sequence[Row], most_tokens: int) -> list[Written]:
        """Continue each row with the likeliest answer of all, as `AnswerSearch` finds it; it may be cut."""
        searches = [AnswerSearch(most_tokens, self.stop_tokens) for _ in rows]
        seconds: dict[int, float] = {}
        asked = list(range(len(rows)))
        while asked:
            begun = {i: [*rows[i], *searches[i].beginning] for i in asked}
            for batch in batches([len(row) for row in begun.values()], most_tokens):
                own = [asked[number] for number in batch]
                choose = partial(self._choose, [searches[i] for i in own])
                written = self._write(prefix, [begun[i] for i in own], most_tokens, choose=choose)
                seconds = {i: w.first_token_seconds for i, w in zip(own, written, strict=True)} | seconds
            asked = [i for i in asked if searches[i].next()]
        return [Written(search.answer, seconds[i]) for i, search in enumerate(searches)]

    def _write(
        self,
        prefix: tuple[int, ...],
        rows: Sequence[Row],
        most_tokens: int,
        constrain: Callable[[int], Constraint] | None = None,
        choose: Callable[[Sequence[int], torch.Tensor], list[int]] | None = None,
    ) -> list[Written]:
        """`choose` says what to go on with in these rows, given their logits: greedily if nobody does."""
        start = time.perf_counter()
        memory, logits = self._read(prefix, rows, room=most_tokens)
        constraint = constrain(len(rows)) if constrain else None
        written: list[list[int]] = [[] for _ in rows]
        alive = list(range(len(rows)))
        active = set(alive)
        first_token = math.nan
        for step in range(most_tokens):
            if constraint is not None:
                logits = logits.float()
                constraint.mask(logits)
            chosen = choose(alive, logits) if choose else _greedy(logits)
            first_token = time.perf_counter() - start if step == 0 else first_token
            for row, token in zip(alive, chosen, strict=True):
                if token in self.stop_tokens:
                    active.discard(row)
                elif row in active:
                    written[row].append(token)
            if not active or step + 1 == most_tokens:
                break
            if constraint is not None:
                constraint.accept(chosen)
            if len(active) <= STILL_WRITING * len(alive):
                keep = [i for i, row in enumerate(alive) if row in active]
                memory.keep_rows(keep)
                chosen, alive = [chosen[i] for i in keep], [alive[i] for i in keep]
                if constraint is not None:
                    constraint.keep_rows(keep)
            logits = self._forward(memory.step(chosen))
        return [Written(tokens, first_token) for tokens in written]

    def _choose(self, searches: Sequence[AnswerSearch], rows: Sequence[int], logits: torch.Tensor) -> list[int]:
        """What the searches of these rows go on with; the end token where an answer is over."""
        likeliest = logits.topk(CHOICES)
        values = (likeliest.values.float() - log_norms(logits)[:, None]).tolist()
        taken = [searches[row].take(*of) for row, *of in zip(rows, likeliest.indices.tolist(), values, strict=True)]
        return [self.end_token if token is None else token for token in taken]

    # Weighing

    def weigh(
        self, prefix: tuple[int, ...], rows: Sequence[Row], labels: Sequence[Row], *, every: bool = False
    ) -> list[Weighed]:
        """Log-likelihood of every label as the continuation of every row, end token included.

        Of hopeless ones only what `LabelSearch` says, unless `every` label is to be weighed to its end.
        """
        trie = LabelTrie.build(labels)
        if len(trie.tokens) <= (self._line if every else MOST_TRIE_NODES):
            weigh = partial(self._weigh_at_once, prefix, trie)
            return in_batches(weigh, rows, len(trie.tokens), most_tokens=min(self._line, MOST_LOGIT_ROWS))
        tree, room = LabelTree(labels, self.end_token), max(MOST_TRIE_NODES, *map(len, labels))
        return self._search(prefix, rows, lambda row: tree, room, 0.0 if every else NEGLIGIBLE)

    def weigh_choices(
        self, prefix: tuple[int, ...], rows: Sequence[Row], choices: Sequence[Sequence[Row]]
    ) -> list[Weighed]:
        """The same where every row has labels of its own, many of them: about how likely each of the likeliest is."""
        return self._search(prefix, rows, lambda row: LabelTree(choices[row], self.end_token), MOST_TRIE_NODES, LITTLE)

    def _search(
        self, prefix: tuple[int, ...], rows: Sequence[Row], tree_of: Callable[[int], LabelTree], room: int, rest: float
    ) -> list[Weighed]:
        """Each row's tree searched, a batch of rows at a time."""
        found: dict[int, Weighed] = {}
        for batch in batches([len(row) for row in rows], room, most_tokens=min(self._line, MOST_LOGIT_ROWS)):
            weighed = self._weigh_by_mass(prefix, [tree_of(i) for i in batch], rest, [rows[i] for i in batch])
            found.update(zip(batch, weighed, strict=True))
        return [found[i] for i in range(len(rows))]

    def _weigh_at_once(self, prefix: tuple[int, ...], trie: LabelTrie, rows: Sequence[Row]) -> list[Weighed]:
        """All labels in the very pass that reads the rows."""
        memory = Memory(self._prefix_state(prefix), len(rows), 0, self.device)
        layout = memory.passing(rows, trie)
        ends = torch.tensor([len(row) + len(trie.tokens) for row in rows]).cumsum(0) - len(trie.tokens)
        wanted = (ends[:, None] + torch.arange(-1, len(trie.tokens))).flatten()
        logits = self._forward(layout, wanted.to(self.device)).view(len(rows), len(trie.tokens) + 1, -1)
        norms = log_norms(logits.flatten(0, 1)).view(len(rows), -1)
        sums = self._path_sums(trie, logits[:, 0].float() - norms[:, :1], logits[:, 1:], norms[:, 1:])
        return [Weighed(values, len(trie.tokens)) for values in sums.tolist()]

    def _weigh_by_mass(
        self, prefix: tuple[int, ...], trees: Sequence[LabelTree], rest: float, rows: Sequence[Row]
    ) -> list[Weighed]:
        """Of each row the likeliest beginnings of its tree's labels first, until what is left is negligible."""
        memory, logits = self._read(prefix, rows, room=0)
        beginnings = [[tree.trie.tokens[node] for node in tree.roots] for tree in trees]
        first = _log_probabilities(logits, [([row] * len(own), own) for row, own in enumerate(beginnings)])
        searches = [LabelSearch(tree, own, rest) for tree, own in zip(trees, first, strict=True)]
        counts = [0] * len(rows)
        alive = list(range(len(rows)))
        while True:
            asked = [(row, nodes) for row in alive if (nodes := searches[row].next(MOST_TRIE_NODES))]
            if not asked:
                break
            if len(asked) < len(alive):
                memory.keep_rows([alive.index(row) for row, _ in asked])
                alive = [row for row, _ in asked]
            parts = [trees[row].part(nodes) for row, nodes in asked]
            for (row, nodes), part, steps in zip(asked, parts, self._read_trees(memory, parts), strict=True):
                searches[row].learn(nodes, steps)
                counts[row] += len(part.trie.tokens)
        return [
            Weighed(search.log_likelihoods().tolist(), count) for search, count in zip(searches, counts, strict=True)
        ]

    def _read_trees(self, memory: Memory, parts: Sequence[Part]) -> list[NDArray[np.float64]]:
        """For each row the log-probabilities of what may follow at the nodes of its part."""
        logits = self._forward(memory.branching([part.trie for part in parts]), None)
        starts = accumulate((len(part.trie.tokens) for part in parts), initial=0)
        asked = [
            ([start + place for place in part.places], part.tokens) for start, part in zip(starts, parts, strict=False)
        ]
        return _log_probabilities(logits, asked)

    def _path_sums(
        self, trie: LabelTrie, after_row: torch.Tensor, logits: torch.Tensor, norms: torch.Tensor
    ) -> torch.Tensor:
        """Add up each label's path: its first token after the row, the others after their parents, then the end.

        `after_row`: (rows, vocabulary), log-probabilities; `logits`: (rows, nodes, vocabulary) with their `norms`.
        Returns (rows, labels).
        """
        tokens, parents = torch.tensor(trie.tokens, device=self.device), trie.parents
        roots = [node for node, parent in enumerate(parents) if parent < 0]
        inner = [node for node, parent in enumerate(parents) if parent >= 0]
        above = [parents[node] for node in inner]
        steps = norms.new_empty(norms.shape)
        steps[:, roots] = after_row[:, tokens[roots]]
        steps[:, inner] = logits[:, above, tokens[inner]].float() - norms[:, above]
        ends = logits[:, :, self.end_token].float() - norms
        return torch.stack([steps[:, path].sum(1) + ends[:, path[-1]] for path in trie.paths], dim=1)

    # Reading

    def logits(self, prefix: tuple[int, ...], rows: Sequence[Row]) -> torch.Tensor:
        """What the network expects after each row, shape (rows, vocabulary). All rows are read at once."""
        return self._read(prefix, rows, room=0)[1]

    def features(self, prefix: tuple[int, ...], rows: Sequence[Row]) -> torch.Tensor:
        """What the network has made of each row at its last token, before the head: (rows, hidden size)."""
        return torch.stack(in_batches(partial(self._features, prefix), rows, 0, most_tokens=self._line))

    def _features(self, prefix: tuple[int, ...], rows: Sequence[Row]) -> list[torch.Tensor]:
        memory = Memory(self._prefix_state(prefix), len(rows), max(map(len, rows)), self.device)
        ends = torch.tensor([len(row) for row in rows], device=self.device).cumsum(0) - 1
        layout = memory.reading(0, rows)
        return list(self.network.base_model(**layout.inputs).last_hidden_state[0][ends])

    def _read(self, prefix: tuple[int, ...], rows: Sequence[Row], room: int) -> tuple[Memory, torch.Tensor]:
        """What is known after reading the rows, with room to go on, and the logits after each row."""
        memory = Memory(self._prefix_state(prefix), len(rows), max(map(len, rows)) + room, self.device)
        logits = []
        for part in stretches([len(row) for row in rows], self._line):
            own = rows[part]
            ends = torch.tensor([len(row) for row in own], device=self.device).cumsum(0) - 1
            logits.append(self._forward(memory.reading(part.start, own), ends))
        return memory, torch.cat(logits)

    def _prefix_state(self, prefix: tuple[int, ...]) -> dict[int, State]:
        """State of a shared prefix, always computed alone, so that it is the same whoever asks first."""
        if not prefix:
            return {}
        if self._prefix is None or self._prefix[0] != prefix:
            memory = Memory({}, 1, len(prefix), self.device)
            self._forward(memory.reading(0, [prefix]), torch.tensor([0], device=self.device))
            self._prefix = (prefix, memory.as_shared())
        return self._prefix[1]

    def _forward(self, layout: Layout, wanted: torch.Tensor | None = None) -> torch.Tensor:
        """Logits, shape (wanted, vocabulary), after the tokens of the line at the places `wanted`, or after all."""
        output = self.network(**layout.inputs, logits_to_keep=0 if wanted is None else wanted)
        logits: torch.Tensor = output.logits[0]
        return logits


def _greedy(logits: torch.Tensor) -> list[int]:
    """The likeliest token of each row."""
    chosen: list[int] = logits.max(-1).indices.tolist()  # the same as argmax, and in bfloat16 many times faster
    return chosen


def _log_probabilities(
    logits: torch.Tensor, asked: Sequence[tuple[Sequence[int], Sequence[int]]]
) -> list[NDArray[np.float64]]:
    """For each row, at which places of the `logits` it asks for which tokens."""
    places, tokens = ([one for row in asked for one in row[part]] for part in (0, 1))
    found = (logits[places, tokens].float() - log_norms(logits)[places]).double().cpu().numpy()
    return np.split(found, np.cumsum([len(own) for own, _ in asked])[:-1])
