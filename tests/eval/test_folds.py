"""Holdouts: nothing straddles, nothing depends on the order of the file."""

import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.contracts import Example
from eval.errors import RequestError
from eval.folds import default_test_size, dev_split, group_key, split

texts = st.sampled_from(["a", "A ", "b", "b  c", "B C", "d", "e", "f", "g", "h"])
tables = st.lists(st.tuples(texts, st.sampled_from(["x", "y", "z"])), min_size=4, max_size=40).filter(
    lambda rows: len({group_key(text) for text, _ in rows}) >= 2
)


def examples_of(rows: list[tuple[str, str]]) -> list[Example]:
    return [Example(str(i), text, (label,), row=i + 1) for i, (text, label) in enumerate(rows)]


def balanced(n: int, labels: int) -> list[Example]:
    return examples_of([(f"text {i}", f"label {i % labels}") for i in range(n)])


@given(tables, st.integers(0, 5), st.booleans())
def test_duplicates_never_straddle_and_no_row_is_lost(rows: list[tuple[str, str]], seed: int, stratify: bool) -> None:
    examples = examples_of(rows)
    train, test = split(examples, test_size=len(rows) // 4, seed=seed, stratify=stratify)
    assert train
    assert test
    assert not {group_key(e.input) for e in train} & {group_key(e.input) for e in test}
    assert sorted(train + test, key=lambda e: e.row) == examples


@given(tables, st.integers(0, 5))
def test_a_label_of_two_groups_keeps_a_row_in_train(rows: list[tuple[str, str]], seed: int) -> None:
    groups = defaultdict(set)
    for text, label in rows:
        groups[label].add(group_key(text))
    train, _ = split(examples_of(rows), test_size=len(rows) // 2, seed=seed, stratify=True)
    kept = {e.target for e in train}
    assert all(label in kept for label, keys in groups.items() if len(keys) > 1)


@given(tables, st.integers(0, 5), st.booleans(), st.randoms(use_true_random=False))
def test_permuting_the_file_changes_no_assignment(
    rows: list[tuple[str, str]], seed: int, stratify: bool, shuffler: random.Random
) -> None:
    examples = examples_of(rows)
    shuffled = shuffler.sample(examples, len(examples))
    one = split(examples, test_size=len(rows) // 4, seed=seed, stratify=stratify)
    other = split(shuffled, test_size=len(rows) // 4, seed=seed, stratify=stratify)
    assert {e.id for e in one.test} == {e.id for e in other.test}
    assert [e for e in shuffled if e in other.train] == list(other.train)


@given(tables, st.integers(0, 5))
def test_targets_do_not_matter_without_stratification(rows: list[tuple[str, str]], seed: int) -> None:
    one = split(examples_of(rows), test_size=len(rows) // 4, seed=seed, stratify=False)
    blank = split(examples_of([(text, "?") for text, _ in rows]), test_size=len(rows) // 4, seed=seed, stratify=False)
    assert [e.id for e in one.test] == [e.id for e in blank.test]


def test_stratification_keeps_the_shares_of_the_labels() -> None:
    _, test = split(balanced(100, 4), test_size=24, seed=1, stratify=True)
    assert set(Counter(e.target for e in test).values()) == {6}


@pytest.mark.parametrize("stratify", [True, False])
def test_distinct_rows_give_exactly_the_size_asked_for(stratify: bool) -> None:
    for size in (1, 7, 20, 50):
        assert len(split(balanced(101, 7), test_size=size, seed=3, stratify=stratify).test) == size


def test_another_seed_draws_other_rows() -> None:
    examples = balanced(100, 2)
    assert split(examples, test_size=25, seed=1, stratify=True) != split(examples, test_size=25, seed=2, stratify=True)


def test_the_dev_part_comes_from_train_by_the_same_rules() -> None:
    train, test = split(balanced(100, 4), test_size=20, seed=1, stratify=True)
    fit, dev = dev_split(train, dev_size=16, seed=1, stratify=True)
    assert len(dev) == 16
    assert sorted(fit + dev + test, key=lambda e: e.row) == balanced(100, 4)
    assert set(Counter(e.target for e in dev).values()) == {4}


def test_a_group_larger_than_the_part_is_held_out_rather_than_nothing() -> None:
    rows = examples_of([("a", "x")] * 6 + [("b", "x")] * 5)
    train, test = split(rows, test_size=2, seed=0, stratify=True)
    assert (len(train), len(test)) == (6, 5)


@pytest.mark.parametrize("rows", [[], [("a", "x")], [("a", "x"), ("A ", "y")]])
def test_data_that_cannot_be_split_is_refused_in_one_sentence(rows: list[tuple[str, str]]) -> None:
    with pytest.raises(RequestError, match="too few to set 1 aside"):
        split(examples_of(rows), test_size=1, seed=0, stratify=False)


@pytest.mark.parametrize(("n", "size"), [(10, 5), (30, 15), (40, 20), (60, 20), (200, 50), (5000, 200)])
def test_the_default_test_part_is_a_quarter_within_limits(n: int, size: int) -> None:
    assert default_test_size(n) == size
