"""The harness owns the clock and the metric: it shows inputs to a solution, times the answers and scores them."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eval.contracts import Evaluation, Example, Outcome, Prediction, Solution
from eval.errors import InfrastructureError, LastingFailure
from eval.metrics import (
    LABEL_METRICS,
    Metric,
    ScoredRow,
    errors_on_scale,
    get_metric,
    secondary_metrics,
    words_held,
)

Progress = Callable[[int, int], None]
"""Called with (rows done, rows in total)."""

CHUNK = 256
STEADY_SECONDS, STEADY_PASSES = 0.5, 10
"""Of answering the test rows again: what takes milliseconds hangs on chance when it is timed once."""
FEWEST_FOUND = 10
"""Rows whose answer was in what was retrieved, for a figure of how well such rows are answered."""
SET_ANSWER = 5
"""Rows with one answer that none of their passages holds whole: a set phrase ("not in the documents"), or a verdict."""
INFRASTRUCTURE, LASTING = "infrastructure: ", "infrastructure, lasting: "
"""How a `Prediction.error` begins that is the infrastructure's failure, such as one row's time-out in a good batch."""
OUT_OF_TIME = "the time budget was used up"
"""The `problem` of rows that were not asked because the deadline had passed."""
RETRY_WAITS = (1.0, 4.0)
"""Seconds to wait before each further attempt after a failure of the infrastructure."""


@dataclass(frozen=True)
class Answer:
    """What came of asking for a row."""

    prediction: Prediction
    seconds: float = 0.0
    failure: InfrastructureError | None = None
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
    A failure of the infrastructure is retried once per entry of `retry_waits` unless it is lasting; then its rows stay
    unscored. Other exceptions of `predict` pass through: they are bugs.
    """
    answers, calls = list[Answer](), 0
    for start in range(0, len(examples), chunk):
        inputs = [example.input for example in examples[start : start + chunk]]
        if deadline is not None and time.perf_counter() >= deadline:
            answers += [_unanswered(InfrastructureError(OUT_OF_TIME))] * len(inputs)
        else:
            answers += _answer(solution, inputs, retry_waits, deadline)
            calls += 1
        if on_progress:
            on_progress(len(answers), len(examples))
    outcomes = tuple(_outcome(example, answer, metric) for example, answer in zip(examples, answers, strict=True))
    return replace(_evaluation(metric, outcomes, sum(answer.seconds for answer in answers)), calls=calls)


def steady(solution: Solution, evaluation: Evaluation, chunk: int = CHUNK) -> Evaluation:
    """The evaluation with the mean seconds of several passes over its rows, where no language model works.

    Passes end after `STEADY_SECONDS` in total, or `STEADY_PASSES` of them. What a model answered is asked once only.
    """
    if any(o.score is None or o.prediction.usage.input_tokens for o in evaluation.outcomes):
        return evaluation
    inputs = [o.example.input for o in evaluation.outcomes]
    passes = [evaluation.seconds]
    while sum(passes) < STEADY_SECONDS and len(passes) < STEADY_PASSES:
        begin = time.perf_counter()
        for start in range(0, len(inputs), chunk):
            solution.predict(inputs[start : start + chunk])
        passes.append(time.perf_counter() - begin)
    return replace(evaluation, seconds=float(np.mean(passes)))


def evaluate_outputs(outputs: Sequence[str], examples: Sequence[Example], metric: Metric) -> Evaluation:
    """Score outputs that were made elsewhere, by the system in use today, say; they take no time here."""
    answers = [Answer(Prediction(output)) for output in outputs]
    return _evaluation(metric, tuple(_outcome(e, a, metric) for e, a in zip(examples, answers, strict=True)), 0.0)


