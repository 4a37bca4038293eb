"""Labels as one tree of tokens, so that a single forward pass weighs them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

MOST_TRIE_NODES = 64
"""Label tokens weighed at once, per query."""


@dataclass
class LabelTrie:
    """Labels that begin alike share nodes. A node's parent always stands before it; -1 is the end of the prompt."""

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    """Distance from the end of the prompt: 0 for a label's first token."""
    paths: list[list[int]] = field(default_factory=list)
    """Per label, its nodes from first to last token."""
    _children: dict[tuple[int, int], int] = field(default_factory=dict)

    @classmethod
    def build(cls, labels: Sequence[Sequence[int]]) -> LabelTrie:
        """Tree over tokenised labels, none of them empty."""
        trie = cls()
        for label in labels:
            trie.insert(label)
        return trie

    def insert(self, label: Sequence[int]) -> None:
        """Add one tokenised label."""
        node, path = -1, []
        for token in label:
            if (node, token) not in self._children:
                self._children[node, token] = self._add(token, node)
            node = self._children[node, token]
            path.append(node)
        self.paths.append(path)

    def _add(self, token: int, parent: int) -> int:
        self.tokens.append(token)
        self.parents.append(parent)
        self.depths.append(0 if parent < 0 else self.depths[parent] + 1)
        return len(self.tokens) - 1

    def ancestors(self) -> list[list[int]]:
        """Per node, the nodes it may attend to: those above it and itself."""
        seen: list[list[int]] = []
        for node, parent in enumerate(self.parents):
            seen.append([*seen[parent], node] if parent >= 0 else [node])
        return seen
