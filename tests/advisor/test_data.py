"""What a comparison starts from: read, cleaned and refused where hopeless."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from advisor import fingerprint as marks
from advisor.data import Data, audited, read_data
from advisor.fingerprint import parts_of, what_differs
from advisor.request import CompareRequest, make_request
from eval.errors import RequestError

Rows = Sequence[Sequence[object]]
MIXED = [(f"ticket {i} {'bill' if i % 2 else 'parcel'}", "billing" if i % 2 else "delivery") for i in range(100)]


def fingerprint(request: CompareRequest, data: Data) -> str:
    return marks.fingerprint(parts_of(request, data))


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


def test_the_task_says_which_columns_might_be_missed(tmp_path: Path) -> None:
    rows = [[text, label, "red" if number % 2 else "blue"] for number, (text, label) in enumerate(MIXED)]
    path = write(tmp_path / "colours.csv", rows, ["text", "label", "colour"])
    assert not [f for f in read(path).findings if f.severity == "warning"]
    test = write(
        tmp_path / "test.csv", [[f"new {text}", label, "red"] for text, label, _ in rows], ["text", "label", "colour"]
    )
    told = read(path, task="Sort by text and colour.", test=str(test)).findings
    (finding,) = [f for f in told if (f.code, f.severity) == ("column_mapping", "warning")]
    assert "--input-columns text,colour" in finding.action


@pytest.mark.parametrize("count", [1, 5, 19])
def test_too_few_examples_says_how_many_are_needed(count: int, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=f"{count} usable examples are too few .* at least 20 are needed"):
        read(write(tmp_path / "few.csv", MIXED[:count]))


def test_rows_without_an_output_do_not_count_as_examples(tmp_path: Path) -> None:
    rows = [*MIXED[:15], *((f"x {i}", "") for i in range(30))]
    lost = 'Left out 30 rows of gaps.csv without an output in "label": blank in line 17, '
    with pytest.raises(
        RequestError, match=rf'15 usable examples are too few .* {lost}.* Fill in the output \("none", say'
    ):
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


def test_every_part_of_the_fingerprint_is_named(mixed: Path) -> None:
    """Whatever changes the one changes the other."""
    data, request = read(mixed), request_for(mixed)
    then = parts_of(request, data)
    assert what_differs(then, parts_of(request_for(mixed, volume=5, keep="all"), data)) == []
    for option in ({"seed": 1}, {"model": ["other"]}, {"embedder": "other"}, {"time_budget": 60}, {"redact": True}):
        (told,) = what_differs(then, parts_of(request_for(mixed, **option), data))
        assert told.startswith("--" + next(iter(option)).replace("_", "-"))
    for part, value in {
        "examples": data.examples[1:], "test": data.examples[:9], "groups": ("a",) * 100, "times": (1.0,) * 100,
        "incumbent": ("a",) * 100, "task": replace(data.task, description="Another."),
    }.items():  # fmt: skip
        assert len(what_differs(then, parts_of(request, replace(data, **{part: value})))) == 1


def test_the_parts_of_the_fingerprint_hold_no_text_of_the_clients(mixed: Path) -> None:
    secret = "http://me:hunter2@127.0.0.1/v1"
    options = {"endpoint": secret, "output_column": "answer of Ms Smith", "model": ["/home/smith/model"]}
    kept = json.dumps(parts_of(request_for(mixed, **options), read(mixed)))
    assert not [word for word in ("hunter2", "Smith", "smith", "127.0.0.1", "billing") if word in kept]
    assert len(kept) < 3000


def test_the_audit_alone_reports_what_a_comparison_would_refuse(tmp_path: Path) -> None:
    findings = audited(request_for(write(tmp_path / "few.csv", MIXED[:5]))).findings
    assert [(f.code, f.severity) for f in findings] == [
        ("column_mapping", "info"), ("too_few_examples", "error"), ("rare_labels", "warning"),
    ]  # fmt: skip


# ---- what the audit changes ------------------------------------------------------------------------------------------


def codes(data: Data) -> list[str]:
    return [finding.code for finding in data.findings]


def test_spellings_of_a_label_are_counted_together_before_anything_is_inferred(tmp_path: Path) -> None:
    rows = [(text, "Billing" if i % 3 else "billing" if i % 15 else "delivery") for i, (text, _) in enumerate(MIXED)]
    data = read(write(tmp_path / "spelt.csv", rows))
    assert {e.target for e in data.examples} == {"Billing", "delivery"}
    assert data.task.metric == "macro_f1"
    assert "label_variants" in codes(data)


def test_spellings_are_kept_apart_where_that_is_accepted(tmp_path: Path) -> None:
    examples = write(tmp_path / "spelt.csv", [*MIXED, ("one more", "Billing")])
    assert {e.target for e in read(examples, accept="label_variants").examples} == {"billing", "delivery", "Billing"}
    assert {e.target for e in read(examples).examples} == {"billing", "delivery"}


def write_documents(folder: Path, **texts: str) -> Path:
    folder.mkdir()
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)
    return folder


def test_documents_that_leak_are_left_out_unless_that_is_accepted(mixed: Path, tmp_path: Path) -> None:
    documents = write_documents(tmp_path / "documents", faq=f"{MIXED[1][0]}\n{MIXED[1][1]}", fact="Bills come by post.")
    assert [d.id for d in read(mixed, documents=str(documents)).documents] == ["fact.txt"]
    kept = read(mixed, documents=str(documents), accept=["leak_examples_documents"])
    assert [d.id for d in kept.documents] == ["fact.txt", "faq.txt"]


def test_why_there_are_no_documents_is_known(mixed: Path, tmp_path: Path) -> None:
    assert read(mixed).no_documents == "there are no documents to retrieve from"
    documents = write_documents(tmp_path / "documents", faq=f"{MIXED[1][0]}\n{MIXED[1][1]}")
    data = read(mixed, documents=str(documents))
    assert not data.documents
    assert data.no_documents.startswith("all documents were left out")


SECRETS = ("ada@example.org", "4242 4242 4242 4242", "+44 20 7946 0958", "DE89 3704 0044 0532 0130 00")


def test_redacted_data_hold_no_personal_data_anywhere(tmp_path: Path) -> None:
    rows = [(f"{text}, {SECRETS[i % 4]}", f"{label} for {SECRETS[0]}") for i, (text, label) in enumerate(MIXED)]
    examples = write(tmp_path / "secret.csv", rows)
    test = write(tmp_path / "test.csv", [(f"new {text}", label) for text, label in rows[:30]])
    today = write(tmp_path / "today.csv", rows[:30])
    documents = write_documents(tmp_path / "documents", a=f"Mail to {SECRETS[0]}, call {SECRETS[2]}.")
    labels = [f"{label} for {SECRETS[0]}" for label in ("billing", "delivery")]
    task = tmp_path / "task.json"
    task.write_text(json.dumps({"description": f"Sort mail of {SECRETS[0]}.", "name": SECRETS[0], "labels": labels}))
    options = {"test": str(test), "documents": str(documents), "incumbent": str(today), "task": str(task)}
    open_data, data = (read(examples, redact=redact, **options) for redact in (False, True))
    assert all(secret in str(open_data) for secret in SECRETS)
    assert not any(secret in str(data) for secret in SECRETS)
    assert data.examples[0].input == "ticket 0 parcel, [EMAIL]"
    assert (data.task.description, data.task.name) == ("Sort mail of [EMAIL].", "[EMAIL]")
    assert data.task.labels == ("billing for [EMAIL]", "delivery for [EMAIL]")
    assert data.incumbent == tuple(e.target for e in data.examples[:30])
    assert {f.severity for f in data.findings if f.code == "personal_data"} == {"info"}
    assert [(f.severity, f.count) for f in data.findings if f.code == "masked_outputs"] == [("warning", 130)]
    assert not [f for f in open_data.findings if f.code == "masked_outputs"]


def test_a_first_row_that_is_taken_for_names_of_columns_is_masked_in_the_error(tmp_path: Path) -> None:
    rows = [(f"text {i}", "billing") for i in range(40)]
    path = write(tmp_path / "a.csv", rows, header=("My card 4111 1111 1111 1111, jane.doe@example.com", "billing"))
    with pytest.raises(RequestError) as error:
        read(path)
    assert 'has the columns "My card [CARD], [EMAIL]" and "billing"' in str(error.value)


def test_personal_data_are_reported_without_their_values(tmp_path: Path) -> None:
    rows = [(f"{text}, {SECRETS[i % 4]}", label) for i, (text, label) in enumerate(MIXED)]
    data = read(write(tmp_path / "secret.csv", rows))
    (finding,) = [f for f in data.findings if f.code == "personal_data"]
    assert (finding.severity, finding.count) == ("warning", 100)
    assert not any(secret in str(data.findings) for secret in SECRETS)


def test_ids_that_are_personal_are_never_shown(tmp_path: Path) -> None:
    rows = [(f"customer{i}@example.org", text, label) for i, (text, label) in enumerate(MIXED)]
    rows[5] = (rows[5][0], rows[5][1], "")
    data = read(write(tmp_path / "ids.csv", rows, ("id", "text", "label")))
    assert len({e.id for e in data.examples}) == 99
    assert "example.org" not in str(data)


# ---- further columns -------------------------------------------------------------------------------------------------


def with_column(path: Path, name: str, cells: Sequence[object]) -> Path:
    rows = [(text, label, cell) for (text, label), cell in zip(MIXED, cells, strict=True)]
    return write(path, rows, ("text", "label", name))


def test_rows_are_grouped_by_a_column(tmp_path: Path) -> None:
    data = read(with_column(tmp_path / "a.csv", "customer", [f"c{i % 7}" for i in range(100)]), group_by="customer")
    assert data.groups == tuple(f"c{i % 7}" for i in range(100))
    assert any('"customer"' in sentence and "7" in sentence for sentence in data.stated)


def test_a_row_without_a_group_is_no_group_of_its_own(tmp_path: Path) -> None:
    cells = ["", " ", *(f"c{i % 7}" for i in range(98))]
    data = read(with_column(tmp_path / "a.csv", "customer", cells), group_by="customer")
    said = 'Grouped 100 examples by "customer" (7 groups); 2 have an empty cell and are on their own.'
    assert said in data.stated


def test_groups_that_are_personal_become_numbers(tmp_path: Path) -> None:
    cells = [f"c{i % 7}@example.org" for i in range(100)]
    data = read(with_column(tmp_path / "a.csv", "customer", cells), group_by="customer")
    assert data.groups is not None
    assert len(set(data.groups)) == 7
    assert "example.org" not in str(data)


def test_an_unknown_column_is_named_with_the_known_ones(tmp_path: Path) -> None:
    examples = with_column(tmp_path / "a.csv", "customer", range(100))
    for option, flag in (("group_by", "--group-by"), ("time_column", "--time-column")):
        with pytest.raises(RequestError, match=f'{flag}: there is no column "client"; known are "text", "label"'):
            read(examples, **{option: "client"})


MONTHS = ("Jan", "Feb", "Mar", "Apr")


@pytest.mark.parametrize(
    ("cells", "later"),
    [
        ([str(i) for i in range(100)], 1.0),
        ([f"2024-{1 + i // 25:02}-{1 + i % 25:02}" for i in range(100)], 86400.0),
        ([f"{1 + i % 25}.{1 + i // 25}.2024 10:00" for i in range(100)], 86400.0),
        ([f"{1 + i // 25}/{1 + i % 25}/2024" for i in range(100)], 86400.0),
        ([f"{1 + i // 25}/{1 + i % 25}/24 {1 + i % 11}:45 AM" for i in range(100)], 90000.0),
        ([f"3/31/24, {(i // 5 - 1) % 12 + 1}:{i % 5 * 12:02}{'am' if i < 60 else 'pm'}" for i in range(100)], 720.0),
        ([f"{1 + i // 25}/{1 + i % 25}/2024 3:45 p.m." for i in range(100)], 86400.0),
        ([f"{1 + i % 25}.{1 + i // 25:02}.24 9:45" for i in range(100)], 86400.0),
        ([f"{1 + i % 25}.{1 + i // 25:02}.{24 if i % 2 else 2024}" for i in range(100)], 86400.0),
        ([f"24-{1 + i // 25:02}-{1 + i % 25:02} 9:45" for i in range(100)], 86400.0),
        ([f"2024-05-01 10:00:{i // 10:02},{i % 10}00" for i in range(100)], 0.1),
        ([f"2024-05-01T10:{i // 60:02}:{i % 60:02}+02:00" for i in range(100)], 1.0),
        ([f"{1 + i % 25} {MONTHS[i // 25]} 2024" for i in range(100)], 86400.0),
        ([f"{1 + i % 12:02}.{2010 + i // 12}" for i in range(100)], 31 * 86400.0),
        ([f"{1 + i % 12}.{2010 + i // 12}" for i in range(100)], 31 * 86400.0),
        ([f"{2010 + i // 12}.{1 + i % 12}" for i in range(100)], 31 * 86400.0),
        ([f"{2010 + i // 12}.{1 + i % 12:02}" for i in range(100)], 31 * 86400.0),
        ([f"{2010 + (i + 8) // 12}.{1 + (i + 8) % 12:02}".rstrip("0") for i in range(100)], 0.01),
        ([f"{2010 + i // 4}.{25 * (i % 4):02}" for i in range(100)], 0.25),
        ([f"{i}.{1000 + i}" for i in range(100)], 1.0001),
    ],
    ids=[
        "numbers", "iso", "day first", "month first", "month first, 12 hours", "midnight and noon",
        "long years, 12 hours", "day first, short hours", "years of both lengths", "year first, short hours",
        "comma", "with a zone", "in words", "months", "short months",
        "short months last", "months last", "months that lost a zero", "quarters of a year", "decimals",
    ],
)  # fmt: skip
def test_times_are_read_in_usual_forms(cells: Sequence[str], later: float, tmp_path: Path) -> None:
    data = read(with_column(tmp_path / "a.csv", "date", cells), time_column="date")
    assert data.times is not None
    assert data.times[1] - data.times[0] == pytest.approx(later)
    assert list(data.times) == sorted(data.times)


def test_the_first_row_without_a_time_is_named(tmp_path: Path) -> None:
    cells: list[object] = [f"2024-05-{1 + i % 28:02}" for i in range(100)]
    cells[41] = "soon"
    with pytest.raises(RequestError, match=r'--time-column: in line 43 of "date", "soon" is no date or number'):
        read(with_column(tmp_path / "a.csv", "date", cells), time_column="date")
    cells[7] = ""
    with pytest.raises(RequestError, match=r'in line 9 of "date", there is no date'):
        read(with_column(tmp_path / "b.csv", "date", cells), time_column="date")


def test_dates_that_can_be_read_both_ways_are_refused(tmp_path: Path) -> None:
    cells = [f"{1 + i % 12}/{1 + i % 11}/2024" for i in range(100)]
    with pytest.raises(RequestError, match="day or with the month first: write them as YYYY-MM-DD"):
        read(with_column(tmp_path / "a.csv", "date", cells), time_column="date")


def spread(count: int) -> list[tuple[int, int, int]]:
    """A hundred days of so many years, as year, month and day, in order."""
    return sorted((2023 + i % count, 1 + i % 12, 1 + (i * 7) % 28) for i in range(100))


@pytest.mark.parametrize("sign", ["-", "/", "."])
@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)], ids=["year first", "day first"])
def test_a_year_of_two_figures_may_come_first_or_last(sign: str, order: slice, tmp_path: Path) -> None:
    cells = [sign.join(f"{part % 100:02}" for part in day[order]) for day in spread(3)]
    data = read(with_column(tmp_path / "a.csv", "date", cells), time_column="date")
    assert data.times is not None
    assert list(data.times) == sorted(data.times)
    assert f'Ordered the examples in time by "date", from {cells[0]} to {cells[-1]}.' in data.stated


def test_a_year_of_two_figures_has_both(tmp_path: Path) -> None:
    cells = [f"{d}.{m}.{y - 2013}" for y, m, d in spread(15)]
    data = read(with_column(tmp_path / "a.csv", "date", cells), time_column="date")
    assert list(data.times or ()) == sorted(data.times or ())


def test_years_that_may_be_days_are_refused(tmp_path: Path) -> None:
    cells = ["-".join(f"{part % 100:02}" for part in (y - 10, m, d)) for y, m, d in spread(15)]
    with pytest.raises(RequestError, match="with the year or with the day first: write them as YYYY-MM-DD"):
        read(with_column(tmp_path / "a.csv", "date", cells), time_column="date")


# ---- the system in use today -----------------------------------------------------------------------------------------

TODAY = [("billing" if i % 3 else "delivery") for i in range(100)]


def today(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return str(write(path, rows, header))


def test_the_incumbent_is_matched_by_id_first(tmp_path: Path) -> None:
    ids = [f"t{i}" for i in range(100)]
    examples = write(
        tmp_path / "a.csv", [(n, *row) for n, row in zip(ids, MIXED, strict=True)], ("id", "text", "label")
    )
    rows = [(n, "same text", output) for n, output in zip(ids, TODAY, strict=True)][::-1]
    data = read(examples, incumbent=today(tmp_path / "b.csv", ("id", "text", "prediction"), rows))
    assert data.incumbent == tuple(TODAY)
    assert any("by id" in sentence for sentence in data.stated)


def test_outputs_for_examples_are_not_taken_for_those_of_test_rows_that_are_numbered_alike(tmp_path: Path) -> None:
    """What has the ids of both alone says it; with inputs, or ids that no example has, it is clear whose it is."""
    header, ids = ("id", "text", "label"), [str(i) for i in range(100)]
    examples = write(tmp_path / "a.csv", [(n, *row) for n, row in zip(ids, MIXED, strict=True)], header)
    fresh = [(str(i), f"new ticket {i} {'bill' if i % 2 else 'parcel'}", MIXED[i][1]) for i in range(30)]
    test = write(tmp_path / "t.csv", fresh, header)
    theirs = [(n, output) for n, output in zip(ids, TODAY, strict=True)]
    with pytest.raises(RequestError, match=r"--incumbent: .* has a row for each of the 100 examples, and --test"):
        read(examples, test=str(test), incumbent=today(tmp_path / "b.csv", ("id", "prediction"), theirs))
    own = read(examples, test=str(test), incumbent=today(tmp_path / "c.csv", ("id", "prediction"), theirs[:40]))
    assert own.incumbent == tuple(TODAY[:30])
    assert 'Matched "prediction" of c.csv to the test rows by id; 10 of its 40 rows fit none.' in own.stated
    asked = [(n, fresh[int(n)][1] if int(n) < 30 else "no", output) for n, output in theirs]
    told = read(examples, test=str(test), incumbent=today(tmp_path / "d.csv", ("id", "text", "prediction"), asked))
    assert told.incumbent == tuple(TODAY[:30])
    apart = write(tmp_path / "u.csv", [(f"t{n}", *row) for n, *row in fresh], header)
    both = [*theirs, *((f"t{n}", output) for n, output in theirs[:30])]
    read(examples, test=str(apart), incumbent=today(tmp_path / "e.csv", ("id", "prediction"), both))


def test_the_incumbent_is_matched_by_input_next(mixed: Path, tmp_path: Path) -> None:
    rows = [(f"x{i}", text.upper(), output) for i, ((text, _), output) in enumerate(zip(MIXED, TODAY, strict=True))]
    file = today(tmp_path / "b.csv", ("id", "text", "answer"), [*rows[::-1], ("more", "another", "billing")])
    data = read(mixed, incumbent=file)
    assert data.incumbent == tuple(TODAY)
    assert 'Matched "answer" of b.csv to the examples by input; 1 of its 101 rows fits none.' in data.stated


@pytest.mark.parametrize("asked", [2, 3])
def test_the_incumbents_conversations_are_matched_with_and_without_the_reply(asked: int, tmp_path: Path) -> None:
    texts = [[("user", "hi"), ("user", text), ("assistant", f"{label} it is")] for text, label in MIXED]
    rows = [[{"role": role, "content": said} for role, said in turns] for turns in texts]
    examples = tmp_path / "a.jsonl"
    examples.write_text("".join(json.dumps({"messages": turns}) + "\n" for turns in rows))
    given = [{"messages": turns[:asked], "prediction": output} for turns, output in zip(rows, TODAY, strict=True)]
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in given[::-1]))
    data = read(examples, incumbent=str(tmp_path / "b.jsonl"))
    assert data.incumbent == tuple(TODAY)


def test_the_incumbent_is_matched_by_order_last(mixed: Path, tmp_path: Path) -> None:
    data = read(mixed, incumbent=today(tmp_path / "b.csv", ("output",), [(output,) for output in TODAY]))
    assert data.incumbent == tuple(TODAY)
    assert any("by the order of rows" in sentence for sentence in data.stated)


def test_the_systems_output_is_taken_and_not_the_truth_beside_it(mixed: Path, tmp_path: Path) -> None:
    rows = [(*row, output) for row, output in zip(MIXED, TODAY, strict=True)]
    data = read(mixed, incumbent=today(tmp_path / "b.csv", ("text", "label", "Prediction"), rows))
    assert data.incumbent == tuple(TODAY)


def test_of_several_outputs_for_one_input_each_example_gets_its_own(tmp_path: Path) -> None:
    rows = [*MIXED[:30], ("Where is my order?", "delivery"), ("where is my order? ", "billing")]
    examples = write(tmp_path / "a.csv", rows)
    data = read(examples, incumbent=today(tmp_path / "b.csv", ("text", "prediction"), rows))
    assert data.incumbent == tuple(label for _, label in rows)
    assert 'Matched "prediction" of b.csv to the examples by input.' in data.stated
    more = [*rows, ("where is my order?", "")]
    data = read(examples, incumbent=today(tmp_path / "c.csv", ("text", "prediction"), more))
    assert data.incumbent == tuple(label for _, label in rows)
    said = "by input; for 2 of them it has several outputs, of which the first were taken."
    assert f'Matched "prediction" of c.csv to the examples {said}' in data.stated


def test_an_output_that_is_given_once_is_that_of_all_rows_with_its_input(tmp_path: Path) -> None:
    rows = [*MIXED[:30], ("Where is my order?", "delivery"), ("where is my order? ", "billing")]
    data = read(write(tmp_path / "a.csv", rows), incumbent=today(tmp_path / "b.csv", ("text", "prediction"), rows[:-1]))
    assert data.incumbent is not None
    assert data.incumbent[-2:] == ("delivery", "delivery")
    assert 'Matched "prediction" of b.csv to the examples by input.' in data.stated


def test_no_output_is_an_output_too(mixed: Path, tmp_path: Path) -> None:
    rows = [(text, "" if i == 3 else "billing") for i, (text, _) in enumerate(MIXED)]
    data = read(mixed, incumbent=today(tmp_path / "b.csv", ("text", "prediction"), rows))
    assert data.incumbent is not None
    assert [i for i, output in enumerate(data.incumbent) if not output] == [3]


def test_a_row_that_was_left_out_does_not_shift_the_order_of_the_incumbents(tmp_path: Path) -> None:
    rows = [(text, "" if i == 4 else label) for i, (text, label) in enumerate(MIXED)]
    data = read(
        write(tmp_path / "a.csv", rows),
        incumbent=today(tmp_path / "b.csv", ("output",), [(output,) for output in TODAY]),
    )
    assert data.incumbent == (*TODAY[:4], *TODAY[5:])
    assert any("by the order of rows, with 1 row left out." in sentence for sentence in data.stated)


@pytest.mark.parametrize("blank", ["", '""'])
def test_rows_for_which_the_system_gave_nothing_keep_their_places(blank: str, tmp_path: Path) -> None:
    """As many outputs as examples, but not the same rows: three examples have no label, three outputs are blank."""
    rows = [(text, "" if i in (80, 81, 82) else label) for i, (text, label) in enumerate(MIXED)]
    outputs = [blank if i in (5, 9, 20) else output for i, output in enumerate(TODAY)]
    (tmp_path / "b.csv").write_text("\n".join(["prediction", *outputs]))
    data = read(write(tmp_path / "a.csv", rows), incumbent=str(tmp_path / "b.csv"))
    wanted = ["" if i in (5, 9, 20) else output for i, output in enumerate(TODAY) if i not in (80, 81, 82)]
    assert data.incumbent == tuple(wanted)


@pytest.mark.parametrize("at", [100, 50])
def test_blank_rows_at_the_end_of_a_sheet_or_of_both_files_are_no_outputs(at: int, tmp_path: Path) -> None:
    rows = [f"{output},x" for output in TODAY]
    (tmp_path / "b.csv").write_text("\n".join(["prediction,note", *rows[:at], ",", *rows[at:]]))
    examples = [*MIXED[:at], ("", ""), *MIXED[at:]] if at < len(MIXED) else MIXED
    data = read(write(tmp_path / "a.csv", examples), incumbent=str(tmp_path / "b.csv"))
    assert data.incumbent == tuple(TODAY)
    assert any("by the order of rows." in sentence for sentence in data.stated)


def test_a_blank_row_at_the_end_is_not_the_place_of_an_example_that_was_left_out(tmp_path: Path) -> None:
    rows = [(text, "" if i == 10 else label) for i, (text, label) in enumerate(MIXED)]
    outputs = [f"{output},x" for i, output in enumerate(TODAY) if i != 10]
    (tmp_path / "b.csv").write_text("\n".join(["prediction,note", *outputs, ","]))
    data = read(write(tmp_path / "a.csv", rows), incumbent=str(tmp_path / "b.csv"))
    assert data.incumbent == (*TODAY[:10], *TODAY[11:])


def test_an_incumbent_that_lacks_rows_is_refused_with_the_ids_that_it_lacks(tmp_path: Path) -> None:
    rows = [(f"m{i}", text, label if i != 50 else "") for i, (text, label) in enumerate(MIXED)]
    examples = write(tmp_path / "a.csv", rows, ("id", "text", "label"))
    given = [(f"m{i}", "billing") for i in range(100) if i not in (3, 17)]
    with pytest.raises(
        RequestError,
        match=r"98 rows for 99 examples \(of 100 rows, 1 left out\); by id none fits m3, m17: give one row for each",
    ):
        read(examples, incumbent=today(tmp_path / "b.csv", ("id", "prediction"), given))
    others = [(f"n{i}", "billing") for i in range(60)]
    with pytest.raises(RequestError, match=r"left out\); none fits any of them by id: give one row for each"):
        read(examples, incumbent=today(tmp_path / "c.csv", ("id", "prediction"), others))


def test_an_incumbent_that_does_not_fit_is_refused_with_the_counts(mixed: Path, tmp_path: Path) -> None:
    rows = [(text, "billing") for text, _ in MIXED[:60]]
    with pytest.raises(
        RequestError,
        match=r"--incumbent: .* 60 rows for 100 examples; by input none fits row-61, .* and 35 more: give one row",
    ):
        read(mixed, incumbent=today(tmp_path / "b.csv", ("text", "prediction"), rows))
    with pytest.raises(RequestError, match=r'--incumbent: .* "foo", none of which .* name it prediction'):
        read(mixed, incumbent=today(tmp_path / "c.csv", ("foo",), [("x",)] * 100))


def test_an_incumbent_in_another_order_with_an_unknown_row_is_not_matched_by_order(mixed: Path, tmp_path: Path) -> None:
    texts = [text for text, _ in MIXED]
    texts[7] = "mistyped"
    rows = list(zip(texts, TODAY, strict=True))
    with pytest.raises(RequestError, match="by input none fits row-8: give one row"):
        read(mixed, incumbent=today(tmp_path / "b.csv", ("text", "prediction"), rows[::-1]))
    data = read(mixed, incumbent=today(tmp_path / "c.csv", ("text", "prediction"), rows))
    assert data.incumbent == tuple(TODAY)


def test_with_a_test_set_the_incumbent_is_matched_to_that(mixed: Path, tmp_path: Path) -> None:
    rows = [(f"new {text}", label) for text, label in MIXED[:30]]
    test = write(tmp_path / "test.csv", rows)
    file = today(tmp_path / "b.csv", ("text", "prediction"), [(text, "billing") for text, _ in rows])
    data = read(mixed, test=str(test), incumbent=file)
    assert data.incumbent == ("billing",) * 30


def test_the_incumbents_labels_may_be_spelt_otherwise(mixed: Path, tmp_path: Path) -> None:
    file = today(tmp_path / "b.csv", ("output",), [(output.upper(),) for output in TODAY])
    assert read(mixed, incumbent=file).incumbent == tuple(TODAY)
    assert read(mixed, incumbent=file, accept="label_variants").incumbent == tuple(o.upper() for o in TODAY)


def test_the_fingerprint_covers_further_columns_and_the_incumbent(mixed: Path, tmp_path: Path) -> None:
    data = read(mixed)
    request = request_for(mixed)
    variants = [
        data,
        replace(data, groups=("a",) * 100),
        replace(data, groups=("b",) * 100),
        replace(data, times=(1.0,) * 100),
        replace(data, incumbent=("a",) * 100),
    ]
    assert len({fingerprint(request, variant) for variant in variants}) == len(variants)
    for option in ({"accept": "near_duplicates"}, {"redact": True}):
        assert fingerprint(request_for(mixed, **option), data) != fingerprint(request, data)
    moved = [request_for(mixed, incumbent=str(tmp_path / name)) for name in ("a.csv", "b.csv")]
    assert fingerprint(moved[0], data) == fingerprint(moved[1], data)


def test_what_was_found_in_the_test_file_is_told_from_what_was_found_in_the_examples(
    mixed: Path, tmp_path: Path
) -> None:
    test = write(tmp_path / "test.csv", [*((f"new {text}", label) for text, label in MIXED[:30]), ("", "billing")])
    data = read(mixed, test=str(test))
    (finding,) = [f for f in data.findings if f.code == "empty_input"]
    assert finding.rows == ("row-31 (test set)",)
    assert finding.message == 'Test set: Left out 1 row of test.csv without an input in "text": blank in line 32.'


# ---- groups ----------------------------------------------------------------------------------------------------------


def test_rows_that_belong_together_are_marked_on_both_sides(tmp_path: Path) -> None:
    cells = [f"c{i}" if i > 2 else "same" for i in range(100)]
    examples = with_column(tmp_path / "a.csv", "customer", cells)
    test = write(
        tmp_path / "t.csv",
        [("quite another", "billing", "same"), ("alone", "billing", "")],
        ("text", "label", "customer"),
    )
    data = read(examples, group_by="customer", test=str(test))
    assert data.test is not None
    first, second, third, fourth = (example.group for example in data.examples[:4])
    assert first == second == third == data.test[0].group != ""
    assert fourth == data.test[1].group == ""


def test_without_a_column_only_repeated_inputs_belong_together(mixed: Path, tmp_path: Path) -> None:
    assert {example.group for example in read(mixed).examples} == {""}
    data = read(write(tmp_path / "twice.csv", [*MIXED, MIXED[5]]))
    assert data.examples[5].group == data.examples[100].group != ""


def test_the_name_of_a_column_may_be_written_otherwise_and_the_test_file_must_have_it(tmp_path: Path) -> None:
    examples = with_column(tmp_path / "a.csv", "Customer", [f"c{i}" if i > 1 else "same" for i in range(100)])
    test = write(tmp_path / "t.csv", [("quite another", "billing", "same")], ("text", "label", "customer"))
    data = read(examples, group_by="customer", test=str(test))
    assert data.test is not None
    assert data.test[0].group == data.examples[0].group != ""
    bare = write(tmp_path / "bare.csv", [("quite another", "billing")])
    with pytest.raises(RequestError, match="--group-by with --test: there is no column"):
        read(examples, group_by="customer", test=str(bare))


def test_rows_that_are_numbered_alike_are_not_matched_by_their_numbers(tmp_path: Path) -> None:
    ids = [str(i) for i in range(100)]
    numbered = [(n, *row) for n, row in zip(ids, MIXED, strict=True)]
    examples = write(tmp_path / "a.csv", numbered, ("id", "text", "label"))
    inputs = [text for text, _ in MIXED]
    rows = list(zip(ids, inputs[::-1], TODAY[::-1], strict=True))
    data = read(examples, incumbent=today(tmp_path / "b.csv", ("id", "text", "prediction"), rows))
    assert data.incumbent == tuple(TODAY)
    assert any("by input" in sentence for sentence in data.stated)
