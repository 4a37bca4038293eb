"""Choosing a configuration on a dev part of the training examples, the same way for every strategy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from eval.contracts import Example, Kind, Solution, Task
from eval.folds import dev_split
from eval.harness import evaluate, scored_rows
from eval.metrics import get_metric
from strategies.base import Workshop

Configuration = TypeVar("Configuration")

SMALLEST_DEV = 8
"""Below this many dev rows a choice would be a lottery: the first configuration is taken instead."""


def parts(task: Task, train: Sequence[Example], workshop: Workshop) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """The training examples in two: to fit on, and to choose by."""
    size = min(workshop.allowance.dev_rows, len(train) // 4)
    if size < SMALLEST_DEV:
        return tuple(train), ()
    return dev_split(train, dev_size=size, seed=workshop.seed, stratify=task.kind is Kind.CLASSIFICATION)


def quality(task: Task, solution: Solution, rows: Sequence[Example]) -> float:
    """The task's metric on some rows of the training part."""
    metric = get_metric(task.metric)
    return metric.aggregate(scored_rows(evaluate(solution, rows, metric).outcomes))


def choose(
    task: Task,
    train: Sequence[Example],
    workshop: Workshop,
    configurations: Sequence[dict[str, Any]],
    make: Callable[[dict[str, Any], Sequence[Example]], Solution],
) -> Solution:
    """Try each configuration on the dev part, and make the best from all training examples.

    Ties go to the earlier configuration: list the simplest first. What was tried is logged in the workshop.
    """
    fit_rows, dev = parts(task, train, workshop)
    best = configurations[0]
    if dev and workshop.allowance.tune and len(configurations) > 1:
        best_quality = -1.0
        for number, configuration in enumerate(configurations, 1):
            workshop.progress("tuning", number, len(configurations))
            reached = quality(task, make(configuration, fit_rows), dev)
            workshop.log.trials.append({**configuration, "dev_quality": reached, "dev_rows": len(dev)})
            if reached > best_quality:
                best, best_quality = configuration, reached
    workshop.log.config.update(best)
    workshop.log.train_examples = len(train)
    return make(best, train)
