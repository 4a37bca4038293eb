"""What a comparison starts from: read, refused where hopeless, and divided once."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from advisor.data import Data, audit_only, default_output, divide, fingerprint, read_data
from advisor.request import CompareRequest, make_request
from eval.errors import RequestError

Rows = Sequence[tuple[str, str]]
MIXED = [(f"ticket {i} {'bill' if i % 2 else 'parcel'}", "billing" if i % 2 else "delivery") for i in range(100)]


def write(path: Path, rows: Rows, header: Sequence[str] = ("text", "label")) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def request_for(examples: Path, **options: Any) -> CompareRequest:
    return make_request(**{"task": "Sort the tickets.", "examples": str(examples), **options})


def read(examples: Path, **options: Any) -> Data:
    return read_data(request_for(examples, **options))


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    return write(tmp_path / "mixed.csv", MIXED)


def test_what_was_inferred_is_stated(mixed: Path) -> None:
    data = read(mixed)
    assert len(data.examples) == 100
    assert any("classification" in sentence for sentence in data.stated)
    assert any("accuracy" in sentence for sentence in data.stated)
    assert [f.code for f in data.findings] == ["column_mapping"]
    assert (data.test, data.documents) == (None, ())


@pytest.mark.parametrize("count", [1, 5, 19])
def test_too_few_examples_says_how_many_are_needed(count: int, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=f"{count} usable examples are too few .* at least 20 are needed"):
        read(write(tmp_path / "few.csv", MIXED[:count]))


def test_twenty_examples_are_enough_to_start(tmp_path: Path) -> None:
    parts = divide(read(write(tmp_path / "some.csv", MIXED[:20])), seed=0)
    assert (len(parts.train), len(parts.test)) == (10, 10)


def test_rows_without_an_output_do_not_count_as_examples(tmp_path: Path) -> None:
    rows = [*MIXED[:15], *((f"x {i}", "") for i in range(30))]
    with pytest.raises(RequestError, match="15 usable examples are too few"):
        read(write(tmp_path / "gaps.csv", rows))


def test_one_label_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="All 100 outputs are the same label, 'billing'"):
        read(write(tmp_path / "one.csv", [(text, "billing") for text, _ in MIXED]))


def test_outputs_that_are_all_empty_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r'Every output in column "label" .* is empty'):
        read(write(tmp_path / "blank.csv", [(text, "") for text, _ in MIXED]))


def test_a_missing_file_is_named(tmp_path: Path, mixed: Path) -> None:
    for options in ({}, {"documents": str(tmp_path / "nowhere.csv")}, {"test": str(tmp_path / "nowhere.csv")}):
        examples = mixed if options else tmp_path / "nowhere.csv"
        with pytest.raises(RequestError, match=r"nowhere\.csv does not exist"):
            read(examples, **options)


def test_the_parts_are_disjoint_and_complete(mixed: Path) -> None:
    data = read(mixed)
    parts = divide(data, seed=3)
    assert (len(parts.train), len(parts.test), parts.source) == (75, 25, "split")
    assert {e.id for e in parts.train} | {e.id for e in parts.test} == {e.id for e in data.examples}
    assert divide(data, seed=3) == parts
    assert divide(data, seed=4) != parts


def test_the_training_part_does_not_depend_on_the_test_rows(mixed: Path) -> None:
    data = read(mixed)
    whole = divide(data, seed=0)
    for rows in (5, 10, 20, 25, 999):
        parts = divide(data, seed=0, test_rows=rows)
        assert parts.train == whole.train
        assert len(parts.test) == min(rows, 25)
        assert {e.id for e in parts.test} <= {e.id for e in whole.test}


def test_the_test_part_is_cut_to_the_planned_rows_with_many_labels(tmp_path: Path) -> None:
    rows = [(f"ticket number {i}", f"team {i % 77}") for i in range(800)]
    data = read(write(tmp_path / "many.csv", rows), task="Name the team.")
    assert len(divide(data, seed=0).test) == 200
    assert [len(divide(data, seed=0, test_rows=n).test) for n in (150, 100, 60)] == [150, 100, 60]


def test_exact_duplicates_never_straddle_the_split(tmp_path: Path) -> None:
    rows = [(f"Same   text {i % 40}" if i % 2 else f"same text {i % 40}", MIXED[i][1]) for i in range(100)]
    parts = divide(read(write(tmp_path / "twice.csv", rows)), seed=0)
    keys = [{" ".join(e.input.lower().split()) for e in part} for part in (parts.train, parts.test)]
    assert keys[0].isdisjoint(keys[1])


def test_rows_of_a_given_test_file_are_left_out_of_training(mixed: Path, tmp_path: Path) -> None:
    again = [(text.upper(), label) for text, label in MIXED[:10]]
    test = write(tmp_path / "test.csv", [*again, *((f"new {i}", "billing") for i in range(20))])
    data = read(mixed, test=str(test))
    parts = divide(data, seed=0, test_rows=5)
    assert (len(parts.train), len(parts.test), parts.source) == (90, 30, "file")
    assert {e.input for e in parts.train}.isdisjoint(text for text, _ in MIXED[:10])


def test_a_test_file_that_repeats_all_examples_is_refused(mixed: Path, tmp_path: Path) -> None:
    copy = write(tmp_path / "copy.csv", MIXED)
    with pytest.raises(RequestError, match="--test repeats all examples"):
        divide(read(mixed, test=str(copy)), seed=0)


@pytest.mark.parametrize(
    "option",
    [
        {"volume": 5}, {"tolerance": 3.0}, {"output": Path("elsewhere")}, {"keep": "all"}, {"min_quality": 0.5},
        {"max_cost_per_1k": 1.0}, {"max_latency_ms": 5.0}, {"prices": "prices.yaml"},
    ],
)  # fmt: skip
def test_the_fingerprint_ignores_what_changes_no_measurement(option: dict[str, Any], mixed: Path) -> None:
    data = read(mixed)
    assert fingerprint(request_for(mixed, **option), data) == fingerprint(request_for(mixed), data)


@pytest.mark.parametrize(
    "option",
    [{"seed": 1}, {"strategies": ["majority"]}, {"model": ["other"]}, {"embedder": "other"}, {"time_budget": 60}],
)
def test_the_fingerprint_changes_with_what_changes_measurements(option: dict[str, Any], mixed: Path) -> None:
    data = read(mixed)
    assert fingerprint(request_for(mixed, **option), data) != fingerprint(request_for(mixed), data)


def test_the_fingerprint_is_of_the_contents_not_of_where_they_lie(mixed: Path, tmp_path: Path) -> None:
    moved = write(tmp_path / "moved.csv", MIXED)
    assert fingerprint(request_for(moved), read(moved)) == fingerprint(request_for(mixed), read(mixed))


def test_the_fingerprint_changes_with_every_part_of_the_contents(mixed: Path, tmp_path: Path) -> None:
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "a.txt").write_text("What is said.")
    data = read(mixed, documents=str(documents))
    request = request_for(mixed)
    first, *rest = data.examples
    variants = [
        data,
        replace(data, examples=(replace(first, input="other"), *rest)),
        replace(data, examples=(replace(first, targets=("delivery", "billing")), *rest)),
        replace(data, examples=tuple(rest)),
        replace(data, test=(first,)),
        replace(data, documents=()),
        replace(data, documents=(replace(data.documents[0], text="What is not said."),)),
        replace(data, task=replace(data.task, description="Another task.")),
        replace(data, task=replace(data.task, metric="macro_f1")),
    ]
    assert len({fingerprint(request, variant) for variant in variants}) == len(variants)


def test_the_fingerprint_tells_test_rows_from_examples(mixed: Path) -> None:
    data = read(mixed)
    moved = replace(data, examples=data.examples[:80], test=data.examples[80:])
    assert fingerprint(request_for(mixed), moved) != fingerprint(request_for(mixed), data)


def test_a_default_output_never_names_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_output() == Path("advisor-run")
    Path("advisor-run").mkdir()
    Path("advisor-run-2").touch()
    assert default_output() == Path("advisor-run-3")


def test_the_audit_alone_reports_what_a_comparison_would_refuse(tmp_path: Path) -> None:
    findings = audit_only(request_for(write(tmp_path / "few.csv", MIXED[:5])))
    assert [(f["code"], f["severity"]) for f in findings] == [
        ("column_mapping", "info"), ("too_few_examples", "error"), ("rare_labels", "warning"),
    ]  # fmt: skip
    assert all(set(f) == {"code", "severity", "count", "rows", "message", "action"} for f in findings)
