"""Money, to the cent."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.economics import (
    COLD_QUERIES,
    HOURS_A_MONTH,
    WINDOW,
    Money,
    Prices,
    Tariff,
    Terms,
    TokenPrices,
    Use,
    assumed_prices,
    break_even,
    middle,
    pieces,
    read_prices,
    tariff,
    watt_hours,
)
from eval.errors import RequestError

SIX_CENTS_A_MINUTE = Prices("a machine", 3.60, "by hand")


def cost(query_seconds: float, fit_seconds: float, prices: Prices, volume: float) -> Money:
    """Of busy machine-seconds."""
    return tariff(Use(query_seconds, fit_seconds), Terms(prices)).at(volume)


def test_cost_is_busy_seconds_at_the_hourly_price_with_training_spread_over_a_year() -> None:
    money = cost(query_seconds=2, fit_seconds=3600, prices=SIX_CENTS_A_MINUTE, volume=10_000)
    assert money.per_query == pytest.approx(0.002)  # 2 s of 3,600 s at 3.60 USD
    assert money.training == pytest.approx(3.60)  # one hour
    assert round(money.monthly, 2) == 20.30  # 10,000 × 0.002, and 3.60 / 12


def test_without_queries_only_training_is_paid() -> None:
    assert cost(2, 3600, SIX_CENTS_A_MINUTE, volume=0).monthly == pytest.approx(0.30)


def test_a_huge_volume_does_not_lose_precision() -> None:
    money = cost(0.5, 3600, SIX_CENTS_A_MINUTE, volume=10**12)
    assert round(money.monthly, 2) == 500_000_000.30


def test_a_free_machine_costs_nothing() -> None:
    assert cost(9, 9, Prices("own", 0.0, "x"), volume=10**6) == Tariff(0.0, 0.0).at(0)


def test_break_even_is_where_the_saving_has_paid_for_the_training() -> None:
    tuned, plain = Tariff(0.001, 24.0).at(0), Tariff(0.005, 0.0).at(0)
    assert break_even(tuned, plain) == pytest.approx(500)  # 2 USD a month at 0.4 cents saved a query


def test_there_is_no_break_even_where_one_is_cheaper_at_every_volume() -> None:
    cheap, dear = Tariff(0.001, 1.0).at(0), Tariff(0.005, 2.0).at(0)
    assert break_even(cheap, dear) is None
    assert break_even(dear, cheap) is None
    assert break_even(cheap, cheap) is None


def test_equal_prices_a_query_never_pay_for_training() -> None:
    assert break_even(Tariff(0.001, 5.0).at(0), Tariff(0.001, 0.0).at(0)) is None


seconds = st.floats(0, 1e5)


@given(seconds, seconds, seconds, seconds)
def test_both_cost_the_same_at_their_break_even(a_query: float, a_fit: float, b_query: float, b_fit: float) -> None:
    def at(query: float, fit: float, volume: float) -> float:
        return cost(query, fit, SIX_CENTS_A_MINUTE, volume=volume).monthly

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


# ---- hosting ---------------------------------------------------------------------------------------------------------

A_DOLLAR = Prices("a machine", 1.0, "by hand")


def test_a_machine_that_is_always_on_costs_its_idle_hours_too() -> None:
    """1 USD an hour and 5,000 queries a month of 0.1 s: 146 USD per 1,000 queries, and 0.03 of busy seconds."""
    use = Use(query_seconds=0.1, fit_seconds=0)
    on, busy = tariff(use, Terms(A_DOLLAR, "always-on")).at(5000), tariff(use, Terms(A_DOLLAR)).at(5000)
    assert on.per_query * 1000 == pytest.approx(146.0)
    assert on.monthly == pytest.approx(730.0)
    assert busy.per_query * 1000 == pytest.approx(0.0278, abs=1e-4)


def test_as_many_machines_are_on_as_the_peak_needs() -> None:
    """One second a query, and a peak of three queries a second, take three machines."""
    mean = 1_000_000 / (HOURS_A_MONTH * 3600)
    rule = tariff(Use(1.0, 0), Terms(A_DOLLAR, "always-on", fewest_machines=2, peak_ratio=3 / mean))
    assert [rule.machines(volume) for volume in (0, 500_000, 1_000_000, 1_000_001)] == [2, 2, 3, 4]
    assert rule.at(1_000_000).monthly == pytest.approx(3 * 730)


def test_tokens_are_paid_by_the_million_and_cached_ones_cheaper() -> None:
    """900 tokens read, 600 of them cached, and 100 written, at 2, 0.5 and 8 USD a million."""
    prices = Prices("m", 1.0, "x", tokens={"big": TokenPrices(input=2, cached_input=0.5, output=8)})
    money = tariff(Use(9, 3600, "big", "prompt", 900, 600, 100), Terms(prices, "per-token")).at(1e9)
    assert money.per_query == pytest.approx((300 * 2 + 600 * 0.5 + 100 * 8) / 1e6, rel=1e-5)
    assert money.training == 1.0
    plain = TokenPrices(input=2, output=8)
    assert plain.of(900, 600, 100) == pytest.approx((900 * 2 + 100 * 8) / 1e6)


def test_what_is_cached_costs_less_only_where_queries_come_often() -> None:
    """Of queries at random times, V exp(-V / W) a month come five minutes or more after the one before."""
    prices = Prices("m", 1.0, "x", tokens={"openai:big": TokenPrices(input=10, cached_input=1, output=40)})
    rule = tariff(Use(1, 0, "openai:big", "prompt", 1400, 1280, 6), Terms(prices))
    cold, warm = 1400 * 10e-6 + 6 * 40e-6, 120 * 10e-6 + 1280 * 1e-6 + 6 * 40e-6
    assert [rule.at(volume).per_query for volume in (0, 1, 100, 3000)] == pytest.approx([cold] * 4)
    windows = HOURS_A_MONTH * 12
    for volume in (100, 1000, 5000, windows, 10_000, 50_000):
        arriving = volume * math.exp(-volume / windows)
        expected = arriving * cold + (volume - arriving) * warm
        assert rule.at(volume).monthly >= expected * 0.999, volume
    assert rule.at(windows).monthly == pytest.approx(windows * (cold / math.e + warm * (1 - 1 / math.e)))
    assert rule.at(1e8).per_query == pytest.approx(warm, rel=1e-3)
    assert rule.at(COLD_QUERIES * 0.999999).monthly == pytest.approx(rule.at(COLD_QUERIES).monthly, rel=1e-5)


def test_a_long_fixed_prompt_pays_only_where_it_stays_cached() -> None:
    long, short = Tariff(0.002, 0.0, cold=0.01).at(0), Tariff(0.004, 0.0).at(0)
    volume = break_even(long, short)
    assert volume == pytest.approx(COLD_QUERIES * 0.01 / 0.002)
    assert pieces([long.tariff, short.tariff]) == [(0.0, COLD_QUERIES), (COLD_QUERIES, math.inf)]


def test_what_a_hosted_model_costs_once_is_the_tokens_of_choosing() -> None:
    prices = replace(A_DOLLAR, tokens={"openai:big": TokenPrices(input=10, cached_input=1, output=100)})
    use = Use(9, 3600, "openai:big", "prompt", fit_read=3e5, fit_cached=1e5, fit_written=2e4)
    for hosting in ("scale-to-zero", "always-on", "per-token"):
        assert tariff(use, Terms(prices, hosting)).once == pytest.approx(2 + 0.1 + 2)


def test_what_needs_no_language_model_is_paid_by_the_second_where_tokens_are_paid() -> None:
    assert tariff(Use(3.6, 0), Terms(A_DOLLAR, "per-token")).at(10).per_query == pytest.approx(0.001)


def test_no_token_price_is_invented() -> None:
    with pytest.raises(RequestError, match="No token prices of big are known: give them with --prices"):
        tariff(Use(1, 1, "big"), Terms(A_DOLLAR, "per-token"))


def test_effort_and_retraining_count() -> None:
    prices = Prices("m", 3.60, "x", effort_usd={"finetune": 1200.0}, retrainings_per_year=4)
    money = tariff(Use(1.0, 3600, "small", "finetune"), Terms(prices)).at(1000)
    assert money.training == pytest.approx(1203.60)
    assert money.monthly == pytest.approx(1.0 + 1203.60 / 12 + 4 * 3.60 / 12)
    assert tariff(Use(1.0, 3600), Terms(prices)).once == pytest.approx(3.60), "the effort is another family's"


def test_energy_is_busy_time_at_the_stated_power() -> None:
    known, hour = Prices("m", 1.0, "x", watts=65), Use(3600.0, 0.0, model="small")
    assert watt_hours(hour, known) == 65
    assert watt_hours(hour, A_DOLLAR) is None
    assert watt_hours(replace(hour, model="openai:big"), known) is None, "the machine only waits"


def test_without_queries_a_machine_that_is_on_is_paid_all_the_same() -> None:
    money = tariff(Use(1.0, 0), Terms(A_DOLLAR, "always-on")).at(0)
    assert (money.monthly, money.per_query) == (730.0, 730.0)


def test_a_machine_that_is_on_is_cheaper_than_tokens_above_the_volume_that_pays_for_it() -> None:
    """730 USD a month against 0.01 USD a query; the second machine is needed when tokens cost more than two."""
    on, tokens = Tariff(0.0, 0.0, machine=730.0, carries=200_000, fewest=1).at(0), Tariff(0.01, 0.0).at(0)
    assert break_even(on, tokens) == pytest.approx(73_000)
    assert break_even(tokens, on) is None


def test_what_changes_places_again_has_no_break_even() -> None:
    """At 100,000 queries a second machine is needed, which is the dearer for a while: 1,460 USD against 1,000."""
    on, tokens = Tariff(0.0, 0.0, machine=730.0, carries=100_000, fewest=1).at(0), Tariff(0.01, 0.0).at(0)
    assert break_even(on, tokens) is None
    assert break_even(tokens, on) is None


def test_pieces_cover_what_can_be_looked_at_without_gaps() -> None:
    one, other = Tariff(0, 0, machine=1.0, carries=10, fewest=1), Tariff(1, 1)
    assert pieces([other]) == [(0.0, float("inf"))]
    found = pieces([one, other], around=10 * WINDOW * 5)
    assert found[0][0] == 10 * WINDOW * 4
    assert all(a[1] == b[0] for a, b in pairwise(found))
    assert len({one.machines(middle(*piece)) for piece in found}) == len(found)


def test_the_worked_example_of_the_docs_is_what_the_program_computes() -> None:
    text = (Path(__file__).parents[2] / "docs" / "economics.md").read_text(encoding="utf-8")
    example = text.partition("## A worked example")[2].partition("\n## ")[0]
    prices = Prices("m", 0.10, "x")
    prompt, tuned = Use(0.9, 0), Use(0.25, 1200, "small", "finetune")
    busy, on = Terms(prices), Terms(prices, "always-on")
    worked = Terms(replace(prices, effort_usd={"finetune": 2000.0}, retrainings_per_year=4))
    a, b, c = tariff(prompt, busy).at(20_000), tariff(tuned, busy).at(20_000), tariff(tuned, worked).at(20_000)
    on_prompt, on_tuned = tariff(prompt, on), tariff(tuned, on)
    tokens = replace(prices, tokens={"openai:big": TokenPrices(input=10, cached_input=1, output=40)})
    hosted = tariff(Use(0, 0, "openai:big", read=1400, cached=1280, written=6), Terms(tokens))
    figures = [
        f"{1000 * a.per_query:.4f} USD per 1,000",
        f"**{a.monthly:.2f} USD a month**",
        f"{1000 * b.per_query:.4f} USD per 1,000",
        f"{20_000 * b.per_query:.4f} USD a month",
        f"{b.training:.4f} USD, a month's share of it {b.training / 12:.4f} USD: **{b.monthly:.2f} USD a month**",
        f"**{break_even(b, a):.0f} queries a month**",
        f"**{on_prompt.at(20_000).monthly:.2f} USD a month**",
        f"{1000 * on_prompt.at(20_000).per_query:.2f} USD per 1,000",
        f"{on_prompt.carries:,.0f} queries a month of the prompt and {on_tuned.carries:,.0f} of the tuned",
        f"**{on_prompt.at(300_000).monthly:.2f} USD**",
        f"**{c.monthly:.2f} USD a month**",
        f"{break_even(c, a):,.0f} queries a month",
        f"{hosted.per_query + hosted.cold:.5f} USD with nothing cached and {hosted.per_query:.5f} USD otherwise",
        f"{COLD_QUERIES:,.1f} queries",
        f"**{hosted.at(100).monthly:.2f} USD a month** ({1000 * hosted.at(100).per_query:.2f} USD per 1,000)",
        f"**{hosted.at(20_000).monthly:.2f} USD a month** ({1000 * hosted.at(20_000).per_query:.2f} USD per 1,000)",
    ]
    flat = " ".join(example.split())
    assert [figure for figure in figures if figure not in flat] == []
    assert on_tuned.machines(300_000) == 1


money_amounts = st.floats(0, 1e4)
rules = st.builds(
    Tariff,
    per_query=money_amounts,
    once=money_amounts,
    standing=money_amounts,
    machine=money_amounts,
    carries=st.floats(1.0, 1e9),
    fewest=st.integers(1, 5),
    cold=money_amounts,
)


@given(rules, st.integers(0, 10**12), st.floats(1, 100))
def test_dearer_prices_never_cost_less(rule: Tariff, volume: int, factor: float) -> None:
    less, more = rule.at(volume), rule.times(factor).at(volume)
    assert more.monthly >= less.monthly
    assert more.per_query >= less.per_query
    assert more.monthly == pytest.approx(factor * less.monthly)


@given(rules, st.integers(0, 10**9), st.integers(0, 10**9))
def test_more_queries_never_cost_less_however_they_are_hosted(rule: Tariff, volume: int, more: int) -> None:
    assert rule.at(volume).monthly <= rule.at(volume + more).monthly * (1 + 1e-12)


@given(rules, st.integers(1, 10**9))
def test_a_month_is_its_queries_and_what_is_paid_without_any(rule: Tariff, volume: int) -> None:
    money = rule.at(volume)
    assert money.per_query * volume + rule.standing + rule.once / 12 == pytest.approx(money.monthly, rel=1e-9, abs=1e-9)


@given(rules, rules)
def test_above_their_break_even_the_one_is_cheaper_and_before_it_was_dearer(a: Tariff, b: Tariff) -> None:
    volume = break_even(a.at(0), b.at(0))
    if volume is None or not 1e-6 < volume < 1e12:
        return
    step = 1e-6 * volume
    above, below = ((a.at(v).monthly, b.at(v).monthly) for v in (volume + step, volume - step))
    assert above[0] <= above[1] * (1 + 1e-6) + 1e-6
    assert below[0] >= below[1] * (1 - 1e-6) - 1e-6


def test_assumed_prices_say_that_they_are_assumed() -> None:
    assert assumed_prices(2, None).hourly_usd == pytest.approx(0.10)
    assert "assumed" in assumed_prices(2, None).source
    assert assumed_prices(2, "H200").machine == "H200"
    assert [assumed_prices(cores, None).machine for cores in (1, 2)] == ["1 CPU core", "2 CPU cores"]
    assert "--prices" in assumed_prices(2, "H200").source


def test_prices_are_read_with_the_name_of_their_file(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text("machine: rack 7\nhourly_usd: 2\n")
    assert read_prices(str(path)) == Prices("rack 7", 2.0, "prices.yaml")


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


def test_all_prices_are_read(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(
        "machine: rack 7\nhourly_usd: 2\nwatts: 300\nretrainings_per_year: 2\neffort_usd: {finetune: 900}\n"
        "tokens: {big: {input: 2, cached_input: 0.5, output: 8}}\n"
    )
    big = TokenPrices(input=2, cached_input=0.5, output=8)
    assert read_prices(str(path)) == Prices("rack 7", 2.0, "prices.yaml", 300.0, {"big": big}, {"finetune": 900.0}, 2.0)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("watts: -1", "watts: input should be greater than 0"),
        ("tokens: {big: {input: 1}}", "tokens.big.output: field required"),
        ("effort_usd: {magic: 1}", "unknown key 'magic' under effort_usd; known are baseline, prompt,"),
        ("effort_usd: {finetune: -1}", "effort_usd.finetune: input should be greater than or equal to 0"),
        ("effort_usd: {finetune: 1e18}", "effort_usd.finetune: input should be less than"),
        ("tokens: {big: {input: 1, output: 1, eur: 2}}", "unknown key 'eur' under tokens; known are input, output"),
        ("hourly_eur: 3", "unknown key 'hourly_eur'; known are hourly_usd, machine"),
    ],
)
def test_a_price_that_is_not_as_it_should_be_is_named(line: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(f"hourly_usd: 2\n{line}\n")
    with pytest.raises(RequestError, match=re.escape(says)):
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
