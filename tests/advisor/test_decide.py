"""The choice: cheapest among the good enough, and honest about what it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations, pairwise, permutations
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from advisor.decide import (
    Assumptions,
    Candidate,
    Decision,
    Evidence,
    Limits,
    Losses,
    cheapest,
    decide,
    optimism,
    with_doubt,
)
from advisor.economics import Money, Tariff
from advisor.evidence import compare_pairs, evidence_of
from eval.metrics import ScoredRow, get_metric
from eval.statistics import expected_loss, paired_difference, probability_best, resample

POINT = 0.01
ANY = Limits()
FREE = Tariff(0.0, 0.0).at(0.0)


def costing(per_query: float, training: float, monthly: float) -> Money:
    return Money(per_query, training, monthly, Tariff(per_query, training))


def decided(
    candidates: Sequence[Candidate],
    found: Evidence,
    limits: Limits,
    tolerance: float,
    *,
    error_cost: float | None = None,
    volume: float = 10_000,
) -> Decision:
    return decide(Assumptions(candidates, found, limits, tolerance, volume, error_cost))


def candidate(
    name: str, quality: float, monthly: float = 10.0, simplicity: int = 0, p95_ms: float = 100.0, training: float = 0.0
) -> Candidate:
    per_query = (monthly - training / 12) / 10_000
    return Candidate(name, quality, costing(per_query, training, monthly), p95_ms, simplicity)


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
    lowest = {c.name: c.quality - 1.96 * spread for c in candidates}
    return Evidence(errors, resampled, rows, unscored, lowest=lowest)


def choose(candidates: Sequence[Candidate], limits: Limits = ANY, tolerance: float = POINT, **of: object) -> Decision:
    return decided(candidates, evidence(candidates, **of), limits, tolerance)  # type: ignore[arg-type]


def test_the_best_is_picked_where_the_cheaper_is_clearly_worse() -> None:
    decision = choose([candidate("dear", 0.90, 50), candidate("cheap", 0.70, 1)])
    assert (decision.pick, decision.best, decision.runner_up) == ("dear", "dear", "cheap")


def test_a_limit_that_is_met_exactly_is_met_however_a_mean_is_rounded() -> None:
    mean = (14 / 20 + 15 / 20 + 19 / 20) / 3
    assert mean < 0.8
    exact = replace(candidate("a", mean, 1), recall={"bad": mean})
    assert Limits(min_quality=0.8, min_recall={"bad": 0.8}).broken_by(exact) == []
    assert Limits(min_quality=0.801, min_recall={"bad": 0.801}).broken_by(exact) == ["min_quality", "min_recall bad"]


def test_a_cost_or_latency_of_exactly_the_limit_is_within_it_however_it_is_rounded() -> None:
    """730 hours at 0.17 USD are 124.10 USD for 1,000 queries, and by rounding a little more."""
    money = Tariff(0.0, 0.0, machine=730 * 0.17, fewest=1).at(1000)
    assert 1000 * money.per_query > 124.1
    exact = Candidate("a", 0.9, money, 1000 * (0.1 + 0.2), 0)
    assert Limits(max_cost_per_1k=124.1, max_latency_ms=300).broken_by(exact) == []
    below = Limits(max_cost_per_1k=124.09999, max_latency_ms=299.9999)
    assert below.broken_by(exact) == ["max_cost_per_1k", "max_latency_ms"]


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


def test_of_equal_total_costs_the_simplest_is_taken_whatever_the_rounding() -> None:
    a = Candidate("a", 0.89, costing(0.0041428571428571434, 16.0, 42.76190476190477), 100, 8)
    b = Candidate(
        "b", 0.87, costing(0.002142857142857143, 16.0, 22.761904761904763), 100, 1
    )  # 0.1 × 0.02 cheaper a query
    for volume in range(10_000, 100_000, 7_919):
        moved = [
            replace(c, money=replace(c.money, monthly=c.money.monthly + c.money.per_query * (volume - 10_000)))
            for c in (a, b)
        ]
        assert decided(moved, evidence(moved), ANY, POINT, error_cost=0.1, volume=volume).pick == "b"


def test_costs_within_ten_percent_count_as_equal_and_the_simplest_is_taken() -> None:
    level = [candidate("cheap", 0.9, 10.0, simplicity=5), candidate("simple", 0.9, 10.999, simplicity=1)]
    assert choose(level).pick == "simple"
    apart = [candidate("cheap", 0.9, 10.0, simplicity=5), candidate("simple", 0.9, 11.01, simplicity=1)]
    assert choose(apart).pick == "cheap"


def test_of_one_strategy_on_several_models_the_better_is_taken_whatever_they_are_called() -> None:
    for better, other in permutations(["lora@alpha", "lora@beta"]):
        level = [candidate(better, 0.889, 1.09, 13), candidate(other, 0.871, 1.0, 13)]
        assert choose(level, error=0.04).pick == better
        assert (
            at_error_cost(0.005, [candidate(better, 0.889, 1.9, 13), candidate(other, 0.871, 1.0, 13)]).pick == better
        )


def test_what_costs_more_for_the_same_quality_sets_no_mark() -> None:
    """The dear entry is known less well, so that with it as the mark the plain one would count as equal."""
    two = [candidate("lora@beta", 0.90, 2, 13), candidate("linear", 0.885, 1, 4)]
    more = [*two, candidate("lora@alpha", 0.90, 6, 13)]
    errors = {(a.name, b.name): 0.05 if "lora@alpha" in (a.name, b.name) else 0.005 for a, b in permutations(more, 2)}
    decision = choose(more, error=errors)
    assert (
        (decision.pick, decision.best) == ("lora@beta", "lora@beta") == (choose(two, error=0.005).pick, decision.best)
    )


def test_costs_are_level_with_the_cheapest_not_with_their_neighbours() -> None:
    """A chain of small steps must not lead to a strategy that costs much more."""
    chain = [candidate("a", 0.9, 10, 3), candidate("b", 0.9, 10.9, 2), candidate("c", 0.9, 11.8, 1)]
    assert cheapest(chain).name == "b"


def test_strategies_that_cost_nothing_are_ranked_by_simplicity() -> None:
    assert choose([candidate("b", 0.9, 0, simplicity=2), candidate("a", 0.9, 0, simplicity=1)]).pick == "a"


def test_a_lone_candidate_has_no_runner_up_and_nothing_speaks_for_it() -> None:
    decision = choose([candidate("only", 0.5)])
    assert (decision.pick, decision.best, decision.runner_up) == ("only", "only", None)
    assert (decision.verdict, decision.lacks) == ("insufficient_evidence", ("alternatives",))
    today = Candidate("today", 0.1, FREE, 0.0, -1, incumbent=True)
    beyond = candidate("slow", 0.9, p95_ms=5000)
    for others in ([today], [beyond]):
        assert choose([candidate("only", 0.5), *others], Limits(max_latency_ms=500)).verdict == "clear"


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


@pytest.mark.parametrize(
    ("measured", "asked", "verdict"), [(0.90, 0.90, "tie"), (0.93, 0.90, "tie"), (0.945, 0.90, "clear")]
)
def test_a_limit_on_quality_that_the_range_reaches_below_is_not_clearly_met(
    measured: float, asked: float, verdict: str
) -> None:
    """On 200 rows."""
    spread = (measured * (1 - measured) / 200) ** 0.5
    decision = choose([candidate("a", measured), candidate("b", 0.3)], Limits(min_quality=asked), spread=spread)
    assert (decision.pick, decision.verdict, decision.limit_in_doubt) == ("a", verdict, verdict == "tie")
    assert decision.rows_needed == 0, "between the strategies it is settled"


def test_a_limit_on_quality_is_in_doubt_where_the_pick_was_measured_too_well() -> None:
    """The lower end of the pick's range is a point above the limit, and the pick one of twelve that are level."""
    limits, level = Limits(min_quality=0.9 - 1.96 * 0.02 - POINT), [candidate(f"s{i:02}", 0.9) for i in range(12)]
    decision = choose(level, limits, spread=0.02)
    assert (decision.verdict, decision.limit_in_doubt) == ("tie", True)
    alone = [level[0], candidate("far behind", 0.3)]
    assert choose(alone, limits, spread=0.02).verdict == "clear", "nothing was chosen from"
    today = Candidate("today", 0.9, FREE, 0.0, -1, incumbent=True)
    kept = choose([today, *level], limits, spread=0.02)
    assert (kept.keeps_incumbent, kept.limit_in_doubt) == (True, False), "it was not picked by its figure"


