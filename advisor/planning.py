"""What fits the time budget, planned from speeds measured once. A plan is plain data and is kept in the run folder.

The strongest way of dividing the examples that fits is taken: 5-fold cross-fitting, 3-fold, or one holdout. On each of
the three, what does not fit is given up in this order, each step only if the ones before were not enough:

- trainings of an adapter with other settings than the first,
- three fits of each fine-tuned strategy, that differ in their seed alone (one fit a fold then),
- the learning curve,
- more than 8, then 4 seconds of measuring the latency of each strategy (16 otherwise),
- asking more than 4 questions again, to see how steadily a tuned model answers (12 otherwise),
- more than 30, then 15 model-seconds of choosing a configuration, for each strategy and fit (60 otherwise),
- more than 4 passes of fine-tuning over the training rows (8 otherwise, where answers are JSON),
- the strategies that say they can be done without, what trains longest first, unless the client named them.

Where one holdout is all that fits, further steps are:

1. the kept solution is the measured one, not fitted again on all examples, unless there is room in the end for what the
   pick's own fit takes,
2. strategies take their first configuration instead of trying several,
3. fewer test rows (150, 100),
4. fine-tuning passes over the training rows 3 times,
5. fewer test rows (60): many rows do not help a comparison in which one side was hardly trained,
6. fine-tuning passes over the training rows twice, then over half, then over a quarter of them,
7. strategies are left out, what takes longest first: those that are not the plain form of their family, and only then
   those that are, so that prompting, retrieval, fine-tuning and the last two together are all tried where all can be;
   but never those that take no language model's work.

Where nothing is given up and there is room for still more, each strategy has longer for choosing, if adapters can then
be trained with more settings.

One large thing given up may leave room for smaller ones given up before it: these are taken back, the last one first.
Where nothing fits, the shortest plan is taken, but for test rows that it would give up for little.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from advisor.report import wording
from eval.latency import (
    FEWEST_BATCHES,
    LEVEL_GROWTH,
    LOAD_BATCHES,
    MIN_QUERIES,
    MOST_QUERIES,
    PARALLEL,
    WARM_UP,
)
from eval.reading.text import conjoined
from strategies.base import Allowance, Standing
from strategies.side_effects import CHANGES, MOST_INPUTS
from strategies.workload import Profile, Speeds, Tokens, Workload

MOST_EPOCHS, ENOUGH_EPOCHS = 8, 4
RESERVE = 0.85
"""Share of the budget that is planned; the rest is for what no plan foresees."""
FIXED_SECONDS = 5.0
"""The report."""
STATISTICS_SECONDS = 3e-4
"""Of a test row and a strategy, for how sure the figures and their differences are."""
LATENCY_SECONDS = (16.0, 8.0, 4.0)
"""Longest measurement of latency, for each strategy with a language model: the most there is room for."""
LOAD_SECONDS = 16.0
"""Longest measurement of how the pick bears load."""
STRATEGY_SECONDS = 0.5
"""What any fit takes besides its tokens."""
FOLDS = (5, 3)
REPEATS = 3
"""Fits of a fine-tuned strategy per fold, where the budget allows: how much a result owes to the seed."""
CURVE_SHARES = (0.25, 0.5)
"""Parts of the training rows that the leading strategies are fitted on as well."""
CURVE_STRATEGIES = 2
FEWEST_TRAIN_ROWS = 32
"""Fewer are not worth a pass of fine-tuning."""
PROBE_SECONDS = 6.0
"""Of the general questions, before and after."""
FEW_ASKED_AGAIN = 4
"""Inputs, where there is no room for `MOST_INPUTS`."""
HELD_OUT = "one holdout instead of cross-fitting"
FEWER_ROWS = "test rows instead of"
ONE_FIT = f"fine-tuned strategies were fitted once, not {REPEATS} times with different seeds"
NO_CURVE = "no learning curve"
FIRST_SETTINGS = "adapters were trained with their first settings instead of trying several"
LESS_STEADINESS = f"steadiness is measured on {FEW_ASKED_AGAIN} questions instead of {MOST_INPUTS}"
NO_TUNING = "strategies took their first configuration instead of trying several"
TUNING_SECONDS = (60.0, 30.0, 15.0)
"""Model-seconds that each strategy may spend in each fit on choosing its configuration: the most there is room for."""
LONGER = tuple(TUNING_SECONDS[0] * 2**n for n in range(1, 6))
"""The same where nothing is given up: the usual is less than one training on a slow machine."""
NEARLY = 0.8
LITTLE = 0.05
"""Share of a plan that is too long in any case, for which no test rows are given up."""
NO_REFIT = "the kept solution is the measured one, not fitted again on all examples"
SHORT_REFITS = "the kept solution is fitted again on all examples only where that takes at most"


class Plannable(Protocol):
    """The part of a strategy that planning needs."""

    standing: Standing

    def workload(self, profile: Profile, allowance: Allowance) -> Workload: ...


@dataclass(frozen=True)
class Fee:
    """What a hosted model costs, in USD."""

    call: float
    """Of a short one, as timed, with what the model thinks before it answers."""
    read: float
    """Of a token."""
    written: float

    def of(self, work: Tokens) -> float:
        """The most that so much work should cost."""
        return work.prompts * self.call + (work.read + work.read_again) * self.read + work.written * self.written


@dataclass(frozen=True)
class Sizes:
    """How many rows there are to divide."""

    examples: int
    holdout_train: int
    """Rows to learn from, where one holdout is set aside (or the client gave a test file)."""
    holdout_test: int
    fixed_test: bool = False
    """The client's own test set: it is neither cut nor crossed."""
    folds: Sequence[int] = FOLDS
    """Numbers of folds that the rows can be dealt into; none where not every row may be a test row (with a test set, or
    a test on the latest rows), and fewer where rows hang together in a handful of groups."""


