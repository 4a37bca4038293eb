"""The search for the labels worth weighing, against a made-up model that is asked for everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from strategies.models.engine.engine import LITTLE, NEGLIGIBLE
from strategies.models.engine.label_search import LabelSearch, LabelTree

END = 9
Label = tuple[int, ...]
label_sets = st.lists(
    st.lists(st.integers(0, 3), min_size=1, max_size=6).map(tuple), min_size=1, max_size=30, unique=True
)


class Chance:
    """A model that continues at random, but always alike."""

    def __init__(self, seed: int, sharpness: float) -> None:
        self._seed, self._sharpness = seed, sharpness

    def after(self, beginning: Label) -> NDArray[np.float64]:
        """Log-probabilities of the tokens 0 to 9."""
        values = np.random.default_rng([self._seed, *beginning]).normal(size=END + 1) * self._sharpness
        return np.asarray(values - np.log(np.exp(values).sum()))

    def of(self, label: Label) -> float:
        tokens = [*label, END]
        return float(sum(self.after(tuple(tokens[:i]))[token] for i, token in enumerate(tokens)))


def searched(model: Chance, labels: list[Label], most: int, rest: float = NEGLIGIBLE) -> tuple[LabelSearch, int]:
    """The search carried out, and how many nodes it read."""
    tree = LabelTree(labels, END)
    trie = tree.trie
    search = LabelSearch(tree, model.after(())[[trie.tokens[node] for node in tree.roots]], rest)
    count = 0
    while nodes := search.next(most):
        part = tree.part(nodes)
        spelled = [tuple(part.trie.tokens[above] for above in seen) for seen in part.trie.ancestors()]
        steps = [model.after(spelled[at])[token] for at, token in zip(part.places, part.tokens, strict=True)]
        search.learn(nodes, np.array(steps))
        count += len(nodes)
    return search, count


def inner(labels: list[Label]) -> int:
    """Nodes that reading all labels takes."""
    return sum(1 for below in LabelTree(labels, END).children if below)


@given(label_sets, st.integers(0, 99), st.integers(1, 20))
def test_every_label_can_be_weighed_to_its_end(labels: list[Label], seed: int, most: int) -> None:
    model = Chance(seed, 2.0)
    search, count = searched(model, labels, most, 0.0)
    assert search.log_likelihoods() == pytest.approx([model.of(label) for label in labels])
    assert count == inner(labels)


@given(
    label_sets,
    st.integers(0, 99),
    st.integers(1, 20),
    st.sampled_from([0.5, 2.0, 8.0]),
    st.sampled_from([NEGLIGIBLE, LITTLE]),
)
def test_the_best_is_found_and_what_stays_unread_is_little(
    labels: list[Label], seed: int, most: int, sharpness: float, rest: float
) -> None:
    model = Chance(seed, sharpness)
    search, count = searched(model, labels, most, rest)
    exact, found = np.array([model.of(label) for label in labels]), search.log_likelihoods()
    assert int(found.argmax()) == int(exact.argmax())
    weighed = np.isclose(found, exact)
    assert np.exp(found[~weighed]).sum() <= rest * np.exp(found[weighed]).sum() + 1e-12
    assert count <= inner(labels)


def test_a_sure_model_reads_little() -> None:
    labels = [(a, b, c) for a in range(4) for b in range(4) for c in range(4)]
    everything = inner(labels)
    assert searched(Chance(1, 0.1), labels, 64)[1] == everything
    assert searched(Chance(1, 20.0), labels, 64)[1] < everything / 3


def test_what_must_follow_is_read_with_what_it_follows() -> None:
    tree = LabelTree([(1, 2, 3), (1, 2, 4), (5, 6, 7)], END)
    search = LabelSearch(tree, np.log([0.5, 0.5]), NEGLIGIBLE)
    spelled = [[tree.trie.tokens[above] for above in tree.above[node]] for node in search.next(64)]
    assert spelled == [[1], [1, 2], [5], [5, 6], [5, 6, 7]]


def test_a_beginning_that_may_still_win_is_read_however_little_it_is_of_all() -> None:
    """30 labels at 0.03, of which 0.018 are left when they end, and a last one at 0.029, of which 0.009 are left."""
    tree = LabelTree([(10 + n,) for n in range(31)], END)
    search = LabelSearch(tree, np.log([0.03] * 30 + [0.029]), LITTLE)
    last = tree.trie.paths[30][0]
    while nodes := search.next(64):
        search.learn(nodes, np.log([0.3 if node == last else 0.6 for node in nodes]))
    assert int(search.log_likelihoods().argmax()) != 30


def test_labels_that_are_the_same_tokens_are_weighed_alike() -> None:
    search, _ = searched(Chance(3, 2.0), [(1, 2), (1, 2), (3,)], 64, 0.0)
    first, second, third = search.log_likelihoods()
    assert first == second != third