def test_where_no_quality_is_asked_for_none_is_in_doubt() -> None:
    """However low all are, so that the pick is measured too well by more than it has."""
    level = [candidate(f"s{i:02}", 0.01) for i in range(12)]
    found = replace(evidence(level, spread=0.02), lowest={})
    assert optimism(Assumptions(level, found, ANY, POINT, 1e4)) > 0.01
    assert not decided(level, found, ANY, POINT).limit_in_doubt


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


def test_unscored_rows_that_could_lift_a_strategy_over_a_limit_are_insufficient_evidence() -> None:
    """0.89 on 60 of 200 rows; and 0.895 on 180, with the other 20 0.9055, of a cheaper one within the tolerance."""
    alone = [candidate("a", 0.89, 10), candidate("b", 0.60, 5)]
    least = Limits(min_quality=0.9)
    decision = choose(alone, least, rows=60, unscored=140)
    assert (decision.verdict, decision.pick, decision.lacks) == ("insufficient_evidence", None, ("unscored_rows",))
    assert choose(alone, least, rows=198, unscored=2).verdict == "none_feasible"
    pair = [candidate("cheap", 0.895, 1), candidate("dear", 0.96, 50)]
    assert choose(pair, least, 0.07, rows=180, unscored=20).lacks == ("unscored_rows",)
    assert choose(pair, least, 0.07, rows=199, unscored=1).lacks == ()


def test_unscored_rows_that_could_sink_the_pick_under_a_limit_are_insufficient_evidence() -> None:
    pair = [candidate("a", 0.91, 1), candidate("b", 0.60, 0.5)]
    assert choose(pair, Limits(min_quality=0.9), rows=100, unscored=100).lacks == ("unscored_rows",)
    assert choose(pair, Limits(min_quality=0.5), rows=100, unscored=10).lacks == ()


def test_unscored_rows_of_a_label_that_could_change_what_is_found_of_it_are_insufficient_evidence() -> None:
    pair = [
        replace(candidate("a", 0.9, 1), recall={"bad": 0.84}),
        replace(candidate("b", 0.5, 50), recall={"bad": 0.99}),
    ]
    found, limits = evidence(pair, rows=990, unscored=10), Limits(min_recall={"bad": 0.85})
    assert decided(pair, found, limits, POINT).lacks == ()
    of_bad = replace(found, unscored_shares={"bad": 0.1})
    assert decided(pair, of_bad, limits, POINT).lacks == ("unscored_rows",)


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
    decision = decided(pair, Evidence({("a", "b"): 0.0}, draws, 100), Limits(), POINT)
    assert decision.confidence == pytest.approx(0.95)
    assert decision.verdict == "clear"


def test_what_breaks_a_limit_does_not_lower_the_confidence() -> None:
    pair = [candidate("fine", 0.7), candidate("slow", 0.99, p95_ms=5000)]
    assert choose(pair, Limits(max_latency_ms=500)).verdict == "clear"


def test_two_that_cost_the_same_and_cannot_be_told_apart_are_a_tie_however_many_the_rows() -> None:
    level = [candidate("a", 0.9, 10, 0), candidate("b", 0.9, 10.5, 1)]
    decision = choose(level, error=0.001, spread=0.001, rows=100_000)
    assert (decision.pick, decision.verdict, decision.rivals) == ("a", "tie", ("b",))
    assert decision.confidence > 0.99
    assert decision.rows_needed is None


def test_rows_are_needed_until_the_pick_is_ahead_of_all_that_cost_no_more() -> None:
    """3 points ahead with an error of 2: the pick loses nothing, and 200 × (2.80 × 2 / 3)² rows most probably show that
    it leads."""
    pair = [candidate("a", 0.9, 10), candidate("b", 0.87, 10)]
    decision = choose(pair, error=0.02, spread=0.014, rows=200)
    assert (decision.verdict, decision.rivals) == ("tie", ("b",))
    assert decision.confidence > 0.95
    assert decision.rows_needed == 698 - 200
    assert choose(pair, error=0.0152, spread=0.0107, rows=343).verdict == "clear"


def test_the_cheaper_of_two_equals_is_clear_once_it_surely_loses_no_more_than_the_tolerance() -> None:
    equals = [candidate("dear", 0.9, 50), candidate("cheap", 0.9, 1)]
    assert choose(equals, error=0.001, spread=0.001).verdict == "clear"
    assert choose(equals, error=0.001, spread=0.001).rivals == ("dear",)
    assert choose(equals, error=0.02, spread=0.02).verdict == "tie"


