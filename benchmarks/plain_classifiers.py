"""What classifiers without a language model reach on rows that none has seen, and how sure they say they are.

    python benchmarks/plain_classifiers.py [--tasks a,b] [--rows 40,120,0] [--strategies a,b] [--seeds 3]

For each classification task each strategy is fitted on so many of the examples (0: all), drawn anew for each seed, and
answers the whole holdout. A table in Markdown tells the metric, the log loss of whether the answer is right, for one
who believes its confidence (in nats: 0.69 if it always says one half), and seconds of fitting, averaged over the seeds;
the last line tells the same as JSON, with the quality for each seed. Strategies that train have as many passes as in a
plan with time: `--strategies embedding_linear,setfit`.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import machine
from label_pool import classifications, scored

from advisor.cli import quieten_libraries
from advisor.planning import MOST_EPOCHS
from eval.contracts import Example, Task
from strategies.base import Allowance, Workshop
from strategies.models.embedding_cache import CachingEmbedder
from strategies.models.shelf import ModelShelf
from strategies.registry import make_strategy

STRATEGIES = "tfidf_linear,embedding_linear,pooled_linear"
COLUMNS = ("task", "metric", "examples", "strategy", "quality", "surprise", "fit_seconds")


def main() -> None:
    """Fit, answer, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default="")
    parser.add_argument("--rows", default="40,120,0")
    parser.add_argument("--strategies", default=STRATEGIES)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    quieten_libraries()
    shelf = ModelShelf("cpu")
    embedder = CachingEmbedder(shelf.embedder())
    told = []
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|")
    for name, task, examples, holdout in classifications(arguments.tasks):
        for rows in map(int, arguments.rows.split(",")):
            if rows >= len(examples):
                continue
            seeds = range(arguments.seeds if rows else 1)
            for strategy in arguments.strategies.split(","):
                drawn = [random.Random(seed).sample(examples, rows or len(examples)) for seed in seeds]
                runs = [fitted_and_scored(strategy, task, some, holdout, shelf, embedder) for some in drawn]
                found = {key: round(float(np.mean([run[key] for run in runs])), 3) for key in runs[0]}
                about = {"task": name, "metric": task.metric, "examples": rows or len(examples), "strategy": strategy}
                told.append({**about, **found, "each": [run["quality"] for run in runs]})
                print("| " + " | ".join(str(told[-1][column]) for column in COLUMNS) + " |", flush=True)
    print(json.dumps({"machine": machine("cpu"), "figures": told}))


def fitted_and_scored(
    strategy: str,
    task: Task,
    train: Sequence[Example],
    holdout: Sequence[Example],
    shelf: ModelShelf,
    embedder: CachingEmbedder,
) -> dict[str, Any]:
    """Of one fit."""
    with tempfile.TemporaryDirectory() as scratch:
        allowance = Allowance(epochs=MOST_EPOCHS)
        workshop = Workshop(shelf.language_model(), embedder, (), Path(scratch), allowance=allowance)
        start = time.perf_counter()
        solution = make_strategy(strategy).fit(task, train, workshop)
        seconds = time.perf_counter() - start
        told, _ = scored(task, solution, holdout)
    return {"quality": told["quality"], "surprise": told["surprise"], "fit_seconds": seconds}


if __name__ == "__main__":
    main()