@dataclass(frozen=True)
class Offer:
    """A way of dividing the examples, and how long it would take at the least, nothing cut that quality hangs on."""

    folds: int
    seconds: float


@dataclass(frozen=True)
class RunPlan:
    """What will be done, and how long it should take."""

    folds: int
    """Folds of cross-fitting; 1 for one holdout."""
    repeats: int
    """Fits of each fine-tuned strategy per fold."""
    test_rows: int
    """Rows tested on, over all folds."""
    allowance: Allowance
    latency_seconds: float = LATENCY_SECONDS[0]
    """Longest measurement of a strategy's latency."""
    asked_again: int = MOST_INPUTS
    """Inputs that the steadiness of a tuned model is measured on."""
    predicted: Mapping[str, float] = field(default_factory=dict)
    """Seconds per strategy, all its fits; the first that embeds does so for the rows that all learn from."""
    after_fit: Mapping[str, float] = field(default_factory=dict)
    """Seconds of answering the test rows of one fold, and of measuring latency, per strategy."""
    refits: Mapping[str, float] = field(default_factory=dict)
    """Seconds of fitting again on all examples, per strategy."""
    longest_refit: float = math.inf
    """Seconds that this may take; of a strategy that takes longer a measured solution is kept."""
    refit_seconds: float = 0.0
    """Of all that are set aside for this: no pick is known yet."""
    learning_curve: bool = True
    curve_seconds: float = 0.0
    closer_look_seconds: float = 0.0
    """At the pick and at the best fine-tuned strategy."""
    left_out: Sequence[str] = ()
    cuts: Sequence[str] = field(default_factory=tuple)
    """What was cut, in words, in order; `cuts_for` has those that count for what is kept."""
    offers: Sequence[Offer] = ()
    spent: float = 0.0
    """Seconds that were gone when the plan was made."""
    index_seconds: float = 0.0
    """Of embedding the documents, for the first strategy that reads them."""
    total: float = 0.0
    usd: float = 0.0
    """That calls of hosted models should cost from here on, at the most; 0 where there are none, or prices unknown."""
    speeds: Mapping[str, Speeds] = field(default_factory=dict)
    """Of each model, by which the work of choosing is counted."""

    def fits_again(self, name: str) -> bool:
        """Whether a strategy is fitted again on all examples, if its solution is kept."""
        return self.refits.get(name, math.inf) <= self.longest_refit

    def cuts_for(self, kept: Sequence[str]) -> list[str]:
        """What was cut, in words, where the solutions of these strategies are kept, or one of them."""
        again = [self.fits_again(name) for name in kept]
        if all(again):
            return [cut for cut in self.cuts if cut != NO_REFIT]
        say = f"{SHORT_REFITS} {wording.duration(self.longest_refit)}" if any(again) else NO_REFIT
        return [say if cut == NO_REFIT else cut for cut in self.cuts]

    @property
    def tried(self) -> list[str]:
        """The strategies that are not left out."""
        return [name for name in self.predicted if name not in self.left_out]

    @property
    def after_all(self) -> float:
        """Seconds from the last strategy to the report."""
        statistics = STATISTICS_SECONDS * self.test_rows * len(self.tried)
        return self.refit_seconds + self.curve_seconds + self.closer_look_seconds + statistics + FIXED_SECONDS