def test_the_dearer_is_not_clear_while_the_cheaper_may_be_as_good() -> None:
    """dear surely loses nothing worth a word, but may cost 50 times as much for nothing."""
    pair = [candidate("dear", 0.9, 50), candidate("cheap", 0.885, 1)]
    decision = choose(pair, error=0.01, spread=0.007)
    assert (decision.pick, decision.verdict) == ("dear", "tie")
    assert decision.confidence > 0.95


def test_resamples_that_never_vary_are_no_certainty_where_the_standard_error_is_not_zero() -> None:
    """Both right on all of 20 rows: every resample has them level, and yet the next row may differ."""
    pair = [candidate("dear", 1.0, 50), candidate("cheap", 1.0, 1)]
    decision = choose(pair, error=0.064, rows=20)
    assert decision.verdict == "tie"
    assert decision.confidence == pytest.approx(NormalDist().cdf(0.01 / 0.064))


@pytest.mark.parametrize(("margin", "verdict"), [(0.06, "tie"), (0.04, "clear")])
def test_what_is_ahead_by_less_than_its_range_reaches_is_not_clear(margin: float, verdict: str) -> None:
    """5 points ahead, an error of 1.5; of three fits a range reaches further than 1.96 errors."""
    pair = [candidate("a", 0.9), candidate("b", 0.85)]
    found = replace(evidence(pair, error=0.015), margins={("a", "b"): margin, ("b", "a"): 0.9})
    assert decided(pair, found, ANY, POINT).verdict == verdict
    losing = [replace(c, loss=1 - c.quality) for c in pair]
    losses = Losses(found.standard_errors, {c.name: 1 - found.resampled[c.name] for c in pair}, 1.0, {}, found.margins)
    priced = decided(losing, replace(found, margins={}, losses=losses), ANY, POINT, error_cost=1.0)
    assert priced.verdict == verdict


def test_how_sure_it_is_that_a_loss_is_small_hangs_on_the_range_as_well() -> None:
    pair = [candidate("dear", 0.9, 50), candidate("cheap", 0.9, 1)]
    found = evidence(pair, error=0.005, spread=0.001)
    assert decided(pair, found, ANY, POINT).verdict == "clear"
    wide = replace(found, margins={("cheap", "dear"): 0.02})
    assert decided(pair, wide, ANY, POINT).confidence == pytest.approx(NormalDist().cdf(0.01 * 1.96 / 0.02), abs=0.001)


