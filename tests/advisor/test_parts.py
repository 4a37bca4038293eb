"""The examples, divided once for all strategies."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from advisor.data import Data, read_data
from advisor.parts import divide, sizes_of, source_of, with_division
from advisor.request import make_request
from eval.errors import RequestError
from eval.folds import Split

MIXED = [(f"ticket {i} {'bill' if i % 2 else 'parcel'}", "billing" if i % 2 else "delivery") for i in range(100)]


def write(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


def read(examples: Path, **options: Any) -> Data:
    return read_data(make_request(**{"task": "Sort the tickets.", "examples": str(examples), **options}))


def holdout(data: Data, seed: int = 0, test_rows: int | None = None) -> Split:
    (parts,) = divide(data, seed, folds=1, test_rows=test_rows)
    return parts


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    return write(tmp_path / "mixed.csv", MIXED)


def test_twenty_examples_are_enough_to_start(tmp_path: Path) -> None:
    parts = holdout(read(write(tmp_path / "some.csv", MIXED[:20])))
    assert (len(parts.train), len(parts.test)) == (10, 10)


def test_the_parts_are_disjoint_and_complete(mixed: Path) -> None:
    data = read(mixed)
    parts = holdout(data, seed=3)
    assert (len(parts.train), len(parts.test), source_of(data)) == (75, 25, "split")
    assert {e.id for e in parts.train} | {e.id for e in parts.test} == {e.id for e in data.examples}
    assert holdout(data, seed=3) == parts
    assert holdout(data, seed=4) != parts


def test_the_training_part_does_not_depend_on_the_test_rows(mixed: Path) -> None:
    data = read(mixed)
    whole = holdout(data)
    for rows in (5, 10, 20, 25, 999):
        parts = holdout(data, test_rows=rows)
        assert parts.train == whole.train
        assert len(parts.test) == min(rows, 25)
        assert {e.id for e in parts.test} <= {e.id for e in whole.test}


def test_the_test_part_is_cut_to_the_planned_rows_with_many_labels(tmp_path: Path) -> None:
    rows = [(f"ticket number {i}", f"team {i % 77}") for i in range(800)]
    data = read(write(tmp_path / "many.csv", rows), task="Name the team.")
    assert len(holdout(data).test) == 200
    assert [len(holdout(data, test_rows=n).test) for n in (150, 100, 60)] == [150, 100, 60]


def test_a_rare_label_keeps_a_test_row_where_the_test_part_is_cut(tmp_path: Path) -> None:
    """Two of a hundred, measured by macro F1: drawn without regard to labels none is left one time in four."""
    rows = [(f"order number {i}", "fraud" if i % 50 == 0 else "fine") for i in range(1000)]
    data = read(write(tmp_path / "orders.csv", rows), task="Spot fraud.")
    assert data.task.metric == "macro_f1"
    for seed in range(30):
        assert {e.target for e in holdout(data, seed, test_rows=60).test} == {"fraud", "fine"}


def test_a_test_part_that_is_cut_is_as_the_queries_are_whatever_the_metric(tmp_path: Path) -> None:
    """Were each label drawn first once, under macro F1, half of the rows would be rare ones, with what errors on them
    cost."""
    rows = [(f"letter number {i}", "usual" if i % 10 < 7 else f"rare {i % 29}") for i in range(800)]
    data = read(write(tmp_path / "letters.csv", rows), task="Sort them.")
    macro = replace(data, task=replace(data.task, metric="macro_f1"))
    for seed in range(5):
        kept = holdout(macro, seed, test_rows=60).test
        assert sum(e.target == "usual" for e in kept) == pytest.approx(0.7 * 60, abs=4)
        assert kept == holdout(data, seed, test_rows=60).test


def test_exact_duplicates_never_straddle_the_split(tmp_path: Path) -> None:
    rows = [(f"Same   text {i % 40}" if i % 2 else f"same text {i % 40}", MIXED[i][1]) for i in range(100)]
    parts = holdout(read(write(tmp_path / "twice.csv", rows)))
    keys = [{" ".join(e.input.lower().split()) for e in part} for part in (parts.train, parts.test)]
    assert keys[0].isdisjoint(keys[1])


def test_rows_of_a_given_test_file_are_left_out_of_training(mixed: Path, tmp_path: Path) -> None:
    again = [(text.upper(), label) for text, label in MIXED[:10]]
    test = write(tmp_path / "test.csv", [*again, *((f"new {i}", "billing") for i in range(20))])
    data = read(mixed, test=str(test))
    parts = holdout(data, test_rows=5)
    assert (len(parts.train), len(parts.test), source_of(data)) == (90, 30, "file")
    assert {e.input for e in parts.train}.isdisjoint(text for text, _ in MIXED[:10])


def test_a_test_file_that_repeats_all_examples_is_refused(mixed: Path, tmp_path: Path) -> None:
    copy = write(tmp_path / "copy.csv", MIXED)
    with pytest.raises(RequestError, match="--test repeats all examples"):
        holdout(read(mixed, test=str(copy)))


def write_customers(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label", "cust"), *rows])
    return path


def test_examples_that_share_a_group_with_the_test_file_are_left_out_and_named(tmp_path: Path) -> None:
    examples = write_customers(tmp_path / "a.csv", [(*row, f"c{i % 10}") for i, row in enumerate(MIXED)])
    test = write_customers(tmp_path / "t.csv", [(f"something quite different {n}", "billing", f"c{n}") for n in "012"])
    data = read(examples, test=str(test), group_by="cust")
    assert len(holdout(data).train) == 70
    (finding,) = [f for f in data.findings if f.code == "shared_with_test"]
    assert (finding.severity, finding.count) == ("warning", 30)
    assert finding.rows[:4] == ("row-1", "row-2", "row-3", "row-11")
    assert finding.message == '30 examples share a "cust" with the test set.'
    assert finding.action == "Left out of training. To learn from them, leave --group-by out."


def test_examples_that_are_nearly_a_test_row_are_left_out_and_named(tmp_path: Path) -> None:
    long = "my parcel number seven has not arrived at the depot in Leeds since Monday"
    examples = write(tmp_path / "a.csv", [*MIXED, (long, "delivery")])
    test = write(tmp_path / "t.csv", [(f"{long}!", "delivery"), ("something quite different", "billing")])
    data = read(examples, test=str(test))
    assert len(holdout(data).train) == 100
    (finding,) = [f for f in data.findings if f.code == "shared_with_test"]
    assert finding.rows == ("row-101",)
    assert finding.message == "1 example has nearly the same input as a row of the test set."


def test_where_all_groups_are_in_the_test_file_the_group_is_named_as_the_cause(tmp_path: Path) -> None:
    examples = write_customers(tmp_path / "a.csv", [(*row, f"c{i % 2}") for i, row in enumerate(MIXED)])
    test = write_customers(tmp_path / "t.csv", [(f"quite different {n}", "billing", f"c{n}") for n in "01"])
    with pytest.raises(RequestError, match=r"--group-by with --test: all examples share .* leave --group-by out"):
        holdout(read(examples, test=str(test), group_by="cust"))


def test_rows_of_four_customers_make_three_folds_and_not_five(tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = [(*row, f"customer {i % 4}") for i, row in enumerate(MIXED)]
        csv.writer(file).writerows([("text", "label", "customer"), *rows])
    assert sizes_of(read(path, group_by="customer", input_columns=["text"]), 0).folds == [3]
    assert sizes_of(read(path, input_columns=["text"]), 0).folds == [5, 3]


def unlearnt(data: Data, **accept: Any) -> list[tuple[str, tuple[str, ...], str]]:
    found = with_division(data, divide(data, 0, folds=1), **{"accept": (), **accept}).findings
    return [(f.severity, f.rows, f.message) for f in found if f.code == "unlearnt_labels"]


def test_test_rows_with_labels_that_no_training_row_has_are_named(mixed: Path, tmp_path: Path) -> None:
    rows = [("quite another matter", "billing"), ("my tap drips", "plumbing"), ("my shower drips too", "plumbing")]
    data = read(mixed, test=str(write(tmp_path / "t.csv", rows)))
    message = "2 test rows have labels that no training row has: 'plumbing' (2 rows)."
    assert unlearnt(data) == [("warning", ("row-2 (test set)", "row-3 (test set)"), message)]
    assert [severity for severity, *_ in unlearnt(data, accept=["unlearnt_labels"])] == ["info"]
    assert unlearnt(read(mixed, test=str(write(tmp_path / "u.csv", rows[:1])))) == []


def test_labels_of_the_latest_rows_that_none_before_had_are_named(tmp_path: Path) -> None:
    path = tmp_path / "dated.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = [(text, "returns" if i > 97 else label, i) for i, (text, label) in enumerate(MIXED)]
        csv.writer(file).writerows([("text", "label", "day"), *rows])
    ((_, rows_named, _),) = unlearnt(read(path, time_column="day"))
    assert rows_named == ("row-99", "row-100")
    assert unlearnt(read(path, input_columns=["text"])) == [], "drawn by label, others have it"


def untested(data: Data) -> list[tuple[int, str]]:
    found = with_division(data, divide(data, 0, folds=1), ()).findings
    return [(f.count, f.message) for f in found if f.code == "untested_groups"]


def test_late_rows_that_belong_together_with_earlier_ones_are_left_out_and_told(tmp_path: Path) -> None:
    path = tmp_path / "dated.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = [(text, label, i, "regular" if i in (5, 90, 99) else f"c{i}") for i, (text, label) in enumerate(MIXED)]
        csv.writer(file).writerows([("text", "label", "day", "customer"), *rows])
    data = read(path, time_column="day", group_by="customer")
    parts = holdout(data)
    assert len(parts.train) + len(parts.test) == 98
    reason = "(like inputs, or the same --group-by cell): neither learnt from nor tested on."
    assert untested(data) == [(2, f"2 examples of the time that is tested belong together with earlier ones {reason}")]
    assert untested(read(path, time_column="day", input_columns=["text"])) == []


def test_a_group_larger_than_one_holdout_is_told_and_tested_in_folds(mixed: Path, tmp_path: Path) -> None:
    data = read(write(tmp_path / "log.csv", [("where is my order", "delivery")] * 40 + MIXED), task="Name the team.")
    assert [e.input for e in holdout(data).test].count("where is my order") == 0
    ((count, said),) = untested(data)
    assert (count, said) == (
        40,
        "40 examples are in groups of more than the 35 rows that one holdout tests (like inputs): they are learnt from "
        "only, and no figure is about queries like them.",
    )
    assert untested(read(mixed)) == []
    assert with_division(data, divide(data, 0, folds=3), ()) == data


def test_nothing_is_told_of_larger_groups_where_the_holdout_is_one_of_them(tmp_path: Path) -> None:
    path = tmp_path / "shops.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = [(text, label, f"shop {i % 3}") for i, (text, label) in enumerate(MIXED)]
        csv.writer(file).writerows([("text", "label", "shop"), *rows])
    data = read(path, group_by="shop")
    assert len(holdout(data).test) > 25
    assert untested(data) == []
