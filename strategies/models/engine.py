"""Reading, writing and weighing sequences of tokens with a causal network, in batches, on CPU or GPU.

What rows begin with is read once and its state kept. Rows are read as one line without padding, all labels of a row are
weighed in one pass over their token tree, and rows whose answer has ended leave the batch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from strategies.models.batching import in_batches, stretches
from strategies.models.label_trie import MOST_TRIE_NODES, LabelTrie, first_fitting
from strategies.models.packed_attention import use_packed_attention
from strategies.models.packing import Layout, Memory, State
from strategies.models.precision import keep_sums_wide, log_norms

HOPELESS = 9.0
"""Nats below the best label: e to the minus 9 is about a ten-thousandth of its probability."""
CPU_LINE, GPU_LINE = 1536, 32_768
"""Tokens read at once. On CPU more would not stay in the processor's caches."""
MOST_LOGIT_ROWS = 4096
"""Tokens whose logits over the whole vocabulary are held at once."""
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
    """Per label, its end token included; an upper bound where it is hopeless."""
    nodes: int
    """Tokens that were read for it."""


class Engine:
    """A network of the transformers library and the state of the prefix that was read last."""

    def __init__(self, network: Any, device: torch.device, end_token: int, stop_tokens: frozenset[int]) -> None:
        self.network, self.device = network, device
        self.end_token, self.stop_tokens = end_token, stop_tokens
        self._line = CPU_LINE if device.type == "cpu" else GPU_LINE
        self._prefix: tuple[tuple[int, ...], list[State]] | None = None
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

    def _write(
        self,
        prefix: tuple[int, ...],
        rows: Sequence[Row],
        most_tokens: int,
        constrain: Callable[[int], Constraint] | None,
    ) -> list[Written]:
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
            chosen = logits.max(-1).indices.tolist()  # the same as argmax, and in bfloat16 many times faster
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

    # Weighing

    def weigh(
        self, prefix: tuple[int, ...], rows: Sequence[Row], labels: Sequence[Row], *, every: bool = False
    ) -> list[Weighed]:
        """Log-likelihood of every label as the continuation of every row, end token included.

        Of a hopeless one only a bound, unless `every` label is to be weighed to its end.
        """
        margin = math.inf if every else HOPELESS
        trie = LabelTrie.build(labels)
        at_once = len(trie.tokens) <= MOST_TRIE_NODES

        def weigh(batch: Sequence[Row]) -> list[Weighed]:
            if at_once:
                return self._weigh_at_once(prefix, batch, trie)
            return self._weigh_by_rank(prefix, batch, labels, margin)

        room = min(len(trie.tokens), max(MOST_TRIE_NODES, *map(len, labels)))
        return in_batches(weigh, rows, room, most_tokens=min(self._line, MOST_LOGIT_ROWS))

    def _weigh_at_once(self, prefix: tuple[int, ...], rows: Sequence[Row], trie: LabelTrie) -> list[Weighed]:
        """All labels in the very pass that reads the rows."""
        memory = Memory(self._prefix_state(prefix), len(rows), 0, self.device)
        layout = memory.passing(rows, trie)
        ends = torch.tensor([len(row) + len(trie.tokens) for row in rows]).cumsum(0) - len(trie.tokens)
        wanted = (ends[:, None] + torch.arange(-1, len(trie.tokens))).flatten()
        logits = self._forward(layout, wanted.to(self.device)).view(len(rows), len(trie.tokens) + 1, -1)
        norms = log_norms(logits.flatten(0, 1)).view(len(rows), -1)
        sums = self._path_sums(trie, logits[:, 0].float() - norms[:, :1], logits[:, 1:], norms[:, 1:])
        return [Weighed(values, len(trie.tokens)) for values in sums.tolist()]

    def _weigh_by_rank(
        self, prefix: tuple[int, ...], rows: Sequence[Row], labels: Sequence[Row], margin: float
    ) -> list[Weighed]:
        """The likeliest first tokens first, as many labels at once as a tree holds.

        No label is likelier than its first token. So once that falls `margin` below the best label found, the rest
        cannot be the answer, and keep the likelihood of their first token: an upper bound, and practically nothing.
        """
        memory, logits = self._read(prefix, rows, room=0)
        after_row = logits.float() - log_norms(logits)[:, None]
        found = after_row[:, [label[0] for label in labels]]
        waiting = [order.tolist() for order in found.argsort(dim=1, descending=True, stable=True)]
        best = [-math.inf] * len(rows)
        nodes = [0] * len(rows)
        alive = list(range(len(rows)))
        while True:
            for row in alive:
                bounds = found[row].tolist()
                waiting[row] = [i for i in waiting[row] if bounds[i] > best[row] - margin]
            open_rows = [i for i, row in enumerate(alive) if waiting[row]]
            if not open_rows:
                break
            if len(open_rows) < len(alive):
                memory.keep_rows(open_rows)
                after_row, alive = after_row[open_rows], [alive[i] for i in open_rows]
            taken, tries = zip(*(first_fitting(waiting[row], labels, MOST_TRIE_NODES) for row in alive), strict=True)
            for row, indices, trie, values in zip(
                alive, taken, tries, self._weigh_trees(memory, after_row, tries), strict=True
            ):
                found[row, indices] = values
                best[row] = max(best[row], float(values.max()))
                waiting[row] = waiting[row][len(indices) :]
                nodes[row] += len(trie.tokens)
        return [Weighed(values, count) for values, count in zip(found.tolist(), nodes, strict=True)]

    def _weigh_trees(self, memory: Memory, after_row: torch.Tensor, tries: Sequence[LabelTrie]) -> list[torch.Tensor]:
        """For each row the log-likelihoods of its tree's labels."""
        layout = memory.branching(tries)
        logits = self._forward(layout, torch.arange(len(layout.tokens), device=self.device))
        sizes = [len(trie.tokens) for trie in tries]
        parts = zip(
            tries,
            torch.split(after_row, 1),
            torch.split(logits, sizes),
            torch.split(log_norms(logits), sizes),
            strict=True,
        )
        return [self._path_sums(trie, after, own[None], norms[None])[0] for trie, after, own, norms in parts]

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

    def _read(self, prefix: tuple[int, ...], rows: Sequence[Row], room: int) -> tuple[Memory, torch.Tensor]:
        """What is known after reading the rows, with room to go on, and the logits after each row."""
        memory = Memory(self._prefix_state(prefix), len(rows), max(map(len, rows)) + room, self.device)
        logits = []
        for part in stretches([len(row) for row in rows], self._line):
            own = rows[part]
            ends = torch.tensor([len(row) for row in own], device=self.device).cumsum(0) - 1
            logits.append(self._forward(memory.reading(part.start, own), ends))
        return memory, torch.cat(logits)

    def _prefix_state(self, prefix: tuple[int, ...]) -> list[State]:
        """State of a shared prefix, always computed alone, so that it is the same whoever asks first."""
        if not prefix:
            return []
        if self._prefix is None or self._prefix[0] != prefix:
            memory = Memory([], 1, len(prefix), self.device)
            self._forward(memory.reading(0, [prefix]), torch.tensor([0], device=self.device))
            self._prefix = (prefix, memory.as_shared())
        return self._prefix[1]

    def _forward(self, layout: Layout, wanted: torch.Tensor | None = None) -> torch.Tensor:
        """Logits, shape (wanted, vocabulary), after the tokens of the line at the places `wanted`, or after all."""
        output = self.network(
            input_ids=layout.tokens[None],
            position_ids=layout.positions[None],
            layout=layout,
            use_cache=False,
            logits_to_keep=0 if wanted is None else wanted,
        )
        logits: torch.Tensor = output.logits[0]
        return logits