@pytest.mark.parametrize("groups", [None, 8])
def test_equals_whose_fits_or_groups_are_few_seldom_get_a_clear_winner(groups: int | None) -> None:
    """Right and wrong answers of three fits each, and shares of right words in eight groups: both of equal quality."""
    rng, said, contradicted = np.random.default_rng(21), [], []
    measure = get_metric("token_f1" if groups else "accuracy")
    for _ in range(60):
        hard = rng.normal(size=160)

        def fit(hard: NDArray[np.float64] = hard) -> list[ScoredRow]:
            if groups is None:
                scores = (np.sqrt(0.8) * hard + np.sqrt(0.2) * rng.normal(size=160) + 0.2 * rng.normal() > -0.7) * 1.0
                return [ScoredRow("", ("t",), score) for score in scores.tolist()]
            shifts = np.repeat(rng.normal(0, 0.1, groups), 160 // groups)
            scores = np.clip(0.6 + 0.1 * hard + shifts + rng.normal(0, 0.1, 160), 0, 1)
            return [ScoredRow("", ("t",), score, f"g{i * groups // 160}") for i, score in enumerate(scores.tolist())]

        fits = {name: [fit() for _ in range(1 if groups else 3)] for name in "ab"}
        found = compare_pairs(measure, fits, seed=0)
        known = evidence_of(measure, fits, found, seed=0)
        pair = [candidate(n, float(np.mean([measure.aggregate(f) for f in fits[n]]))) for n in fits]
        clear = decided(pair, known, ANY, POINT).verdict == "clear"
        said.append(clear)
        contradicted.append(clear and found[0].ci95[0] <= 0 <= found[0].ci95[1])
    assert sum(contradicted) == 0
    assert np.mean(said) <= 0.08


def test_a_pick_among_many_that_are_close_is_measured_too_well() -> None:
    """The highest of ten that vary by 3 points and are equal in truth is 1.54 × 3 points too high on average."""
    rng, found = np.random.default_rng(22), []
    for _ in range(20):
        measured = [candidate(f"s{i}", 0.7 + 0.03 * rng.standard_normal()) for i in range(10)]
        found.append(optimism(Assumptions(measured, evidence(measured, spread=0.03), ANY, POINT, 1e4)))
    assert 0.02 < np.mean(found) < 0.05
    far = [candidate("far", 0.9), candidate("behind", 0.5)]
    assert optimism(Assumptions(far, evidence(far, spread=0.03), ANY, POINT, 1e4)) == pytest.approx(0, abs=0.005)


def test_limits_and_losses_count_where_it_is_picked_again() -> None:
    slow, fine = candidate("slow", 0.9, p95_ms=900), candidate("fine", 0.7)
    found = evidence([slow, fine], spread=0.03)
    assert optimism(Assumptions([slow, fine], found, Limits(max_latency_ms=500), POINT, 1e4)) < 0.005
    assert optimism(Assumptions([slow, fine], found, Limits(min_quality=0.99), POINT, 1e4)) == 0, "there is no pick"
    by_loss = {"slow": np.full(400, 0.5), "fine": np.full(400, 0.1)}
    losses = Losses(found.standard_errors, by_loss, 1.0)
    priced = [replace(slow, loss=0.5), replace(fine, loss=0.1)]
    picked = optimism(Assumptions(priced, replace(found, losses=losses), ANY, POINT, 1e4, error_cost=1.0))
    assert picked == pytest.approx(0, abs=0.005)


def test_what_nothing_was_chosen_from_is_not_measured_too_well() -> None:
    """A figure of resamples may be another than that of all rows, as of macro F1 where a label is missing in some."""
    alone = [candidate("alone", 0.7)]
    found = evidence(alone, spread=0.03)
    found = replace(found, resampled={"alone": np.tile(found.resampled["alone"] + 0.03, 5)[:1999]})
    assert optimism(Assumptions(alone, found, ANY, POINT, 1e4)) == pytest.approx(0, abs=1e-12)


# Rows that are missing.


def test_rows_needed_follow_from_the_standard_error() -> None:
    """Level on 100 rows with an error of 3 points: 2.49 × 3 / sqrt(n / 100) is 1 point with 5,565 rows."""
    pair = [candidate("dear", 0.9, 50), candidate("cheap", 0.9, 1)]
    assert choose(pair, error=0.03, spread=0.03, rows=100).rows_needed == 5565 - 100


def test_rows_are_needed_until_the_most_demanding_of_the_others_is_settled() -> None:
    three = [candidate("far", 0.5, 50), candidate("dear", 0.9, 50), candidate("cheap", 0.9, 1)]
    assert choose(three, error=0.03, spread=0.03, rows=100).rows_needed == 5565 - 100


def test_no_number_of_rows_is_promised_where_fits_differ_too_much() -> None:
    """Level to within a point takes an error of 0.4 points; the fits alone have 2."""
    pair = [candidate("dear", 0.9, 50), candidate("cheap", 0.9, 1)]
    found = evidence(pair, error=0.03, spread=0.03, rows=100)
    of_fits = {("dear", "cheap"): 0.02, ("cheap", "dear"): 0.02}
    decision = decided(pair, replace(found, fit_errors=of_fits), ANY, POINT)
    assert (decision.verdict, decision.rows_needed, decision.hangs_on_fits) == ("tie", None, True)
    assert not decided(pair, found, ANY, POINT).hangs_on_fits
    little = decided(pair, replace(found, fit_errors=dict.fromkeys(of_fits, 0.003)), ANY, POINT)
    assert little.rows_needed is not None
    assert (little.rows_needed > 5565 - 100, little.hangs_on_fits) == (True, False)
    today = Candidate("today", 0.86, FREE, 0.0, -1, incumbent=True)
    lone = evidence([today, pair[0]], error=0.07, spread=0.05)
    unsure = replace(lone, fit_errors={("dear", "today"): 0.06, ("today", "dear"): 0.06})
    assert decided([today, pair[0]], unsure, ANY, POINT).hangs_on_fits, "the gain over today's system"


def test_losses_have_a_spread_between_fits_of_their_own() -> None:
    priced = [replace(c, loss=1 - c.quality) for c in PRICED]
    names = {("dear", "cheap"): 0.02, ("cheap", "dear"): 0.02}
    resampled = {c.name: 1 - c.quality + 0.014 * np.random.default_rng(1).standard_normal(400) for c in PRICED}
    found = replace(evidence(PRICED), losses=Losses(names, resampled, 1.0, dict.fromkeys(names, 0.019)))
    decision = decided(priced, found, ANY, POINT, error_cost=1.0, volume=10_000)
    assert (decision.rows_needed, decision.hangs_on_fits) == (None, True)


def test_rows_can_be_needed_to_show_that_the_pick_loses_too_much() -> None:
    """3 points behind by half a large standard error; more rows settle whether it is really over 1."""
    decision = choose([candidate("dear", 0.93, 50), candidate("cheap", 0.90, 1)], error=0.07, spread=0.05, rows=40)
    assert decision.pick == "cheap"
    assert decision.rows_needed == 3030 - 40  # 40 × (2.49 × 7 / 2)²


def test_no_number_of_rows_settles_a_loss_that_is_the_tolerance_itself() -> None:
    pair = [candidate("dear", 0.83, 50), candidate("cheap", 0.82, 1)]
    assert choose(pair, error=0.02, spread=0.02).rows_needed is None


def test_no_rows_are_needed_where_it_is_settled_but_always_the_fewest_that_count() -> None:
    pair = [candidate("a", 0.9), candidate("b", 0.2)]
    assert choose(pair).rows_needed == 0
    assert choose(pair, rows=12).rows_needed == 8


def with_labels(macro: bool, **rows: int) -> Decision:
    pair = [candidate("a", 0.9), candidate("b", 0.2)]
    found = replace(evidence(pair, rows=sum(rows.values())), rows_per_label=rows, metric_is_macro=macro)
    return decided(pair, found, ANY, POINT)


def test_seven_negatives_among_297_rows_do_not_carry_half_of_macro_f1() -> None:
    decision = with_labels(macro=True, positive=290, negative=7)
    assert (decision.verdict, decision.lacks) == ("insufficient_evidence", ("label_rows",))
    assert decision.label_rows_needed == {"negative": 3}
    assert decision.pick == "a"


def test_ten_rows_of_a_label_are_enough_and_accuracy_does_not_hang_on_one() -> None:
    assert with_labels(macro=True, positive=290, negative=10).verdict == "clear"
    assert with_labels(macro=False, positive=290, negative=7).verdict == "clear"


def test_a_label_of_the_examples_that_no_test_row_has_is_no_evidence() -> None:
    """Under macro F1, and, even where accuracy is measured, where errors have each their own cost."""
    for macro in (True, False):
        decision = with_labels(macro=macro, usual=60, rare=0)
        assert (decision.verdict, decision.lacks) == ("insufficient_evidence", ("label_rows",))
        assert decision.label_rows_needed == {"rare": 10}
    assert with_labels(macro=False, **{f"l{i}": i for i in range(20)}).verdict == "clear", "one of many"


def test_a_dear_label_without_test_rows_is_no_evidence_however_many_labels_there_are() -> None:
    """Of 20 labels each has 5 % of the metric, but half of what errors may cost hangs on one of them."""
    rows = {"dear": 0, **{f"l{i}": 10 for i in range(19)}}
    pair = [candidate("a", 0.9), candidate("b", 0.2)]
    for macro in (True, False):
        found = replace(evidence(pair, rows=190), rows_per_label=rows, metric_is_macro=macro)
        priced = replace(found, cost_shares={"dear": 0.5, "l0": 0.5})
        assert decided(pair, found, ANY, POINT).lacks == ()
        assert decided(pair, priced, ANY, POINT).label_rows_needed == {"dear": 10}


def test_one_of_many_labels_may_be_rare() -> None:
    """One of 20 labels is 5 % of macro F1, one of 19 is more."""
    assert with_labels(macro=True, **{f"l{i}": 9 + i for i in range(20)}).verdict == "clear"
    assert with_labels(macro=True, **{f"l{i}": 9 + i for i in range(19)}).verdict == "insufficient_evidence"


def test_of_many_labels_few_may_be_rare() -> None:
    """Two of 40 are 5 % of macro F1; of costs, rare labels that hardly anything hangs on."""
    two, three = ({**{f"r{i}": 2 for i in range(rare)}, **{f"l{i}": 30 for i in range(40 - rare)}} for rare in (2, 3))
    assert with_labels(macro=True, **two).label_rows_needed == {}
    assert with_labels(macro=True, **three).label_rows_needed == {"r0": 8, "r1": 8, "r2": 8}
    pair = [candidate("a", 0.9), candidate("b", 0.2)]
    untested = replace(evidence(pair), rows_per_label={"cheap": 0, "free": 0, "usual": 60})
    for cheap, needed in ((0.04, {}), (0.06, {"cheap": 10})):
        found = replace(untested, cost_shares={"cheap": cheap, "free": 0.0, "usual": 1 - cheap})
        assert decided(pair, found, ANY, POINT).label_rows_needed == needed


@pytest.mark.parametrize(("groups", "lacks"), [(None, ()), (60, ()), (5, ()), (4, ("groups",)), (1, ("groups",))])
def test_many_rows_of_a_handful_of_groups_are_few(groups: int | None, lacks: tuple[str, ...]) -> None:
    """As where all test rows are the same question."""
    pair = [candidate("a", 0.90, 1), candidate("b", 0.20, 50)]
    decision = decided(pair, replace(evidence(pair, rows=60), groups=groups), ANY, POINT)
    assert decision.lacks == lacks
    assert decision.verdict == ("insufficient_evidence" if lacks else "clear")


def test_all_that_is_lacking_is_named() -> None:
    pair = [candidate("a", 0.90, 1), candidate("b", 0.85, 50)]
    found = replace(evidence(pair, rows=12, unscored=3), rows_per_label={"y": 8, "n": 4}, metric_is_macro=True)
    decision = decided(pair, found, ANY, POINT)
    assert decision.lacks == ("rows", "unscored_rows", "label_rows")
    assert decision.label_rows_needed == {"n": 6, "y": 2}


# Where a wrong answer has a price.

PRICED = [candidate("dear", 0.90, 500), candidate("cheap", 0.85, 10)]


def at_error_cost(
    usd: float, candidates: Sequence[Candidate] = PRICED, volume: float = 10_000, **of: object
) -> Decision:
    found = evidence(candidates, **of)  # type: ignore[arg-type]
    return decided(candidates, found, ANY, POINT, error_cost=usd, volume=volume)


def test_the_lowest_total_cost_is_picked_where_a_wrong_answer_has_a_price() -> None:
    """At 0.1 USD: 500 + 1,000 × 0.1 against 10 + 1,500 × 0.1. The difference of 500 errors pays from 0.98 USD on."""
    assert at_error_cost(0.1).pick == "cheap"
    assert at_error_cost(0.97).pick == "cheap"
    assert at_error_cost(0.99).pick == "dear"
    assert at_error_cost(0.1).best == "dear"


def test_with_an_error_cost_the_tolerance_is_its_worth_in_money() -> None:
    """A point is 100 errors. At 1 USD the pick's total is 10 USD below the other's, at 10 USD 4,510 USD."""
    decision = at_error_cost(1.0, error=0.02, spread=0.02)
    assert (decision.pick, decision.verdict, decision.equals) == ("dear", "tie", ("dear", "cheap"))
    decision = at_error_cost(10.0, error=0.02, spread=0.014)
    assert (decision.pick, decision.verdict, decision.equals) == ("dear", "clear", ("dear",))


def test_with_an_error_cost_rows_needed_are_about_the_total() -> None:
    """Dear is 10 USD ahead, the tolerance is worth 100, the standard error 200 USD: 200 × (2.49 × 200 / 110)²."""
    decision = at_error_cost(1.0, error=0.02, spread=0.02, rows=200)
    assert decision.rows_needed == 627_911 - 200, (
        "cheap costs less, so that dear must be ahead: 200 × (2.80 × 200 / 10)²"
    )


def test_without_queries_errors_cost_nothing() -> None:
    assert at_error_cost(100.0, volume=0).pick == "cheap"


def test_unscored_rows_count_at_the_price_of_errors() -> None:
    assert at_error_cost(0.1, rows=98, unscored=2).lacks == ()  # 0.07 × 1,000 USD is less than 490 USD.
    assert at_error_cost(0.9, rows=98, unscored=2).lacks == ("unscored_rows",)


# Today's system.


def with_incumbent(quality: float, limits: Limits = ANY, **of: object) -> Decision:
    today = Candidate("today", quality, FREE, 0.0, -1, incumbent=True)
    return choose([today, candidate("dear", 0.90, 50, 1), candidate("cheap", 0.80, 1, 2)], limits, **of)


def test_the_incumbent_is_compared_with_but_never_picked() -> None:
    decision = with_incumbent(0.95)
    assert (decision.pick, decision.best, decision.runner_up) == ("dear", "dear", "cheap")
    assert decision.gain == pytest.approx(-0.05)
    assert decision.keeps_incumbent


def test_the_incumbent_is_kept_unless_it_is_beaten_by_more_than_counts_as_equal() -> None:
    assert with_incumbent(0.89).keeps_incumbent
    assert not with_incumbent(0.88).keeps_incumbent
    assert with_incumbent(0.88).gain == pytest.approx(0.02)
    assert with_incumbent(0.88, error=0.05).keeps_incumbent  # 2 points are within half of 5.


def test_the_incumbent_lowers_no_confidence() -> None:
    assert with_incumbent(0.90).verdict == "clear"


@pytest.mark.parametrize(("least", "keeps", "broken"), [(0.92, True, set()), (0.99, False, {"today"})])
def test_where_no_strategy_meets_the_limits_the_incumbent_is_kept_if_it_does(
    least: float, keeps: bool, broken: set[str]
) -> None:
    decision = with_incumbent(0.95, Limits(min_quality=least), error=0.05, spread=0.05)
    assert (decision.verdict, decision.keeps_incumbent) == ("none_feasible", keeps)
    assert set(decision.broken) == {"dear", "cheap", *broken}


def test_what_is_not_known_of_the_incumbent_breaks_no_limit() -> None:
    """Its machine-seconds were not measured, and a machine that is always on is not counted for it."""
    today = Candidate("today", 0.95, costing(9.0, 0.0, 9.0), 9e9, -1, incumbent=True)
    assert choose([today, candidate("a", 0.9)], Limits(max_cost_per_1k=1, max_latency_ms=1)).keeps_incumbent


def test_a_gain_over_the_incumbent_that_may_be_none_is_not_clear() -> None:
    """Ahead of all strategies, and 4 points ahead of today's system, give or take 14."""
    unsure = {("today", "dear"): 0.07, ("dear", "today"): 0.07}
    decision = with_incumbent(0.86, error=unsure)
    assert (decision.verdict, decision.pick, decision.rivals) == ("tie", "dear", ("today",))
    assert decision.rows_needed == 200 * (2.8016 * 0.07 / 0.04) ** 2 // 1 + 1 - 200
    sure = with_incumbent(0.86, error=dict.fromkeys(unsure, 0.01))
    assert (sure.verdict, sure.rivals, sure.rows_needed) == ("clear", (), 0)


def test_an_incumbent_is_surely_kept_only_where_nothing_may_be_better_by_more_than_the_tolerance() -> None:
    unsure = {("today", "dear"): 0.07, ("dear", "today"): 0.07}
    decision = with_incumbent(0.88, error=unsure)
    assert (decision.verdict, decision.keeps_incumbent, decision.rivals) == ("tie", True, ())
    assert with_incumbent(0.95, error=dict.fromkeys(unsure, 0.02)).verdict == "clear"


def test_keeping_the_incumbent_hangs_on_what_each_may_gain_over_it_and_on_nothing_else() -> None:
    """Two are level with each other and 25 points behind; or one of them may be ahead."""
    today = Candidate("today", 0.95, FREE, 0.0, -1, incumbent=True)
    level = [candidate("a", 0.70, 10, 0), candidate("b", 0.70, 10, 1)]
    decision = choose([today, *level], error=0.04, spread=0.03)
    assert (decision.verdict, decision.keeps_incumbent, decision.rows_needed) == ("clear", True, 0)
    assert choose(level, error=0.04, spread=0.03).verdict == "tie"
    known = {(a.name, b.name): 0.04 for a, b in permutations([today, *level], 2)}
    wide = known | {("today", "b"): 0.2, ("b", "today"): 0.2}
    assert choose([today, *level], error=wide, spread=0.03).pick == "a"
    assert choose([today, *level], error=wide, spread=0.03).verdict == "tie"
    assert (
        choose([today, *level], error=wide, spread=0.03).rows_needed == 200 * (2.4865 * 0.2 / 0.26) ** 2 // 1 + 1 - 200
    )
    assert choose([today, *level], rows=12).rows_needed == 8


def test_without_an_incumbent_nothing_is_kept() -> None:
    decision = choose([candidate("a", 0.9)])
    assert (decision.gain, decision.keeps_incumbent) == (None, False)
    assert not choose([candidate("a", 0.9)], Limits(min_quality=0.99)).keeps_incumbent


# Simulated comparisons, in which the truth is known.


def measured(rows: np.ndarray, costs: Sequence[float], draws: np.ndarray) -> Decision:
    """The decision on right and wrong answers (strategies × rows), with Bonett and Price's standard errors."""
    n = rows.shape[1]
    names = [f"s{i}" for i in range(len(rows))]
    candidates = [candidate(name, float(r.mean()), c, i) for i, (name, r, c) in enumerate(zip(names, rows, costs))]  # noqa: B905
    errors = {}
    for i, j in combinations(range(len(rows)), 2):
        difference = rows[i] - rows[j]
        centre = difference.sum() / (n + 2)
        error = float(np.sqrt((((difference**2).sum() + 2) / (n + 2) - centre**2) / (n + 2)))
        errors[names[i], names[j]] = errors[names[j], names[i]] = error
    resampled = {name: draws @ r / n for name, r in zip(names, rows, strict=True)}
    return decided(candidates, Evidence(errors, resampled, n), ANY, POINT)


@pytest.mark.parametrize("n", [40, 300])
def test_two_fits_of_one_strategy_get_a_clear_winner_in_at_most_five_percent(n: int) -> None:
    rng = np.random.default_rng(n)
    draws = rng.multinomial(n, np.full(n, 1 / n), size=300)
    fit = rng.random(n) < 0.8
    other = np.where(rng.random(n) < 0.8, fit, rng.random(n) < 0.8)
    verdicts = [
        measured(rng.permuted(np.array([fit, other]) * 1.0, axis=0), (10, 10), draws).verdict for _ in range(1000)
    ]
    assert verdicts.count("clear") <= 50


@pytest.mark.parametrize("metric", ["accuracy", "token_f1", "macro_f1"])
@pytest.mark.parametrize("n", [20, 40, 100])
def test_a_cheap_strategy_that_fails_on_four_percent_of_queries_is_seldom_clear(n: int, metric: str) -> None:
    """It loses four points to the dear one. On 20 rows nearly half of the draws show none of its failures."""
    measure, rng, clear = get_metric(metric), np.random.default_rng(n), 0
    targets = ["ab"[i % 2] for i in range(n)]
    dear = [ScoredRow(target, (target,), 1.0) for target in targets]
    for _ in range(40):
        failed = rng.random(n) < 0.04
        cheap = [
            ScoredRow("", (t,), 0.0) if f else ScoredRow(t, (t,), 1.0) for t, f in zip(targets, failed, strict=True)
        ]
        rows = {"cheap": cheap, "dear": dear}
        error = paired_difference(measure, cheap, dear, seed=0, resamples=200).standard_error
        found = Evidence({("cheap", "dear"): error, ("dear", "cheap"): error}, resample(measure, rows, 0, 200), n)
        both = [candidate(name, measure.aggregate(of), {"cheap": 1, "dear": 10}[name]) for name, of in rows.items()]
        decision = decided(both, found, ANY, POINT)
        clear += decision.verdict == "clear" and decision.pick == "cheap"
    assert clear <= 2


@pytest.mark.parametrize("n", [40, 300])
def test_of_a_strategy_entered_twice_the_cheaper_is_taken_in_at_least_forty_percent(n: int) -> None:
    """Among four others that are 5 to 30 points worse, and cost less than either."""
    rng = np.random.default_rng(n)
    draws = rng.multinomial(n, np.full(n, 1 / n), size=100)
    truth = np.array([0.85, 0.85, 0.8, 0.75, 0.65, 0.55])
    picks = [
        measured((rng.random((6, n)) < truth[:, None]) * 1.0, (100, 10, 4, 3, 2, 1), draws).pick for _ in range(300)
    ]
    assert picks.count("s1") >= 0.4 * len(picks)
    assert picks.count("s0") < picks.count("s1")


# Properties, on candidates of any kind.

Figures = tuple[float, float, int, float]


def figures(qualities: st.SearchStrategy[int], costs: st.SearchStrategy[int]) -> st.SearchStrategy[Figures]:
    return st.builds(
        lambda quality, monthly, simplicity, p95: (quality / 100, monthly / 7, simplicity, float(p95)),
        qualities,
        costs,
        st.integers(0, 3),
        st.integers(1, 1000),
    )


ANY_FIGURES = figures(st.integers(0, 100), st.integers(0, 60))
LEVEL = figures(st.sampled_from([88, 89, 90]), st.sampled_from([57, 59, 61, 120]))
"""Mostly of qualities and costs that count as equal."""
limits = st.builds(
    Limits,
    st.none() | st.sampled_from([0.2, 0.5, 0.8]),
    st.none() | st.sampled_from([0.1, 0.4, 0.7]),
    st.none() | st.sampled_from([100.0, 500.0]),
)
tolerances = st.sampled_from([0.0, 0.01, 0.05, 1.0])


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Candidate], Evidence]:
    """Candidates, some equally simple, as one strategy on several models is, and any standard errors."""
    rows = draw(
        st.lists(draw(st.sampled_from([ANY_FIGURES, LEVEL])), min_size=1, max_size=5, unique_by=lambda f: f[:3])
    )
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
    decision = decided(candidates, found, limit, tolerance)
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
    decision = decided(candidates, found, limit, tolerance)
    for order in list(permutations(candidates))[:24]:
        assert decided(order, found, limit, tolerance) == decision


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
        lowest={new[n]: v for n, v in found.lowest.items()},
    )
    before = decided(candidates, found, limit, tolerance)
    after = decided([replace(c, name=new[c.name]) for c in candidates], renamed, limit, tolerance)
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
    money = costing(one.money.per_query * factor, one.money.training, one.money.monthly * factor)
    dearer = [replace(c, money=money) if c is one else c for c in candidates]
    if decided(candidates, found, limit, tolerance).pick != one.name:
        assert decided(dearer, found, limit, tolerance).pick != one.name