@dataclass(frozen=True)
class Cut:
    """Something that a plan may do without."""

    say: str
    strategy: str = ""
    """That is left out, if one is: together with those of other cuts, which are said in one sentence."""
    plan: Mapping[str, Any] = field(default_factory=dict)
    """Changed fields of the plan."""
    allowance: Mapping[str, Any] = field(default_factory=dict)
    """Changed fields of what each strategy may spend."""

    def of(self, plan: RunPlan) -> RunPlan:
        """The plan without it, and the words that say so; its seconds are still to be predicted."""
        allowance = replace(plan.allowance, **self.allowance)
        say = _left_out(plan.left_out) if self.strategy else self.say
        return replace(plan, cuts=(*plan.cuts, say), allowance=allowance, **self.plan)

    def goes_further_than(self, other: Cut) -> bool:
        """Whether the other says nothing any more beside this one."""
        return (self.plan.keys(), self.allowance.keys()) == (other.plan.keys(), other.allowance.keys())


@dataclass(frozen=True)
class Division:
    """A way of dividing the examples, with nothing cut, and what may be cut, in order."""

    whole: RunPlan
    cuts: Sequence[Cut]

    def without(self, cuts: Sequence[Cut]) -> RunPlan:
        """The plan with these cuts; of several that reduce the same thing the last counts."""
        plan = replace(self.whole, left_out=tuple(cut.strategy for cut in cuts if cut.strategy))
        for number, cut in enumerate(cuts):
            if not any(later.goes_further_than(cut) for later in cuts[number + 1 :]):
                plan = cut.of(plan)
        return plan


def make_plan(
    strategies: Mapping[str, Plannable],
    profiles: Mapping[str, Profile],
    speeds: Mapping[str, Speeds],
    *,
    sizes: Sizes,
    keep_all: bool,
    index_seconds: float,
    time_budget: float,
    spent: float = 0.0,
    named: bool = False,
    builds_on: Mapping[str, str] | None = None,
    fees: Mapping[str, Fee] | None = None,
) -> RunPlan:
    """The strongest plan that fits. `profiles`, `speeds` and `fees` are per strategy name; a given test set is never
    cut.

    Where the client has `named` the strategies, none is one that can be done without. `builds_on` names for a strategy
    the one whose fits it goes on from.
    `spent` seconds of the budget are gone already: with loading, reading and measuring speeds.
    """
    facts = _Facts(strategies, profiles, speeds, sizes, keep_all, index_seconds, spent, builds_on or {}, fees or {})
    timed, limit = partial(_timed, facts), RESERVE * time_budget
    dispensable = [] if named else _dispensable(strategies, profiles)
    divisions = _divisions(sizes, dispensable)
    offers = tuple(_offer(division, timed) for division in divisions)
    last = divisions[-1]
    working = [n for n, s in strategies.items() if s.workload(profiles[n], _WHOLE).of_language_model]
    others = _others(timed(last.without(last.cuts)), strategies, working)
    divisions[-1] = replace(last, cuts=[*last.cuts, *_without(others)])
    for division in divisions:
        for given_up in range(len(division.cuts) + 1):
            cuts = list(division.cuts[:given_up])
            if timed(division.without(cuts)).total <= limit:
                needed = _fewest(division, cuts, timed, limit)
                found = timed(division.without(needed)) if needed else _with_longer_searches(facts, division, limit)
                found = _without_idle_searches(facts, division, needed, found)
                return replace(_with_refits(facts, found, limit), offers=offers)
    last = divisions[-1]
    least = timed(last.without(last.cuts)).total  # more than there is: what saves nothing is not given up for that
    needed = _fewest(last, last.cuts, timed, least)
    tested = [cut for cut in needed if "test_rows" not in cut.plan]
    if timed(last.without(tested)).total <= (1 + LITTLE) * least:
        needed = tested
    found = timed(last.without(needed))
    return replace(_without_idle_searches(facts, last, needed, found), offers=offers)


