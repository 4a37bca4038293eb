"""What would flip the decision: exact, nearest, and one assumption at a time."""

from __future__ import annotations

import math
from dataclasses import replace

import hypothesis
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.decide import Assumptions, Candidate, Evidence, Limits, Losses
from advisor.economics import COLD_QUERIES, Tariff
from advisor.sensitivity import Flip, break_evens, in_few_digits, shuts_out, what_would_flip

POINT = 0.01
VOLUME = 10_000.0


def candidate(
    name: str,
    quality: float,
    per_1k: float = 1.0,
    fixed: float = 0.0,
    simplicity: int = 0,
    p95_ms: float = 100.0,
    incumbent: bool = False,
) -> Candidate:
    """`fixed` is the month's share of training."""
    money = Tariff(per_1k / 1000, 12 * fixed).at(VOLUME)
    return Candidate(name, quality, money, p95_ms, simplicity, incumbent)


def assume(
    *candidates: Candidate,
    limits: Limits | None = None,
    tolerance: float = POINT,
    error: float = 0.0,
    error_cost: float | None = None,
) -> Assumptions:
    names = [c.name for c in candidates]
    errors = {(a, b): error for a in names for b in names if a != b}
    evidence = Evidence(errors, {c.name: np.full(10, c.quality) for c in candidates}, 200)
    return Assumptions(candidates, evidence, limits or Limits(), tolerance, VOLUME, error_cost)


def test_the_volume_is_the_one_at_which_the_cheaper_no_longer_counts_as_equal_in_cost() -> None:
    """plain costs as much as tuned at 1,000 queries a month, and over 10 % more from 1,222 on."""
    tuned = candidate("tuned", 0.9, per_1k=1, fixed=1, simplicity=5)
    plain = candidate("plain", 0.9, per_1k=2)
    assumed = assume(tuned, plain)
    assert assumed.pick() == "tuned"
    assert what_would_flip(assumed) == [Flip("volume", pytest.approx(1.1 / 0.0009), "plain")]


def test_the_nearest_volume_on_each_side_is_given() -> None:
    three = [
        candidate("few", 0.9, per_1k=10, fixed=0, simplicity=0),
        candidate("some", 0.9, per_1k=2, fixed=10, simplicity=1),
        candidate("many", 0.9, per_1k=0.1, fixed=100, simplicity=2),
    ]
    flips = [f for f in what_would_flip(assume(*three)) if f.what == "volume"]
    assert [f.pick for f in flips] == ["few", "many"]
    assert flips[0].value < VOLUME < flips[1].value


def test_a_price_matters_where_there_is_a_limit_on_cost() -> None:
    pair = [candidate("dear", 0.9, per_1k=0.5), candidate("cheap", 0.8, per_1k=0.1)]
    assert [f for f in what_would_flip(assume(*pair)) if f.what == "price"] == []
    flips = what_would_flip(assume(*pair, limits=Limits(max_cost_per_1k=1.0)))
    assert Flip("price", pytest.approx(2.0), "cheap") in flips


def test_a_price_beyond_ten_times_todays_is_not_spoken_of() -> None:
    pair = [candidate("dear", 0.9, per_1k=0.05), candidate("cheap", 0.8, per_1k=0.01)]
    assert all(f.what != "price" for f in what_would_flip(assume(*pair, limits=Limits(max_cost_per_1k=1.0))))


def test_with_an_error_cost_price_volume_and_the_error_cost_itself_can_flip_the_pick() -> None:
    """dear saves 0.1 × 10,000 errors of 0.02 USD = 20 USD a month for 9 USD more in queries and 5 USD in training."""
    pair = [candidate("dear", 0.9, per_1k=1, fixed=5), candidate("cheap", 0.8, per_1k=0.1)]
    flips = what_would_flip(assume(*pair, error_cost=0.02))
    assert Flip("price", pytest.approx(20 / 14), "cheap") in flips
    assert Flip("error_cost", pytest.approx(0.014), "cheap") in flips
    assert Flip("volume", pytest.approx(5 / (0.002 - 0.0009)), "cheap") in flips
    assert all(f.what != "tolerance" for f in flips)


def test_each_limit_is_varied_by_itself_to_the_nearest_value_that_changes_the_pick() -> None:
    """A looser one lets another in at its figure; a stricter one shuts the pick out just beyond its own."""
    three = [
        candidate("slow", 0.95, per_1k=1, p95_ms=900),
        candidate("slower", 0.97, per_1k=1, p95_ms=2000),
        candidate("now", 0.90, per_1k=1, p95_ms=100),
        candidate("quick", 0.70, per_1k=0.1, p95_ms=20),
    ]
    flips = what_would_flip(assume(*three, limits=Limits(max_latency_ms=500)))
    assert Flip("max_latency_ms", 900, "slow") in flips
    assert Flip("max_latency_ms", pytest.approx(100), "quick") in flips
    assert Flip("max_cost_per_1k", pytest.approx(1), "quick") in flips
    assert all(f.value < 100 for f in flips if f.pick == "quick" and f.what == "max_latency_ms")
    assert all(f.what != "min_quality" for f in flips)  # Nothing within the latency limit is better.