@st.composite
def with_a_dominated_one(draw: st.DrawFn, *, same_error: bool) -> tuple[list[Candidate], list[Candidate], Evidence]:
    """A case, and the same with one more candidate that is no better than one of them in anything."""
    candidates, found = draw(cases())
    over = draw(st.sampled_from(candidates))
    quality = over.quality - draw(st.sampled_from([0.0, 0.01, 0.1, 0.4]))
    factor = draw(st.sampled_from([1.0, 1.05, 1.5]))
    simplicity = draw(st.sampled_from([over.simplicity, 12]))
    money = costing(over.money.per_query * factor, over.money.training, over.money.monthly * factor)
    assume((quality, money.monthly, simplicity) != (over.quality, over.money.monthly, over.simplicity))
    # Named so that it is neither always the first nor always the last.
    worse = Candidate(draw(st.sampled_from(["a", "z"])), quality, money, over.p95_ms * factor, simplicity)
    errors = dict(found.standard_errors)
    for c in candidates:
        inherited = errors.get((c.name, over.name), 0.0)
        error = inherited if same_error else draw(st.sampled_from([0.0, 0.1, 0.3]))
        errors[worse.name, c.name] = errors[c.name, worse.name] = error
    more = [*candidates, worse]
    return candidates, more, replace(evidence(more, spread=0.02), standard_errors=errors)