def _dispensable(strategies: Mapping[str, Plannable], profiles: Mapping[str, Profile]) -> list[str]:
    """Those that can be done without, what trains longest first.

    One that takes no work, since it does not apply, is to say so itself.
    """
    works = {n: s.workload(profiles[n], _WHOLE) for n, s in strategies.items() if s.standing == "dispensable"}
    return sorted((n for n in works if works[n] != Workload()), key=lambda name: -works[name].fit.trained)


def _fewest(division: Division, cuts: Sequence[Cut], timed: Callable[[RunPlan], RunPlan], limit: float) -> list[Cut]:
    """Those of the cuts that are needed: the last one given up is taken back first."""
    needed = list(cuts)
    for cut in reversed(cuts):
        others = [other for other in needed if other is not cut]
        if timed(division.without(others)).total <= limit:
            needed = others
    return needed


def _with_longer_searches(facts: _Facts, division: Division, limit: float) -> RunPlan:
    """The plan without any cut, with as much more for choosing, for all alike, as lets adapters try more settings."""
    found = _timed(facts, division.whole)
    for seconds in LONGER:
        more = _timed(facts, replace(found, allowance=replace(found.allowance, tuning_seconds=seconds)))
        if more.total <= limit and sum(_searching(facts, more)) > sum(_searching(facts, found)):
            found = more
    return found


def _without_idle_searches(facts: _Facts, division: Division, cuts: Sequence[Cut], plan: RunPlan) -> RunPlan:
    """The plan with these cuts; it says so where no adapter has room for a training with other settings."""
    searching = _searching(facts, plan)
    if any(searching) or not searching or not plan.allowance.tuning_seconds:
        return plan
    return _timed(facts, division.without([_NO_SEARCH, *cuts]))


def _with_refits(facts: _Facts, plan: RunPlan, limit: float) -> RunPlan:
    """The plan with the longest refits that there is room for, where it had to do without that of the costliest."""
    longest = sorted(plan.refits.values(), reverse=True) if NO_REFIT in plan.cuts else []
    plans = (_timed(facts, replace(plan, longest_refit=seconds)) for seconds in longest)
    return next((found for found in plans if found.total <= limit), plan)


def _offer(division: Division, timed: Callable[[RunPlan], RunPlan]) -> Offer:
    """With all cut but what quality hangs on."""
    plan = division.without([cut for cut in division.cuts if cut.say in HARMLESS or cut.strategy])
    return Offer(plan.folds, timed(plan).total)


def _divisions(sizes: Sizes, dispensable: Sequence[str]) -> list[Division]:
    """The strongest first."""
    crossed = [_crossed(sizes.examples, folds, dispensable) for folds in sizes.folds]
    return [*crossed, _held_out(sizes, dispensable)]


def _crossed(examples: int, folds: int, dispensable: Sequence[str]) -> Division:
    """Cross-fitting; every example is tested once."""
    whole = RunPlan(folds, REPEATS, examples, _WHOLE)
    if folds != FOLDS[0]:
        whole = replace(whole, cuts=(f"{folds}-fold cross-fitting instead of {FOLDS[0]}-fold",))
    return Division(whole, [*_FIRST_CUTS, *_without(dispensable)])


