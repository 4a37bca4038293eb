"""A matrix of what wrong answers cost: how it is read, what it refuses, and what it makes of a decision."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.economics import Prices
from advisor.error_costs import ErrorCosts, check_labels, read_error_cost
from advisor.evidence import Weighed, weigh
from advisor.records import Fit, Record
from advisor.report.schema import INCUMBENT
from advisor.request import make_request
from eval.contracts import Evaluation, Example, Outcome, Prediction
from eval.errors import RequestError
from eval.metrics import get_metric

LABELS = ("bad", "fine", "good")
MATRIX = {"costs": {"bad": {"fine": 8, "good": 20}, "fine": {"bad": 1}}, "default": 2}
COSTS = ErrorCosts.model_validate(MATRIX)

# ---- reading ---------------------------------------------------------------------------------------------------------


def written(tmp_path: Path, name: str, text: str) -> str:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_one_figure_is_one_figure() -> None:
    assert read_error_cost("2.5") == 2.5


def test_the_same_matrix_is_read_from_each_kind_of_file(tmp_path: Path) -> None:
    table = ",fine,good,bad\nbad,8,20,\nfine,,,1\n(default),2\n"
    files = {
        "m.yaml": "costs:\n  bad: {fine: 8, good: 20}\n  fine: {bad: 1}\ndefault: 2\n",
        "m.json": json.dumps(MATRIX),
        "m.csv": table,
        "m.tsv": table.replace(",", "\t"),
        "semicolons.csv": table.replace(",", ";"),
    }
    for name, text in files.items():
        path = written(tmp_path, name, text)
        assert read_error_cost(path) == COSTS.model_copy(update={"source": path})


def test_labels_may_look_like_figures_or_like_yes_and_no(tmp_path: Path) -> None:
    found = read_error_cost(written(tmp_path, "m.yaml", "costs: {yes: {no: 5}, 1: {2: 3}}\ndefault: 1\n"))
    assert isinstance(found, ErrorCosts)
    assert found.labels == ["yes", "1", "no", "2"]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (';"billing, fees, cards";x\n"billing, fees, cards";0;1\nx;2;0\n', "billing, fees, cards"),
        (";billing, fees, cards;x\nbilling, fees, cards;0;1\nx;2;0\n", "billing, fees, cards"),
        (',"so; so; so; so",x\r\n"so; so; so; so",0,1\r\nx,2,0\r\n', "so; so; so; so"),
        (',"two\nlines",x\n"two\r\n  lines",0,1\nx,2,0\n', "two lines"),
        (",one\u2028line,x\none\u2028line,0,1\nx,2,0\n", "one line"),
    ],
    ids=["commas in quotes", "commas", "semicolons in quotes", "line breaks", "line separators"],
)
def test_what_separates_cells_is_found_whatever_labels_hold(tmp_path: Path, text: str, label: str) -> None:
    found = read_error_cost(written(tmp_path, "m.csv", text))
    assert isinstance(found, ErrorCosts)
    assert found.costs == {label: {label: 0, "x": 1}, "x": {label: 2, "x": 0}}


def test_two_rows_of_a_label_but_for_its_line_break_are_refused(tmp_path: Path) -> None:
    text = ',a,b\n"a\na",0,1\na a,0,1\n'
    with pytest.raises(RequestError, match=r"row 3 \(a a\): a second row of this label"):
        read_error_cost(written(tmp_path, "m.csv", text))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "m.yaml",
            "costs: {bad: {good: -1}}",
            r"m\.yaml: costs\.bad\.good: input should be greater than or equal to 0",
        ),
        ("m.yaml", "costs: {bad: {good: .nan}}", r"m\.yaml: costs\.bad\.good: "),
        ("m.yaml", "costs: {bad: {good: inf}}", r"m\.yaml: costs\.bad\.good: "),
        ("m.yaml", "costs: {bad: {good: 0}}", r"m\.yaml: all costs are zero"),
        ("m.yaml", "default: 3", r"m\.yaml: costs: field required"),
        ("m.yaml", "- 1", r"m\.yaml must give `costs`"),
        ("m.yaml", "costs: {", r"m\.yaml cannot be read as YAML"),
        ("m.yaml", "costs: {a: {b: 1}}\nextra: 1", r"m\.yaml: extra: extra inputs"),
        ("m.json", "{", r"m\.json cannot be read as JSON"),
        ("m.json", '{"costs": {"a": {"b": NaN}}}', r"m\.json: costs\.a\.b"),
        ("m.csv", ",bad,good\nbad,0,x\n", r"m\.csv, row 2 \(bad\), column good: 'x' is no cost in USD"),
        ("m.csv", ";bad;good\nbad;0;1,5\n", r"'1,5' is no cost in USD, of 0 or more: write 1\.5\."),
        ("m.csv", ",bad,good\nbad,0,-3\n", r"row 2 \(bad\), column good: '-3' is no cost"),
        ("m.csv", ",bad,good\nbad,0,1\nbad,0,1\n", r"row 3 \(bad\): a second row of this label"),
        ("m.csv", ",bad,good\nbad,0,1,2\n", r"row 2 \(bad\): 3 costs for 2 answers"),
        ("m.csv", ",bad,bad\nbad,0,1\n", "row 1: each answer must have a name, and one column"),
        ("m.csv", "bad\n", "must have a first row of answers"),
        ("m.csv", ",a,b\na,,1\n(default),1,2\n", r"m\.csv, row 3 \(\(default\)\): it takes one cost, not 2"),
        ("m.csv", ",a,b\na,,1\n(unusable),1\n(unusable),2\n", r"row 4 \(\(unusable\)\): a second row of this name"),
        ("m.txt", "1", r"is neither a figure in USD nor a \.yaml, \.json, \.csv or \.tsv file"),
    ],
)
def test_what_is_no_matrix_is_refused_with_its_file_and_place(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(RequestError, match=rf"^--error-cost: .*{said}") as refusal:
        read_error_cost(written(tmp_path, name, text))
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(RequestError, match=r"the file nowhere\.csv cannot be read: No such file"):
        read_error_cost("nowhere.csv")


def test_labels_that_the_task_has_not_and_pairs_that_miss_are_refused() -> None:
    COSTS.check(LABELS)
    with pytest.raises(RequestError, match="names 'good', which is no label here; known are bad, fine"):
        COSTS.check(("bad", "fine"))
    with pytest.raises(
        RequestError, match="says nothing of 'bad' where 'good' is right: name the pair, or give a default"
    ):
        ErrorCosts.model_validate(
            {**MATRIX, "default": None, "costs": {**COSTS.costs, "fine": {"bad": 1, "good": 2}}}
        ).check(LABELS)
    with pytest.raises(RequestError, match="a matrix is for classification"):
        check_labels(COSTS, {}, None)
    with pytest.raises(RequestError, match="--min-recall is for classification"):
        check_labels(None, {"bad": 0.9}, None)
    with pytest.raises(RequestError, match="--min-recall: 'worse' is no label here; known are bad, fine, good"):
        check_labels(2.0, {"worse": 0.9}, LABELS)
    check_labels(2.0, {}, None)


def test_in_a_request_a_matrix_is_a_file_or_an_object_and_recalls_are_pairs(tmp_path: Path) -> None:
    path = written(tmp_path, "m.json", json.dumps(MATRIX))
    asked = make_request(task="x", examples="y", error_cost=path, min_recall=["bad=0.9", "a=b=1"])
    assert asked.error_cost == COSTS.model_copy(update={"source": path})
    assert asked.min_recall == {"bad": 0.9, "a=b": 1.0}
    assert make_request(task="x", examples="y", error_cost=MATRIX).error_cost == COSTS
    assert make_request(task="x", examples="y", error_cost="0.5", min_recall="bad=0").min_recall == {"bad": 0.0}
    for options, said in (
        ({"error_cost": {"costs": {"a": {"b": -1}}}}, r"--error-cost: costs\.a\.b: input should be greater"),
        ({"error_cost": 0}, "--error-cost: input should be greater than 0"),
        ({"min_recall": ["bad"]}, "--min-recall: say LABEL=RATE"),
        ({"min_recall": ["bad=1.5"]}, "--min-recall: bad: input should be less than or equal to 1"),
        ({"min_recall": {"bad": -0.1}}, "--min-recall: bad: input should be greater than or equal to 0"),
        ({"min_recall": ["bad=x"]}, "--min-recall: bad: input should be a valid number"),
    ):  # fmt: skip
        with pytest.raises(RequestError, match=said):
            make_request(task="x", examples="y", **options)


def test_labels_are_named_as_they_are_read_from_examples() -> None:
    asked = make_request(
        task="x", examples="y", error_cost={"costs": {"re\u0301clame": {"x": 1}}}, min_recall=["re\u0301clame=0.9"]
    )
    assert isinstance(asked.error_cost, ErrorCosts)
    assert asked.error_cost.labels == ["réclame", "x"]
    assert asked.min_recall == make_request(task="x", examples="y", min_recall={" re\u0301clame": 0.9}).min_recall
    assert asked.min_recall == {"réclame": 0.9}


# ---- what an answer costs --------------------------------------------------------------------------------------------


def test_labels_are_compared_with_their_spaces_as_one() -> None:
    """As answers are: a label with two spaces, or with one that does not break, costs what its row says."""
    spaced = ErrorCosts.model_validate({"costs": {"very  bad": {"so\xa0so": 20}}, "default": 1})
    labels = ("very  bad", "so\xa0so", "good")
    spaced.check(labels)
    spaced.check(("very bad", "so so", "good"))
    assert spaced.of(("very  bad",), "so so", {"very bad", "so so", "good"}) == 20
    assert spaced.of(("very  bad",), "very bad", {"very bad", "so so", "good"}) == 0
    costs = {"very  bad": ["so so"], "so\xa0so": ["so so"]}
    found = weigh([record("majority", costs), record("zero_shot", {k: [k] for k in costs})],
                  make_request(task="x", examples="y", error_cost=spaced.model_dump()), PRICES, get_metric("accuracy"),
                  labels=labels)  # fmt: skip
    losses = {c.name: (found.assumptions.error_cost or 0) * c.errors for c in found.assumptions.candidates}
    assert losses["majority"] == pytest.approx(10)
    with pytest.raises(ValueError, match="two labels differ in nothing but their spaces"):
        ErrorCosts.model_validate({"costs": {"a b": {"c": 1}, "a  b": {"c": 2}}, "default": 1})


def test_what_an_answer_costs() -> None:
    of = {
        (("bad",), "bad"): 0, (("bad",), "good"): 20, (("fine",), "bad"): 1, (("good",), "bad"): 2,
        (("bad", "good"), "good"): 0, (("bad", "fine"), "good"): 2, (("bad",), "nonsense"): 2, (("bad",), ""): 2,
    }  # fmt: skip
    for (targets, answer), usd in of.items():
        assert COSTS.of(targets, answer, LABELS) == usd
    assert COSTS.model_copy(update={"unusable": 7.0}).of(("bad",), "nonsense", LABELS) == 7
    assert COSTS.model_copy(update={"default": None}).of(("bad",), "nonsense", LABELS) == 20


def test_one_error_costs_the_mean_over_the_right_labels_of_the_rows() -> None:
    """bad: (8 + 20) / 2; fine: (1 + 2) / 2; good: 2."""
    assert COSTS.of_one_error(["bad", "fine", "fine", "good"], LABELS) == pytest.approx((14 + 1.5 + 1.5 + 2) / 4)


# ---- the decision ----------------------------------------------------------------------------------------------------

PRICES = Prices("a machine", 3600.0, "own")
"""A second costs a dollar."""


def record(name: str, answers: dict[str, list[str]], seconds: float = 0.0) -> Record:
    """Answers by the right label, in turn."""
    rows = [(label, answer) for label, of_label in answers.items() for answer in of_label]
    outcomes = tuple(
        Outcome(Example(f"{i:03}", f"text {i}", (label,)), Prediction(answer), float(answer == label), 0.1)
        for i, (label, answer) in enumerate(rows)
    )
    return Record(
        name,
        name,
        "baseline",
        None,
        "ok",
        fits=(Fit("ok", evaluation=Evaluation("accuracy", outcomes, seconds * len(rows))),),
    )


def weighed(*records: Record, **options: Any) -> Weighed:
    request = make_request(task="Sort.", examples="tickets.csv", **options)
    return weigh(records, request, PRICES, get_metric("accuracy"), labels=LABELS)


def drawn(seed: int, accuracy: float, rows: int = 90) -> dict[str, list[str]]:
    """Answers that are right with this probability."""
    rng = random.Random(seed)
    return {
        label: [label if rng.random() < accuracy else rng.choice(LABELS) for _ in range(rows // 3)] for label in LABELS
    }


def worked_example() -> tuple[Record, Record]:
    """That of docs/economics.md: 100 reviews, 20 unhappy. Both have 10 errors."""
    careful = {"bad": ["bad"] * 19 + ["fine"], "fine": ["fine"] * 71 + ["bad"] * 9}
    plain = {"bad": ["bad"] * 12 + ["fine"] * 8, "fine": ["fine"] * 78 + ["bad"] * 2}
    return record("zero_shot", careful, seconds=0.2), record("majority", plain, seconds=0.1)


def test_the_worked_example_of_the_documentation() -> None:
    """1 × 20 + 9 × 0.5 = 24.50 USD in 100 queries against 8 × 20 + 2 × 0.5 = 161.00."""
    matrix = {"costs": {"bad": {"fine": 20}, "fine": {"bad": 0.5}}}
    request = make_request(task="x", examples="y", error_cost=matrix, volume=1000)
    found = weigh(worked_example(), request, Prices("m", 0.36, "own"), get_metric("accuracy"), labels=("bad", "fine"))
    assumed = found.assumptions
    assert assumed.error_cost == pytest.approx(0.2 * 20 + 0.8 * 0.5)  # 4.40
    monthly = {c.name: assumed.error_cost * 1000 * c.errors + c.money.monthly for c in assumed.candidates}
    assert monthly == {"zero_shot": pytest.approx(245.02), "majority": pytest.approx(1610.01)}
    assert found.decision is not None
    assert found.decision.pick == "zero_shot"
    one_figure = weigh(
        worked_example(), make_request(task="x", examples="y", error_cost=4.4, volume=1000),
        Prices("m", 0.36, "own"), get_metric("accuracy"), labels=("bad", "fine"),
    )  # fmt: skip
    assert one_figure.decision is not None
    assert one_figure.decision.pick == "majority"  # as many errors, and it costs less


@given(
    st.lists(st.tuples(st.integers(0, 99), st.floats(0.2, 1.0), st.floats(0.0, 3.0)), min_size=1, max_size=3),
    st.sampled_from([0.01, 1.0, 30.0]),
)
@settings(max_examples=25, deadline=None)
def test_a_matrix_of_equal_costs_is_the_one_figure(cases: list[tuple[int, float, float]], usd: float) -> None:
    names = ["majority", "nearest_copy", "few_shot"]
    records = [record(name, drawn(seed, acc), s) for name, (seed, acc, s) in zip(names, cases, strict=False)]
    equal = {"costs": {a: {b: usd for b in LABELS if b != a} for a in LABELS}, "default": usd}
    by_matrix, by_figure = weighed(*records, error_cost=equal).decision, weighed(*records, error_cost=usd).decision
    assert by_matrix is not None
    assert by_figure is not None
    assert by_matrix.pick == by_figure.pick
    assert by_matrix.verdict == by_figure.verdict
    assert by_matrix.confidence == pytest.approx(by_figure.confidence, abs=0.01)
    assert by_matrix.rivals == by_figure.rivals


@given(st.lists(st.tuples(st.integers(0, 99), st.floats(0.2, 1.0)), min_size=2, max_size=3), st.floats(0.001, 1000))
@settings(max_examples=25, deadline=None)
def test_where_nothing_else_costs_a_factor_on_all_costs_changes_nothing(
    cases: list[tuple[int, float]], factor: float
) -> None:
    names = ["majority", "nearest_copy", "few_shot"]
    records = [record(name, drawn(seed, acc)) for name, (seed, acc) in zip(names, cases, strict=False)]
    times = {
        "costs": {a: {b: usd * factor for b, usd in row.items()} for a, row in COSTS.costs.items()},
        "default": 2 * factor,
    }
    decisions = [weighed(*records, error_cost=matrix).decision for matrix in (MATRIX, times)]
    assert decisions[0] is not None
    assert decisions[1] is not None
    assert decisions[0].pick == decisions[1].pick
    assert decisions[0].verdict == decisions[1].verdict


@given(st.permutations(["majority", "nearest_copy", "few_shot"]), st.integers(0, 50))
@settings(max_examples=20, deadline=None)
def test_the_order_of_strategies_changes_nothing(order: list[str], seed: int) -> None:
    records = {name: record(name, drawn(seed + n, 0.7), 0.1 * n) for n, name in enumerate(sorted(order))}
    decisions = [weighed(*(records[n] for n in names), error_cost=MATRIX).decision for names in (sorted(order), order)]
    assert decisions[0] == decisions[1]


@given(st.integers(0, 99), st.floats(0.0, 5.0))
@settings(max_examples=25, deadline=None)
def test_what_is_dearer_in_itself_and_in_its_errors_is_never_picked(seed: int, seconds: float) -> None:
    better = drawn(seed, 0.8)
    worse = {label: list(answers) for label, answers in better.items()}
    worse["bad"] = ["good"] * len(worse["bad"])
    found = weighed(record("majority", worse, seconds + 0.1), record("few_shot", better, seconds), error_cost=MATRIX)
    assert found.decision is not None
    assert found.decision.pick == "few_shot"


def test_todays_system_is_beaten_by_what_makes_cheaper_errors() -> None:
    """It is right as often as the careful one, and misses the unhappy."""
    careful, plain = worked_example()
    matrix = {"costs": {"bad": {"fine": 20}, "fine": {"bad": 0.5}}, "default": 1}
    today = replace(plain, name=INCUMBENT, strategy=INCUMBENT)
    by_kind, by_figure = weighed(careful, today, error_cost=matrix), weighed(careful, today, error_cost=1.0)
    assert by_kind.decision is not None
    assert by_figure.decision is not None
    assert not by_kind.decision.keeps_incumbent
    assert by_figure.decision.keeps_incumbent


def test_few_rows_without_the_dearest_error_are_no_proof_that_it_does_not_happen() -> None:
    """Neither has ever taken bad for good; the standard error is that of one such row more on either side."""
    answers = drawn(1, 1.0)
    found = weighed(record("majority", answers), record("few_shot", answers), error_cost=MATRIX)
    assert found.assumptions.evidence.losses is not None
    error = found.assumptions.evidence.losses.standard_errors["majority", "few_shot"] * (
        found.assumptions.error_cost or 0
    )
    assert error == pytest.approx(20 * 2**0.5 / 92)


# ---- recall ----------------------------------------------------------------------------------------------------------


def test_a_strategy_that_finds_too_few_of_a_label_is_not_within_the_limits() -> None:
    careful, plain = worked_example()
    found = weighed(careful, plain, min_recall={"bad": 0.9})
    assert {c.name: c.recall["bad"] for c in found.assumptions.candidates} == {"zero_shot": 0.95, "majority": 0.6}
    assert found.decision is not None
    assert found.decision.pick == "zero_shot"
    assert found.decision.broken == {"majority": ["min_recall bad"]}
    just = weighed(careful, plain, min_recall={"bad": 0.6}).decision
    assert just is not None
    assert just.broken == {}


def test_a_recall_that_no_row_shows_is_neither_met_nor_missed() -> None:
    careful, plain = worked_example()
    found = weighed(careful, plain, min_recall={"good": 0.5}).decision
    assert found is not None
    assert (found.verdict, found.broken) == ("insufficient_evidence", {})
    assert found.lacks[-1] == "limited_labels"


def test_what_the_errors_of_a_label_without_test_rows_cost_is_not_known() -> None:
    table = {right: {answer: 9.0 for answer in LABELS if answer != right} for right in LABELS}
    request = make_request(task="x", examples="y", error_cost={"costs": table})
    for seen, lacks in ((LABELS[:2], ()), (LABELS, ("label_rows",))):
        records = [record(name, {label: [label] * 60 for label in LABELS[:2]}) for name in ("majority", "zero_shot")]
        found = weigh(records, request, PRICES, get_metric("accuracy"), labels=LABELS, seen=seen)
        assert found.decision is not None
        assert found.decision.lacks == lacks


def test_a_dear_label_of_many_must_have_a_test_row() -> None:
    """One of 25 labels is missed for 100 USD, the others for 1: 100 of 124 USD hang on it, too little on any other."""
    labels = [f"label  {i}" for i in range(25)]
    dear = {"label 0": {f"label {i}": 100.0 for i in range(1, 25)}}
    request = make_request(task="x", examples="y", error_cost={"costs": dear, "default": 1.0})
    for missing, needed in ((labels[0], {labels[0]: 10}), (labels[1], {})):
        tested = [label for label in labels if label != missing]
        records = [record(name, {label: [label] * 3 for label in tested}) for name in ("majority", "zero_shot")]
        found = weigh(records, request, PRICES, get_metric("accuracy"), labels=labels, seen=labels)
        assert found.decision is not None
        assert found.decision.label_rows_needed == needed
        assert found.assumptions.evidence.cost_shares[labels[0]] == pytest.approx(100 / 124)


def test_under_macro_f1_wrong_answers_are_counted_all_the_same() -> None:
    """39 wrong of 400 are fewer than 59, however little macro F1 thinks of who never finds the rare label."""
    rows = {"bad": 39, "fine": 361}
    lazy = record("majority", {label: ["fine"] * n for label, n in rows.items()})
    eager = record("tfidf_linear", {"bad": ["bad"] * 30 + ["fine"] * 9, "fine": ["fine"] * 311 + ["bad"] * 50})
    request = make_request(task="x", examples="y", error_cost=1.0)
    found = weigh((lazy, eager), request, PRICES, get_metric("macro_f1"), labels=("bad", "fine"))
    assert {c.name: c.errors for c in found.assumptions.candidates} == pytest.approx(
        {"majority": 39 / 400, "tfidf_linear": 59 / 400}
    )
    assert found.decision is not None
    assert (found.decision.pick, found.decision.best) == ("majority", "tfidf_linear")
