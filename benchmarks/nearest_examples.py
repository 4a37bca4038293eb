"""What copying the nearest example's answer reaches: by meaning alone, and as training rows that are left out choose.

    python benchmarks/nearest_examples.py [--tasks a,b] [--rows 40,120,0] [--seeds 3] [--holdout 1000]

On so many of the examples (0: all), drawn anew for each seed, an index is built and asked for so many rows of the
holdout. A table in Markdown tells the task's metric with the nearest by embeddings alone; with the share of words and
runs of characters that is chosen; for labels with the votes that are chosen, too; and the mean score of all the eight
nearest, as prompts show them, without words and with them; all averaged over the seeds. Then the seconds of choosing,
and the milliseconds of a query beside embedding it, without words and with them. The last line tells it as JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from common import drawn, examples_of, machine, task_names, tasks_root

from advisor.cli import quieten_libraries
from eval.contracts import Example
from eval.folds import with_groups
from eval.metrics import get_metric, score_rows
from strategies.models.embedding_cache import CachingEmbedder
from strategies.models.shelf import ModelShelf
from strategies.retrieval.index import ExampleIndex
from strategies.retrieval.neighbours import VOTES, Neighbours, best_neighbours, voters

SHOWN = 8
TIMED = 50


def main() -> None:
    """Index, choose, answer, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default="")
    parser.add_argument("--rows", default="40,120,0")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--holdout", type=int, default=1000)
    arguments = parser.parse_args()
    quieten_libraries()
    embedder = CachingEmbedder(ModelShelf("cpu").embedder())
    told: list[dict[str, Any]] = []
    for name in task_names(arguments.tasks):
        folder = tasks_root() / name
        task = json.loads((folder / "task.json").read_text(encoding="utf-8"))
        examples, holdout = with_groups(examples_of(folder / "examples.jsonl")), examples_of(folder / "holdout.jsonl")
        asked = drawn(holdout, arguments.holdout)
        for rows in map(int, arguments.rows.split(",")):
            if rows >= len(examples):
                continue
            seeds = range(arguments.seeds if rows else 1)
            parts = [random.Random(seed).sample(examples, rows or len(examples)) for seed in seeds]
            runs = [measured(task["metric"], task["kind"], part, asked, embedder) for part in parts]
            found = {key: round(float(np.mean([run[key] for run in runs])), 3) for key in runs[0]}
            told.append({"task": name, "metric": task["metric"], "examples": rows or len(examples), **found})
            if len(told) == 1:
                print("| " + " | ".join(told[0]) + " |\n" + "|---" * len(told[0]) + "|")
            print("| " + " | ".join(map(str, told[-1].values())) + " |", flush=True)
    print(json.dumps({"machine": machine("cpu"), "figures": told}))


def measured(
    metric_name: str, kind: str, train: Sequence[Example], asked: Sequence[Example], embedder: CachingEmbedder
) -> dict[str, float]:
    """Of one draw of examples."""
    metric, index = get_metric(metric_name), ExampleIndex.build(train, embedder)
    inputs, targets = [e.input for e in asked], [e.targets for e in asked]
    embedder.encode(inputs)
    score = cache(lambda output, wanted: metric.row(output, wanted).score)

    def quality(way: Neighbours) -> float:
        answers = [voters(pairs)[0].answer for pairs in index.search(inputs, way.votes, way.word_share)]
        return metric.aggregate(score_rows(metric, answers, targets))

    def shown(word_share: float) -> float:
        nearest = index.search(inputs, SHOWN, word_share)
        return float(np.mean([score(p.answer, w) for pairs, w in zip(nearest, targets, strict=True) for p in pairs]))

    def milliseconds(word_share: float) -> float:
        start = time.perf_counter()
        for text in inputs[:TIMED]:
            index.search([text], 1, word_share)
        return 1000 * (time.perf_counter() - start) / len(inputs[:TIMED])

    start = time.perf_counter()
    chosen = best_neighbours(index, metric, 0)
    seconds = time.perf_counter() - start
    voting = best_neighbours(index, metric, 0, VOTES if kind == "classification" else (1,))
    return {
        "meaning": quality(Neighbours()), "words": quality(Neighbours(chosen.word_share)), "votes": quality(voting),
        "word_share": chosen.word_share, "shown_meaning": shown(0.0), "shown_words": shown(chosen.word_share),
        "choosing_s": seconds, "query_ms": milliseconds(0.0), "query_words_ms": milliseconds(0.5),
    }  # fmt: skip


if __name__ == "__main__":
    main()
