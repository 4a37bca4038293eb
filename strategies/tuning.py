"""Choosing a configuration on a dev part of the training examples, the same way for every strategy."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from statistics import mode
from typing import Any

from eval.contracts import Example, Kind, Solution, Task
from eval.errors import InfrastructureError, RequestError
from eval.folds import dev_split
from eval.harness import RETRY_WAITS, evaluate, scored_rows
from eval.metrics import Metric, ScoredRow, get_metric
from strategies.base import Allowance, Workshop
from strategies.racing import Meter, race, scored

Configuration = dict[str, Any]
"""Plain JSON values."""

SEARCH_ROWS, EPOCH_ROWS = 64, 32
"""Dev rows at the most: that configurations race on, and that every epoch of training is judged by."""
ALTERNATIVES = 3
"""Trainings with other settings than the first, at the most."""
SMALLEST_DEV = 8
"""Below this many dev rows a choice would be a lottery: the first configuration is taken instead."""
MOST_OVER = 2
"""So many times the dev rows that were asked for, the smallest group may be."""
FEWEST_GROUPS = 2
"""That rows to choose by are drawn from where these are large: one says nothing of others."""
WATCHED_SHARE, FEWEST_WATCHED = 8, 4
"""A training that is planned to its end is watched by an eighth of the rows rather than a quarter: they tell whether it
has gone wrong, and what is learnt from them tells more (docs/decisions/0012)."""


def dev_rows(train: int, allowance: Allowance, most: int) -> int:
    """How many of so many training examples are set aside to choose by."""
    size = min(allowance.dev_rows, most, train // 4)
    return size if size >= SMALLEST_DEV else 0


def watched_rows(train: int, allowance: Allowance) -> int:
    """How many of so many training examples are set aside to watch a training by."""
    size = min(allowance.dev_rows, EPOCH_ROWS, train // WATCHED_SHARE)
    return size if size >= FEWEST_WATCHED else 0


def parts(
    task: Task, train: Sequence[Example], workshop: Workshop, most: int
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """The training examples in two: to fit on, and about so many at the most to choose by.

    What is chosen is fitted on all rows again, so that nothing is lost where large groups are left out whole: of some
    that hold a quarter of the rows as many are drawn as are wanted, and the others are in neither part.
    """
    size = dev_rows(len(train), workshop.allowance, most)
    fit, dev = set_aside(task, train, workshop, size)
    if not {e.group for e in fit if e.group}.isdisjoint(e.group for e in dev):
        with suppress(RequestError):
            others, left_out = _cut(task, train, workshop, len(train) // 4)
            if len({e.group for e in left_out}) >= FEWEST_GROUPS:
                return others, tuple(sample(left_out, size, workshop.seed))
    return fit, dev


def watched_parts(
    task: Task, train: Sequence[Example], workshop: Workshop
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """The training examples in two: to learn from, and to watch that by."""
    return set_aside(task, train, workshop, watched_rows(len(train), workshop.allowance))


def set_aside(
    task: Task, train: Sequence[Example], workshop: Workshop, size: int
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """The training examples in two: to fit on, and about so many others.

    Groups stay together, unless they are so few, or so large, that too much would be lost to learning: here ways are
    compared, and nothing is estimated. No others, where all rows are alike.
    """
    if not size:
        return tuple(train), ()
    with suppress(RequestError):
        fit, dev = _cut(task, train, workshop, size)
        if len(dev) <= MOST_OVER * size:
            return fit, dev
    try:
        dev_ids = {e.id for e in _cut(task, [replace(e, group="") for e in train], workshop, size)[1]}
    except RequestError:
        return tuple(train), ()
    return tuple(e for e in train if e.id not in dev_ids), tuple(e for e in train if e.id in dev_ids)


def _cut(
    task: Task, rows: Sequence[Example], workshop: Workshop, size: int
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    return dev_split(rows, dev_size=size, seed=workshop.seed, stratify=task.kind is Kind.CLASSIFICATION)


def sample(rows: Sequence[Example], most: int, seed: int) -> list[Example]:
    """At most so many rows, drawn by the seed, in their order."""
    if len(rows) <= most:
        return list(rows)
    chosen = set(random.Random(seed).sample(range(len(rows)), most))
    return [row for i, row in enumerate(rows) if i in chosen]


def quality(task: Task, solution: Solution, rows: Sequence[Example]) -> float:
    """The task's metric on some rows of the training part."""
    metric = get_metric(task.metric)
    return metric.aggregate(scored_rows(evaluate(solution, rows, metric).outcomes))


