"""How queries arrive, which costs hang on: together at the peak, or one at a time. Costs are measured in batches."""

from __future__ import annotations

import math
from dataclasses import replace

from advisor.advice.case import Case
from advisor.decide import Assumptions, Candidate
from advisor.economics import HOURS, HOURS_A_MONTH, is_paid_by_token, mean_qps
from advisor.report import wording
from advisor.report.schema import INCUMBENT, LoadLevel
from advisor.report.wording import title_in_text

SELDOM = 0.1
"""Share of the time that a query is under way, below which queries are taken to come one at a time."""
MUCH_DEARER, A_CENT = 2.0, 0.01
"""How many times as much, and how much more a month, is told."""


def arrivals_of(case: Case) -> list[str]:
    """Where the pick costs more than is told, since its queries do not wait until there are many; a sentence each."""
    if case.decision.pick is None:
        return []
    return [said for said in (_at_the_peak(case), _one_at_a_time(case)) if said]


def _at_the_peak(case: Case) -> str:
    """Where machines that are always on bear the peak only with more queries at once than were timed within the limit.

    Their number is counted by what they answer in large batches.
    """
    tariff, settings, level = case.candidate(case.decision.pick).money.tariff, case.settings, _best_level(case)
    volume, peak = settings.volume, settings.peak_ratio * mean_qps(settings.volume)
    told = tariff.machines(volume)
    if level is None or not told:
        return ""
    bearing = replace(tariff, carries=HOURS_A_MONTH * HOURS * level.throughput_qps / settings.peak_ratio)
    machines = bearing.machines(volume)
    if machines <= told:
        return ""
    together = "one at a time" if level.parallel == 1 else f"with at most {level.parallel} at once"
    return (
        f"At the peak of {wording.per_second(peak)} queries a second they wait for each other: {together}, 95 of 100 "
        f"within {wording.latency(level.p95_ms)}, a machine bears {wording.per_second(level.throughput_qps)} a second, "
        f"which takes {machines:,} machines instead of {told:,} ({wording.money(bearing.at(volume).monthly)} a month)."
    )


def _best_level(case: Case) -> LoadLevel | None:
    """At which the pick was timed to answer most queries a second within the limit on latency."""
    latency, most = case.results[str(case.decision.pick)].latency, case.settings.max_latency_ms or math.inf
    levels = latency.load if latency else []
    within = [level for level in levels if level.p95_ms <= most] or levels[:1]
    return max(within, key=lambda level: level.throughput_qps, default=None)


def _one_at_a_time(case: Case) -> str:
    """Where busy seconds are paid for, and a query that comes alone takes many more of them than one of a batch."""
    assumed, pick = case.weighed.assumptions, case.candidate(case.decision.pick)
    seconds = _seconds_alone(case, pick)
    if seconds is None or not 0 < mean_qps(assumed.volume) * seconds <= SELDOM:
        return ""
    alone, told = seconds * _usd_a_second(case), pick.money.per_query
    then, now = _if_alone(case).advised(), assumed.advised()
    if alone < MUCH_DEARER * told or (then == now and assumed.volume * (alone - told) < A_CENT):
        return ""
    changed = {None: "no strategy is within your limits then", INCUMBENT: "today's system is to be kept then"}
    otherwise = changed.get(then, f"the pick is {title_in_text(str(then))} then")
    return (
        f"Costs are of queries answered together, in batches; one at a time, as most come at "
        f"{wording.a_month(assumed.volume)}, 1,000 queries cost about {wording.rate(1000 * alone)} USD with "
        f"{title_in_text(pick.name)}, not {wording.rate(1000 * told)}{'' if then == now else f', and {otherwise}'}."
    )


def _if_alone(case: Case) -> Assumptions:
    """What is assumed, with the costs of queries that come one at a time."""
    assumed, second = case.weighed.assumptions, _usd_a_second(case)

    def moved(candidate: Candidate) -> Candidate:
        seconds = _seconds_alone(case, candidate)
        if seconds is None:
            return candidate
        return replace(candidate, money=replace(candidate.money.tariff, per_query=seconds * second).at(assumed.volume))

    return replace(assumed, candidates=[moved(candidate) for candidate in assumed.candidates])


def _seconds_alone(case: Case, candidate: Candidate) -> float | None:
    """Busy seconds of a query by itself; None where no busy seconds are paid for, or they are not known."""
    result, hosting = case.results[candidate.name], case.settings.hosting
    if result.latency is None or hosting == "always-on" or is_paid_by_token(result.model, hosting):
        return None
    return result.latency.p50_ms / 1000


def _usd_a_second(case: Case) -> float:
    return case.settings.machine_hourly_usd / HOURS