@given(with_a_dominated_one(same_error=True), limits, tolerances)
@settings(max_examples=150, deadline=None)
def test_a_dominated_strategy_as_well_measured_as_its_better_never_changes_the_pick(
    case: tuple[list[Candidate], list[Candidate], Evidence], limit: Limits, tolerance: float
) -> None:
    candidates, more, found = case
    assert decided(more, found, limit, tolerance).pick == decided(candidates, found, limit, tolerance).pick


def test_a_dominated_strategy_is_not_picked_for_being_measured_less_well() -> None:
    """middle is better and cheaper than noisy, but its difference to the best is known better."""
    three = [candidate("best", 0.90, 50), candidate("middle", 0.86, 1, 1), candidate("noisy", 0.85, 2, 2)]
    errors = {("best", "middle"): 0.02, ("best", "noisy"): 0.12}
    assert decided(three, evidence(three, errors), Limits(), POINT).pick != "noisy"


@given(with_a_dominated_one(same_error=False), limits, tolerances)
@settings(max_examples=100, deadline=None)
def test_a_dominated_strategy_never_changes_the_pick_however_well_it_was_measured(
    case: tuple[list[Candidate], list[Candidate], Evidence], limit: Limits, tolerance: float
) -> None:
    candidates, more, found = case
    assert decided(more, found, limit, tolerance).pick == decided(candidates, found, limit, tolerance).pick


