"""What test_conformance.py runs in a process of its own: load kept solutions and fit the same strategies again.

python in_new_process.py JOBS ANSWERS
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from eval.contracts import Document, Example, Kind, Prediction, Task
from eval.errors import NotApplicable
from strategies.base import Allowance, Workshop
from strategies.models.fake import HashingEmbedder
from strategies.models.shelf import ModelShelf
from strategies.registry import make_strategy
from strategies.solutions import load_solution


def timeless(predictions: list[Prediction]) -> list[dict[str, Any]]:
    """Predictions as plain data, without what the clock says."""
    return json.loads(json.dumps([asdict(replace(p, first_token_seconds=None)) for p in predictions]))


def main(jobs: Path, answers: Path) -> None:
    """Answer with every kept solution of the jobs file, and fit each strategy once more."""
    given = json.loads(jobs.read_text(encoding="utf-8"))
    shelf = ModelShelf("cpu", embedders={"hashing": HashingEmbedder()})
    model = shelf.language_model(given["model"])
    found: dict[str, Any] = {}
    for name, job in given["jobs"].items():
        found[name] = timeless(load_solution(Path(job["folder"]), shelf).predict(job["inputs"]))
        values = job["task"]
        task = Task(
            values["description"],
            Kind(values["kind"]),
            values["metric"],
            values["name"],
            tuple(values["labels"]),
            tuple(values["json_keys"]),
        )
        train = [Example(e["id"], e["input"], tuple(e["targets"]), e["row"]) for e in job["train"]]
        documents = [Document(**d) for d in job["documents"]]
        again = Path(job["again"])
        workshop = Workshop(
            model, shelf.embedder("hashing"), documents, again / "work", job["seed"], Allowance(**job["allowance"])
        )
        try:
            make_strategy(job["strategy"]).fit(task, train, workshop).save(again / "kept")
        except NotApplicable as reason:
            found[name] = str(reason)
    answers.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
