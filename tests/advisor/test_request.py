"""A request is checked once, and each mistake is one sentence that names its flag."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from advisor.request import make_request
from eval.errors import RequestError
from strategies.registry import STRATEGIES

GOOD = {"task": "Sort the tickets.", "examples": "tickets.csv"}


def test_defaults_are_those_of_the_command_line() -> None:
    request = make_request(**GOOD)
    assert request.strategies == list(STRATEGIES)
    assert (request.tolerance, request.volume, request.seed, request.keep) == (1.0, 10_000, 0, "winner")
    assert (request.time_budget, request.device, request.output) == (1800, "auto", None)


def test_none_means_the_default() -> None:
    assert make_request(**GOOD, volume=None, strategies=None) == make_request(**GOOD)


def test_strategies_come_in_the_order_of_simplicity_and_once() -> None:
    assert make_request(**GOOD, strategies=["lora", "majority", "lora"]).strategies == ["majority", "lora"]


def test_models_come_once_in_the_order_given() -> None:
    assert make_request(**GOOD, model=["b", "a", "b"]).model == ["b", "a"]


def test_a_test_file_and_a_column_that_chooses_the_test_rows_are_refused_together() -> None:
    with pytest.raises(RequestError, match="--test gives the test rows already: leave one of them out"):
        make_request(**GOOD, test="test.csv", time_column="day")


@pytest.mark.parametrize(
    ("options", "flag", "says"),
    [
        ({"time_budget": -5}, "--time-budget", "greater than 0"),
        ({"time_budget": 0}, "--time-budget", "greater than 0"),
        ({"time_budget": float("nan")}, "--time-budget", "finite number"),
        ({"min_quality": 90}, "--min-quality", "less than or equal to 1"),
        ({"min_quality": -0.1}, "--min-quality", "greater than or equal to 0"),
        ({"tolerance": -1}, "--tolerance", "greater than or equal to 0"),
        ({"tolerance": 101}, "--tolerance", "less than or equal to 100"),
        ({"volume": -1}, "--volume", "greater than or equal to 0"),
        ({"volume": "many"}, "--volume", "many"),
        ({"seed": -1}, "--seed", "greater than or equal to 0"),
        ({"max_cost_per_1k": 0}, "--max-cost-per-1k", "greater than 0"),
        ({"max_latency_ms": 0}, "--max-latency-ms", "greater than 0"),
        ({"max_latency_ms": float("nan")}, "--max-latency-ms", "finite number"),
        ({"keep": "some"}, "--keep", "'winner' or 'all'"),
        ({"device": "tpu"}, "--device", "'auto', 'cpu' or 'cuda'"),
        ({"model": []}, "--model", "name at least one, or leave it out."),
        ({"strategies": []}, "--strategies", "name at least one, or leave it out."),
        ({"budget": 5}, "--budget", "no option of compare; known are task, examples"),
    ],
)
def test_a_bad_option_is_one_sentence_that_names_the_flag(options: dict[str, Any], flag: str, says: str) -> None:
    with pytest.raises(RequestError) as raised:
        make_request(**GOOD, **options)
    message = str(raised.value)
    assert message.startswith(flag)
    assert says in message
    assert message.endswith(".")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"min_recall": {True: 0.9}}, "valid string (given: True): put it in quotes."),
        ({"error_cost": {"costs": {5: {"1": 10.0}}}}, "valid string (given: 5): put it in quotes."),
    ],
)
def test_what_yaml_takes_for_no_text_is_to_be_put_in_quotes(options: dict[str, Any], says: str) -> None:
    with pytest.raises(RequestError) as raised:
        make_request(**GOOD, **options)
    assert str(raised.value).endswith(says)


def test_an_unknown_strategy_lists_the_known_ones() -> None:
    with pytest.raises(RequestError) as raised:
        make_request(**GOOD, strategies=["majority", "magic"])
    assert "'magic'" in str(raised.value)
    assert all(name in str(raised.value) for name in STRATEGIES)


@pytest.mark.parametrize("missing", ["task", "examples"])
def test_what_is_needed_is_named(missing: str) -> None:
    with pytest.raises(RequestError, match=f"--{missing}: field required"):
        make_request(**{name: value for name, value in GOOD.items() if name != missing})


def test_a_test_on_the_examples_themselves_is_refused() -> None:
    with pytest.raises(RequestError, match="--test names the same file as --examples"):
        make_request(**GOOD, test="tickets.csv")


def test_a_test_on_the_examples_by_another_path_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tickets.csv").touch()
    with pytest.raises(RequestError, match="--test names the same file as --examples"):
        make_request(task="Sort.", examples=str(tmp_path / "tickets.csv"), test=f"{tmp_path}/./tickets.csv")


def test_a_lone_name_is_a_list_of_one() -> None:
    """In a YAML file for -c one writes `model: NAME` and `strategies: a, b`, as on the command line."""
    assert make_request(**GOOD, model="some-model").model == ["some-model"]
    assert make_request(**GOOD, strategies="majority, lora").strategies == ["majority", "lora"]


def test_accepted_findings_come_once_and_in_order() -> None:
    request = make_request(**GOOD, accept="rare_labels, label_variants,rare_labels")
    assert request.accept == ["label_variants", "rare_labels"]


def test_a_peak_below_the_mean_load_is_refused() -> None:
    mean = 10_000 / (730 * 3600)
    assert make_request(**GOOD, peak_qps=mean).peak_qps == mean
    assert make_request(**GOOD, peak_qps=1e-9, volume=0).peak_qps == 1e-9
    with pytest.raises(
        RequestError, match=r"--peak-qps: 0\.001 queries a second .* 10,000 queries a month, 0\.00381 a"
    ):
        make_request(**GOOD, peak_qps=0.001)


def test_an_unknown_finding_lists_the_known_ones() -> None:
    with pytest.raises(RequestError, match=r"--accept: there is no finding 'leaks'; known are duplicate_rows, .*\.$"):
        make_request(**GOOD, accept=["leaks"])