@given(cases(), limits)
@settings(max_examples=100, deadline=None)
def test_a_greater_tolerance_never_picks_a_dearer_strategy(
    case: tuple[list[Candidate], Evidence], limit: Limits
) -> None:
    """Dearer than what counts as the same cost."""
    candidates, found = case
    costs = {c.name: c.money.monthly for c in candidates}
    picks = [decided(candidates, found, limit, t).pick for t in (0.0, 0.005, 0.01, 0.03, 0.1, 0.3, 1.0)]
    for smaller, greater in pairwise(picks):
        assert smaller is greater is None or costs[str(greater)] <= costs[str(smaller)] * 1.1 + 1e-9


@given(cases(), limits, tolerances, st.sampled_from([0.001, 0.01, 0.1]))
@settings(max_examples=100, deadline=None)
def test_with_an_error_cost_no_other_within_the_limits_costs_less_in_total(
    case: tuple[list[Candidate], Evidence], limit: Limits, tolerance: float, usd: float
) -> None:
    candidates, found = case
    decision = decided(candidates, found, limit, tolerance, error_cost=usd, volume=10_000)
    totals = {c.name: c.money.monthly + 10_000 * usd * (1 - c.quality) for c in candidates if not limit.broken_by(c)}
    assert (decision.pick is None) == (not totals)
    if decision.pick:
        assert totals[decision.pick] == pytest.approx(min(totals.values()))
        assert decision.pick in decision.equals


@given(cases(), limits)
@settings(max_examples=60, deadline=None)
def test_dearer_errors_never_lead_to_a_worse_strategy(case: tuple[list[Candidate], Evidence], limit: Limits) -> None:
    candidates, found = case
    quality = {c.name: c.quality for c in candidates}
    prices = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    picks = [decided(candidates, found, limit, POINT, error_cost=p, volume=10_000).pick for p in prices]
    for cheaper, dearer in pairwise(picks):
        assert cheaper is dearer is None or quality[str(dearer)] >= quality[str(cheaper)]


