"""Holdouts: nothing straddles, nothing depends on the order of the file."""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.contracts import Example
from eval.errors import RequestError
from eval.folds import Split, default_test_size, dev_split, fewer, k_folds, latest, split, with_groups
from eval.near_duplicates import group_key

texts = st.sampled_from(["a", "A ", "b", "b  c", "B C", "d", "e", "f", "g", "h"])
tables = st.lists(st.tuples(texts, st.sampled_from(["x", "y", "z"])), min_size=4, max_size=40).filter(
    lambda rows: len({group_key(text) for text, _ in rows}) >= 2
)


grouped_tables = st.lists(
    st.tuples(texts, st.sampled_from(["x", "y", "z"]), st.sampled_from(["", "", "", "p", "q", "r"])),
    min_size=4,
    max_size=40,
)


def examples_of(rows: list[tuple[str, str]]) -> list[Example]:
    return [Example(str(i), text, (label,), row=i + 1) for i, (text, label) in enumerate(rows)]


def balanced(n: int, labels: int) -> list[Example]:
    return examples_of([(f"text {i}", f"label {i % labels}") for i in range(n)])


@settings(deadline=None)
@given(tables, st.integers(0, 5), st.booleans())
def test_duplicates_never_straddle_and_no_row_is_lost(rows: list[tuple[str, str]], seed: int, stratify: bool) -> None:
    examples = examples_of(rows)
    train, test = split(examples, test_size=len(rows) // 4, seed=seed, stratify=stratify)
    assert train
    assert test
    assert not {group_key(e.input) for e in train} & {group_key(e.input) for e in test}
    assert sorted(train + test, key=lambda e: e.row) == examples


def rare(rows: int, of_rare: int) -> list[Example]:
    return examples_of([(f"text {i}", "rare" if i < of_rare else "usual") for i in range(rows)])


def test_of_fewer_test_rows_labels_keep_their_shares_and_rare_ones_by_chance() -> None:
    whole = rare(200, 20)
    for seed in range(20):
        kept = fewer(whole, size=60, seed=seed, stratify=True)
        assert len(kept) == 60
        assert kept == tuple(sorted(kept, key=lambda e: e.row))
        assert Counter(e.target for e in kept)["rare"] == pytest.approx(6, abs=1)
        assert set(fewer(whole, size=30, seed=seed, stratify=True)) < set(kept)
    drawn = [fewer(rare(200, 1), size=60, seed=seed, stratify=True) for seed in range(300)]
    assert sum("rare" in {e.target for e in kept} for kept in drawn) == pytest.approx(90, abs=30)


@settings(deadline=None)
@given(tables, st.integers(0, 5))
def test_a_label_of_two_groups_keeps_a_row_in_train(rows: list[tuple[str, str]], seed: int) -> None:
    groups = defaultdict(set)
    for text, label in rows:
        groups[label].add(group_key(text))
    train, _ = split(examples_of(rows), test_size=len(rows) // 2, seed=seed, stratify=True)
    kept = {e.target for e in train}
    assert all(label in kept for label, keys in groups.items() if len(keys) > 1)


@settings(deadline=None)
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


@settings(deadline=None)
@given(tables, st.integers(0, 5))
def test_targets_do_not_matter_without_stratification(rows: list[tuple[str, str]], seed: int) -> None:
    one = split(examples_of(rows), test_size=len(rows) // 4, seed=seed, stratify=False)
    blank = split(examples_of([(text, "?") for text, _ in rows]), test_size=len(rows) // 4, seed=seed, stratify=False)
    assert [e.id for e in one.test] == [e.id for e in blank.test]


def test_thousands_of_labels_are_split_in_seconds() -> None:
    examples = balanced(20_000, 5000)
    start = process_time()
    split(examples, test_size=200, seed=0, stratify=True)
    dev_split(examples, dev_size=64, seed=0, stratify=True)
    k_folds(examples, folds=5, seed=0, stratify=True)
    assert process_time() - start < 5


def test_stratification_keeps_the_shares_of_the_labels() -> None:
    _, test = split(balanced(100, 4), test_size=24, seed=1, stratify=True)
    assert set(Counter(e.target for e in test).values()) == {6}


def test_labels_of_few_rows_are_tested_as_often_as_others_but_not_chosen_by() -> None:
    """Else a holdout would be easier than what comes: whatever is asked there has been learnt."""
    counts = [1] * 30 + [2] * 15 + [3] * 8 + [36]
    rows = [f"label {label} of {count}" for label, count in enumerate(counts) for _ in range(count)]
    examples = examples_of([(f"text {i}", label) for i, label in enumerate(rows)])
    tested, chosen_by = Counter[str](), Counter[str]()
    for seed in range(200):
        parts = split(examples, test_size=30, seed=seed, stratify=True)
        assert len(parts.test) == 30
        tested.update(e.target.split()[-1] for e in parts.test)
        _, dev = dev_split(examples, dev_size=30, seed=seed, stratify=True)
        chosen_by.update(e.target.split()[-1] for e in dev)
    shares = {size: tested[size] / tested.total() for size in ("1", "2", "3", "36")}
    of_all = {"1": 30 / 120, "2": 30 / 120, "3": 24 / 120, "36": 36 / 120}
    assert shares == pytest.approx(of_all, abs=0.03)
    assert chosen_by["1"] < 0.3 * tested["1"]


@pytest.mark.parametrize("stratify", [True, False])
def test_how_often_a_row_is_tested_does_not_hang_on_the_size_of_its_group(stratify: bool) -> None:
    """A log: what is asked often, and large customers, are not to be missing from what is measured."""
    sizes = [15] * 8 + [7] * 10 + [3] * 30 + [1] * 120
    rows = [(f"question {i}", f"label {i % 10}", size) for i, size in enumerate(sizes) for _ in range(size)]
    examples = with_groups(examples_of([row[:2] for row in rows]))
    of_group = {e.id: size for e, (*_, size) in zip(examples, rows, strict=True)}
    tested, chosen_by = Counter[int](), Counter[int]()
    for seed in range(200):
        train, test = split(examples, test_size=100, seed=seed, stratify=stratify)
        assert len(test) == 100
        tested.update(of_group[e.id] for e in test)
        chosen_by.update(of_group[e.id] for e in dev_split(train, dev_size=60, seed=seed, stratify=stratify)[1])
    for found in (tested, chosen_by):
        of_all = {size: count / len(rows) for size, count in Counter(of_group.values()).items()}
        assert {size: found[size] / found.total() for size in of_all} == pytest.approx(of_all, abs=0.03)


def test_groups_larger_than_the_part_are_learnt_from_and_the_others_make_up_for_them() -> None:
    examples = grouped([(f"text {i} of {i * 7919}", f"label {i % 3}", "giant" * (i < 60)) for i in range(200)])
    for seed in range(20):
        train, test = split(examples, test_size=50, seed=seed, stratify=True)
        assert len(test) == 50
        assert {e.row for e in examples[:60]} <= {e.row for e in train}


def test_labels_keep_their_shares_where_groups_are_of_many_sizes() -> None:
    """Single rows make up for a frequent question of their own label, not of any."""
    sizes = [40, 25, *[15] * 4, *[7] * 8, *[3] * 25, *[1] * 280]
    rows = [(f"question {i}", f"label {i % 4}") for i, size in enumerate(sizes) for _ in range(size)]
    examples = with_groups(examples_of(rows))
    of_all = Counter(e.target for e in examples)
    for seed in range(50):
        _, test = split(examples, test_size=120, seed=seed, stratify=True)
        assert len(test) == 120
        found = Counter(e.target for e in test)
        assert all(abs(found[label] - 120 * rows / of_all.total()) < 8 for label, rows in of_all.items())


@pytest.mark.parametrize("sizes", [[7] * 3, [10] * 3, [8] * 5])
def test_no_more_than_half_of_the_rows_are_tested_of_a_few_large_groups(sizes: list[int]) -> None:
    names = [f"customer {i}" for i, size in enumerate(sizes) for _ in range(size)]
    examples = with_groups(balanced(len(names), 2), names)
    for seed in range(50):
        train, test = split(examples, test_size=default_test_size(len(names)), seed=seed, stratify=True)
        assert len(test) <= len(train)


def test_a_row_whose_label_occurs_once_is_tested_as_often_as_those_of_the_only_other_label() -> None:
    tests = [split(rare(40, 1), test_size=20, seed=seed, stratify=True).test for seed in range(200)]
    assert sum(any(e.target == "rare" for e in test) for test in tests) == pytest.approx(100, abs=25)


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


def grouped(rows: Sequence[tuple[str, str, str]]) -> tuple[Example, ...]:
    """Inputs, labels and the client's groups."""
    return with_groups(examples_of([row[:2] for row in rows]), [value for *_, value in rows])


def side_keys(examples: Sequence[Example]) -> set[str]:
    return {e.group or group_key(e.input) for e in examples}


def leaks(parts: Split) -> bool:
    """Whether rows that belong together are on both sides."""
    same_input = {group_key(e.input) for e in parts.train} & {group_key(e.input) for e in parts.test}
    return bool(same_input or {e.group for e in parts.train if e.group} & {e.group for e in parts.test})


# ---- groups ----------------------------------------------------------------------------------------------------------


def test_copies_near_copies_and_the_clients_groups_share_a_name() -> None:
    inputs = ["Where is my parcel", "where  is my parcel", "where is my parcels?", "play a song", "stop", "go on", "no"]
    examples = with_groups(examples_of([(text, "x") for text in inputs]), ["", "", "", "c1", "c1", " ", ""])
    names = [e.group for e in examples]
    assert names[0] == names[1] == names[2] != names[3] == names[4] != ""
    assert names[5:] == ["", ""]


def test_chains_of_different_reasons_are_one_group() -> None:
    examples = with_groups(
        examples_of([("where is my parcel", "x"), ("where is my parcels", "x"), ("stop", "y")]), ["", "c1", "c1"]
    )
    assert len({e.group for e in examples} - {""}) == 1
    assert all(e.group for e in examples)


@settings(deadline=None)
@given(grouped_tables, st.randoms(use_true_random=False))
def test_group_names_depend_on_no_order_and_show_no_text(
    rows: list[tuple[str, str, str]], shuffler: random.Random
) -> None:
    examples = grouped(rows)
    order = shuffler.sample(range(len(rows)), len(rows))
    bare = [replace(examples[i], group="") for i in order]
    assert with_groups(bare, [rows[i][2] for i in order]) == tuple(examples[i] for i in order)
    assert all(set(e.group) <= set("0123456789abcdef") for e in examples)


def test_values_that_do_not_match_the_rows_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="shorter"):
        with_groups(balanced(3, 1), ["a"])


@settings(deadline=None)
@given(grouped_tables, st.integers(0, 5), st.booleans())
def test_groups_never_straddle_a_holdout_or_a_dev_part(
    rows: list[tuple[str, str, str]], seed: int, stratify: bool
) -> None:
    examples = grouped(rows)
    if len(side_keys(examples)) < 3:
        return
    train, test = split(examples, test_size=len(rows) // 4, seed=seed, stratify=stratify)
    assert not leaks(Split(train, test))
    if len(side_keys(train)) >= 2:
        assert not leaks(Split(*dev_split(train, dev_size=1, seed=seed, stratify=stratify)))


# ---- k folds ---------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(grouped_tables, st.integers(2, 5), st.integers(0, 5), st.booleans())
def test_each_row_is_tested_once_and_groups_never_straddle_a_fold(
    rows: list[tuple[str, str, str]], folds: int, seed: int, stratify: bool
) -> None:
    examples = grouped(rows)
    if len(side_keys(examples)) < folds:
        with pytest.raises(RequestError, match=f"too few for {folds} folds"):
            k_folds(examples, folds=folds, seed=seed, stratify=stratify)
        return
    found = k_folds(examples, folds=folds, seed=seed, stratify=stratify)
    assert len(found) == folds
    assert sorted((e for parts in found for e in parts.test), key=lambda e: e.row) == list(examples)
    for parts in found:
        assert parts.train
        assert parts.test
        assert not leaks(parts)
        assert sorted(parts.train + parts.test, key=lambda e: e.row) == list(examples)


@settings(deadline=None)
@given(st.lists(st.sampled_from("uvwxyz"), min_size=5, max_size=60), st.integers(2, 5), st.integers(0, 5))
def test_folds_of_distinct_rows_are_level_in_size_and_in_every_label(labels: list[str], folds: int, seed: int) -> None:
    examples = examples_of([(f"text {i * 7}", label) for i, label in enumerate(labels)])
    tests = [parts.test for parts in k_folds(examples, folds=folds, seed=seed, stratify=True)]
    assert max(map(len, tests)) - min(map(len, tests)) <= 1
    for label in set(labels):
        counts = [sum(e.target == label for e in test) for test in tests]
        assert max(counts) - min(counts) <= 1


@settings(deadline=None)
@given(grouped_tables.map(lambda rows: [(text, "x" if group else label, group) for text, label, group in rows]))
def test_a_label_of_two_groups_is_learnt_wherever_it_is_asked_for(rows: list[tuple[str, str, str]]) -> None:
    examples = grouped(rows)
    groups = defaultdict(set)
    for example in examples:
        groups[example.group or group_key(example.input)].add(example.target)
    if len(groups) < 3 or any(len(labels) > 1 for labels in groups.values()):
        return
    often = {label for label, count in Counter(min(labels) for labels in groups.values()).items() if count > 1}
    for train, test in k_folds(examples, folds=3, seed=0, stratify=True):
        assert {e.target for e in test} & often <= {e.target for e in train}


@settings(deadline=None)
@given(grouped_tables, st.randoms(use_true_random=False))
def test_folds_do_not_depend_on_the_order_of_the_file(
    rows: list[tuple[str, str, str]], shuffler: random.Random
) -> None:
    examples = grouped(rows)
    if len(side_keys(examples)) < 2:
        return
    shuffled = shuffler.sample(examples, len(examples))
    one, other = (k_folds(order, folds=2, seed=1, stratify=True) for order in (examples, shuffled))
    assert [{e.id for e in parts.test} for parts in one] == [{e.id for e in parts.test} for parts in other]


def test_another_seed_deals_other_folds() -> None:
    one, other = (k_folds(balanced(60, 3), folds=3, seed=seed, stratify=True) for seed in (1, 2))
    assert one != other


# ---- by time ---------------------------------------------------------------------------------------------------------

times_and_rows = st.lists(st.tuples(texts, st.sampled_from(["", "", "p", "q"]), st.integers(0, 30)), min_size=4)


@settings(deadline=None)
@given(times_and_rows, st.integers(1, 20))
def test_the_test_part_is_later_and_groups_do_not_straddle(rows: list[tuple[str, str, int]], size: int) -> None:
    examples = grouped([(text, "x", group) for text, group, _ in rows])
    times = {e.id: time for e, (*_, time) in zip(examples, rows, strict=True)}
    try:
        parts = latest(examples, [times[e.id] for e in examples], test_size=size)
    except RequestError:
        return
    assert parts.train
    assert parts.test
    assert not leaks(parts)
    assert len(parts.test) <= len(parts.train)
    first = min(times[e.id] for e in parts.test)
    assert all(times[e.id] < first for e in parts.train)
    known = side_keys(parts.train)
    left_out = [e for e in examples if e not in parts.train + parts.test]
    assert all(times[e.id] >= first and (e.group or group_key(e.input)) in known for e in left_out)


def test_the_latest_rows_are_tested_on_whatever_their_place_in_the_file() -> None:
    examples = balanced(40, 2)
    train, test = latest(examples, [float(i * 17 % 40) for i in range(40)], test_size=10)
    assert {e.row - 1 for e in test} == {i for i in range(40) if i * 17 % 40 >= 30}
    assert len(train) == 30


def test_late_rows_of_a_group_that_began_early_are_neither_learnt_from_nor_tested() -> None:
    """What came after the test began is not known then, and what is known is no test."""
    examples = with_groups(balanced(20, 2), ["customer"] + [""] * 18 + ["customer"])
    train, test = latest(examples, list(range(20)), test_size=5)
    assert [e.row for e in train] == list(range(1, 15))
    assert [e.row for e in test] == [15, 16, 17, 18, 19]


def test_groups_that_began_too_early_to_learn_from_what_was_before_others_are_refused() -> None:
    """Six customers who joined within a week and wrote all year."""
    examples = with_groups(balanced(60, 2), [f"customer {i % 6}" for i in range(60)])
    with pytest.raises(RequestError, match=r"began early; .* leave --time-column or --group-by out"):
        latest(examples, [float(i % 6 + 30 * (i // 6)) for i in range(60)], test_size=20)


@pytest.mark.parametrize("times", [[1.0] * 10, [0.0, 0.0, 0.0, 0.0] + [1.0] * 6, [float("nan")] + [1.0] * 9])
def test_times_that_set_no_later_part_aside_are_refused(times: list[float]) -> None:
    with pytest.raises(RequestError, match="--time-column"):
        latest(balanced(10, 2), times, test_size=3)
