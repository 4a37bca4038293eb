"""Are answers better searched than written? One fit, both ways, on holdout rows that it has not seen.

    python benchmarks/searched_answers.py --task encyclopedia_qa --strategy lora_rag
    python benchmarks/searched_answers.py --task spoken_question_cleanup --strategy lora [--rows 400] [--passes 4]
                                          [--limit 300] [--device auto] [--keep FOLDER]

Fits the strategy on so many examples of the task (all by default) with so many passes (0: as many as it plans), unless
FOLDER holds what an earlier call kept there, and answers the same rows token by token and as a search finds: with the
likeliest quotation of what is shown, or the likeliest text. Prints the metric of both, the difference with its standard
error, how many rows got better and worse, and seconds a row: all rows in one go, and one by one (the first 15).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from common import drawn, examples_of, machine, tasks_root

from advisor.cli import quieten_libraries
from advisor.planning import MOST_EPOCHS
from eval.contracts import Document, Example, Task
from eval.metrics import get_metric
from eval.reading.documents import read_documents
from eval.tasks import complete, read_task
from strategies.base import Allowance, Workshop
from strategies.models.devices import pick_device
from strategies.models.shelf import ModelShelf
from strategies.pipeline import Pipeline
from strategies.registry import make_strategy
from strategies.solutions import load_solution

ALONE = 15


def main() -> None:
    """Fit or load, answer both ways, print a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", required=True)
    parser.add_argument("--strategy", required=True)
    parser.add_argument("--rows", type=int, default=0, help="examples, the first ones; all by default")
    parser.add_argument("--passes", type=int, default=4)
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    quieten_libraries()
    folder = tasks_root() / arguments.task
    train, holdout = (examples_of(folder / f"{part}.jsonl") for part in ("examples", "holdout"))
    train = train[: arguments.rows or None]
    documents = read_documents(folder / "corpus.jsonl").documents if (folder / "corpus.jsonl").exists() else []
    task, _ = complete(read_task(str(folder / "task.json")), train, documents)
    shelf, rows = ModelShelf(arguments.device), drawn(holdout, arguments.limit)
    kept = arguments.keep or Path(tempfile.mkdtemp())
    if not kept.is_dir() or not any(kept.iterdir()):
        fitted(arguments.strategy, task, train, documents, arguments.passes, shelf).save(kept)
    solution = load_solution(kept, shelf)
    assert isinstance(solution, Pipeline)
    searching = solution.answers.searching(get_metric(task.metric))
    if solution.documents is not None:
        searching = searching.quoting(solution.model, train, solution.documents.shown)
    if searching == searching.written():
        raise SystemExit(f"{arguments.strategy} searches no answers on {task.name}: nothing to compare.")
    written = answered(replace(solution, answers=solution.answers.written()), task, rows)
    searched = answered(replace(solution, answers=searching), task, rows)
    gained = searched["scores"] - written["scores"]
    told = {
        name: {key: round(float(np.mean(value)), 4) for key, value in way.items()}
        for name, way in (("written", written), ("searched", searched))
    }
    error = float(gained.std(ddof=1) / len(rows) ** 0.5)
    about = {"task": task.name, "strategy": arguments.strategy, "examples": len(train), "rows": len(rows)}
    about["for"] = "quotations" if searching.quotations else "texts"
    difference = {"gain": round(float(gained.mean()), 4), "standard_error": round(error, 4)}
    difference |= {"better": int((gained > 0).sum()), "worse": int((gained < 0).sum())}
    print(json.dumps({**about, **told, **difference, "machine": machine(pick_device(arguments.device).type)}))


def fitted(
    strategy: str, task: Task, train: Sequence[Example], documents: Sequence[Document], passes: int, shelf: ModelShelf
) -> Pipeline:
    """What the strategy makes of these examples."""
    allowance = Allowance(fixed_epochs=passes) if passes else Allowance(epochs=MOST_EPOCHS, tuning_seconds=0.0)
    workshop = Workshop(
        shelf.language_model(),
        shelf.embedder(),
        documents,
        Path(tempfile.mkdtemp()),
        allowance=allowance,
    )
    solution = make_strategy(strategy).fit(task, train, workshop)
    assert isinstance(solution, Pipeline)
    return solution


def answered(solution: Pipeline, task: Task, rows: Sequence[Example]) -> dict[str, np.ndarray]:
    """The score of each row, and seconds a row."""
    metric, inputs = get_metric(task.metric), [row.input for row in rows]
    solution.predict(inputs[:1])
    start = time.perf_counter()
    answers = solution.predict(inputs)
    together = (time.perf_counter() - start) / len(rows)
    alone = []
    for text in inputs[:ALONE]:
        start = time.perf_counter()
        solution.predict([text])
        alone.append(time.perf_counter() - start)
    scores = [metric.row(answer.text, row.targets).score for answer, row in zip(answers, rows, strict=True)]
    return {"scores": np.array(scores), "seconds_together": np.array(together), "seconds_alone": np.array(alone)}


if __name__ == "__main__":
    main()
