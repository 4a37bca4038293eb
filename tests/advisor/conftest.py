"""Small client cases that only one strategy can solve, and fakes in the place of models."""

from __future__ import annotations

import csv
import gc
import json
import math
import random
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from advisor.data import read_data
from advisor.parts import divide
from advisor.planning import RunPlan
from advisor.progress import Silent
from advisor.request import make_request
from advisor.runs import RunFolder, log
from advisor.trials import Bench
from eval.contracts import Example, Kind, Prediction, Solution, Task
from strategies.base import Allowance, Family, Standing, Workshop
from strategies.manifest import write_manifest
from strategies.models.base import Prompt
from strategies.models.embedding_cache import CachingEmbedder
from strategies.models.fake import HashingEmbedder, ScriptedModel
from strategies.models.shelf import ModelShelf
from strategies.registry import STRATEGIES
from strategies.workload import Profile, Tokens, Workload

LABELS = ("billing", "delivery", "returns")


@pytest.fixture
def tickets(tmp_path: Path) -> Path:
    """80 tickets whose labels follow from nothing in their texts: whoever knows them was told."""
    rng = random.Random(7)
    path = tmp_path / "tickets.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows([f"parcel {i:03} {rng.choice('abcdefgh')}", rng.choice(LABELS)] for i in range(80))
    return path


@pytest.fixture
def rooms(tmp_path: Path) -> tuple[Path, Path]:
    """40 questions, and the documents that answer them."""
    rng = random.Random(3)
    codes = {n: f"K{rng.randrange(10_000):04}" for n in range(40)}
    questions, documents = tmp_path / "questions.jsonl", tmp_path / "documents.jsonl"
    questions.write_text(
        "".join(
            json.dumps({"question": f"What is the code of room r{n} ?", "answer": c}) + "\n" for n, c in codes.items()
        )
    )
    documents.write_text(
        "".join(json.dumps({"id": f"d{n}", "text": f"The code of room r{n} is {c} ."}) + "\n" for n, c in codes.items())
    )
    return questions, documents


def _labels_of(tickets: Path) -> dict[str, str]:
    with tickets.open(encoding="utf-8") as file:
        return {row["text"]: row["label"] for row in csv.DictReader(file)}


@pytest.fixture
def clerk(tickets: Path) -> ScriptedModel:
    """Knows every ticket, but only when fixed demonstrations are shown: `few_shot` alone is right."""
    known = _labels_of(tickets)

    def reply(prompt: Prompt) -> str:
        return known.get(prompt.turns[-1].content, "") if prompt.shared > 1 else LABELS[0]

    return ScriptedModel(reply)


def _read_the_context(prompt: Prompt) -> str:
    text = prompt.turns[-1].content
    room = re.search(r"of room (r\d+) \?", text)
    code = re.search(rf"room {room[1]} is (K\d+)", text) if room else None
    return code[1] if code else "unknown"


@pytest.fixture
def reader() -> ScriptedModel:
    """Answers with what the passages before the question say, and knows nothing else."""
    return ScriptedModel(_read_the_context)


@pytest.fixture
def shelf_with() -> Callable[[ScriptedModel], ModelShelf]:
    """A shelf that holds one language model, `scripted`, and one embedder, `hashing`."""
    return lambda model: ModelShelf(
        language_models={"scripted": model}, embedders={"hashing": HashingEmbedder(dimensions=4096)}
    )


@pytest.fixture
def fakes() -> dict[str, Any]:
    """Options that name the models of `shelf_with`."""
    return {"model": ["scripted"], "embedder": "hashing", "device": "cpu", "time_budget": 3600}


@pytest.fixture(autouse=True)
def _quiet_log() -> Iterator[None]:
    """Runs switch the log's propagation off; tests that read the log need it."""
    yield
    log.propagate = True


@pytest.fixture(autouse=True)
def _quick_collection() -> Iterator[None]:
    """Every fit ends with a garbage collection, which need not pass over the libraries that are loaded by then."""
    gc.freeze()
    yield
    gc.unfreeze()


# ---- a strategy that looks fine-tuned, and a bench to try it on ------------------------------------------------------


@dataclass(frozen=True)
class TunedFit:
    """What one fit of `Tuned` was asked for."""

    number: int
    """Counted from 0."""
    seed: int
    allowance: Allowance
    train: tuple[str, ...]
    """Ids of the rows that it was shown."""


