"""How long a solution takes for one query, and for several that arrive together."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice

import numpy as np

from eval.contracts import Latency, Load, Outcome, Solution
from eval.errors import InfrastructureError
from eval.harness import Answer, attempt

WARM_UP = 2
MIN_QUERIES, MOST_QUERIES = 5, 40
"""Queries that latency is measured on."""
GOLDEN = (5**0.5 - 1) / 2
WRITTEN = 30
"""Tokens that are read in the time of writing one, where a query is answered by itself."""
REPEATED = "each query had to be asked more than once, since the server limits the rate of calls or failed"
PARALLEL = (1, 2, 4, 8)
LOAD_BATCHES, FEWEST_BATCHES = 5, 2
LEVEL_GROWTH = 1.5
"""How much longer a batch of the next level is expected to take."""


def measure_latency(solution: Solution, inputs: Sequence[str], *, max_seconds: float = 10) -> Latency:
    """Time queries one at a time, the first inputs first, after the last two have warmed up.

    Ends when `max_seconds` are used or inputs run out, but not before `MIN_QUERIES` (inputs repeat if need be). A query
    that the infrastructure failed is left out, and so is one that had to be asked more than once, for a wait says
    nothing of a query; raises `InfrastructureError` where all were.
    """
    if not inputs:
        raise ValueError("latency needs at least one input")
    wanted = min(MOST_QUERIES, max(MIN_QUERIES, len(inputs) - WARM_UP))
    for query in inputs[-WARM_UP:]:
        _time_one(solution, query)
    begin, timed = time.perf_counter(), list[Answer]()
    for asked, query in enumerate(islice(cycle(inputs), wanted)):
        if asked >= MIN_QUERIES and time.perf_counter() - begin >= max_seconds:
            break
        timed.append(_time_one(solution, query))
    at_once = [answer for answer in timed if _is_at_once(answer)]
    if not at_once:
        raise InfrastructureError(f"Latency could not be measured: {timed[-1].failure or REPEATED}.")
    p50, p95, p99 = quantiles([answer.seconds for answer in at_once])
    first = [s for answer in at_once if (s := answer.prediction.first_token_seconds) is not None]
    repeated = sum(1 for answer in timed if answer.prediction.usage.repeated)
    return Latency(p50, p95, len(at_once), float(np.median(first)) if first else None, p99, repeated)


def _is_at_once(answer: Answer) -> bool:
    return answer.failure is None and not answer.prediction.usage.repeated


def _time_one(solution: Solution, query: str) -> Answer:
    return attempt(solution, [query])[0]


def quantiles(seconds: Sequence[float]) -> tuple[float, float, float]:
    """p50, p95 and p99 of the queries that these are a sample of.

    Each value stands for the middle of its share of them (Hazen 1914): the usual quantiles of a small sample take its
    greatest for the greatest of all, and are too low at the upper end.
    """
    p50, p95, p99 = np.percentile(seconds, [50, 95, 99], method="hazen")
    return float(p50), float(p95), float(p99)


def typical_first(outcomes: Sequence[Outcome]) -> list[str]:
    """The inputs of rows that were scored (of all, where none was); every beginning of the list is like the whole.

    Rows are ranked by the work that their answers were, and taken at the ranks (1/2 + n g) mod 1, g being the golden
    ratio's fraction: the points of this sequence lie evenly however many there are (Kronecker; Niederreiter 1992,
    ch. 3), so that the median and the upper end of the first few are those of all.
    """
    ranked = sorted([o for o in outcomes if o.score is not None] or outcomes, key=_work)
    points = ((0.5 + n * GOLDEN) % 1 for n in range(2 * len(ranked)))  # twice as many meet every rank
    return [ranked[rank].example.input for rank in dict.fromkeys(int(len(ranked) * point) for point in points)]


def _work(outcome: Outcome) -> tuple[int, int]:
    """Of answering a row by itself; its length where no language model works. What is refused returns at once."""
    usage = outcome.prediction.usage
    if outcome.prediction.error is not None and not usage.output_tokens:
        return 0, 0
    return usage.input_tokens + WRITTEN * usage.output_tokens, len(outcome.example.input)


def measure_load(
    solution: Solution, inputs: Sequence[str], *, levels: Sequence[int] = PARALLEL, max_seconds: float = 16
) -> list[Load]:
    """Time batches of each size, after one that does not count; inputs repeat if need be.

    Ends before a level that is likely to take it beyond `max_seconds`; the first is measured whatever it takes. Batches
    that the infrastructure failed in part, or that were not all answered at once, are left out, and a level with none
    left is too.
    """
    if not inputs:
        raise ValueError("load needs at least one input")
    queries, found, begin = cycle(inputs), list[Load](), time.perf_counter()
    share = max_seconds / len(levels)
    for parallel in levels:
        batch = found[-1].p50 * LEVEL_GROWTH if found else 0.0
        if found and time.perf_counter() - begin + (1 + FEWEST_BATCHES) * batch > max_seconds:
            break
        seconds = _batch_seconds(solution, queries, parallel, share)
        if seconds:
            p50, p95 = np.percentile(seconds, [50, 95])
            found.append(Load(parallel, float(p50), float(p95), parallel * len(seconds) / sum(seconds), len(seconds)))
    return found


def _batch_seconds(solution: Solution, queries: Iterator[str], parallel: int, max_seconds: float) -> list[float]:
    """Of batches that were answered at once, the first not counted."""
    begin, timed = time.perf_counter(), list[float]()
    for number in range(1 + LOAD_BATCHES):
        if number > FEWEST_BATCHES and time.perf_counter() - begin >= max_seconds:
            break
        answers = attempt(solution, list(islice(queries, parallel)))
        if number and all(_is_at_once(answer) for answer in answers):
            timed.append(sum(answer.seconds for answer in answers))
    return timed
