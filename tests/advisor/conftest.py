"""Small client cases that only one strategy can solve, and fakes in the place of models."""

from __future__ import annotations

import csv
import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from advisor.runs import log
from strategies.models.base import Prompt
from strategies.models.fake import HashingEmbedder, ScriptedModel
from strategies.models.shelf import ModelShelf

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