@dataclass(frozen=True)
class _Memory:
    """Knows answers by heart."""

    answers: Mapping[str, str]
    name: str

    def predict(self, inputs: Sequence[str]) -> list[Prediction]:
        return [Prediction(self.answers[text]) for text in inputs]

    def save(self, folder: Path) -> None:
        write_manifest(folder, "constant", {"answer": self.name})


@dataclass
class Tuned:
    """Stands in for `lora`: every fit is remembered, and goes as the functions say."""

    known: Mapping[str, str]
    """The label of each input."""
    name: str = "lora"
    family: Family = "finetune"
    needs_documents: bool = False
    standing: Standing = "plain"
    kinds: Sequence[Kind] = tuple(Kind)
    uses_language_model: bool = True
    fits: list[TunedFit] = field(default_factory=list)
    epochs: Callable[[TunedFit], int] = lambda fit: 2
    """The best epoch of a fit that may choose."""
    right: Callable[[TunedFit, int], bool] = lambda fit, row: True
    """Whether a fit answers a row rightly, which is given by its place among the inputs."""
    during: Callable[[TunedFit, Workshop], None] = lambda fit, workshop: None
    """What else happens in a fit: an error, a mark in its log."""

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        fit = TunedFit(len(self.fits), workshop.seed, workshop.allowance, tuple(e.id for e in train))
        self.fits.append(fit)
        workshop.log.train_examples = len(train)
        workshop.log.config = {"best_epoch": workshop.allowance.fixed_epochs or self.epochs(fit)}
        self.during(fit, workshop)
        rows = enumerate(self.known.items())
        answers = {text: label if self.right(fit, row) else f"not {label}" for row, (text, label) in rows}
        return _Memory(answers, f"fit {fit.number}")

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        return Workload(fit=Tokens(trained=1.0))


@pytest.fixture
def tuned(tickets: Path, monkeypatch: pytest.MonkeyPatch) -> Tuned:
    """Takes the place of `lora` in the registry; all its fits are on this one object."""
    return _registered(Tuned(_labels_of(tickets)), monkeypatch)


@pytest.fixture
def builder(tickets: Path, monkeypatch: pytest.MonkeyPatch) -> Tuned:
    """The same for `lora_linear`, which builds on `lora`."""
    return _registered(Tuned(_labels_of(tickets), name="lora_linear", family="combination"), monkeypatch)


def _registered(strategy: Tuned, monkeypatch: pytest.MonkeyPatch) -> Tuned:
    module = f"{strategy.name}_for_tests"
    monkeypatch.setitem(sys.modules, module, SimpleNamespace(make=lambda: strategy))  # type: ignore[misc]
    monkeypatch.setitem(STRATEGIES, strategy.name, f"{module}:make")
    return strategy


@pytest.fixture
def task_file(tmp_path: Path) -> Path:
    """A task that is scored by accuracy, so that a share of rows is a share of points."""
    path = tmp_path / "task.json"
    path.write_text('{"description": "Route the parcel ticket to the right team.", "metric": "accuracy"}')
    return path


@pytest.fixture
def bench_for(
    tickets: Path,
    task_file: Path,
    clerk: ScriptedModel,
    shelf_with: Callable[[ScriptedModel], ModelShelf],
    fakes: dict[str, Any],
    tmp_path: Path,
) -> Callable[..., Bench]:
    """A bench on the tickets with a plan of so many folds; `options` are the request's, `planned` is the plan's."""

    def make(
        *, folds: int = 3, options: dict[str, Any] | None = None, deadline: float = math.inf, **planned: Any
    ) -> Bench:
        asked = {"task": str(task_file), "examples": str(tickets), **fakes, **(options or {})}
        request = make_request(**asked)
        data = read_data(request)
        parts = divide(data, request.seed, folds=folds)
        rows = sum(len(fold.test) for fold in parts)
        plan = RunPlan(**{"folds": folds, "repeats": 1, "test_rows": rows, "allowance": Allowance(), "predicted": {},
                          **planned})  # fmt: skip
        folder = RunFolder.open(tmp_path / "bench", "of this test")
        shelf = shelf_with(clerk)
        embedder = CachingEmbedder(shelf.embedder(request.embedder))
        return Bench(request, data, parts, plan, shelf, embedder, folder, Silent(), deadline)

    return make
