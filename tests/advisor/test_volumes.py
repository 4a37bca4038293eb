"""The decision by the volume: the very rule at each stop, and where exactly it changes."""

from __future__ import annotations

import numpy as np
import pytest

from advisor.decide import Assumptions, Candidate, Evidence, Limits, decide
from advisor.economics import WINDOW, Tariff
from advisor.report.charts import _points
from advisor.report.schema import Volumes
from advisor.sensitivity import picks_by_volume
from advisor.volumes import MOST_LINES, MOST_MACHINES, by_volume

VOLUME = 20_000


def candidate(name: str, quality: float, tariff: Tariff, simplicity: int = 0) -> Candidate:
    return Candidate(name, quality, tariff.at(VOLUME), 100.0, simplicity)


def assume(*candidates: Candidate, error_cost: float | None = None, limits: Limits | None = None) -> Assumptions:
    names = [c.name for c in candidates]
    errors = {(a, b): 0.0 for a in names for b in names if a != b}
    evidence = Evidence(errors, {c.name: np.full(10, c.quality) for c in candidates}, 200)
    return Assumptions(candidates, evidence, limits or Limits(), 0.01, VOLUME, error_cost)


def made(assumed: Assumptions) -> Volumes:
    families = {c.name: {"tuned": "finetune", "weak": "baseline"}.get(c.name, "prompt") for c in assumed.candidates}
    found = by_volume(assumed, decide(assumed), families)
    assert found is not None
    return found


PROMPT = candidate("prompt", 0.9, Tariff(0.002, 0.0))
TUNED = candidate("tuned", 0.9, Tariff(0.001, 1200.0), simplicity=5)


def test_the_pick_changes_where_costs_begin_to_differ_by_more_than_a_tenth() -> None:
    """100 a month more, a thousandth less a query: level at 100,000; the simpler stays until it costs a tenth more."""
    found = made(assume(PROMPT, TUNED))
    assert [(c.strategy, c.queries_per_month) for c in found.changes] == [
        ("prompt", 100.0), ("tuned", pytest.approx(110.0 / 0.0009)),
    ]  # fmt: skip
    assert found.queries_per_month[0] == 100
    assert found.queries_per_month[-1] == 10_000_000
    assert VOLUME in found.queries_per_month


@pytest.mark.parametrize("error_cost", [None, 0.02])
def test_at_each_stop_it_is_the_pick_of_the_decision_itself(error_cost: float | None) -> None:
    on = Tariff(0.0, 600.0, machine=73.0, carries=50_000.0, fewest=1)
    plain = candidate("plain", 0.88, Tariff(0.0005, 0.0), simplicity=-1)
    assumed = assume(PROMPT, TUNED, candidate("on", 0.895, on, 3), plain, error_cost=error_cost)
    found = made(assumed)
    for volume, pick in zip(found.queries_per_month, found.picks, strict=True):
        moved = [
            Candidate(c.name, c.quality, c.money.tariff.at(volume), c.p95_ms, c.simplicity) for c in assumed.candidates
        ]
        again = decide(Assumptions(moved, assumed.evidence, Limits(), 0.01, volume, error_cost))
        assert pick == again.pick
        last = [change.strategy for change in found.changes if change.queries_per_month < volume]
        assert not last or last[-1] == pick


def test_costs_are_those_of_a_month_with_wrong_answers_where_they_have_a_price() -> None:
    free, priced = made(assume(PROMPT, TUNED)), made(assume(PROMPT, TUNED, error_cost=0.5))
    at = free.queries_per_month.index(VOLUME)
    line = next(line for line in free.lines if line.strategy == "tuned")
    assert line.monthly_usd[at] == pytest.approx(0.001 * VOLUME + 100)
    dearer = next(line for line in priced.lines if line.strategy == "tuned")
    assert dearer.monthly_usd[priced.queries_per_month.index(VOLUME)] == pytest.approx(120 + 0.5 * 0.1 * VOLUME)


def test_where_machines_are_always_on_the_corners_of_the_steps_are_given() -> None:
    """What the chart joins by straight lines is what is paid, to a tenth (0.9 seconds a query)."""
    on = candidate("on", 0.9, Tariff(0.0, 0.4, machine=73.0, carries=29_200.0, fewest=1))
    found = made(assume(on))
    line = found.lines[0]
    assert line.steps[0].queries_per_month == pytest.approx(29_200)
    assert line.steps[0].monthly_usd == pytest.approx((73 + 0.4 / 12, 146 + 0.4 / 12))
    assert len(line.steps) == MOST_MACHINES
    corners = np.array([*_points(found.queries_per_month, line)])
    volumes = np.geomspace(found.queries_per_month[0], found.queries_per_month[-1], 3000)
    drawn = np.exp(np.interp(np.log(volumes), np.log(corners[:, 0]), np.log(corners[:, 1])))
    paid = np.array([on.money.tariff.at(volume).monthly for volume in volumes])
    assert np.abs(drawn / paid - 1).max() < 0.1
    assert made(assume(PROMPT)).lines[0].steps == []


def test_steps_carry_what_wrong_answers_cost() -> None:
    on = candidate("on", 0.9, Tariff(0.0, 0.0, machine=73.0, carries=29_200.0, fewest=3))
    steps = made(assume(on, error_cost=0.5)).lines[0].steps
    assert steps[0].queries_per_month == pytest.approx(87_600)
    assert steps[0].monthly_usd == pytest.approx((219 + 0.05 * 87_600, 292 + 0.05 * 87_600))


def test_changes_are_given_as_far_as_they_were_looked_for() -> None:
    """Of hundreds of machines not each can be looked at: the list ends there, and says so."""
    on = candidate("on", 0.95, Tariff(0.0, 0.0, machine=73.0, carries=100.0, fewest=1))
    found = made(assume(on, PROMPT))
    assert found.searched == (100.0, pytest.approx((200 + WINDOW) * 100))
    assert all(found.searched[0] <= change.queries_per_month <= found.searched[1] for change in found.changes)
    assert found.queries_per_month[-1] == 10_000_000
    assert made(assume(PROMPT, TUNED)).searched is None


def test_what_lags_in_quality_is_shown_but_its_cost_does_not_count() -> None:
    weak = candidate("weak", 0.5, Tariff(0.0, 0.0))
    found = made(assume(PROMPT, TUNED, weak))
    assert {line.strategy: line.counts for line in found.lines} == {"prompt": True, "tuned": True, "weak": False}
    many = [candidate(f"c{i}", 0.9, Tariff(0.001 * i, 0.0)) for i in range(12)]
    assert len(made(assume(*many)).lines) == MOST_LINES


def test_a_limit_that_only_few_idle_hours_break_leaves_no_pick_there() -> None:
    on = candidate("on", 0.9, Tariff(0.0, 0.0, machine=73.0, fewest=1))
    found, _ = picks_by_volume(assume(on, limits=Limits(max_cost_per_1k=1.0)), 100.0, 1e6)
    assert found == [(100.0, None), (pytest.approx(73_000.0), "on")]
    assumed = assume(on, limits=Limits(max_cost_per_1k=1.0))
    assert assumed.pick() is None
    shown = by_volume(assumed, decide(assumed), {"on": "prompt"})
    assert shown is not None
    assert [line.strategy for line in shown.lines] == ["on"]
    assert (shown.picks[0], shown.picks[-1]) == (None, "on")


def test_without_a_pick_at_any_volume_there_is_nothing_to_show() -> None:
    assumed = assume(PROMPT, limits=Limits(min_quality=0.99))
    assert by_volume(assumed, decide(assumed), {"prompt": "prompt"}) is None