def _held_out(sizes: Sizes, dispensable: Sequence[str]) -> Division:
    """One holdout, which may be cut further and further."""
    whole = RunPlan(1, REPEATS, sizes.holdout_test, _WHOLE)
    if sizes.folds:
        whole = replace(whole, cuts=(HELD_OUT,))
    if sizes.fixed_test:
        whole = replace(whole, longest_refit=0.0)  # all that may be learnt from is learnt from already

    def fewer_test_rows(*numbers: int) -> list[Cut]:
        fewer = [] if sizes.fixed_test else [most for most in numbers if most < sizes.holdout_test]
        return [Cut(f"{most} {FEWER_ROWS} {sizes.holdout_test}", plan={"test_rows": most}) for most in fewer]

    cuts = [*_FIRST_CUTS, *([] if sizes.fixed_test else [Cut(NO_REFIT, plan={"longest_refit": 0.0})])]
    cuts += _without(dispensable)
    cuts.append(Cut(NO_TUNING, allowance={"tuning_seconds": 0.0}))
    cuts += [*fewer_test_rows(150, 100), _passes(3), *fewer_test_rows(60), _passes(2)]
    for share, words in ((2, "half"), (4, "a quarter")):
        rows = sizes.holdout_train // share
        if rows >= FEWEST_TRAIN_ROWS:
            cuts.append(Cut(f"fine-tuning learns from {words} of the training rows", allowance={"train_rows": rows}))
    return Division(whole, cuts)


def _others(plan: RunPlan, strategies: Mapping[str, Plannable], working: Sequence[str]) -> list[str]:
    """Those of `working` that are left in the plan and take time, in the order in which they go."""
    left = [n for n in working if n not in plan.left_out and plan.predicted[n] > STRATEGY_SECONDS]
    return sorted(left, key=lambda name: (strategies[name].standing == "plain", -plan.predicted[name]))


def _without(strategies: Sequence[str]) -> list[Cut]:
    return [Cut(_left_out([name]), strategy=name) for name in strategies]


def _left_out(names: Sequence[str]) -> str:
    titles = [wording.title_in_text(name) for name in names]
    return f"{conjoined(titles)} {'was' if len(names) == 1 else 'were'} left out"


def _passes(most: int) -> Cut:
    more = " (over few rows more often)" if most > 2 else ""
    return Cut(f"fine-tuning passes over the training rows at most {most} times{more}", allowance={"epochs": most})


def _timing(seconds: float) -> Cut:
    most = f"{seconds:.0f} seconds a strategy instead of {LATENCY_SECONDS[0]:.0f}"
    return Cut(f"latency is measured for at most {most}", plan={"latency_seconds": seconds})


def _tuning(seconds: float) -> Cut:
    most = f"{seconds:.0f} model-seconds a strategy instead of {TUNING_SECONDS[0]:.0f}"
    return Cut(f"choosing a configuration takes at most {most}", allowance={"tuning_seconds": seconds})


_WHOLE = Allowance(epochs=MOST_EPOCHS, tuning_seconds=TUNING_SECONDS[0], adapter_search=True)
_NO_SEARCH = Cut(FIRST_SETTINGS, allowance={"adapter_search": False})
_FIRST_CUTS = (
    _NO_SEARCH,
    Cut(ONE_FIT, plan={"repeats": 1}),
    Cut(NO_CURVE, plan={"learning_curve": False}),
    *(_timing(seconds) for seconds in LATENCY_SECONDS[1:]),
    Cut(LESS_STEADINESS, plan={"asked_again": FEW_ASKED_AGAIN}),
    *(_tuning(seconds) for seconds in TUNING_SECONDS[1:]),
    _passes(ENOUGH_EPOCHS),
)
HARMLESS = {cut.say for cut in _FIRST_CUTS}
"""What may be given up before quality suffers."""


@dataclass(frozen=True)
class _Facts:
    """What the seconds of any plan follow from; mappings are by the name of the strategy."""

    strategies: Mapping[str, Plannable]
    profiles: Mapping[str, Profile]
    speeds: Mapping[str, Speeds]
    sizes: Sizes
    keep_all: bool
    index_seconds: float
    spent: float
    builds_on: Mapping[str, str]
    fees: Mapping[str, Fee]

    def train_rows(self, plan: RunPlan) -> int:
        """Of one fit."""
        sizes = self.sizes
        return sizes.examples - sizes.examples // plan.folds if plan.folds > 1 else sizes.holdout_train

    def fit(self, name: str, rows: float, plan: RunPlan) -> Workload:
        """Of a strategy on so many training rows."""
        return self.strategies[name].workload(replace(self.profiles[name], train_rows=round(rows)), plan.allowance)


