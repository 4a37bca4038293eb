"""The decision in words: headline, reasons, caveats, what would change it, what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor import economics
from advisor.decide import Candidate, Decision, Evidence, Limits, break_evens, decide, what_would_flip
from advisor.report import schema, wording
from eval.statistics import expected_loss, probability_best

if TYPE_CHECKING:
    from advisor.comparison import Comparison

VOLUME_FACTORS = (0.1, 10, 100)
MOST_BREAK_EVENS = 6
SMALL_TEST = 100


@dataclass(frozen=True)
class Case:
    """A decision with what it was made from."""

    comparison: Comparison
    results: dict[str, schema.StrategyResult]
    candidates: Sequence[Candidate]
    evidence: Evidence
    limits: Limits
    tolerance: float
    decision: Decision


def recommend(
    comparison: Comparison,
    results: Sequence[schema.StrategyResult],
    candidates: Sequence[Candidate],
    evidence: Evidence,
    limits: Limits,
    tolerance: float,
) -> schema.Recommendation:
    """Decide, and say so in plain words."""
    if not candidates:
        return _nothing_measured(comparison)
    case = Case(
        comparison,
        {r.name: r for r in results},
        candidates,
        evidence,
        limits,
        tolerance,
        decide(candidates, evidence, limits, tolerance),
    )
    decision = case.decision
    return schema.Recommendation(
        strategy=decision.pick,
        verdict=decision.verdict,
        headline=_headline(case),
        scope=_scope(comparison),
        probability_best=probability_best(evidence.resampled),
        expected_loss=expected_loss(evidence.resampled),
        runner_up=decision.runner_up,
        reasons=_reasons(case),
        caveats=_caveats(case),
        sensitivity=_sensitivity(case),
        break_even=_break_evens(case),
        next_step=_next_step(case),
    )


def _nothing_measured(comparison: Comparison) -> schema.Recommendation:
    return schema.Recommendation(
        strategy=None,
        verdict="insufficient_evidence",
        headline="No strategy could be measured as planned.",
        scope=_scope(comparison),
        reasons=["Every strategy failed, did not apply, or was stopped by the time budget; the table says which."],
        next_step="Raise --time-budget, or look at the reasons in the table of strategies.",
    )


def _headline(case: Case) -> str:
    decision = case.decision
    if decision.pick is None:
        best = max(case.candidates, key=lambda c: c.quality)
        return f"No strategy meets the limits; the best measured is {_title(best.name)}: {_quality(case, best.name)}."
    return f"Use {_title(decision.pick)}: {_quality(case, decision.pick)}."


def _title(name: str) -> str:
    title = wording.strategy_title(name)
    return title[0].lower() + title[1:] if title[1:2].islower() else title


def _quality(case: Case, name: str) -> str:
    quality = case.results[name].quality
    assert quality is not None
    return wording.quality_sentence(quality)


def _scope(comparison: Comparison) -> str:
    models = comparison.request.model
    return (
        f"This holds for the language model{'s' if len(models) > 1 else ''} tested ({', '.join(models)}), the embedder "
        f"{comparison.request.embedder} and questions like the {len(comparison.data.examples)} examples given. "
        "A larger model may change it."
    )


def _reasons(case: Case) -> list[str]:
    decision = case.decision
    if decision.pick is None:
        return [
            f"{_title(name).capitalize()} breaks {_and(_flags(broken))}." for name, broken in decision.broken.items()
        ]
    reasons = [_against_best(case), _cost_reason(case)]
    llm_free = _best_of(case, lambda r: r.family == "baseline" and r.name != decision.pick)
    if llm_free and llm_free not in (decision.best, decision.runner_up):
        reasons.append(f"The best without a language model is {_title(llm_free)}: {_quality(case, llm_free)}.")
    if decision.broken:
        names = _and([_title(name) for name in decision.broken])
        reasons.append(f"Not considered, since beyond your limits: {names}.")
    return [reason for reason in reasons if reason]


def _against_best(case: Case) -> str:
    decision = case.decision
    if decision.runner_up is None:
        return "It is the only strategy that could be considered."
    if decision.pick == decision.best:
        other = _title(decision.runner_up)
        gap = _value(case, decision.pick) - _value(case, decision.runner_up)
        if gap > 0:
            figure = _quality(case, decision.runner_up)
            return f"It has the highest quality, {_points(gap)} ahead of {other} ({figure})."
        return f"It has the highest quality, level with {other}, and costs no more."
    gap = _value(case, decision.best) - _value(case, decision.pick)
    return (
        f"{_title(str(decision.best)).capitalize()} measured {_points(gap)} more, a gap too small to pay for: "
        "it is within the tolerance or half its own standard error."
    )


def _value(case: Case, name: str | None) -> float:
    return next(c.quality for c in case.candidates if c.name == name)


def _points(gap: float) -> str:
    amount = wording.hundredths(gap)
    return f"{amount} {'point' if amount in ('1', '1.0') else 'points'}"


def _cost_reason(case: Case) -> str:
    result = case.results[str(case.decision.pick)]
    assert result.cost is not None
    latency = f", and answers one query in {wording.latency(result.latency.p50_ms)}" if result.latency else ""
    volume = f"{case.comparison.request.volume:,} queries"
    return (
        f"It costs {wording.per_thousand(result.cost.per_1k_usd)} of busy machine time on this machine "
        f"({wording.money(result.cost.monthly_usd)} a month at {volume}, training included){latency}."
    )


def _best_of(case: Case, wanted) -> str | None:  # type: ignore[no-untyped-def]
    names = [c for c in case.candidates if wanted(case.results[c.name])]
    return max(names, key=lambda c: (c.quality, -c.simplicity)).name if names else None


def _flags(broken: Sequence[str]) -> list[str]:
    return ["--" + name.replace("_", "-") for name in broken]


def _and(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _caveats(case: Case) -> list[str]:
    plan, decision, rows = case.comparison.plan, case.decision, case.evidence.rows
    caveats = []
    if decision.verdict == "tie" and len(decision.equals) > 1:
        others = [_title(name) for name in decision.equals if name != decision.pick]
        caveats.append(
            f"On {rows} test rows it cannot be told apart from {_and(others)}; it was taken as the cheaper or simpler."
        )
    elif decision.verdict == "tie":
        caveats.append(f"On {rows} test rows another strategy may be more than the tolerance better.")
    if rows < SMALL_TEST:
        caveats.append(f"{rows} test rows show large differences only.")
    if case.evidence.unscored:
        caveats.append(
            f"{case.evidence.unscored} test rows could not be scored for every strategy and were left out for all."
        )
    if plan.cuts:
        caveats.append(f"To keep the time budget: {'; '.join(plan.cuts)}.")
    caveats.append(
        "Each strategy was fitted once, on one split; a tuned model's quality varies a little from fit to fit."
    )
    return caveats


def _sensitivity(case: Case) -> list[str]:
    if case.decision.pick is None:
        return []
    volume = case.comparison.request.volume
    reprice = {
        float(volume * factor): [_at_volume(c, volume * factor) for c in case.candidates] for factor in VOLUME_FACTORS
    }
    sentences = []
    for what, value, pick in what_would_flip(case.candidates, case.evidence, case.limits, case.tolerance, reprice):
        if what == "tolerance":
            sentences.append(f"With a tolerance of {_points(value)}, the pick is {_title(pick)}.")
        elif what == "volume":
            sentences.append(f"At {value:,.0f} queries a month, the pick is {_title(pick)}.")
        else:
            sentences.append(f"Without the limits, the pick is {_title(pick)}.")
    unchanged = "Neither a tenth nor a hundred times the volume, nor a tolerance from 0 to 5 points, changes the pick."
    return sentences or [unchanged]


def _at_volume(candidate: Candidate, volume: float) -> Candidate:
    from dataclasses import replace

    money = candidate.money
    monthly = money.per_query * volume + money.training / economics.MONTHS
    return replace(candidate, money=replace(money, monthly=monthly))


def _break_evens(case: Case) -> list[schema.BreakEven]:
    if case.decision.pick is None:
        return []
    found = break_evens(case.candidates, case.decision.pick)
    found.sort(key=lambda item: item[2])
    return [schema.BreakEven(a=a, b=b, queries_per_month=v) for a, b, v in found[:MOST_BREAK_EVENS]]


def _next_step(case: Case) -> str:
    verdict = case.decision.verdict
    if verdict == "none_feasible":
        return "Relax a limit, add examples, or try a larger model with --model."
    if verdict == "insufficient_evidence":
        return "Label more examples and run again; 100 test rows are a fair start."
    if verdict == "tie":
        return (
            "Use it; if the difference matters to you, label more examples: four times the rows halve the uncertainty."
        )
    return "Try it on texts of your own with `advisor predict`, then on further labelled rows with `advisor evaluate`."
