"""Which labels are worth weighing: a best-first search through their tree, by the probability of what leads to a node.

No label is likelier than its beginning. So beginnings are read in the order of their probability, and once all that is
unread holds practically none of it, it stays unread. (Best-first search with an admissible bound, as A*; pure numpy.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strategies.models.engine.label_trie import LabelTrie

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """Some nodes of a tree, with those above them, as a tree of its own, and what is asked of it."""

    trie: LabelTrie
    places: list[int]
    """Nodes of `trie` whose next tokens are asked for, once for each of those."""
    tokens: list[int]
    """The tokens asked for."""


class LabelTree:
    """The tree of labels with their end, the same for all rows. A leaf ends a label and is never read."""

    def __init__(self, labels: Sequence[Sequence[int]], end_token: int) -> None:
        self.trie = LabelTrie.build([[*label, end_token] for label in labels])
        self.children: list[list[int]] = [[] for _ in self.trie.tokens]
        self.roots: list[int] = []
        for node, parent in enumerate(self.trie.parents):
            (self.children[parent] if parent >= 0 else self.roots).append(node)
        self.leaves = [path[-1] for path in self.trie.paths]
        self.above = self.trie.ancestors()
        self.chains = [self._chain(node) for node in range(len(self.trie.tokens))]
        """Per node, it and what must follow it, up to where labels part: these are read together."""
        self.labels: list[list[int]] = [[] for _ in self.trie.tokens]
        """Per node, the labels that it leads to."""
        for label, path in enumerate(self.trie.paths):
            for node in path:
                self.labels[node].append(label)

    def _chain(self, node: int) -> list[int]:
        chain = [node]
        while len(below := self.children[chain[-1]]) == 1 and self.children[below[0]]:
            chain.append(below[0])
        return chain

    def part(self, nodes: Sequence[int]) -> Part:
        """The tree that reads these nodes."""
        kept = sorted({above for node in nodes for above in self.above[node]})
        place = {node: number for number, node in enumerate(kept)}
        whole = self.trie
        parents = [place.get(whole.parents[node], -1) for node in kept]
        trie = LabelTrie([whole.tokens[node] for node in kept], parents, [whole.depths[node] for node in kept])
        asked = [(place[node], whole.tokens[child]) for node in nodes for child in self.children[node]]
        return Part(trie, [at for at, _ in asked], [token for _, token in asked])


class LabelSearch:
    """What is known of one row's labels."""

    def __init__(self, tree: LabelTree, first: Floats, rest: float) -> None:
        """`first`: log-probabilities of the tree's roots.

        `rest`: probability that may stay unread, as a share of that of the labels weighed; with none every label is
        read to its end. The likeliest label is found whatever it is.
        """
        self._tree, self._rest = tree, rest
        self._reach = np.full(len(tree.trie.tokens), np.nan)
        """Per node, the log-probability of all that leads to it and itself; NaN where that is unknown."""
        self._open: list[int] = []
        self._ended: list[int] = []
        self._reached(tree.roots, first)

    def _reached(self, nodes: Sequence[int], values: Floats) -> None:
        self._reach[list(nodes)] = values
        for node in nodes:
            (self._open if self._tree.children[node] else self._ended).append(node)

    def next(self, most: int) -> list[int]:
        """Nodes to read, parents first; about `most` of them, with those above. None once the rest is negligible."""
        if not self._open or self._is_settled():
            return []
        mass = np.exp(self._reach[self._open] - max(self._reach[self._open].max(), self._best()))
        order = np.argsort(-mass, kind="stable")
        rest = mass.sum() - mass[order].cumsum()
        enough = self._rest * mass.sum()
        chosen, size = list[int](), set[int]()
        for place, unread in zip(order.tolist(), rest.tolist(), strict=True):
            chain = self._tree.chains[self._open[place]]
            grown = size.union(chain, self._tree.above[chain[0]])
            if chosen and len(grown) > most:
                break
            chosen, size = [*chosen, *chain], grown
            if unread < enough:
                break
        return sorted(chosen)

    def _best(self) -> float:
        return float(self._reach[self._ended].max()) if self._ended else -np.inf

    def _is_settled(self) -> bool:
        best, unread = self._best(), self._reach[self._open]
        if not self._rest or not self._ended or unread.max() >= best:
            return False
        return bool(np.exp(unread - best).sum() <= self._rest * np.exp(self._reach[self._ended] - best).sum())

    def learn(self, nodes: Sequence[int], steps: Floats) -> None:
        """Take in what was read at these nodes: the log-probability of each child, in order, one node after another."""
        read, start = set(nodes), 0
        for node in nodes:
            below = self._tree.children[node]
            values = self._reach[node] + steps[start : start + len(below)]
            start += len(below)
            self._reached(below, values)
        self._open = [node for node in self._open if node not in read]

    def log_likelihoods(self) -> Floats:
        """Of each label; of one not read to its end, an even share of what its beginning has."""
        values = self._reach[self._tree.leaves]
        for node in self._open:
            below = self._tree.labels[node]
            values[below] = self._reach[node] - np.log(len(below))
        return values
