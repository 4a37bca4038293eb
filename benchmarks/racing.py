"""Is a race among configurations as good as trying all on all rows, and how much cheaper?

    python benchmarks/racing.py --cache FOLDER [--tasks a,b] [--strategies few_shot,rag] [--rows 160] [--seeds 30]

Every configuration of a strategy is fitted on a task's examples and answers the same holdout rows; scores are kept in
FOLDER, so that this can run in pieces. Then races are run on these scores: for each seed 64 rows are drawn to choose
by, and the configuration chosen is judged on the others. Beside it: all configurations on all 64 rows (exhaustive), and
the first configuration untried.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from common import machine, tasks_root

from advisor.data import Data, read_data
from advisor.request import make_request
from eval.contracts import Example, Task
from eval.harness import evaluate, scored_rows
from eval.metrics import ScoredRow, get_metric
from strategies.base import Workshop
from strategies.models.embedding_cache import CachingEmbedder
from strategies.models.shelf import ModelShelf
from strategies.racing import Meter, race
from strategies.registry import make_strategy
from strategies.tuning import SEARCH_ROWS

TASKS = "clickbait_headlines,product_review_sentiment,voice_command_to_json,encyclopedia_qa,spoken_question_cleanup"
STRATEGIES = "few_shot,nearest_examples,rag"
Table = list[list[dict[str, Any]]]
"""Per configuration, the rows that it answered, as `ScoredRow` takes them."""


def main() -> None:
    """Answer what is missing, race, print the table and, on the last line, JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--tasks", default=TASKS)
    parser.add_argument("--strategies", default=STRATEGIES)
    parser.add_argument("--rows", type=int, default=160)
    parser.add_argument("--seeds", type=int, default=30)
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in arguments.tasks.split(","):
        for strategy in arguments.strategies.split(","):
            if strategy != "rag" or (tasks_root() / name / "corpus.jsonl").exists():
                rows.append(raced(name, strategy, arguments))
    print("| " + " | ".join(rows[0]) + " |\n" + "|---" * len(rows[0]) + "|")
    print("\n".join("| " + " | ".join(str(value) for value in row.values()) + " |" for row in rows))
    loss, compute = (float(np.mean([row[key] for row in rows])) for key in ("loss, points", "answers, %"))
    print(json.dumps({"machine": machine("cpu"), "loss_points": loss, "compute_percent": compute, "rows": rows}))


def raced(name: str, strategy: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """A line of the table: averages over the draws."""
    metric = get_metric(data_of(name, "holdout").task.metric)
    table = [[ScoredRow(**row) for row in own] for own in answers(name, strategy, arguments.rows, arguments.cache)]
    found = [draw(table, metric.aggregate, seed) for seed in range(arguments.seeds)]
    chosen, exhaustive, first, share, same = (float(np.mean(values)) for values in zip(*found, strict=True))
    return {
        "task": name,
        "strategy": strategy,
        "configurations": len(table),
        "first": round(100 * first, 1),
        "raced": round(100 * chosen, 1),
        "exhaustive": round(100 * exhaustive, 1),
        "loss, points": round(100 * (exhaustive - chosen), 2),
        "answers, %": round(100 * share, 1),
        "same choice, %": round(100 * same),
    }


def draw(
    table: Sequence[Sequence[ScoredRow]], value: Callable[[Sequence[ScoredRow]], float], seed: int
) -> tuple[float, float, float, float, float]:
    """Quality, on rows not chosen by, of what the race, the exhaustive search and no search take; share; sameness."""
    order = random.Random(seed).sample(range(len(table[0])), len(table[0]))
    dev, judged = order[:SEARCH_ROWS], order[SEARCH_ROWS:]

    def answer(number: int, rows: slice) -> list[ScoredRow | None]:
        return [table[number][i] for i in dev[rows]]

    winner, runners = race(len(table), len(dev), lambda number: None, answer, value, Meter())
    qualities = [value([own[i] for i in dev]) for own in table]
    best = int(np.argmax(qualities))
    on_others = [value([own[i] for i in judged]) for own in table]
    share = sum(len(runner.rows) for runner in runners) / (len(table) * len(dev))
    return on_others[winner], on_others[best], on_others[0], share, float(winner == best)


def answers(name: str, strategy: str, most: int, cache: Path) -> Table:
    """What every configuration answers, from the cache where it is known."""
    file = cache / f"{name}-{strategy}-{most}.json"
    if not file.exists():
        file.write_text(json.dumps(answer_all(name, strategy, most)), encoding="utf-8")
    table: Table = json.loads(file.read_text(encoding="utf-8"))
    return table


def answer_all(name: str, strategy: str, most: int) -> Table:
    """Fit every configuration on all examples, and let it answer the first holdout rows."""
    data, held = data_of(name, "examples"), data_of(name, "holdout")
    metric, rows = get_metric(data.task.metric), held.examples[:most]
    shelf = ModelShelf("cpu")
    table: Table = []

    def try_all(
        task: Task,
        train: Sequence[Example],
        workshop: Workshop,
        configurations: Sequence[dict[str, Any]],
        make: Callable[[dict[str, Any], Sequence[Example]], Any],
    ) -> Any:
        for configuration in configurations:
            print(name, strategy, configuration, file=sys.stderr, flush=True)
            outcomes = evaluate(make(configuration, train), rows, metric).outcomes
            table.append([{"output": r.output, "targets": r.targets, "score": r.score} for r in scored_rows(outcomes)])
        return make(configurations[0], train)

    # in place of the race, to get at the configurations as the strategy lists them
    with tempfile.TemporaryDirectory() as scratch, mock.patch("strategies.prompting.choose", try_all):
        embedder = CachingEmbedder(shelf.embedder())
        workshop = Workshop(shelf.language_model(), embedder, data.documents, Path(scratch))
        make_strategy(strategy).fit(data.task, data.examples, workshop)
    return table


def data_of(name: str, part: str) -> Data:
    """A public task with its examples or its holdout."""
    folder = tasks_root() / name
    documents = folder / "corpus.jsonl"
    named = {"documents": str(documents)} if documents.exists() else {}
    return read_data(make_request(task=str(folder / "task.json"), examples=str(folder / f"{part}.jsonl"), **named))


if __name__ == "__main__":
    main()