@dataclass(frozen=True)
class _Taken:
    """The seconds that a strategy takes."""

    tried: float
    """All its fits, and answering."""
    after_fit: float
    refit: float
    curve: float
    load: float
    effects: float
    embeds: bool
    """Queries, and so the rows that it learns from."""


@dataclass(frozen=True)
class _Paid:
    """The USD that a strategy with a hosted model takes."""

    tried: float
    """All its fits, answering, and timing."""
    refit: float
    curve: float
    load: float


def _timed(facts: _Facts, plan: RunPlan) -> RunPlan:
    """The plan with the seconds that its parts should take."""
    taken = {name: _taken(name, facts, plan) for name in facts.strategies}
    tried = {name: own for name, own in taken.items() if name not in plan.left_out}
    predicted = {name: own.tried for name, own in taken.items()}
    first = next((name for name, own in tried.items() if own.embeds), None)
    if first is not None:  # the rows learnt from are then known to all strategies
        learnt_from = facts.sizes.examples if plan.folds > 1 else facts.sizes.holdout_train
        embedded = Tokens(embedded=learnt_from * facts.profiles[first].input_tokens)
        predicted[first] += facts.speeds[first].seconds(embedded)
    refits = [own.refit for own in tried.values() if own.refit <= plan.longest_refit]
    curves = sorted(own.curve for own in tried.values())[-CURVE_STRATEGIES:]
    closer_look = max((own.load for own in tried.values()), default=0.0)
    closer_look += max((own.effects for own in tried.values()), default=0.0)
    timed = replace(
        plan,
        spent=facts.spent,
        predicted=predicted,
        after_fit={name: own.after_fit for name, own in taken.items()},
        refits={name: own.refit for name, own in taken.items()},
        refit_seconds=sum(refits) if facts.keep_all else max(refits, default=0.0),
        curve_seconds=sum(curves) if plan.learning_curve else 0.0,
        closer_look_seconds=closer_look,
        index_seconds=facts.index_seconds,
    )
    trying = sum(predicted[name] for name in tried)
    whole = facts.spent + facts.index_seconds + trying + timed.after_all
    return replace(timed, total=whole, usd=_usd(facts, timed))


def _usd(facts: _Facts, plan: RunPlan) -> float:
    """What calls of hosted models should cost, at the most; each of their strategies may turn out to be the pick."""
    names = [name for name in facts.fees if name in facts.strategies and name not in plan.left_out]
    paid = {name: _paid(name, facts, plan) for name in names}
    refits = [own.refit for name, own in paid.items() if plan.fits_again(name)]
    curves = sorted(own.curve for own in paid.values())[-CURVE_STRATEGIES:] if plan.learning_curve else []
    refit = sum(refits) if facts.keep_all else max(refits, default=0.0)
    load = max((own.load for own in paid.values()), default=0.0)
    return sum(own.tried for own in paid.values()) + refit + sum(curves) + load


def _paid(name: str, facts: _Facts, plan: RunPlan) -> _Paid:
    """The first query after a fit is asked for its own sake; those that are timed are asked anew."""
    fee, train_rows = facts.fees[name], facts.train_rows(plan)
    query = fee.of(facts.fit(name, train_rows, plan).query)

    def fit(rows: float) -> float:
        work, speeds = facts.fit(name, rows, plan), facts.speeds[name]
        whole = speeds.seconds(work.search)
        chosen = _choosing(work, speeds, plan.allowance) / whole if whole else 0.0
        return fee.of(work.fit + work.search * chosen) + query

    return _Paid(
        tried=plan.folds * fit(train_rows) + (plan.test_rows + WARM_UP + MOST_QUERIES) * query,
        refit=fit(facts.sizes.examples),
        curve=sum(fit(share * train_rows) + plan.test_rows / plan.folds * query for share in CURVE_SHARES),
        load=(1 + LOAD_BATCHES) * sum(PARALLEL) * query,
    )


