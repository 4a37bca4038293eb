"""The choice: cheapest among the good enough, and honest about what it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.decide import Candidate, Decision, Evidence, Limits, break_evens, cheapest, decide, what_would_flip
from advisor.economics import Money

POINT = 0.01
ANY = Limits()


def candidate(
    name: str, quality: float, monthly: float = 10.0, simplicity: int = 0, p95_ms: float = 100.0, training: float = 0.0
) -> Candidate:
    per_query = (monthly - training / 12) / 10_000
    return Candidate(name, quality, Money(per_query, training, monthly), p95_ms, simplicity)


def evidence(
    candidates: Sequence[Candidate],
    error: float | Mapping[tuple[str, str], float] = 0.0,
    rows: int = 200,
    unscored: int = 0,
    spread: float = 0.0,
) -> Evidence:
    """Resamples around the observed qualities; `error` is the standard error of all differences, or of each."""
    names = [c.name for c in candidates]
    errors = {(a, b): error for a in names for b in names if a != b} if isinstance(error, float) else dict(error)
    rng = np.random.default_rng(0)
    resampled = {
        c.name: c.quality + spread * rng.standard_normal(400) for c in sorted(candidates, key=lambda c: c.name)
    }
    return Evidence(errors, resampled, rows, unscored)


def choose(candidates: Sequence[Candidate], limits: Limits = ANY, tolerance: float = POINT, **of: object) -> Decision:
    return decide(candidates, evidence(candidates, **of), limits, tolerance)  # type: ignore[arg-type]


def test_the_best_is_picked_where_the_cheaper_is_clearly_worse() -> None:
    decision = choose([candidate("dear", 0.90, 50), candidate("cheap", 0.70, 1)])
    assert (decision.pick, decision.best, decision.runner_up) == ("dear", "dear", "cheap")


def test_the_cheapest_within_the_tolerance_of_the_best_is_picked() -> None:
    three = [candidate("dear", 0.90, 50), candidate("middle", 0.895, 20), candidate("cheap", 0.88, 1)]
    decision = choose(three)
    assert (decision.pick, decision.best, decision.runner_up) == ("middle", "dear", "dear")
    assert decision.equals == ("dear", "middle")


def test_a_gap_of_exactly_the_tolerance_is_within_it() -> None:
    assert choose([candidate("dear", 0.83, 50), candidate("cheap", 0.82, 1)]).pick == "cheap"


def test_half_the_standard_error_counts_where_it_is_more_than_the_tolerance() -> None:
    pair = [candidate("dear", 0.90, 50), candidate("cheap", 0.87, 1)]
    assert choose(pair, error=0.0601).pick == "cheap"
    assert choose(pair, error=0.0599).pick == "dear"


def test_a_gap_that_is_not_significant_is_not_taken_for_equality() -> None:
    """1.9 standard errors apart: not significant at 95 %, yet the cheaper is not taken."""
    assert choose([candidate("dear", 0.90, 50), candidate("cheap", 0.862, 1)], error=0.02).pick == "dear"


def test_costs_within_ten_percent_count_as_equal_and_the_simplest_is_taken() -> None:
    level = [candidate("cheap", 0.9, 10.0, simplicity=5), candidate("simple", 0.9, 10.999, simplicity=1)]
    assert choose(level).pick == "simple"
    apart = [candidate("cheap", 0.9, 10.0, simplicity=5), candidate("simple", 0.9, 11.01, simplicity=1)]
    assert choose(apart).pick == "cheap"


def test_costs_are_level_with_the_cheapest_not_with_their_neighbours() -> None:
    """A chain of small steps must not lead to a strategy that costs much more."""
    chain = [candidate("a", 0.9, 10, 3), candidate("b", 0.9, 10.9, 2), candidate("c", 0.9, 11.8, 1)]
    assert cheapest(chain).name == "b"


def test_strategies_that_cost_nothing_are_ranked_by_simplicity() -> None:
    assert choose([candidate("b", 0.9, 0, simplicity=2), candidate("a", 0.9, 0, simplicity=1)]).pick == "a"


def test_a_lone_candidate_has_no_runner_up() -> None:
    decision = choose([candidate("only", 0.5)])
    assert (decision.pick, decision.best, decision.runner_up, decision.verdict) == ("only", "only", None, "clear")


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        (Limits(min_quality=0.85), "min_quality"),
        (Limits(max_cost_per_1k=0.5), "max_cost_per_1k"),
        (Limits(max_latency_ms=200), "max_latency_ms"),
    ],
)
def test_what_breaks_a_limit_is_not_recommended_and_says_which(limits: Limits, name: str) -> None:
    weak = candidate("weak", 0.95, 100, p95_ms=900) if name != "min_quality" else candidate("weak", 0.80, 0.1)
    decision = choose([weak, candidate("fine", 0.90, 2)], limits)
    assert decision.pick == "fine"
    assert decision.broken == {"weak": [name]}


def test_a_value_at_a_limit_meets_it() -> None:
    limits = Limits(min_quality=0.9, max_cost_per_1k=1.0, max_latency_ms=100)
    assert choose([candidate("edge", 0.9, 10.0, p95_ms=100)], limits).pick == "edge"


def test_the_best_within_the_limits_sets_the_mark() -> None:
    three = [candidate("slow", 0.99, 5, p95_ms=999), candidate("dear", 0.80, 50), candidate("cheap", 0.795, 1)]
    decision = choose(three, Limits(max_latency_ms=500))
    assert (decision.pick, decision.best) == ("cheap", "dear")


def test_none_feasible_where_nothing_meets_the_limits() -> None:
    decision = choose([candidate("a", 0.5), candidate("b", 0.6)], Limits(min_quality=0.9, max_latency_ms=1))
    assert (decision.verdict, decision.pick, decision.best, decision.runner_up) == ("none_feasible", None, None, None)
    assert decision.broken == {"a": ["min_quality", "max_latency_ms"], "b": ["min_quality", "max_latency_ms"]}


def test_few_rows_are_insufficient_evidence_but_still_name_a_pick() -> None:
    pair = [candidate("a", 0.9), candidate("b", 0.2)]
    assert choose(pair, rows=19).verdict == "insufficient_evidence"
    assert choose(pair, rows=19).pick == "a"
    assert choose(pair, rows=20).verdict == "clear"


def test_unscored_rows_that_could_change_the_pick_are_insufficient_evidence() -> None:
    pair = [candidate("a", 0.90, 1), candidate("b", 0.85, 50)]
    assert choose(pair, rows=90, unscored=10).verdict == "insufficient_evidence"


def test_unscored_rows_that_could_not_change_the_pick_do_no_harm() -> None:
    pair = [candidate("a", 0.90, 1), candidate("b", 0.30, 50)]
    assert choose(pair, rows=98, unscored=2).verdict == "clear"


def test_unscored_rows_are_counted_against_the_pick_in_full() -> None:
    """a: 54 of 60 right, b: 12 of 60. If b alone is right on all 60 missing rows it has 72 of 120, a 54."""
    pair = [candidate("a", 0.90, 1), candidate("b", 0.20, 50)]
    assert choose(pair, rows=60, unscored=60).verdict == "insufficient_evidence"


def test_unscored_rows_that_could_bring_a_cheaper_one_within_the_tolerance_are_insufficient_evidence() -> None:
    """cheap: 0.88 on 98 rows; with the two missing rows it would be level with the pick and be picked."""
    pair = [candidate("dear", 0.90, 50), candidate("cheap", 0.88, 1)]
    assert choose(pair, rows=98, unscored=2).verdict == "insufficient_evidence"


def test_clear_where_the_resamples_agree_and_tie_where_they_do_not() -> None:
    apart = [candidate("a", 0.90), candidate("b", 0.60)]
    assert choose(apart, spread=0.01).verdict == "clear"
    near = [candidate("a", 0.90), candidate("b", 0.89)]
    decision = choose(near, spread=0.05)
    assert decision.verdict == "tie"
    assert 0.3 < decision.confidence < 0.7


def test_confidence_is_the_share_of_resamples_within_the_tolerance() -> None:
    pair = [candidate("a", 0.90, 1), candidate("b", 0.895, 50)]
    draws = {"a": np.array([0.9] * 95 + [0.8] * 5), "b": np.array([0.905] * 95 + [0.9] * 5)}
    decision = decide(pair, Evidence({("a", "b"): 0.0}, draws, 100), Limits(), POINT)
    assert decision.confidence == pytest.approx(0.95)
    assert decision.verdict == "clear"


def test_what_breaks_a_limit_does_not_lower_the_confidence() -> None:
    pair = [candidate("fine", 0.7), candidate("slow", 0.99, p95_ms=5000)]
    assert choose(pair, Limits(max_latency_ms=500)).verdict == "clear"


def test_sensitivity_names_the_volume_tolerance_and_limits_that_change_the_pick() -> None:
    now = [
        candidate("tuned", 0.90, 10, training=60),
        candidate("plain", 0.87, 1),
        candidate("slow", 0.95, 10, p95_ms=900),
    ]
    limits = Limits(max_latency_ms=500)
    busy = [replace(c, money=replace(c.money, monthly={"tuned": 1.0, "plain": 9.0, "slow": 9.0}[c.name])) for c in now]
    found = what_would_flip(now, evidence(now), limits, POINT, {1e6: busy})
    assert ("tolerance", 0.05, "plain") in found
    assert ("limits", 0.0, "slow") in found
    assert all(what != "volume" for what, _, _ in found)  # the pick, tuned, is then the cheapest too


def test_break_evens_say_above_which_volume_who_is_cheaper() -> None:
    tuned = Candidate("tuned", 0.9, Money(0.001, 12.0, 11.0), 100, 1)
    plain = Candidate("plain", 0.9, Money(0.002, 0.0, 20.0), 100, 0)
    assert break_evens([tuned, plain], "plain") == [("tuned", "plain", pytest.approx(1000))]
    assert break_evens([plain], "plain") == []


# Properties, on candidates of any kind.

figures = st.builds(
    lambda quality, monthly, simplicity, p95: (quality / 100, monthly / 7, simplicity, float(p95)),
    st.integers(0, 100),
    st.integers(0, 60),
    st.integers(0, 11),
    st.integers(1, 1000),
)
limits = st.builds(
    Limits,
    st.none() | st.sampled_from([0.2, 0.5, 0.8]),
    st.none() | st.sampled_from([0.1, 0.4, 0.7]),
    st.none() | st.sampled_from([100.0, 500.0]),
)
tolerances = st.sampled_from([0.0, 0.01, 0.05, 1.0])


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Candidate], Evidence]:
    """Candidates with different simplicity, as in a run, and any standard errors."""
    rows = draw(st.lists(figures, min_size=1, max_size=5, unique_by=lambda f: f[2]))
    candidates = [candidate(f"s{i}", q, m, s, p) for i, (q, m, s, p) in enumerate(rows)]
    errors: dict[tuple[str, str], float] = {}
    for a in candidates:
        for b in candidates:
            if a.name < b.name:
                errors[a.name, b.name] = errors[b.name, a.name] = draw(st.sampled_from([0.0, 0.02, 0.1, 0.3]))
    return candidates, evidence(candidates, errors, spread=0.02)


@given(cases(), limits, tolerances)
@settings(max_examples=150, deadline=None)
def test_the_pick_obeys_the_rule(case: tuple[list[Candidate], Evidence], limit: Limits, tolerance: float) -> None:
    candidates, found = case
    decision = decide(candidates, found, limit, tolerance)
    feasible = {c.name: c for c in candidates if not limit.broken_by(c)}
    if not feasible:
        assert (decision.verdict, decision.pick) == ("none_feasible", None)
        return
    assert decision.pick is not None
    pick, best = feasible[decision.pick], max(c.quality for c in feasible.values())
    assert feasible[str(decision.best)].quality == best
    margin = max(tolerance, found.standard_errors.get((str(decision.best), pick.name), 0.0) / 2)
    assert best - pick.quality <= margin + 1e-9
    assert decision.runner_up != decision.pick
    assert (decision.runner_up is None) == (len(feasible) == 1)
    assert pick.name in decision.equals
    assert set(decision.broken) == {c.name for c in candidates} - set(feasible)


@given(cases(), limits, tolerances)
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_candidates_does_not_matter(
    case: tuple[list[Candidate], Evidence], limit: Limits, tolerance: float
) -> None:
    candidates, found = case
    decision = decide(candidates, found, limit, tolerance)
    for order in list(permutations(candidates))[:24]:
        assert decide(order, found, limit, tolerance) == decision


@given(cases(), limits, tolerances, st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_renaming_the_candidates_renames_the_decision(
    case: tuple[list[Candidate], Evidence], limit: Limits, tolerance: float, rng: object
) -> None:
    candidates, found = case
    names = [c.name for c in candidates]
    others = [f"x{i}" for i in range(len(names))]
    rng.shuffle(others)  # type: ignore[attr-defined]
    new = dict(zip(names, others, strict=True))
    renamed = Evidence(
        {(new[a], new[b]): e for (a, b), e in found.standard_errors.items()},
        {new[n]: v for n, v in found.resampled.items()},
        found.rows,
    )
    before = decide(candidates, found, limit, tolerance)
    after = decide([replace(c, name=new[c.name]) for c in candidates], renamed, limit, tolerance)
    assert after.pick == (new[before.pick] if before.pick else None)
    assert after.runner_up == (new[before.runner_up] if before.runner_up else None)
    assert after.equals == tuple(new[n] for n in before.equals)
    assert (after.verdict, after.confidence) == (before.verdict, pytest.approx(before.confidence))


@given(cases(), limits, tolerances, st.integers(0, 4), st.floats(1.0, 20.0))
@settings(max_examples=150, deadline=None)
def test_raising_the_price_of_one_strategy_never_makes_it_preferred(
    case: tuple[list[Candidate], Evidence], limit: Limits, tolerance: float, which: int, factor: float
) -> None:
    candidates, found = case
    one = candidates[which % len(candidates)]
    money = Money(one.money.per_query * factor, one.money.training, one.money.monthly * factor)
    dearer = [replace(c, money=money) if c is one else c for c in candidates]
    if decide(candidates, found, limit, tolerance).pick != one.name:
        assert decide(dearer, found, limit, tolerance).pick != one.name


@st.composite
def with_a_dominated_one(draw: st.DrawFn, *, same_error: bool) -> tuple[list[Candidate], list[Candidate], Evidence]:
    """A case, and the same with one more candidate that is no better than one of them in anything."""
    candidates, found = draw(cases())
    over = draw(st.sampled_from(candidates))
    quality = over.quality - draw(st.sampled_from([0.0, 0.01, 0.1, 0.4]))
    factor = draw(st.sampled_from([1.0, 1.05, 1.5]))
    worse = Candidate(
        "worse",
        quality,
        Money(over.money.per_query * factor, over.money.training, over.money.monthly * factor),
        over.p95_ms * factor,
        12,
    )
    errors = dict(found.standard_errors)
    for c in candidates:
        inherited = errors.get((c.name, over.name), 0.0)
        error = inherited if same_error else draw(st.sampled_from([0.0, 0.1, 0.3]))
        errors["worse", c.name] = errors[c.name, "worse"] = error
    more = [*candidates, worse]
    return candidates, more, replace(evidence(more, spread=0.02), standard_errors=errors)


@given(with_a_dominated_one(same_error=True), limits, tolerances)
@settings(max_examples=150, deadline=None)
def test_a_dominated_strategy_as_well_measured_as_its_better_never_changes_the_pick(
    case: tuple[list[Candidate], list[Candidate], Evidence], limit: Limits, tolerance: float
) -> None:
    candidates, more, found = case
    assert decide(more, found, limit, tolerance).pick == decide(candidates, found, limit, tolerance).pick


def test_a_dominated_strategy_is_not_picked_for_being_measured_less_well() -> None:
    """middle is better and cheaper than noisy, but its difference to the best is known better."""
    three = [candidate("best", 0.90, 50), candidate("middle", 0.86, 1, 1), candidate("noisy", 0.85, 2, 2)]
    errors = {("best", "middle"): 0.02, ("best", "noisy"): 0.12}
    assert decide(three, evidence(three, errors), Limits(), POINT).pick != "noisy"