def test_no_limit_lets_in_what_could_not_be_timed() -> None:
    untimed = candidate("untimed", 0.99, per_1k=1, p95_ms=math.inf)
    timed = [candidate("slow", 0.95, per_1k=1, p95_ms=900), candidate("quick", 0.90, per_1k=1, p95_ms=100)]
    flips = what_would_flip(assume(untimed, *timed, limits=Limits(max_latency_ms=500)))
    assert Flip("max_latency_ms", 900, "slow") in flips
    assert all(f.pick != "untimed" for f in flips if f.what == "max_latency_ms")
    assert all(math.isfinite(f.value) for f in what_would_flip(assume(untimed, *timed)))


def test_a_wanted_quality_can_force_the_dearer() -> None:
    pair = [candidate("dear", 0.9, per_1k=9), candidate("cheap", 0.895)]
    (flip,) = [f for f in what_would_flip(assume(*pair)) if f.what == "min_quality"]
    assert flip == Flip("min_quality", pytest.approx(0.895), "dear")
    assert flip.value > 0.895


def test_the_smallest_greater_and_the_greatest_smaller_tolerance_are_given() -> None:
    three = [candidate("best", 0.90, 9), candidate("now", 0.895, 5), candidate("next", 0.86, 2), candidate("z", 0.5, 1)]
    flips = [f for f in what_would_flip(assume(*three)) if f.what == "tolerance"]
    assert flips == [
        Flip("tolerance", pytest.approx(0.04), "next"),
        Flip("tolerance", pytest.approx(0.005), "best"),
    ]


@pytest.mark.parametrize("right", range(50, 100, 7))
def test_a_gap_of_exactly_the_tolerance_is_told_as_the_tolerance_that_flips(right: int) -> None:
    """However rounding leaves it: 0.51 - 0.5 is a little more than 0.01."""
    pair = [candidate("best", (right + 1) / 100, 9), candidate("now", right / 100, 5)]
    (flip,) = [f for f in what_would_flip(assume(*pair)) if f.what == "tolerance"]
    assert flip == Flip("tolerance", pytest.approx(0.01, abs=1e-8), "best")
    assert flip.value < 0.01


@pytest.mark.parametrize(("loss", "told"), [(1.5, [1.0]), (1.6, [])])
def test_no_tolerance_is_told_that_is_more_than_all_points(loss: float, told: list[float]) -> None:
    """Errors may cost several times the mean one, so that 110 points of losses would keep today's system."""
    names = ("a", "today")
    losses = {"a": 0.5, "today": loss}
    pair = [replace(candidate(name, 0.5, incumbent=name == "today"), loss=losses[name]) for name in names]
    assumed = assume(*pair, error_cost=1.0)
    known = Losses({}, {name: np.full(10, losses[name]) for name in names}, worst=5.0)
    assumed = replace(assumed, evidence=replace(assumed.evidence, losses=known))
    assert [f.value for f in what_would_flip(assumed) if f.what == "tolerance"] == told


def test_a_tolerance_below_half_the_standard_error_changes_nothing() -> None:
    pair = [candidate("best", 0.90, 9), candidate("now", 0.895, 5)]
    assert all(f.what != "tolerance" for f in what_would_flip(assume(*pair, error=0.02)))


def test_costs_that_grow_alike_never_cross_by_rounding() -> None:
    pair = [candidate("a", 0.8, 57 / 7, 82 / 3, 2), candidate("b", 0.75, 22 / 7, 14 / 3, 5)]  # 0.005 a query is the gap
    assert [f for f in what_would_flip(assume(*pair, error_cost=0.1)) if f.what == "volume"] == []


def test_nothing_flips_where_there_is_no_choice() -> None:
    assert what_would_flip(assume(candidate("a", 0.5))) == []


def test_where_nothing_is_picked_what_would_let_one_in_is_given() -> None:
    assumed = assume(candidate("a", 0.5, per_1k=4), limits=Limits(min_quality=0.9))
    assert what_would_flip(assumed) == [Flip("min_quality", 0.5, "a")]
    dear = assume(candidate("a", 0.5, per_1k=4), limits=Limits(max_cost_per_1k=1))
    assert Flip("price", pytest.approx(0.25), "a") in what_would_flip(dear)


def test_the_incumbent_has_no_part_in_it() -> None:
    pair = [candidate("a", 0.9, 2), candidate("today", 0.99, 0, p95_ms=0, incumbent=True)]
    assert what_would_flip(assume(*pair)) == []