def _searching(facts: _Facts, plan: RunPlan) -> list[float]:
    """Of each strategy that may be trained with other settings: the seconds of that in one fit."""
    fits = {n: facts.fit(n, facts.train_rows(plan), plan) for n in facts.strategies if n not in plan.left_out}
    stepwise = {n: work for n, work in fits.items() if work.search_step != Tokens()}
    return [_choosing(work, facts.speeds[n], plan.allowance) for n, work in stepwise.items()]


def _taken(name: str, facts: _Facts, plan: RunPlan) -> _Taken:
    strategy, profile, speeds, sizes = facts.strategies[name], facts.profiles[name], facts.speeds[name], facts.sizes
    train_rows = facts.train_rows(plan)
    work, base = strategy.workload(profile, plan.allowance), facts.builds_on.get(name)

    def fit_seconds(rows: float, *, chosen: bool = False) -> float:
        of_fit = facts.fit(name, rows, plan)
        choosing = 0.0 if chosen else _choosing(of_fit, speeds, plan.allowance)
        return STRATEGY_SECONDS + speeds.seconds(of_fit.fit) + choosing

    query, alone = speeds.seconds(work.query), speeds.seconds(work.alone)
    latency = _latency_seconds(alone, plan.latency_seconds) if query else 0.0
    answering = plan.test_rows * query
    repeats = plan.repeats if work.fit.trained else 1
    chosen = plan.folds * repeats == 1 or bool(work.fit.trained)  # several races may end in a tie, to be run out
    given = base in facts.strategies and base not in plan.left_out
    fitting = STRATEGY_SECONDS + speeds.seconds(work.atop) if given else fit_seconds(train_rows)
    together = max(alone, plan.asked_again * query)
    effects = PROBE_SECONDS + plan.asked_again * alone + (1 + len(CHANGES)) * together
    return _Taken(
        tried=repeats * (plan.folds * fitting + answering) + latency,
        after_fit=answering / plan.folds + latency,
        refit=fit_seconds(train_rows, chosen=chosen) * sizes.examples / train_rows,  # with as many passes as the folds'
        curve=sum(fit_seconds(share * train_rows) + answering / plan.folds for share in CURVE_SHARES),
        load=_load_seconds(alone) if query else 0.0,
        effects=effects if work.fit.trained else 0.0,
        embeds=bool(work.query.embedded),
    )


def _choosing(work: Workload, speeds: Speeds, allowance: Allowance) -> float:
    """Seconds of choosing a configuration.

    What is done as a whole or not at all is done as often as there is room, and room is left for its taking a little
    less than planned, and being done once more.
    """
    most, step = min(allowance.tuning_seconds, speeds.seconds(work.search)), speeds.seconds(work.search_step)
    return min(most // (NEARLY * step) * step, speeds.seconds(work.search)) if step else most


def _latency_seconds(alone: float, most: float) -> float:
    """Of measuring the latency of a solution whose queries take so long one at a time."""
    return WARM_UP * alone + max(MIN_QUERIES * alone, min(most, MOST_QUERIES * alone))


def _load_seconds(alone: float) -> float:
    """Of measuring how a solution bears load whose queries take so long one at a time."""
    level = (1 + FEWEST_BATCHES) * alone
    return max(level, min(LOAD_SECONDS, level * sum(LEVEL_GROWTH**n for n in range(len(PARALLEL)))))


def to_json(plan: RunPlan) -> dict[str, Any]:
    """Plain values for the run folder; a deadline belongs to one run, earlier choices to one fit: neither is kept."""
    values = asdict(plan)
    del values["allowance"]["deadline"], values["allowance"]["chosen_before"]
    return values


def from_json(values: dict[str, Any]) -> RunPlan:
    """Inverse of `to_json`."""
    offers = [Offer(**offer) for offer in values["offers"]]
    speeds = {model: Speeds(**of_model) for model, of_model in values["speeds"].items()}
    return RunPlan(**{**values, "allowance": Allowance(**values["allowance"]), "offers": offers, "speeds": speeds})