def answered(
    solution: Solution, rows: Sequence[Example], metric: Metric, meter: Meter, workshop: Workshop
) -> list[ScoredRow | None]:
    """The scores of some rows of the training part, None where there is none; the meter counts the model's work.

    A failure of the infrastructure is logged in the workshop. After the allowance's deadline nothing that failed is
    asked again, and where all rows did, InfrastructureError is raised. A model that answers is not held to it: what it
    may do is planned.
    """
    once = time.perf_counter() + RETRY_WAITS[0]  # a deadline that leaves no time for a second attempt
    deadline = max(once, time.perf_counter() + workshop.allowance.deadline - time.monotonic())
    outcomes = evaluate(solution, rows, metric, deadline=deadline).outcomes
    meter.answer([o.prediction.usage for o in outcomes])
    failures = [o.problem or "" for o in outcomes if o.score is None]
    workshop.log.failure = next(iter(failures), workshop.log.failure)
    if 0 < len(failures) == len(rows) and time.monotonic() >= workshop.allowance.deadline:
        raise InfrastructureError(workshop.log.failure)
    return [next(iter(scored_rows([o])), None) for o in outcomes]


def choose(
    task: Task,
    train: Sequence[Example],
    workshop: Workshop,
    configurations: Sequence[Configuration],
    make: Callable[[Configuration, Sequence[Example]], Solution],
    *,
    is_free: bool = False,
    knows: Callable[[Solution, Example], bool] = lambda solution, example: True,
) -> Solution:
    """Race the configurations on the dev part, and make the best from all training examples.

    Where answers are free, taking no model's work, there is nothing to save: all configurations answer all dev rows,
    whatever the allowance.

    Ties go to the earlier configuration: list the simplest first, then what is likeliest to be better, since the
    allowance may not last for all. What was tried, and what that took, is logged in the workshop.

    The dev rows that the solution does not know, neither learning from them nor showing them, are left to check it by.

    Where fits before have chosen, only what most of them did is left to choose from: their races together know more
    than one race, and what is kept is then what was measured.

    Raises InfrastructureError where no dev row could be scored.
    """
    configurations = _most_chosen(configurations, workshop.allowance.chosen_before)
    fit_rows, dev = parts(task, train, workshop, SEARCH_ROWS)
    best = configurations[0]
    meter, first_lap = (Meter(), len(dev)) if is_free else (workshop.meter, None)
    if dev and meter.left > 0 and len(configurations) > 1:
        best = _raced(task, fit_rows, dev, workshop, configurations, make, meter, first_lap)
    solution = make(best, train)
    workshop.log.config.update(best)
    workshop.log.train_examples = len(train)
    workshop.log.held_out = tuple(e.id for e in dev if not knows(solution, e))
    return solution


def most_often(before: Sequence[Mapping[str, Any]], names: Collection[str]) -> Configuration:
    """What most of the fits before chose of these settings, of equals the first; empty where they say nothing of them.

    For what is made by a search, so that to compare what was found would be to search again.
    """
    chosen = [tuple((name, fit[name]) for name in names if name in fit) for fit in before]
    return dict(mode(filter(None, chosen))) if any(chosen) else {}


def _most_chosen(
    configurations: Sequence[Configuration], before: Sequence[Mapping[str, Any]]
) -> Sequence[Configuration]:
    """Those that most of the fits before chose; all where there were none."""
    times = [sum(own.items() <= chosen.items() for chosen in before) for own in configurations]
    return [own for own, often in zip(configurations, times, strict=True) if often == max(times)]


def _raced(
    task: Task,
    fit_rows: Sequence[Example],
    dev: Sequence[Example],
    workshop: Workshop,
    configurations: Sequence[Configuration],
    make: Callable[[Configuration, Sequence[Example]], Solution],
    meter: Meter,
    first_lap: int | None,
) -> Configuration:
    metric, made = get_metric(task.metric), dict[int, Solution]()
    drawn = random.Random(workshop.seed).sample(sorted(dev, key=lambda e: e.id), len(dev))

    def start(number: int) -> None:
        workshop.progress("tuning", len(made) + 1, len(configurations))
        made[number] = make(configurations[number], fit_rows)

    def answer(number: int, rows: slice) -> list[ScoredRow | None]:
        return answered(made[number], drawn[rows], metric, meter, workshop)

    winner, runners = race(len(configurations), len(drawn), start, answer, metric.aggregate, meter, first_lap)
    for number, (configuration, runner) in enumerate(zip(configurations, runners, strict=True)):
        if runner.rows:
            rows = scored(runner.rows)
            reached = metric.aggregate(rows) if rows else None
            ran = {"dev_rows": len(runner.rows), "model_seconds": round(runner.seconds, 2), "chosen": number == winner}
            workshop.log.trials.append({**configuration, "dev_quality": reached, **ran})
    if not any(scored(runner.rows) for runner in runners):
        raise InfrastructureError(workshop.log.failure)
    return configurations[winner]
