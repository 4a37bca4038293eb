"""Labels as a tree of tokens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from strategies.models.engine.label_trie import LabelTrie

LABELS = [[1, 2, 3], [1, 2], [1, 4], [5], [1, 2, 3]]
Labels = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1, max_size=12)


def test_labels_that_begin_alike_share_nodes() -> None:
    trie = LabelTrie.build(LABELS)
    assert trie.tokens == [1, 2, 3, 4, 5]
    assert trie.parents == [-1, 0, 1, 0, -1]
    assert trie.depths == [0, 1, 2, 1, 0]
    assert trie.paths == [[0, 1, 2], [0, 1], [0, 3], [4], [0, 1, 2]]


def test_a_node_attends_to_itself_and_what_stands_above_it() -> None:
    assert LabelTrie.build(LABELS).ancestors() == [[0], [0, 1], [0, 1, 2], [0, 3], [4]]


@given(Labels)
def test_every_path_spells_its_label(labels: list[list[int]]) -> None:
    trie = LabelTrie.build(labels)
    for label, path in zip(labels, trie.paths, strict=True):
        assert [trie.tokens[node] for node in path] == label
        assert [trie.depths[node] for node in path] == list(range(len(label)))
        assert trie.ancestors()[path[-1]] == path
    assert len(trie.tokens) == len({tuple(label[: i + 1]) for label in labels for i in range(len(label))})
