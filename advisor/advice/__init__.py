"""The decision in words: headline, reasons, caveats, what would change it, what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from advisor.advice.case import Case
from advisor.advice.caveats import caveats_of
from advisor.advice.next_step import next_step_of
from advisor.advice.opening import headline_of, summary_of
from advisor.advice.outlook import break_evens_of, outlook_of
from advisor.advice.reasons import reasons_of, scope_of
from advisor.advice.shortfall import shortfall_of
from advisor.decide import with_doubt
from advisor.evidence import Weighed
from advisor.report import schema
from advisor.report.schema import INCUMBENT
from eval.statistics import expected_loss, probability_best


def recommend(
    data: schema.DataPart,
    environment: schema.Environment,
    settings: schema.Settings,
    results: Sequence[schema.StrategyResult],
    weighed: Weighed,
    *,
    is_kept: bool = True,
) -> schema.Recommendation:
    """Say in plain words what was decided, and whether a solution of the pick is there to try."""
    case = Case(data, environment, settings, {r.name: r for r in results}, weighed, is_kept)
    decision = weighed.decision
    if decision is None:
        return _nothing_measured(case)
    resampled = with_doubt(case.evidence, [name for name in case.evidence.resampled if name != INCUMBENT])
    return schema.Recommendation(
        strategy=decision.pick,
        verdict=decision.verdict,
        headline=headline_of(case),
        summary=summary_of(case),
        scope=scope_of(case),
        probability_best=probability_best(resampled),
        expected_loss=expected_loss(resampled),
        runner_up=decision.runner_up,
        reasons=reasons_of(case),
        caveats=caveats_of(case),
        sensitivity=outlook_of(case),
        rows_needed=decision.rows_needed,
        gain_over_incumbent=decision.gain,
        keeps_incumbent=decision.keeps_incumbent,
        falls_short=bool(shortfall_of(case)),
        break_even=break_evens_of(case),
        next_step=next_step_of(case),
    )


def _nothing_measured(case: Case) -> schema.Recommendation:
    return schema.Recommendation(
        strategy=None,
        verdict="insufficient_evidence",
        headline="No strategy could be measured as planned.",
        scope=scope_of(case),
        reasons=["Every strategy failed, did not apply, or was stopped by the time budget; the table says which."],
        next_step="Look at the reasons in the table of strategies; raise --time-budget where they name it.",
    )