@given(cases(), limits, tolerances)
@settings(max_examples=60, deadline=None)
def test_with_an_incumbent_the_choice_is_that_among_those_that_beat_it_if_any_does(
    case: tuple[list[Candidate], Evidence], limit: Limits, tolerance: float
) -> None:
    candidates, found = case
    today = Candidate("today", 0.7, FREE, 0.0, 0, incumbent=True)
    found = replace(found, resampled={**found.resampled, "today": np.full(400, 0.7)})
    before = decided(candidates, found, limit, tolerance)
    after = decided([today, *candidates], found, limit, tolerance)
    before, after = replace(before, lacks=()), replace(after, lacks=())  # a lone one has today's to compare with
    stands = not replace(limit, max_cost_per_1k=None, max_latency_ms=None).broken_by(today)
    better = [c for c in candidates if not limit.broken_by(c) and c.quality - today.quality > tolerance + 1e-12]
    if better and stands:
        assert (after.pick, after.best) == (decided(better, found, limit, tolerance).pick, before.best)
        assert not after.keeps_incumbent
    else:
        of_today = {
            "gain": None,
            "keeps_incumbent": False,
            "verdict": before.verdict,
            "rows_needed": before.rows_needed,
            "limit_in_doubt": before.limit_in_doubt,
            "broken": before.broken,
        }
        assert replace(after, **of_today) == before  # type: ignore[arg-type]


def test_the_pick_is_one_that_beats_the_incumbent_if_any_does() -> None:
    """Cheap is within half of the standard error of dear, but no gain over today's system."""
    close = [candidate("dear", 0.90, 50, 1), candidate("cheap", 0.87, 1, 2)]
    today = Candidate("today", 0.865, FREE, 0.0, -1, incumbent=True)
    assert choose(close, error=0.06, spread=0.06).pick == "cheap"
    decision = choose([today, *close], error=0.06, spread=0.06)
    assert (decision.pick, decision.keeps_incumbent) == ("dear", False)


@pytest.mark.parametrize("of_today", [0.80, 0.75])
def test_unscored_rows_that_could_turn_it_against_or_for_todays_system_are_insufficient_evidence(
    of_today: float,
) -> None:
    today = Candidate("today", of_today, FREE, 0.0, -1, incumbent=True)
    pair = [today, candidate("a", 0.80)]
    decision = choose(pair, error=0.003, rows=500, unscored=500)
    assert (decision.verdict, decision.lacks) == ("insufficient_evidence", ("unscored_rows",))
    assert choose(pair, error=0.003, rows=998, unscored=2).verdict == "clear"


def test_of_todays_system_that_is_kept_it_counts_whether_it_surely_meets_the_limit() -> None:
    today = Candidate("today", 0.95, FREE, 0.0, -1, incumbent=True)
    pair = [today, candidate("a", 0.91)]
    assert choose(pair, Limits(min_quality=0.9)).verdict == "clear"
    assert choose(pair, Limits(min_quality=0.91)).limit_in_doubt is False
    assert choose(pair, Limits(min_quality=0.94)).limit_in_doubt is False, "none is within it"
    assert choose([today, candidate("a", 0.95)], Limits(min_quality=0.94), spread=0.02).limit_in_doubt


def test_where_errors_weigh_nothing_today_is_still_not_given_up_for_something_worse() -> None:
    today = Candidate("today", 0.87, FREE, 0.0, -1, incumbent=True)
    assert at_error_cost(1.0, volume=0).pick == "cheap"
    assert at_error_cost(1.0, [today, *PRICED], volume=0).pick == "dear"


def test_an_incumbent_that_breaks_the_limits_is_not_kept() -> None:
    recall = {"late": 0.5}
    today = Candidate("today", 0.95, FREE, 0.0, -1, incumbent=True, recall=recall)
    finds = replace(candidate("finds", 0.90, 50, 1), recall={"late": 0.8})
    assert choose([today, finds]).keeps_incumbent
    wanted = Limits(min_recall={"late": 0.6})
    decision = choose([today, finds], wanted)
    assert (decision.pick, decision.keeps_incumbent) == ("finds", False)
    assert decision.broken == {"today": ["min_recall late"]}
    assert decision.gain == pytest.approx(-0.05)
    assert decision.verdict == "tie", "five points are given up for the limit"
    assert choose([replace(today, quality=0.85), finds], wanted).verdict == "clear"


def test_chances_are_no_surer_than_the_ranges_of_differences() -> None:
    """Three seeds of two strategies, whose range Student's t makes wide; two others are known well."""
    close = [candidate("a", 0.83), candidate("b", 0.75), candidate("c", 0.70), candidate("d", 0.68)]
    errors = {(a.name, b.name): 0.03 for a, b in permutations(close, 2)}
    wide = {pair: 0.2 if {"a", "b"} == set(pair) else 0.06 for pair in errors}
    found = replace(evidence(close, errors, spread=0.02), margins=wide)
    draws = with_doubt(found, "abcd")
    for a, b in combinations("abcd", 2):
        of_both = (draws[a] - draws[b]).std()
        assert of_both > 0.95 * wide[a, b] / 1.96
    assert (draws["c"] - draws["d"]).std() < 1.1 * 0.06 / 1.96
    chance = probability_best(draws)
    assert chance["a"] < NormalDist().cdf(0.08 / 0.2 * 1.96) + 0.05
    assert probability_best(found.resampled)["a"] > 0.97
    assert expected_loss(draws)["a"] > expected_loss(found.resampled)["a"]


def test_chances_are_those_of_the_resamples_where_these_are_as_unsure() -> None:
    pair = [candidate("a", 0.83), candidate("b", 0.75)]
    found = evidence(pair, error=0.02, spread=0.02)
    assert all(np.array_equal(draws, found.resampled[name]) for name, draws in with_doubt(found, "ab").items())
    assert with_doubt(found, "a").keys() == {"a"}
    assert with_doubt(found, "") == {}


def test_what_is_a_tie_is_not_called_the_best_with_certainty() -> None:
    """A partly right answer more, in four of 40 rows."""
    metric = get_metric("json_field_f1")
    a, b = (
        [ScoredRow("", ("t",), score) for score in (*[1.0] * 26, *[often] * 4, *[0.5] * 10)] for often in (1.0, 0.9)
    )
    fits = {"a": [a], "b": [b]}
    found = evidence_of(metric, fits, compare_pairs(metric, fits, seed=0), seed=0)
    decision = decided([candidate(name, metric.aggregate(rows[0])) for name, rows in fits.items()], found, ANY, POINT)
    assert decision.verdict == "tie"
    assert probability_best(found.resampled)["a"] > 0.97
    assert 0.55 < probability_best(with_doubt(found, "ab"))["a"] < 0.75
