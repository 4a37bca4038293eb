"""The harness owns the clock and the metric: it shows inputs to a solution, times the answers and scores them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np

from eval.contracts import Evaluation, Example, Latency, Outcome, Prediction, Solution
from eval.errors import InfrastructureError
from eval.metrics import Metric, ScoredRow, secondary_metrics

Progress = Callable[[int, int], None]
"""Called with (rows done, rows in total)."""

CHUNK = 64
WARM_UP = 2
INFRASTRUCTURE = "infrastructure: "
"""A `Prediction.error` that starts so is the infrastructure's failure, such as one row's time-out in a good batch."""
OUT_OF_TIME = "the time budget was used up"
"""The `problem` of rows that were not asked because the deadline had passed."""
RETRY_WAITS = (1.0, 4.0)
"""Seconds to wait before each further attempt after a failure of the infrastructure."""


@dataclass(frozen=True)
class _Answer:
    prediction: Prediction
    seconds: float = 0.0
    failure: str | None = None
    """Why there is no answer to score."""


def evaluate(
    solution: Solution,
    examples: Sequence[Example],
    metric: Metric,
    *,
    on_progress: Progress | None = None,
    chunk: int = CHUNK,
    deadline: float | None = None,
    retry_waits: Sequence[float] = RETRY_WAITS,
) -> Evaluation:
    """Answer all examples, `chunk` of them per call of `predict`, and score the answers.

    Where a chunk begins depends on the order of the examples alone: in bfloat16 an answer can change with its batch.
    After the `deadline` (a value of `time.perf_counter()`) no further chunk is begun, and its rows stay unscored.
    A failure of the infrastructure is retried once per entry of `retry_waits`; then its rows stay unscored. Other
    exceptions of `predict` pass through: they are bugs.
    """
    answers: list[_Answer] = []
    for start in range(0, len(examples), chunk):
        inputs = [example.input for example in examples[start : start + chunk]]
        if deadline is not None and time.perf_counter() >= deadline:
            answers += [_unanswered(OUT_OF_TIME)] * len(inputs)
        else:
            answers += _answer(solution, inputs, retry_waits, deadline)
        if on_progress:
            on_progress(len(answers), len(examples))
    outcomes = tuple(_outcome(example, answer, metric) for example, answer in zip(examples, answers, strict=True))
    rows = scored_rows(outcomes)
    secondary = secondary_metrics(metric.name, [row.output for row in rows], [row.targets for row in rows])
    return Evaluation(metric.name, outcomes, sum(answer.seconds for answer in answers), secondary)


def measure_latency(
    solution: Solution, inputs: Sequence[str], *, max_seconds: float = 10, max_queries: int = 20, min_queries: int = 5
) -> Latency:
    """Time queries one at a time after two warm-up queries, which do not count.

    Ends when `max_seconds` are used or inputs run out, but not before `min_queries` (inputs repeat if need be). A query
    that the infrastructure failed is left out; raises `InfrastructureError` where all were.
    """
    if not inputs:
        raise ValueError("latency needs at least one input")
    wanted = min(max_queries, max(min_queries, len(inputs) - WARM_UP))
    queries = cycle(inputs)
    for query in islice(queries, WARM_UP):
        _time_one(solution, query)
    begin, timed = time.perf_counter(), list[_Answer]()
    for asked, query in enumerate(islice(queries, wanted)):
        if asked >= min_queries and time.perf_counter() - begin >= max_seconds:
            break
        timed.append(_time_one(solution, query))
    answered = [answer for answer in timed if answer.failure is None]
    if not answered:
        raise InfrastructureError(f"Latency could not be measured: {timed[-1].failure}.")
    p50, p95 = np.percentile([answer.seconds for answer in answered], [50, 95])
    first = [s for answer in answered if (s := answer.prediction.first_token_seconds) is not None]
    return Latency(float(p50), float(p95), len(answered), float(np.median(first)) if first else None)


def scored_rows(outcomes: Iterable[Outcome]) -> list[ScoredRow]:
    """The rows that were scored, as metrics and statistics take them; an unusable answer counts as an empty one."""
    return [
        ScoredRow("" if o.prediction.error else o.prediction.text, o.example.targets, o.score)
        for o in outcomes
        if o.score is not None
    ]


def paired_rows(evaluations: Mapping[str, Evaluation]) -> dict[str, list[ScoredRow]]:
    """The rows that every evaluation scored, per name, in one order: what may be compared."""
    scored = [{o.example.id for o in e.outcomes if o.score is not None} for e in evaluations.values()]
    common = set.intersection(*scored) if scored else set()
    return {
        name: scored_rows(sorted((o for o in e.outcomes if o.example.id in common), key=lambda o: o.example.id))
        for name, e in evaluations.items()
    }


def _answer(
    solution: Solution, inputs: Sequence[str], retry_waits: Sequence[float], deadline: float | None = None
) -> list[_Answer]:
    """Ask for all inputs in one call; ask again, after a wait, for those that the infrastructure failed."""
    answers = _attempt(solution, inputs)
    for wait in retry_waits:
        failed = [i for i, answer in enumerate(answers) if answer.failure is not None]
        if not failed or (deadline is not None and time.perf_counter() + wait >= deadline):
            break
        time.sleep(wait)
        for i, answer in zip(failed, _attempt(solution, [inputs[i] for i in failed]), strict=True):
            answers[i] = answer
    return answers


def _attempt(solution: Solution, inputs: Sequence[str]) -> list[_Answer]:
    """One timed call of `predict`; each row gets an equal share of its seconds."""
    begin = time.perf_counter()
    try:
        predictions = solution.predict(inputs)
    except InfrastructureError as error:
        return [_unanswered(str(error), (time.perf_counter() - begin) / len(inputs))] * len(inputs)
    share = (time.perf_counter() - begin) / len(inputs)
    if len(predictions) != len(inputs):
        raise ValueError(f"{type(solution).__name__}.predict gave {len(predictions)} answers to {len(inputs)} inputs")
    return [_Answer(prediction, share, _failure(prediction)) for prediction in predictions]


def _time_one(solution: Solution, query: str) -> _Answer:
    return _attempt(solution, [query])[0]


def _failure(prediction: Prediction) -> str | None:
    error = prediction.error or ""
    return error.removeprefix(INFRASTRUCTURE) if error.startswith(INFRASTRUCTURE) else None


def _unanswered(reason: str, seconds: float = 0.0) -> _Answer:
    return _Answer(Prediction("", error=reason), seconds, reason)


def _outcome(example: Example, answer: _Answer, metric: Metric) -> Outcome:
    """Score an answer: an unusable one is worth 0, a missing one nothing that could be said."""
    if answer.failure is not None:
        return Outcome(example, answer.prediction, None, answer.seconds, answer.failure)
    if answer.prediction.error is not None:
        return Outcome(example, answer.prediction, 0.0, answer.seconds, answer.prediction.error)
    scored = metric.row(answer.prediction.text, example.targets)
    return Outcome(example, answer.prediction, scored.score, answer.seconds, scored.problem)
