"""Is a race among configurations as good as trying all on all rows, and how much cheaper?

    python benchmarks/racing.py [--tasks a,b] [--strategies few_shot,rag] [--rows 160] [--seeds 200] [--only-known]

Every configuration of a strategy is fitted on a task's examples and answers the same holdout rows; the scores (no
client text) are kept in benchmarks/racing_scores, so that this can run in pieces and other ways of racing cost no
answers. Then races are run on these scores: for each seed 64 rows are drawn to choose by, and the configuration chosen
is judged on the others. Beside it: all configurations on all 64 rows (exhaustive), and the first configuration untried.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from common import drawn, machine, tasks_root

from advisor.data import Data, read_data
from advisor.request import make_request
from advisor.runs import write_atomically
from eval.contracts import Example, Task, Usage
from eval.harness import evaluate
from eval.metrics import ScoredRow, get_metric
from strategies import racing
from strategies.base import Workshop
from strategies.models.embedding_cache import CachingEmbedder
from strategies.models.shelf import ModelShelf
from strategies.racing import Meter, race
from strategies.registry import make_strategy
from strategies.tuning import SEARCH_ROWS
from strategies.workload import Speeds

TASKS = "clickbait_headlines,product_review_sentiment,voice_command_to_json,encyclopedia_qa,spoken_question_cleanup"
STRATEGIES = "few_shot,nearest_examples,rag"
SECOND_A_ROW = Speeds(read=1.0, written=math.inf, trained=math.inf)
SCORES = Path(__file__).parent / "racing_scores"
Table = list[dict[str, Any]]
"""Per configuration, what it is and its score of every row."""


def main() -> None:
    """Answer what is missing, race, print the table and, on the last line, JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scores", type=Path, default=SCORES)
    parser.add_argument("--tasks", default=TASKS)
    parser.add_argument("--strategies", default=STRATEGIES)
    parser.add_argument("--rows", type=int, default=160)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first-lap", type=int, default=racing.FIRST_LAP, help="rows that all configurations answer")
    parser.add_argument("--late-errors", type=float, default=racing.LATELY, help="by which one is out on many rows")
    parser.add_argument("--fewest", type=int, default=racing.FEWEST, help="rows before anyone is clearly behind")
    parser.add_argument("--room", type=float, default=math.inf, help="rows of each configuration there is time for")
    parser.add_argument("--only-known", action="store_true", help="races on the scores there are; nothing is answered")
    arguments = parser.parse_args()
    racing.FIRST_LAP, racing.LATELY = arguments.first_lap, arguments.late_errors
    racing.FEWEST = arguments.fewest
    rows = []
    for name in arguments.tasks.split(","):
        for strategy in arguments.strategies.split(","):
            table = scores(name, strategy, arguments)
            if table:
                rows.append(raced(name, strategy, [own["scores"] for own in table], arguments.seeds, arguments.room))
    if not rows:
        sys.exit(f"{arguments.scores} holds no scores of these; leave --only-known out")
    print("| " + " | ".join(rows[0]) + " |\n" + "|---" * len(rows[0]) + "|")
    print("\n".join("| " + " | ".join(str(value) for value in row.values()) + " |" for row in rows))
    loss, compute = (float(np.mean([row[key] for row in rows])) for key in ("loss, points", "answers, %"))
    print(json.dumps({"machine": machine("cpu"), "loss_points": loss, "compute_percent": compute, "rows": rows}))


def raced(name: str, strategy: str, table: Sequence[Sequence[float]], seeds: int, room: float) -> dict[str, Any]:
    """A line of the table: averages over the draws."""
    found = [draw(table, seed, room) for seed in range(seeds)]
    gains = [chosen - first for chosen, _, first, *_ in found]
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
        "worst twentieth, points": round(100 * float(np.quantile(gains, 0.05)), 1),
    }


def draw(table: Sequence[Sequence[float]], seed: int, room: float) -> tuple[float, float, float, float, float]:
    """Quality, on rows not chosen by, of what the race, the exhaustive search and no search take; share; sameness."""
    order = random.Random(seed).sample(range(len(table[0])), len(table[0]))
    dev, judged = order[:SEARCH_ROWS], order[SEARCH_ROWS:]

    def answer(number: int, rows: slice) -> list[ScoredRow | None]:
        meter.read(Usage(input_tokens=len(dev[rows])))
        return [ScoredRow("", (), table[number][i]) for i in dev[rows]]

    meter = Meter(room * len(table), SECOND_A_ROW)
    winner, runners = race(len(table), len(dev), lambda number: None, answer, mean, meter)
    best = int(np.argmax([np.mean([own[i] for i in dev]) for own in table]))
    on_others = [float(np.mean([own[i] for i in judged])) for own in table]
    share = sum(len(runner.rows) for runner in runners) / (len(table) * len(dev))
    return on_others[winner], on_others[best], on_others[0], share, float(winner == best)


def mean(rows: Sequence[ScoredRow]) -> float:
    """The metric of all tasks here."""
    return float(np.mean([row.score for row in rows]))


def scores(name: str, strategy: str, arguments: argparse.Namespace) -> Table:
    """Those of every configuration, known or found out now; none where the strategy does not apply."""
    file = arguments.scores / f"{name}-{strategy}-{arguments.rows}.json"
    if not file.exists():
        if arguments.only_known or (strategy == "rag" and not (tasks_root() / name / "corpus.jsonl").exists()):
            return []
        found = answer_all(name, strategy, arguments.rows)
        write_atomically(file, json.dumps(found, indent=1).replace("\n   ", "") + "\n")
    table: Table = json.loads(file.read_text(encoding="utf-8"))
    return table


def answer_all(name: str, strategy: str, most: int) -> Table:
    """Fit every configuration on all examples, and let it answer some holdout rows."""
    data, held = data_of(name, "examples"), data_of(name, "holdout")
    metric, rows = get_metric(data.task.metric), drawn(held.examples, most)
    if not metric.is_mean:
        sys.exit(f"{name}: {metric.name} is no mean of rows; races are compared by scores of rows alone")
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
            started = time.perf_counter()
            found = evaluate(make(configuration, train), rows, metric).outcomes
            table.append({"configuration": configuration, "scores": [round(o.score or 0.0, 4) for o in found]})
            taken = time.perf_counter() - started
            print(f"{name} {strategy} {configuration}: {taken:.0f} s", file=sys.stderr, flush=True)
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
