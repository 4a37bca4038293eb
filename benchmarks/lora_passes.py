"""How many passes over the training rows does LoRA want? Scored on holdout rows, of which none was seen.

    python benchmarks/lora_passes.py [--tasks a,b] [--passes 3,4,8] [--chosen 6] [--limit 300] [--device auto]
                                     [--strategy lora_classifier] [--search] [--rows 40,120]

For each task a LoRA (LoRA with passages, where there are documents; or the strategy that is named) is fitted on all
examples, or on so many of them, drawn, with so many passes planned and all of them made, and with --chosen passes
planned of which dev rows choose the best, as `advisor compare` does on one fold; with --search also where dev rows
choose among other learning rates and a higher rank, whatever that takes. A line of JSON for each fit; the rows of the
holdout are drawn at random, the same ones every time.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from common import drawn, examples_of, machine, task_names, tasks_root

from advisor.cli import quieten_libraries
from advisor.planning import MOST_EPOCHS
from eval.contracts import Document, Example, Task
from eval.reading.documents import read_documents
from eval.tasks import complete, read_task
from strategies.base import Allowance, Strategy, Workshop
from strategies.models.devices import pick_device
from strategies.models.shelf import ModelShelf
from strategies.registry import make_strategy
from strategies.tuning import quality


def main() -> None:
    """Fit, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default="")
    parser.add_argument("--strategy", default="")
    parser.add_argument("--passes", default="3,4,8")
    parser.add_argument("--chosen", type=int, default=6)
    parser.add_argument("--search", action="store_true")
    parser.add_argument("--rows", default="0")
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    quieten_libraries()
    shelf, root = ModelShelf(arguments.device), tasks_root()
    allowances = [Allowance(epochs=arguments.chosen)] if arguments.chosen else []
    allowances += [Allowance(epochs=arguments.chosen or MOST_EPOCHS, adapter_search=True)] if arguments.search else []
    allowances += [Allowance(fixed_epochs=int(passes)) for passes in arguments.passes.split(",") if passes]
    for name in task_names(arguments.tasks):
        corpus = root / name / "corpus.jsonl"
        documents = read_documents(corpus).documents if corpus.exists() else ()
        train, holdout = (examples_of(root / name / f"{part}.jsonl") for part in ("examples", "holdout"))
        strategy = make_strategy(arguments.strategy or ("lora_rag" if documents else "lora"))
        task, _ = complete(read_task(str(root / name / "task.json")), train, documents)
        for rows, allowance in product(map(int, arguments.rows.split(",")), allowances):
            some, judged = drawn(train, rows), drawn(holdout, arguments.limit)
            found = fit_and_score(strategy, task, some, judged, documents, allowance, shelf)
            where = machine(pick_device(arguments.device).type)
            print(json.dumps({"task": name, "examples": len(some), **found, "machine": where}), flush=True)


def fit_and_score(
    strategy: Strategy,
    task: Task,
    train: Sequence[Example],
    holdout: Sequence[Example],
    documents: Sequence[Document],
    allowance: Allowance,
    shelf: ModelShelf,
) -> dict[str, Any]:
    """The quality reached on the holdout, and what the fit took."""
    with tempfile.TemporaryDirectory() as scratch:
        workshop = Workshop(shelf.language_model(), shelf.embedder(), documents, Path(scratch), allowance=allowance)
        start = time.perf_counter()
        solution = strategy.fit(task, train, workshop)
        fitted = time.perf_counter()
        reached = quality(task, solution, holdout)
        answered = time.perf_counter()
    return {
        "strategy": strategy.name,
        "learnt_from": workshop.log.train_examples,
        "planned": workshop.log.config["epochs"],
        "kept": workshop.log.config["best_epoch"],
        **{name: workshop.log.config[name] for name in ("learning_rate", "rank") if name in workshop.log.config},
        **({"tried": workshop.log.trials} if workshop.log.trials else {}),
        "quality": round(reached, 4),
        "rows": len(holdout),
        "seconds": round(fitted - start),
        "answering_seconds": round(answered - fitted),
    }


if __name__ == "__main__":
    main()
