"""Money, to the cent."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.economics import Money, Prices, assumed_prices, break_even, cost, read_prices
from eval.errors import RequestError

SIX_CENTS_A_MINUTE = Prices("a machine", 3.60, "by hand")


def test_cost_is_busy_seconds_at_the_hourly_price_with_training_spread_over_a_year() -> None:
    money = cost(query_seconds=2, fit_seconds=3600, prices=SIX_CENTS_A_MINUTE, volume=10_000)
    assert money.per_query == pytest.approx(0.002)  # 2 s of 3,600 s at 3.60 USD
    assert money.training == pytest.approx(3.60)  # one hour
    assert round(money.monthly, 2) == 20.30  # 10,000 × 0.002, and 3.60 / 12


def test_training_is_spread_over_the_months_given() -> None:
    assert round(cost(0, 3600, SIX_CENTS_A_MINUTE, volume=0, months=3).monthly, 2) == 1.20


def test_without_queries_only_training_is_paid() -> None:
    assert cost(2, 3600, SIX_CENTS_A_MINUTE, volume=0).monthly == pytest.approx(0.30)


def test_a_huge_volume_does_not_lose_precision() -> None:
    money = cost(0.5, 3600, SIX_CENTS_A_MINUTE, volume=10**12)
    assert round(money.monthly, 2) == 500_000_000.30


def test_a_free_machine_costs_nothing() -> None:
    assert cost(9, 9, Prices("own", 0.0, "x"), volume=10**6) == Money(0.0, 0.0, 0.0)


def test_break_even_is_where_the_saving_has_paid_for_the_training() -> None:
    tuned, plain = Money(0.001, 24.0, 0.0), Money(0.005, 0.0, 0.0)
    assert break_even(tuned, plain) == pytest.approx(500)  # 2 USD a month at 0.4 cents saved a query
    assert break_even(tuned, plain, months=24) == pytest.approx(250)


def test_there_is_no_break_even_where_one_is_cheaper_at_every_volume() -> None:
    cheap, dear = Money(0.001, 1.0, 0.0), Money(0.005, 2.0, 0.0)
    assert break_even(cheap, dear) is None
    assert break_even(dear, cheap) is None
    assert break_even(cheap, cheap) is None


def test_equal_prices_a_query_never_pay_for_training() -> None:
    assert break_even(Money(0.001, 5.0, 0.0), Money(0.001, 0.0, 0.0)) is None


seconds = st.floats(0, 1e5)


@given(seconds, seconds, seconds, seconds)
def test_both_cost_the_same_at_their_break_even(a_query: float, a_fit: float, b_query: float, b_fit: float) -> None:
    def at(query: float, fit: float, volume: float) -> float:
        return cost(query, fit, SIX_CENTS_A_MINUTE, volume=volume).monthly  # type: ignore[arg-type]

    a, b = cost(a_query, a_fit, SIX_CENTS_A_MINUTE, 0), cost(b_query, b_fit, SIX_CENTS_A_MINUTE, 0)
    volume = break_even(a, b)
    if volume is None or volume > 1e12:
        return
    assert at(a_query, a_fit, volume) == pytest.approx(at(b_query, b_fit, volume), rel=1e-6, abs=1e-6)
    assert at(a_query, a_fit, 2 * volume) <= at(b_query, b_fit, 2 * volume)


@given(seconds, seconds, st.integers(0, 10**9), st.integers(0, 10**9))
def test_more_queries_never_cost_less(query: float, fit: float, volume: int, more: int) -> None:
    few, many = (cost(query, fit, SIX_CENTS_A_MINUTE, v) for v in (volume, volume + more))
    assert few.monthly <= many.monthly


def test_assumed_prices_say_that_they_are_assumed() -> None:
    assert assumed_prices(2, None).hourly_usd == pytest.approx(0.10)
    assert "assumed" in assumed_prices(2, None).source
    assert assumed_prices(2, "H200").machine == "H200"
    assert "--prices" in assumed_prices(2, "H200").source


def test_prices_are_read_with_their_source(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text("machine: rack 7\nhourly_usd: 2\n")
    assert read_prices(str(path)) == Prices("rack 7", 2.0, str(path))


@pytest.mark.parametrize(
    "text",
    [
        "machine: x\n",
        "hourly_usd: cheap\n",
        "hourly_usd: -1\n",
        "hourly_usd: true\n",
        "hourly_usd: .nan\n",
        "- 3\n",
        "",
    ],
)
def test_a_prices_file_without_a_usable_price_names_the_field(text: str, tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    with pytest.raises(RequestError, match=r"--prices: .*prices\.yaml must give hourly_usd"):
        read_prices(str(path))


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "\x00"])
def test_a_prices_file_that_is_no_yaml_is_one_sentence(text: str, tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    with pytest.raises(RequestError, match=r"--prices: the file .* cannot be read as YAML") as raised:
        read_prices(str(path))
    assert "\n" not in str(raised.value)


def test_a_missing_prices_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"--prices: .*nowhere\.yaml"):
        read_prices(str(tmp_path / "nowhere.yaml"))
