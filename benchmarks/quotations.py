"""Are answers better quoted than written? One LoRA with passages, both ways, on holdout rows that it has not seen.

    python benchmarks/quotations.py [--task encyclopedia_qa] [--passes 4] [--limit 300] [--device auto] [--keep FOLDER]

Fits `lora_rag` on all examples of the task with so many passes, unless FOLDER holds what an earlier call kept there,
and answers the same rows token by token and with the likeliest quotation of what is shown. Prints the metric of both,
the difference with its standard error, and seconds a row: all rows in one go, and one by one (the first 15).
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
from common import drawn, machine, tasks_root
from lora_passes import examples_of

from advisor.cli import quieten_libraries
from eval.contracts import Example, Task
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
    parser.add_argument("--task", default="encyclopedia_qa")
    parser.add_argument("--passes", type=int, default=4)
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    quieten_libraries()
    folder = tasks_root() / arguments.task
    train, holdout = (examples_of(folder / f"{part}.jsonl") for part in ("examples", "holdout"))
    task, _ = complete(read_task(str(folder / "task.json")), train, has_documents=True)
    shelf, rows = ModelShelf(arguments.device), drawn(holdout, arguments.limit)
    kept = arguments.keep or Path(tempfile.mkdtemp())
    if not kept.is_dir() or not any(kept.iterdir()):
        fitted(task, train, folder, arguments.passes, shelf).save(kept)
    solution = load_solution(kept, shelf)
    assert isinstance(solution, Pipeline)
    assert solution.documents is not None
    quoting = solution.answers.quoting(solution.model, train, solution.documents.shown)
    written = answered(replace(solution, answers=solution.answers.written()), task, rows)
    quoted = answered(replace(solution, answers=quoting), task, rows)
    gained = quoted["scores"] - written["scores"]
    told = {
        name: {key: round(float(np.mean(value)), 4) for key, value in way.items()}
        for name, way in (("written", written), ("quoted", quoted))
    }
    error = float(gained.std(ddof=1) / len(rows) ** 0.5)
    about = {"task": task.name, "rows": len(rows), "words": quoting.quotations and quoting.quotations.words}
    difference = {"gain": round(float(gained.mean()), 4), "standard_error": round(error, 4)}
    print(json.dumps({**about, **told, **difference, "machine": machine(pick_device(arguments.device).type)}))


def fitted(task: Task, train: Sequence[Example], folder: Path, passes: int, shelf: ModelShelf) -> Pipeline:
    """A LoRA with passages, trained on all examples."""
    documents = read_documents(folder / "corpus.jsonl").documents
    workshop = Workshop(
        shelf.language_model(),
        shelf.embedder(),
        documents,
        Path(tempfile.mkdtemp()),
        allowance=Allowance(fixed_epochs=passes),
    )
    solution = make_strategy("lora_rag").fit(task, train, workshop)
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
