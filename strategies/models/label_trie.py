"""All labels of a task as one tree of tokens, so that a single forward pass weighs them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class LabelTrie:
    """Labels that begin alike share nodes. A node's parent always stands before it; -1 is the end of the prompt."""

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    """Distance from the end of the prompt: 0 for a label's first token."""
    paths: list[list[int]] = field(default_factory=list)
    """Per label, its nodes from first to last token."""

    @classmethod
    def build(cls, labels: Sequence[Sequence[int]]) -> LabelTrie:
        """Tree over tokenised labels, none of them empty."""
        trie = cls()
        children: dict[tuple[int, int], int] = {}
        for label in labels:
            node, path = -1, []
            for token in label:
                key = (node, token)
                if key not in children:
                    children[key] = trie._add(token, node)
                node = children[key]
                path.append(node)
            trie.paths.append(path)
        return trie

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


def partition(labels: Sequence[Sequence[int]], most_nodes: int) -> list[list[int]]:
    """Cut labels, by index, into groups whose trees have at most about `most_nodes` nodes.

    Labels are ordered by their tokens first, so that those that begin alike stay together.
    """
    groups: list[list[int]] = []
    size = most_nodes
    for index in sorted(range(len(labels)), key=lambda i: list(labels[i])):
        if size + len(labels[index]) > most_nodes:
            groups.append([])
            size = 0
        groups[-1].append(index)
        size += len(labels[index])
    return groups