def test_break_evens_say_above_which_volume_who_is_cheaper() -> None:
    tuned = Candidate("tuned", 0.9, Tariff(0.001, 12.0).at(VOLUME), 100, 1)
    plain = Candidate("plain", 0.9, Tariff(0.002, 0.0).at(VOLUME), 100, 0)
    today = Candidate("today", 0.9, Tariff(0.0, 12.0).at(VOLUME), 100, 0, incumbent=True)
    assert break_evens([tuned, plain, today], "plain") == [("tuned", "plain", pytest.approx(1000))]
    assert break_evens([plain], "plain") == []


figures = st.builds(
    lambda quality, per_1k, fixed, simplicity: (quality / 100, per_1k / 7, fixed / 3, simplicity),
    st.integers(70, 90),
    st.integers(0, 60),
    st.integers(0, 90),
    st.integers(0, 11),
)


@st.composite
def cases(draw: st.DrawFn) -> Assumptions:
    rows = draw(st.lists(figures, min_size=1, max_size=4, unique_by=lambda f: f[3]))
    candidates = [candidate(f"s{i}", q, c, f, s) for i, (q, c, f, s) in enumerate(rows)]
    if draw(st.booleans()):  # errors that do not all cost the same
        candidates = [replace(c, loss=draw(st.integers(0, 40)) / 50) for c in candidates]
    limits = Limits(max_cost_per_1k=draw(st.none() | st.sampled_from([2.0, 5.0])))
    error_cost = draw(st.none() | st.sampled_from([0.001, 0.1]))
    return assume(*candidates, limits=limits, error=draw(st.sampled_from([0.0, 0.08])), error_cost=error_cost)


@given(cases(), st.sampled_from(["volume", "price", "error_cost"]))
@settings(max_examples=100, deadline=None)
def test_between_the_values_given_the_pick_is_the_same_and_beyond_them_another(assumed: Assumptions, what: str) -> None:
    if what == "error_cost" and assumed.error_cost is None:
        return
    now = {"volume": VOLUME, "price": 1.0, "error_cost": assumed.error_cost or 0.0}[what]
    move = {
        "volume": assumed.at_volume,
        "price": assumed.at_price,
        "error_cost": lambda value: replace(assumed, error_cost=value),
    }[what]
    on_the_edge = {move(now * (1 + step)).pick() for step in (-1e-6, 1e-6)} != {assumed.pick()}
    hypothesis.assume(not on_the_edge)
    flips = [f for f in what_would_flip(assumed) if f.what == what]
    low = max([f.value for f in flips if f.value < now], default=now / 10 if what == "price" else 0.0)
    high = min([f.value for f in flips if f.value > now], default=now * 10)
    inside = np.linspace(low, high, 12)[1:-1]
    assert {move(float(value)).pick() for value in inside} - {None} <= {assumed.pick()}
    for flip in flips:
        beyond = flip.value * (1 + 1e-5 if flip.value > now else 1 - 1e-5)
        assert move(beyond).pick() == flip.pick != assumed.pick()
        if flip.until is not None:
            assert {move(float(v)).pick() for v in np.linspace(flip.value, flip.until, 12)[1:-1]} == {flip.pick}
            assert move(flip.until * (1 + 1e-5 if flip.value > now else 1 - 1e-5)).pick() != flip.pick


# ---- machines that are always on -------------------------------------------------------------------------------------


def hosted(name: str, quality: float, rule: Tariff, simplicity: int = 0) -> Candidate:
    return Candidate(name, quality, rule.at(VOLUME), 100.0, simplicity)


def test_the_volume_that_pays_for_a_machine_is_found() -> None:
    """At 10,000 queries tokens cost 100 USD; from 80,300 on they are over 10 % dearer than the machine."""
    on = hosted("on", 0.9, Tariff(0.0, 0.0, machine=730.0, carries=1e6, fewest=1), simplicity=5)
    tokens = hosted("tokens", 0.9, Tariff(0.01, 0.0))
    found = [flip for flip in what_would_flip(assume(on, tokens)) if flip.what == "volume"]
    assert found == [Flip("volume", pytest.approx(80_300), "on")]


def test_the_volume_at_which_another_machine_is_needed_is_found() -> None:
    """A slow one, a little better, needs a second machine at 12,000 queries: within a point, that is not worth it."""
    slow = hosted("slow", 0.905, Tariff(0.0, 0.0, machine=730.0, carries=12_000, fewest=1))
    quick = hosted("quick", 0.9, Tariff(0.0, 0.0, machine=730.0, carries=1e6, fewest=1), simplicity=5)
    found = [flip for flip in what_would_flip(assume(slow, quick)) if flip.what == "volume"]
    assert found == [Flip("volume", 12_000, "quick")]


