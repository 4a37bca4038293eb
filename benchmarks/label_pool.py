"""What a second opinion of the labels is worth: `lora_linear` beside what it is made of, on rows that none has seen.

    python benchmarks/label_pool.py [--tasks a,b] [--rows 0,250] [--epochs 8] [--limit 400] [--device auto]

For each classification task `lora` is fitted on all examples, or on so many of them, drawn; `lora_linear` goes on from
that very fit, and `embedding_linear` is fitted on the same rows. A line of JSON tells the metric of each on the same
holdout rows, drawn; how surprised one is who believes their confidence (log loss of whether the answer is right, in
nats: 0.69 if they always say one half); seconds of answering the rows; and the pool's gain in right answers over the
better of its parts, with its standard error. --epochs is the allowance of passes: under 4 of them few rows are passed
over half as often as under the usual one, which a plan with time has.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import drawn, examples_of, machine, task_names, tasks_root
from sklearn.metrics import log_loss

from advisor.cli import quieten_libraries
from advisor.planning import MOST_EPOCHS
from eval.contracts import Example, Kind, Solution, Task
from eval.harness import evaluate, scored_rows
from eval.metrics import get_metric
from eval.tasks import complete, read_task
from strategies.base import Allowance, Given, Workshop
from strategies.models.devices import pick_device
from strategies.models.shelf import ModelShelf
from strategies.registry import make_strategy

LEAST_SURE = 1e-6
"""Nobody is surer of anything, right or wrong: one wrong answer would decide the mean."""
PARTS, POOL = ("embedding_linear", "lora"), "lora_linear"


def main() -> None:
    """Fit, answer, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default="")
    parser.add_argument("--rows", default="0")
    parser.add_argument("--epochs", type=int, default=MOST_EPOCHS)
    parser.add_argument("--limit", type=int, default=400)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    quieten_libraries()
    shelf = ModelShelf(arguments.device)
    for name, task, examples, holdout in classifications(arguments.tasks):
        for rows in map(int, arguments.rows.split(",")):
            found = fit_and_score(task, drawn(examples, rows), drawn(holdout, arguments.limit), shelf, arguments.epochs)
            where = machine(pick_device(arguments.device).type)
            print(json.dumps({"task": name, **found, "machine": where}), flush=True)


def classifications(asked: str) -> Iterator[tuple[str, Task, Sequence[Example], Sequence[Example]]]:
    """Name, task, examples and holdout of each task that is asked for (all for none) and has labels for answers."""
    for name in task_names(asked):
        folder = tasks_root() / name
        examples, holdout = (examples_of(folder / f"{part}.jsonl") for part in ("examples", "holdout"))
        task, _ = complete(read_task(str(folder / "task.json")), examples)
        if task.kind is Kind.CLASSIFICATION:
            yield name, task, examples, holdout


def fit_and_score(
    task: Task, train: Sequence[Example], holdout: Sequence[Example], shelf: ModelShelf, epochs: int
) -> dict[str, Any]:
    """What each reaches on the holdout."""
    told: dict[str, Any] = {"examples": len(train), "rows": len(holdout)}
    scores, given = {}, None
    with tempfile.TemporaryDirectory() as scratch:
        for name in (*PARTS, POOL):
            folder = Path(scratch) / name
            workshop = Workshop(
                shelf.language_model(), shelf.embedder(), (), folder, allowance=Allowance(epochs=epochs), given=given
            )
            solution = make_strategy(name).fit(task, train, workshop)
            if name == "lora":
                solution.save(folder / "kept")
                log = workshop.log
                given = Given(folder / "kept", log.config, log.curve, log.train_examples)
            told[name], scores[name] = scored(task, solution, holdout)
            if name == POOL:
                told["weights"] = [workshop.log.config[f"{whose}_weight"] for whose in ("model", "classifier")]
    better = max(PARTS, key=lambda name: scores[name].mean())
    gained = scores[POOL] - scores[better]
    told["gain"], told["standard_error"] = gained.mean().round(4), (gained.std(ddof=1) / len(gained) ** 0.5).round(4)
    return told


def scored(task: Task, solution: Solution, holdout: Sequence[Example]) -> tuple[dict[str, float], np.ndarray]:
    """Figures of one solution, and whether each row was answered rightly."""
    metric = get_metric(task.metric)
    solution.predict([holdout[0].input])
    start = time.perf_counter()
    outcomes = evaluate(solution, holdout, metric).outcomes
    seconds = time.perf_counter() - start
    right = np.array([outcome.score for outcome in outcomes])
    sure = [outcome.prediction.confidence or 0.0 for outcome in outcomes]
    surprise = log_loss(right, np.clip(sure, LEAST_SURE, 1 - LEAST_SURE), labels=[0, 1])
    reached = metric.aggregate(scored_rows(outcomes))
    return {
        "quality": round(reached, 4),
        "surprise": round(surprise, 3),
        "seconds": round(seconds),
    }, right


if __name__ == "__main__":
    main()
