"""What the advice is about, and what several parts of it ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from advisor.decide import Candidate, Decision, Evidence
from advisor.evidence import Weighed
from advisor.flags import flag_of
from advisor.report import schema
from advisor.report.schema import INCUMBENT
from eval.metrics import get_metric
from eval.reading.text import conjoined
from eval.statistics import interval_over_fits
from strategies.registry import EMBED

SMALL_TEST = 100
"""Test rows; fewer show large differences only."""
MOST = 0.5
"""Share of the examples."""


@dataclass(frozen=True)
class Case:
    """What the report says besides, and the decision with what it was made from."""

    data: schema.DataPart
    environment: schema.Environment
    settings: schema.Settings
    results: Mapping[str, schema.StrategyResult]
    weighed: Weighed
    is_kept: bool
    """Whether there is a solution of the pick to try."""

    @property
    def decision(self) -> Decision:
        assert self.weighed.decision is not None
        return self.weighed.decision

    @property
    def candidates(self) -> Sequence[Candidate]:
        return self.weighed.assumptions.candidates

    @property
    def possible(self) -> Sequence[Candidate]:
        """Strategies within the limits."""
        return self.decision.possible(self.candidates)

    @property
    def evidence(self) -> Evidence:
        return self.weighed.assumptions.evidence

    def candidate(self, name: str | None) -> Candidate:
        return self.weighed.assumptions.candidate(name)

    def models(self, role: str) -> str:
        """Names of the language models, or of the embedder."""
        return ", ".join(model.name for model in self.environment.models if model.role == role)


def not_as_planned(case: Case) -> list[schema.StrategyResult]:
    """What was to be tried and was not measured as planned: there was no time for it, or it failed."""
    return [result for result in case.results.values() if result.status in ("stopped_early", "failed")]


def ahead_though_cut(case: Case) -> schema.StrategyResult | None:
    """The best of what stopped early, where it stands above every strategy that was measured as planned."""
    most = max(c.quality for c in case.candidates if not c.incumbent)
    cut = [r for r in case.results.values() if r.status == "stopped_early" and r.quality and r.quality.value > most]
    return max(cut, key=lambda result: result.quality.value if result.quality else most, default=None)


def foreign_to_embedder(case: Case) -> tuple[schema.Finding, str] | None:
    """What the audit found where most texts are in no language that the embedder was made for, and who it matters to.

    That is the pick, or else a rival of it; None where neither compares by embeddings.
    """
    leaders = [str(case.decision.pick), *case.decision.rivals]
    embeds = next((name for name in leaders if name.split("@")[0] in EMBED), None)
    found = (finding for finding in case.data.findings if finding.code == "language_mismatch")
    most = next((finding for finding in found if finding.count > MOST * case.data.examples), None)
    return (most, embeds) if most and embeds else None


def difference_between(case: Case, a: str, b: str) -> tuple[float, float]:
    """Interval of what `a` is better by than `b`."""
    found = next(c for c in case.weighed.comparisons if {c.a, c.b} == {a, b})
    return found.ci95 if found.a == a else (-found.ci95[1], -found.ci95[0])


def recall_range(case: Case, name: str, label: str) -> tuple[float, float]:
    """95 % range of the share of a label's rows that a strategy finds."""
    fits = [[row for row in fit if row.targets[0] == label] for fit in case.weighed.fits[name]]
    return interval_over_fits(get_metric("accuracy"), fits, seed=0)  # by Wilson, without chance


def broken_today(case: Case) -> str:
    """The limits that today's system breaks."""
    return conjoined(flags_of(case.decision.broken.get(INCUMBENT, [])))


def unknown_today(case: Case) -> str:
    """The limits that nobody can tell whether today's system meets: what it costs, and how long it takes."""
    limits = case.weighed.assumptions.limits
    asked = {"max_cost_per_1k": limits.max_cost_per_1k, "max_latency_ms": limits.max_latency_ms}
    return conjoined(flags_of([name for name, most in asked.items() if most is not None]))


def is_loss(case: Case) -> bool:
    """Whether the pick measured less than today's system, which breaks a limit."""
    return bool(broken_today(case)) and (case.decision.gain or 0.0) < 0


def value_of(case: Case, name: str | None) -> float:
    """The quality that decides, on the rows that all answered."""
    return case.candidate(name).quality


def best_of(case: Case, wanted: Callable[[schema.StrategyResult], bool]) -> str | None:
    """Of the strategies within the limits."""
    wanted_ones = [c for c in case.possible if wanted(case.results[c.name])]
    return max(wanted_ones, key=lambda c: (c.quality, -c.simplicity)).name if wanted_ones else None


def flags_of(broken: Sequence[str]) -> list[str]:
    """Of a recall with its label."""
    parts = [name.partition(" ") for name in broken]
    return [f"{flag_of(name)}{space}{label}" for name, space, label in parts]
