"""Which strategy to recommend, and how sure that is. Pure functions over plain data: no model, no clock, no files.

The pick is the cheapest strategy whose observed gap to the best is within max(tolerance, half the standard error of
the paired difference), of those that beat today's system if any does. "The cheapest that is not significantly worse"
would reward a lack of evidence: not significant is not equal. Where a wrong answer has a price, the pick is the lowest
expected total cost instead; what a wrong answer costs may depend on what it is (`Candidate.loss`).
docs/decisions/0004-the-pick.md has the rules that lost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from math import sqrt
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from advisor.economics import Money, Tariff
from eval.statistics import rows_needed

Verdict = Literal["clear", "tie", "none_feasible", "insufficient_evidence"]
Lack = Literal["alternatives", "rows", "groups", "unscored_rows", "label_rows", "limited_labels"]

EQUAL_COST = 0.10
"""Costs within this share of each other count as equal."""
CLEAR = 0.95
FEWEST_ROWS = 20
FEWEST_GROUPS = 5
"""Of rows that hang together: what differs between fewer is not known well enough for any range."""
FEWEST_ROWS_OF_A_LABEL = 10
MUCH_OF_ALL = 0.05
"""Share of a macro average, or of what errors may cost, that labels without their rows may have together."""
PICKED_AGAIN = 500
"""Resamples on which it is seen what would be picked there."""
ROUNDING = 1e-12
"""Figures closer than this to each other, or to a limit, are the same; of costs and latencies, as a share of them."""
_NORMAL = NormalDist()
_TWO_SIDED = _NORMAL.inv_cdf((1 + CLEAR) / 2)
"""Standard errors on either side of a normal 95 % range."""


@dataclass(frozen=True)
class Limits:
    """What the client will not go beyond."""

    min_quality: float | None = None
    max_cost_per_1k: float | None = None
    max_latency_ms: float | None = None
    min_recall: Mapping[str, float] = field(default_factory=dict)
    """By label."""

    def broken_by(self, candidate: Candidate) -> list[str]:
        """Names of the limits that a candidate does not meet; of a recall with its label, as `min_recall LABEL`.

        Of today's system only those on what it gets right: what it costs, and how long it takes, is not known.
        """
        broken, is_known = [], not candidate.incumbent
        if self.min_quality is not None and candidate.quality < self.min_quality - ROUNDING:
            broken.append("min_quality")
        if is_known and _is_beyond(1000 * candidate.money.per_query, self.max_cost_per_1k):
            broken.append("max_cost_per_1k")
        if is_known and _is_beyond(candidate.p95_ms, self.max_latency_ms):
            broken.append("max_latency_ms")
        return broken + [
            f"min_recall {label}"
            for label, least in self.min_recall.items()
            if candidate.recall.get(label, least) < least - ROUNDING
        ]


def _is_beyond(figure: float, most: float | None) -> bool:
    """Figures of any size, so that rounding is a share of them."""
    return most is not None and figure > most * (1 + ROUNDING)


@dataclass(frozen=True)
class Candidate:
    """A strategy that was measured as planned."""

    name: str
    quality: float
    money: Money
    p95_ms: float
    """Infinite where it could not be measured, so that no limit on it counts as met."""
    simplicity: int
    """Place in the fixed order of simplicity, the simplest first; decides between equals."""
    incumbent: bool = False
    """Today's system, at most one: only its answers are known, so it is compared with, but never picked; its money and
    p95_ms are not read."""
    loss: float | None = None
    """What errors cost on average of all queries, in units of the cost of one wrong answer; where none is given it is
    what is missing in quality."""
    recall: Mapping[str, float] = field(default_factory=dict)
    """Share of the test rows of a label that are answered rightly, for labels with test rows."""

    @property
    def errors(self) -> float:
        """The loss, in any case."""
        return 1 - self.quality if self.loss is None else self.loss


@dataclass(frozen=True)
class Losses:
    """What the measurements say about losses that are not what is missing in quality; in the units of
    `Candidate.loss`."""

    standard_errors: Mapping[tuple[str, str], float]
    """Of the paired difference, for each ordered pair of names."""
    resampled: Mapping[str, NDArray[np.float64]]
    """Of each strategy, on the same resamples as quality."""
    worst: float
    """Of the dearest error."""
    fit_errors: Mapping[tuple[str, str], float] = field(default_factory=dict)
    margins: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """Both as those of `Evidence`."""


@dataclass(frozen=True)
class Evidence:
    """What the measurements say about differences."""

    standard_errors: Mapping[tuple[str, str], float]
    """Of the paired difference, for each ordered pair of names."""
    resampled: Mapping[str, NDArray[np.float64]]
    """Quality of each strategy on the same bootstrap resamples of the test rows."""
    rows: int
    """Test rows that all candidates were scored on."""
    unscored: int = 0
    """Test rows that the infrastructure left unscored for at least one candidate."""
    unscored_shares: Mapping[str, float] = field(default_factory=dict)
    """Share of them among the test rows of each label whose recall is asked for."""
    rows_per_label: Mapping[str, int] = field(default_factory=dict)
    """Test rows of each label that examples have, where the metric or the cost of errors hangs on single labels; those
    of a label that hang together are counted once."""
    cost_shares: Mapping[str, float] = field(default_factory=dict)
    """Of these labels, what part of all that errors may cost hangs on each; empty where they do not differ in cost."""
    metric_is_macro: bool = False
    """The metric is the mean of one value per label, so that a rare label weighs as much as a frequent one."""
    losses: Losses | None = None
    """Where candidates have losses of their own."""
    groups: int | None = None
    """Of the test rows, those that hang together counted once; None where each stands for itself."""
    fit_errors: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """What part of the standard errors the spread between fits makes up, which further rows do not lessen."""
    margins: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """How far below the difference, the first of an ordered pair minus the second, its 95 % range reaches; as far as a
    normal one where none is given."""
    lowest: Mapping[str, float] = field(default_factory=dict)
    """Lower end of the 95 % range of each strategy's quality, where a limit is set on it; the quality itself where none
    is given."""

    @property
    def of_answers(self) -> Evidence | Losses:
        """What is known of losses where candidates have their own, else of quality."""
        return self.losses or self

    def of_these_fits(self) -> Evidence:
        """The same, as if all that is not known were a matter of rows."""
        losses = self.losses and replace(self.losses, fit_errors={})
        return replace(self, fit_errors={}, losses=losses)

    def scarce_labels(self) -> dict[str, int]:
        """How many more test rows each label needs of those that have hardly any, where much hangs on them together.

        Where only what errors cost hangs on them, each must have one: how dear its errors are is then known.
        """
        labels = self.rows_per_label
        evenly = dict.fromkeys(labels, 1 / max(1, len(labels)))
        lacking = self._lacking(self.cost_shares or evenly, 1)
        if self.metric_is_macro:
            lacking |= self._lacking(evenly, FEWEST_ROWS_OF_A_LABEL)
        return {label: FEWEST_ROWS_OF_A_LABEL - labels[label] for label in sorted(lacking)}

    def _lacking(self, shares: Mapping[str, float], fewest: int) -> set[str]:
        """Labels that have any share and too few rows, if much hangs on all of them together."""
        few = {label for label, share in shares.items() if share > 0 and self.rows_per_label[label] < fewest}
        return few if sum(shares[label] for label in few) > MUCH_OF_ALL + ROUNDING else set()


@dataclass(frozen=True)
class Decision:
    """The pick, and how sure it is."""

    verdict: Verdict
    pick: str | None
    best: str | None
    """Highest quality among those within the limits."""
    runner_up: str | None
    equals: tuple[str, ...] = ()
    """All that are as good as the best for this purpose, the pick among them."""
    confidence: float = 0.0
    """Probability that the pick loses at most the tolerance to the best."""
    broken: Mapping[str, list[str]] = field(default_factory=dict)
    """Limits not met, per strategy that meets not all, and of today's system."""
    rivals: tuple[str, ...] = ()
    """Others that may be as good as the pick, for all that these rows show, the best first; last today's system, where
    it may be as good as a pick that is to replace it."""
    lacks: tuple[Lack, ...] = ()
    """What makes the evidence insufficient."""
    rows_needed: int | None = None
    """More test rows after which it would be settled whether the pick loses more than the tolerance, and that it is
    ahead of all that cost no more, or, where today's system is kept, that none is better; 0 where it is, None where no
    number of rows would do: the observed loss is the tolerance itself, one that costs no more is not behind, or fits
    differ too much."""
    limit_in_doubt: bool = False
    """What is advised, the pick or today's system, has the quality asked for as measured, but perhaps not in truth."""
    hangs_on_fits: bool = False
    """Rows would settle it, if fits of one strategy differed less."""
    label_rows_needed: Mapping[str, int] = field(default_factory=dict)
    """More test rows needed of each label with too few."""
    gain: float | None = None
    """Quality of the pick minus that of today's system."""
    keeps_incumbent: bool = False
    """Today's system is within the limits, and no strategy that is beats it by more than what counts as equal."""

    def possible(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """The strategies among the candidates that could be picked, in their order."""
        return [c for c in candidates if not c.incumbent and c.name not in self.broken]


@dataclass(frozen=True)
class Aim:
    """What is to be had: quality, or with a stake the least sum of what errors cost and what the strategy does."""

    tolerance: float
    """In units of quality."""
    stake: float | None = None
    """What it costs to answer every query wrongly, in USD a month: volume × the cost of one wrong answer."""

    @property
    def unit(self) -> float:
        """What a point of quality, or of losses, is worth."""
        return 1.0 if self.stake is None else self.stake

    @property
    def slack(self) -> float:
        """The tolerance in units of worth."""
        return self.tolerance * self.unit

    def source(self, evidence: Evidence) -> Evidence | Losses:
        """What is known of that which the worth hangs on."""
        return evidence if self.stake is None else evidence.of_answers

    def worth(self, candidate: Candidate) -> float:
        """Quality, or minus the total monthly cost, in USD."""
        return candidate.quality if self.stake is None else -self.stake * candidate.errors - candidate.money.monthly

    def worths(self, candidate: Candidate, evidence: Evidence) -> NDArray[np.float64]:
        """The worth on each resample."""
        quality = evidence.resampled[candidate.name]
        if self.stake is None:
            return quality
        losses = evidence.losses.resampled[candidate.name] if evidence.losses else 1 - quality
        return -self.stake * losses - candidate.money.monthly

    def error(self, a: Candidate, b: Candidate, evidence: Evidence) -> float:
        """Standard error of the difference in worth."""
        return self.source(evidence).standard_errors.get((a.name, b.name), 0.0) * self.unit

    def doubt(self, a: Candidate, b: Candidate, evidence: Evidence) -> float:
        """That of `doubt_of`, of the difference in worth."""
        return doubt_of(self.source(evidence), a.name, b.name) * self.unit

    def fit_doubt(self, a: Candidate, b: Candidate, evidence: Evidence) -> float:
        """The part of it that is due to fits."""
        of_fits = self.source(evidence).fit_errors.get((a.name, b.name), 0.0) * self.unit
        wider = self.doubt(a, b, evidence) ** 2 - self.error(a, b, evidence) ** 2
        return sqrt(wider + of_fits**2) if of_fits else 0.0

    def margin(self, a: Candidate, b: Candidate, evidence: Evidence) -> float:
        """How far apart two may be and count as equal."""
        return max(self.tolerance, self.error(a, b, evidence) / 2) if self.stake is None else self.slack


@dataclass(frozen=True)
class Assumptions:
    """What a decision is made with."""

    candidates: Sequence[Candidate]
    evidence: Evidence
    limits: Limits
    tolerance: float
    """In units of quality: 0.01 is a point."""
    volume: float
    """Queries a month at which the candidates' monthly costs hold."""
    error_cost: float | None = None
    """USD of one wrong answer, of which candidates' losses are multiples."""

    @property
    def aim(self) -> Aim:
        """What the pick has most of."""
        return Aim(self.tolerance, None if self.error_cost is None else self.error_cost * self.volume)

    @property
    def incumbent(self) -> Candidate | None:
        """Today's system."""
        return next((c for c in self.candidates if c.incumbent), None)

    @property
    def today(self) -> Candidate | None:
        """The same, unless it does not find or get right as much as is asked for."""
        return next((c for c in self.candidates if c.incumbent and not self.limits.broken_by(c)), None)

    @property
    def strategies(self) -> list[Candidate]:
        """All but today's system."""
        return [c for c in self.candidates if not c.incumbent]

    @property
    def feasible(self) -> list[Candidate]:
        """Those that can be picked, the best quality first."""
        return sorted((c for c in self.strategies if not self.limits.broken_by(c)), key=_by_quality)

    def candidate(self, name: str | None) -> Candidate:
        """The one of that name."""
        return next(c for c in self.candidates if c.name == name)

    def at_volume(self, volume: float) -> Assumptions:
        """The same at another volume."""
        moved = [replace(c, money=c.money.tariff.at(volume)) for c in self.candidates]
        return replace(self, candidates=moved, volume=volume)

    def at_price(self, factor: float) -> Assumptions:
        """The same with every cost multiplied."""
        moved = [replace(c, money=c.money.tariff.times(factor).at(self.volume)) for c in self.candidates]
        return replace(self, candidates=moved)

    def pick(self) -> str | None:
        """The pick of `decide`."""
        return _picked(self)[0]

    def advised(self) -> str | None:
        """The pick, or today's system where that is to be kept."""
        pick, kept = _picked(self)
        return kept or pick


def decide(assumed: Assumptions) -> Decision:
    """Recommend one of the candidates.

    Where a wrong answer has a price, the pick has the lowest total of its monthly cost and that of its wrong answers,
    and tolerance and confidence are about that total.
    """
    candidates, evidence, limits, aim = assumed.candidates, assumed.evidence, assumed.limits, assumed.aim
    broken = {c.name: b for c in candidates if (b := limits.broken_by(c))}
    feasible, today, incumbent = assumed.feasible, assumed.today, assumed.incumbent
    lacks = _lacks(evidence, _could_differ(assumed))
    if not feasible:
        lacks = tuple(lack for lack in lacks if lack == "unscored_rows")
        verdict: Verdict = "insufficient_evidence" if lacks else "none_feasible"
        return Decision(verdict, None, None, None, broken=broken, lacks=lacks, keeps_incumbent=today is not None)
    better = _better(assumed)
    pick, equals = _pick(better or feasible, evidence, aim)
    others = sorted((c for c in feasible if c is not pick), key=lambda c: (-aim.worth(c), *_by_quality(c)))
    confidence = _confidence(pick, others, evidence, aim)
    rivals = [c for c in others if _may_match(c, pick, evidence, aim)]
    if len(candidates) == 1:  # the best of one is no advice
        lacks = ("alternatives", *lacks)
    if not limits.min_recall.keys() <= pick.recall.keys():  # without test rows
        lacks = (*lacks, "limited_labels")

    def rows_for_gain(found: Evidence) -> int | None:
        against = ([pick] if better else feasible) if today else []
        return _most(_rows_for_gain(c, today, found, aim.tolerance, replaces=bool(better)) for c in against if today)

    def rows_for_all(found: Evidence) -> int | None:
        among = _rows_needed(pick, others, rivals, confidence, found, aim) if better else 0
        return _most([max(0, FEWEST_ROWS - found.rows), among, rows_for_gain(found)])

    is_gain_known, needed = rows_for_gain(evidence) == 0, rows_for_all(evidence)
    gain = pick.quality - incumbent.quality if incumbent else None
    is_loss = gain is not None and gain < 0 and today is None  # that a limit is worth it is for the client to say
    in_doubt = not _surely_meets(today if today and not better else pick, assumed)
    is_settled = _is_clear(pick, rivals, confidence) or not better  # nobody asks which could best replace what stays
    clear = is_settled and is_gain_known and not is_loss and not in_doubt
    if today and better and not is_gain_known:
        rivals.append(today)
    return Decision(
        verdict="insufficient_evidence" if lacks else "clear" if clear else "tie",
        pick=pick.name,
        best=feasible[0].name,
        runner_up=others[0].name if others else None,
        equals=tuple(c.name for c in equals),
        confidence=confidence,
        broken=broken,
        rivals=tuple(c.name for c in rivals),
        lacks=lacks,
        rows_needed=needed,
        limit_in_doubt=in_doubt,
        hangs_on_fits=needed is None and rows_for_all(evidence.of_these_fits()) is not None,
        label_rows_needed=evidence.scarce_labels(),
        gain=gain,
        keeps_incumbent=not better,
    )


def _picked(assumed: Assumptions) -> tuple[str | None, str | None]:
    """The pick, and today's system where that is kept; None for either where there is none.

    For when it is asked often: how sure it is takes most of the time.
    """
    feasible, today, better = assumed.feasible, assumed.today, _better(assumed)
    pick = _pick(better or feasible, assumed.evidence, assumed.aim)[0].name if feasible else None
    return pick, today.name if today and not better else None


def _better(assumed: Assumptions) -> list[Candidate]:
    """Those that today's system is to be given up for: another would be no gain. All, where none could be kept."""
    today = assumed.today
    return [c for c in assumed.feasible if today is None or _beats(c, today, assumed.evidence, assumed.tolerance)]


def _by_quality(candidate: Candidate) -> tuple[float, int, float, str]:
    return -candidate.quality, candidate.simplicity, candidate.money.monthly, candidate.name


def _by_simplicity(candidate: Candidate) -> tuple[int, float, float, str]:
    """One strategy on several models is equally simple: then the better counts, then the cheaper; names last."""
    return candidate.simplicity, -candidate.quality, candidate.money.monthly, candidate.name


# ---- the pick --------------------------------------------------------------------------------------------------------


def _pick(feasible: Sequence[Candidate], evidence: Evidence, aim: Aim) -> tuple[Candidate, list[Candidate]]:
    """The pick, and all that count as equal to the best. `feasible` has the best quality first."""
    best = max(feasible, key=aim.worth)
    equals = [c for c in feasible if aim.worth(best) - aim.worth(c) <= aim.margin(best, c, evidence) + ROUNDING]
    if aim.stake is not None:
        rounding = ROUNDING * (aim.stake + abs(best.money.monthly))
        level = [c for c in feasible if aim.worth(best) - aim.worth(c) <= rounding]
        return min(level, key=_by_simplicity), equals
    return cheapest([c for c in equals if not any(_dominates(other, c) for other in feasible)]), equals


def cheapest(candidates: Sequence[Candidate]) -> Candidate:
    """The cheapest a month; among those that cost the same (within 10 %), the simplest, and of these the best."""
    least = min(c.money.monthly for c in candidates)
    level = [c for c in candidates if c.money.monthly <= least * (1 + EQUAL_COST)]
    return min(level, key=_by_simplicity)


def _dominates(a: Candidate, b: Candidate) -> bool:
    """Whether `a` is at least as good, as cheap and as simple as `b`, and better in one of these."""
    at_least = a.quality >= b.quality and a.money.monthly <= b.money.monthly and a.simplicity <= b.simplicity
    return at_least and (a.quality, -a.money.monthly, -a.simplicity) != (b.quality, -b.money.monthly, -b.simplicity)


def _beats(candidate: Candidate, incumbent: Candidate, evidence: Evidence, tolerance: float) -> bool:
    """By more than what counts as equal."""
    error = evidence.of_answers.standard_errors.get((candidate.name, incumbent.name), 0.0)
    return gain_over(candidate, incumbent, evidence) > max(tolerance, error / 2) + ROUNDING


def gain_over(candidate: Candidate, incumbent: Candidate, evidence: Evidence) -> float:
    """In quality, or in losses where there are any, alone: what today's system costs is not known."""
    if evidence.losses is not None:
        return incumbent.errors - candidate.errors
    return candidate.quality - incumbent.quality


def optimism(assumed: Assumptions) -> float:
    """By how much the pick is most likely measured too well, since it was picked by these very measurements.

    In units of quality. What is picked on a resample, of all within the limits, has on average so much more there than
    on all resamples (Efron 1983); not than on all rows, since macro F1 for one is itself another on resamples.
    """
    evidence = assumed.evidence
    usual = {name: float(of_name[:PICKED_AGAIN].mean()) for name, of_name in evidence.resampled.items()}
    within, gains = [c for c in assumed.candidates if not assumed.limits.broken_by(c)], []
    for draw in range(min(PICKED_AGAIN, *map(len, evidence.resampled.values()))):
        values = {name: float(of_name[draw]) for name, of_name in evidence.resampled.items()}
        moved = [replace(c, quality=values[c.name], loss=_loss_on(c, evidence, draw)) for c in within]
        pick = replace(assumed, candidates=moved, limits=Limits()).pick()
        if pick is not None:
            gains.append(values[pick] - usual[pick])
    return float(np.mean(gains)) if gains else 0.0


def _loss_on(candidate: Candidate, evidence: Evidence, draw: int) -> float | None:
    """The candidate's loss on a resample, where it has one of its own."""
    return None if evidence.losses is None else float(evidence.losses.resampled[candidate.name][draw])


# ---- how sure it is --------------------------------------------------------------------------------------------------
#
# Resamples of few rows vary too little: 40 right answers of 40 never vary at all. The standard errors (those of
# `eval.statistics`) do not vanish. Each probability is therefore the more cautious of the two.


def doubt_of(found: Evidence | Losses, a: str, b: str) -> float:
    """Standard error of a normal difference, `a` minus `b`, whose 95 % range reaches as far below it as the one found.

    It is more than the standard error where that rests on few fits or few groups, as Student's t has it. So what is
    said to be ahead is never level with the other by their range.
    """
    error = found.standard_errors.get((a, b), 0.0)
    return max(error, found.margins.get((a, b), 0.0) / _TWO_SIDED)


def with_doubt(evidence: Evidence, names: Collection[str]) -> dict[str, NDArray[np.float64]]:
    """Quality of these strategies on the resamples, with noise where resamples vary less than the range of a difference
    says (`doubt_of`): the least that makes up for it in every pair."""
    from scipy.optimize import linprog

    values, pairs = {name: evidence.resampled[name] for name in names}, list(combinations(names, 2))
    lacking = [
        max(doubt_of(evidence, a, b), doubt_of(evidence, b, a)) ** 2 - float((values[a] - values[b]).var())
        for a, b in pairs
    ]
    if not pairs or max(lacking) <= 0:
        return values
    are_in = np.array([[name in pair for name in values] for pair in pairs], dtype=np.float64)
    variances = linprog(np.ones(len(values)), A_ub=-are_in, b_ub=-np.array(lacking)).x
    rng, draws = np.random.default_rng(0), len(values[pairs[0][0]])
    normal = ndtri((np.arange(draws) + 0.5) / draws)
    return {
        name: of_name + np.sqrt(variance) * rng.permutation(normal)
        for (name, of_name), variance in zip(values.items(), np.maximum(0, variances), strict=True)
    }


def _confidence(pick: Candidate, others: Sequence[Candidate], evidence: Evidence, aim: Aim) -> float:
    """Probability that the pick loses at most the tolerance to the best of the others."""
    if not others:
        return 1.0
    highest = np.array([aim.worths(c, evidence) for c in others]).max(axis=0)
    resampled = float((highest - aim.worths(pick, evidence) <= aim.slack + ROUNDING).mean())
    return min(resampled, *(1 - _chance_ahead(c, pick, evidence, aim, by=aim.slack) for c in others))


def _may_match(other: Candidate, pick: Candidate, evidence: Evidence, aim: Aim) -> bool:
    """Whether the other is at least as good as the pick with a probability of more than 2.5 %."""
    at_least = aim.worths(other, evidence) >= aim.worths(pick, evidence) - ROUNDING
    return max(float(at_least.mean()), _chance_ahead(other, pick, evidence, aim, by=0.0)) > (1 - CLEAR) / 2


def _chance_ahead(other: Candidate, pick: Candidate, evidence: Evidence, aim: Aim, by: float) -> float:
    """Normal probability that the other is better than the pick by more than so much."""
    short = aim.worth(pick) - aim.worth(other) + by
    doubt = aim.doubt(pick, other, evidence) if short > 0 else aim.doubt(other, pick, evidence)
    return float(short < -ROUNDING) if doubt == 0 else _NORMAL.cdf(-short / doubt)


def _rows_for_gain(
    pick: Candidate, today: Candidate, evidence: Evidence, tolerance: float, *, replaces: bool
) -> int | None:
    """More test rows after which it is known that the pick is better than today's system, which it replaces.

    Or, where that is kept, that it is not better by more than the tolerance. 0 where it is known, None where no number
    of rows would do. Compared by quality or losses alone, for what today's system costs is not known.
    """
    aim = Aim(tolerance, None if evidence.losses is None else 1.0)
    pick, today = (replace(c, money=Tariff(0.0, 0.0).at(0.0)) for c in (pick, today))
    if replaces:
        margin, sureness, is_known = 0.0, (1 + CLEAR) / 2, not _may_match(today, pick, evidence, aim)
    else:
        margin, sureness, is_known = tolerance, CLEAR, _confidence(today, [pick], evidence, aim) >= CLEAR
    if is_known:
        return 0
    return _rows_to_part(today, pick, evidence, aim, margin, sureness)


def _is_clear(pick: Candidate, rivals: Sequence[Candidate], confidence: float) -> bool:
    """Ahead of all that cost no more, and at most the tolerance behind any that costs more.

    Without the first half, two fits of one strategy would get a clear winner whenever the rows are many.
    """
    return confidence >= CLEAR and not _in_its_place(pick, rivals)


def _surely_meets(candidate: Candidate, assumed: Assumptions) -> bool:
    """Whether the quality asked for is had with a probability of 97.5 %: the 95 % range does not reach below it, nor
    would it without what the pick is measured too well by. Today's system was not picked by its figure."""
    lowest, least = assumed.evidence.lowest.get(candidate.name, candidate.quality), assumed.limits.min_quality
    if not least:
        return True
    to_spare = lowest - least + ROUNDING
    return to_spare >= 0 and (candidate.incumbent or to_spare >= optimism(assumed))


def _in_its_place(pick: Candidate, rivals: Sequence[Candidate]) -> list[Candidate]:
    """Those that cost no more."""
    return [c for c in rivals if c.money.monthly <= pick.money.monthly * (1 + EQUAL_COST)]


def _lacks(evidence: Evidence, could_differ: bool) -> tuple[Lack, ...]:
    found: dict[Lack, bool] = {
        "rows": evidence.rows < FEWEST_ROWS,
        "groups": evidence.groups is not None and evidence.groups < FEWEST_GROUPS,
        "unscored_rows": could_differ,
        "label_rows": bool(evidence.scarce_labels()),
    }
    return tuple(lack for lack, holds in found.items() if holds)


def _could_differ(assumed: Assumptions) -> bool:
    """Whether unscored rows could change what is picked, or whether today's system is kept.

    They speak most for a candidate where it is right on all of them and the others on none, and most against it where
    it is the other way round.
    """
    if assumed.evidence.unscored == 0:
        return False
    now = _picked(assumed)

    def turned(one: Candidate, for_it: bool) -> Assumptions:
        moved = [_if_answered(c, assumed.evidence, (c is one) == for_it) for c in assumed.candidates]
        return replace(assumed, candidates=moved)

    return any(_picked(turned(one, for_it)) != now for one in assumed.candidates for for_it in (True, False))


def _if_answered(candidate: Candidate, evidence: Evidence, rightly: bool) -> Candidate:
    """The candidate, if it had answered all unscored rows rightly, or all of them as wrongly as can be."""
    share, right = evidence.unscored / (evidence.rows + evidence.unscored), float(rightly)
    worst = evidence.losses.worst if evidence.losses else 1.0
    shares = {label: evidence.unscored_shares.get(label, 0.0) for label in candidate.recall}
    return replace(
        candidate,
        quality=_moved(candidate.quality, right, share),
        loss=None if candidate.loss is None else _moved(candidate.loss, (1 - right) * worst, share),
        recall={label: _moved(recall, right, shares[label]) for label, recall in candidate.recall.items()},
    )


def _moved(mean: float, value: float, share: float) -> float:
    """The mean, where a share of the rows is added that all have this value."""
    return mean + share * (value - mean)


def _rows_needed(
    pick: Candidate,
    others: Sequence[Candidate],
    rivals: Sequence[Candidate],
    confidence: float,
    evidence: Evidence,
    aim: Aim,
) -> int | None:
    """Of the rows that each of the others asks for, the most. See `_is_clear`."""
    needed: list[int | None] = []
    if confidence < CLEAR:
        needed += [_rows_to_part(pick, other, evidence, aim, aim.slack, CLEAR) for other in others]
    for rival in _in_its_place(pick, rivals):
        is_behind = aim.worth(pick) - aim.worth(rival) > ROUNDING
        needed.append(_rows_to_part(pick, rival, evidence, aim, 0.0, (1 + CLEAR) / 2) if is_behind else None)
    return _most(needed)


def _most(needed: Iterable[int | None]) -> int | None:
    """The most of these rows; None where for one of them no number would do."""
    rows = list(needed)
    return None if None in rows else max((r for r in rows if r is not None), default=0)


def _rows_to_part(
    a: Candidate, b: Candidate, evidence: Evidence, aim: Aim, margin: float, sureness: float
) -> int | None:
    """More rows, at least one, after which it is most probably known on which side of the margin the lead of `a` over
    `b` is."""
    lead = aim.worth(a) - aim.worth(b)
    ahead, behind = (a, b) if lead > -margin else (b, a)
    doubt, of_fits = aim.doubt(ahead, behind, evidence), aim.fit_doubt(ahead, behind, evidence)
    rows = rows_needed(lead, doubt, evidence.rows, margin, sureness, fit_error=of_fits)
    return None if rows is None else max(1, rows - evidence.rows)