def test_a_limit_on_the_cost_of_a_query_is_met_where_enough_queries_share_the_machine() -> None:
    on = hosted("on", 0.95, Tariff(0.0, 0.0, machine=730.0, carries=1e6, fewest=1))
    plain = hosted("plain", 0.7, Tariff(0.001, 0.0))
    assumed = assume(on, plain, limits=Limits(max_cost_per_1k=36.5))
    assert assumed.pick() == "plain"
    found = [flip for flip in what_would_flip(assumed) if flip.what == "volume"]
    assert found == [Flip("volume", pytest.approx(20_000), "on")]


def test_a_limit_on_the_cost_of_a_query_is_met_where_prompts_stay_cached() -> None:
    """At 10,000 queries COLD_QUERIES of them cost 0.02 USD, the others 0.01."""
    cached = hosted("cached", 0.95, Tariff(0.01, 0.0, cold=0.01))
    plain = hosted("plain", 0.7, Tariff(0.001, 0.0))
    assumed = assume(cached, plain, limits=Limits(max_cost_per_1k=12))
    assert assumed.pick() == "plain"
    found = [flip for flip in what_would_flip(assumed) if flip.what == "volume"]
    assert found == [Flip("volume", pytest.approx(COLD_QUERIES * 5), "cached")]


rules = st.builds(
    Tariff,
    per_query=st.sampled_from([0.0, 0.001, 0.01, 0.1]),
    once=st.sampled_from([0.0, 50.0, 2000.0]),
    machine=st.sampled_from([0.0, 70.0, 700.0]),
    carries=st.sampled_from([3_000.0, 17_000.0, 400_000.0]),
    fewest=st.integers(1, 2),
    cold=st.sampled_from([0.0, 0.004, 0.03]),
)


@given(st.lists(st.tuples(rules, st.sampled_from([0.8, 0.895, 0.9])), min_size=2, max_size=4), st.data())
@settings(max_examples=150, deadline=None)
def test_between_here_and_the_volume_that_is_told_nothing_changes_and_beyond_it_does(
    made: list[tuple[Tariff, float]], data: st.DataObject
) -> None:
    assumed = assume(*(hosted(f"c{n}", quality, rule, n) for n, (rule, quality) in enumerate(made)))
    pick = assumed.pick()
    told = {flip.value > VOLUME: flip for flip in what_would_flip(assumed) if flip.what == "volume"}
    for above in (False, True):
        flip = told.get(above)
        end = flip.value if flip else (20 * VOLUME if above else 0.0)
        share = data.draw(st.floats(0.01, 0.99))
        assert assumed.at_volume(VOLUME + share * (end - VOLUME)).pick() == pick
        if flip:
            beyond = flip.value * (1 + 1e-6 if above else 1 - 1e-6)
            assert assumed.at_volume(beyond).pick() == flip.pick
            farther = (20 * flip.value if above else 0.0) if flip.until is None else flip.until
            assert assumed.at_volume(flip.value + share * (farther - flip.value)).pick() == flip.pick


def test_a_flip_is_told_in_few_digits_that_bring_it_about() -> None:
    """In less than 7 ms `slow` still answers, and in less than 6 not even `quick`: it is told as less than 6.6 ms."""
    slow = Candidate("slow", 0.90, Tariff(0.0, 0.0, 1.0).at(1000.0), 6.6, 0)
    quick = Candidate("quick", 0.825, Tariff(0.0, 0.0, 1.0).at(1000.0), 6.415, 1)
    quickest = Candidate("quickest", 0.5, Tariff(0.0, 0.0, 1.0).at(1000.0), 0.2, 2)
    candidates = [slow, quick, quickest]
    resampled = {c.name: np.full(10, c.quality) for c in candidates}
    assumed = Assumptions(candidates, Evidence({}, resampled, 200), Limits(), 0.01, 1000.0)
    (flip,) = [f for f in what_would_flip(assumed) if f.what == "max_latency_ms"]
    assert (flip.pick, in_few_digits(assumed, flip)) == ("quick", "6.6")


def test_a_stricter_limit_is_told_as_less_than_what_it_shuts_out() -> None:
    """`now` takes 101.4 ms: in less than 101 it is out, and within 900.2, told as 901, `slow` is in."""
    three = [
        candidate("slow", 0.95, per_1k=1, p95_ms=900.2),
        candidate("now", 0.90, per_1k=1, p95_ms=101.4),
        candidate("quick", 0.70, per_1k=0.1, p95_ms=20),
    ]
    assumed = assume(*three, limits=Limits(max_latency_ms=500))
    flips = [f for f in what_would_flip(assumed) if f.what == "max_latency_ms"]
    told = {f.pick: (shuts_out(assumed, f), in_few_digits(assumed, f)) for f in flips}
    assert told == {"slow": (False, "901"), "quick": (True, "101")}