def pool(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The evaluations of several folds as one, in order; the latency is the first that was measured."""
    if len(evaluations) == 1:
        return evaluations[0]
    whole = _evaluation(
        get_metric(evaluations[0].metric),
        tuple(o for e in evaluations for o in e.outcomes),
        sum(e.seconds for e in evaluations),
    )
    latency = next((e.latency for e in evaluations if e.latency), None)
    return replace(whole, latency=latency, calls=sum(e.calls for e in evaluations))


def _evaluation(metric: Metric, outcomes: tuple[Outcome, ...], seconds: float) -> Evaluation:
    rows = scored_rows(outcomes)
    secondary = secondary_metrics(metric.name, [row.output for row in rows], [row.targets for row in rows])
    return Evaluation(metric.name, outcomes, seconds, {**secondary, **_retrieval(metric, outcomes)})


def _retrieval(metric: Metric, outcomes: Sequence[Outcome]) -> dict[str, float]:
    """How much was found, and how well answers are where all was: whether retrieval or reading fails.

    Answers that documents do not hold tell nothing of that: their share, and the quality of the others, is given then.
    """
    shown = [o for o in outcomes if o.context_recall is not None]
    recalls = defaultdict[str, list[float]](list)
    for outcome in shown:
        recalls[outcome.example.target.casefold()].append(outcome.context_recall or 0.0)
    never = {answer for answer, held in recalls.items() if len(held) >= SET_ANSWER and max(held) < 1}
    to_find = [o for o in shown if o.example.target.casefold() not in never]
    if not to_find:
        return {}
    figures = {"context_recall": float(np.mean([o.context_recall for o in to_find]))}
    whole = scored_rows(o for o in to_find if o.context_recall == 1.0)
    if len(whole) >= FEWEST_FOUND:
        figures["quality_where_found"] = metric.aggregate(whole)
    if never:
        figures["answers_in_no_passage"] = 1 - len(to_find) / len(shown)
        figures["quality_of_the_others"] = metric.aggregate(scored_rows(to_find))
    return figures


def scored_rows(outcomes: Iterable[Outcome]) -> list[ScoredRow]:
    """The rows that were scored, as metrics and statistics take them; an unusable answer counts as an empty one."""
    return [
        ScoredRow("" if o.prediction.error else o.prediction.text, o.example.targets, o.score, o.example.group)
        for o in outcomes
        if o.score is not None
    ]


def steps_off(evaluation: Evaluation, labels: Collection[str]) -> dict[str, float]:
    """`errors_on_scale` of the scored rows, for metrics of labels. `labels` are all there are: the rows of a test may
    lack an end of the scale."""
    rows = scored_rows(evaluation.outcomes)
    if evaluation.metric not in LABEL_METRICS or not rows:
        return {}
    return errors_on_scale([row.output for row in rows], [row.targets for row in rows], labels)


def paired_fits(evaluations: Mapping[str, Sequence[Evaluation]]) -> dict[str, list[list[ScoredRow]]]:
    """The rows that every evaluation scored, per name and fit, in one order: what may be compared.

    A name has one evaluation for each of its fits.
    """
    scored = [{o.example.id for o in e.outcomes if o.score is not None} for es in evaluations.values() for e in es]
    common = set.intersection(*scored) if scored else set()
    return {name: [_rows_on(common, evaluation) for evaluation in fits] for name, fits in evaluations.items()}


def _rows_on(ids: Collection[str], evaluation: Evaluation) -> list[ScoredRow]:
    return scored_rows(sorted((o for o in evaluation.outcomes if o.example.id in ids), key=lambda o: o.example.id))


def _answer(
    solution: Solution, inputs: Sequence[str], retry_waits: Sequence[float], deadline: float | None = None
) -> list[Answer]:
    """Ask for all inputs in one call; ask again, after a wait, for those that the infrastructure failed."""
    answers = attempt(solution, inputs)
    for wait in retry_waits:
        failed = [i for i, a in enumerate(answers) if a.failure and not isinstance(a.failure, LastingFailure)]
        if not failed or (deadline is not None and time.perf_counter() + wait >= deadline):
            break
        time.sleep(wait)
        for i, answer in zip(failed, attempt(solution, [inputs[i] for i in failed]), strict=True):
            answers[i] = answer
    return answers


def attempt(solution: Solution, inputs: Sequence[str]) -> list[Answer]:
    """One timed call of `predict`; each row gets an equal share of its seconds."""
    begin = time.perf_counter()
    try:
        predictions = solution.predict(inputs)
    except InfrastructureError as error:
        return [_unanswered(error, (time.perf_counter() - begin) / len(inputs))] * len(inputs)
    share = (time.perf_counter() - begin) / len(inputs)
    if len(predictions) != len(inputs):
        raise ValueError(f"{type(solution).__name__}.predict gave {len(predictions)} answers to {len(inputs)} inputs")
    return [Answer(prediction, share, infrastructure_failure(prediction.error)) for prediction in predictions]


def as_prediction_error(failure: InfrastructureError) -> str:
    """The failure as a `Prediction.error`; `infrastructure_failure` is its inverse."""
    return f"{LASTING if isinstance(failure, LastingFailure) else INFRASTRUCTURE}{failure}"


def infrastructure_failure(error: str | None) -> InfrastructureError | None:
    """What a `Prediction.error` says of the infrastructure; None where the answer itself is at fault, or nothing is."""
    if error is None or not error.startswith((INFRASTRUCTURE, LASTING)):
        return None
    if error.startswith(LASTING):
        return LastingFailure(error.removeprefix(LASTING))
    return InfrastructureError(error.removeprefix(INFRASTRUCTURE))


def _unanswered(failure: InfrastructureError, seconds: float = 0.0) -> Answer:
    return Answer(Prediction("", error=str(failure)), seconds, failure)


def _outcome(example: Example, answer: Answer, metric: Metric) -> Outcome:
    """Score an answer: an unusable one is worth 0, a missing one nothing that could be said."""
    prediction, context = replace(answer.prediction, context=None), answer.prediction.context
    recall = None if context is None else words_held(context, example.targets)
    if answer.failure is not None:
        return Outcome(example, prediction, None, answer.seconds, str(answer.failure))
    if prediction.error is not None:
        return Outcome(example, prediction, 0.0, answer.seconds, prediction.error, recall)
    scored = metric.row(prediction.text, example.targets)
    return Outcome(example, prediction, scored.score, answer.seconds, scored.problem, recall)
