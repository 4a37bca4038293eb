"""What tests of several rooms share: a tiny language model, an embedder without weights, and small tasks."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eval.contracts import Document, Example, Kind, Task
from strategies.models import tiny
from strategies.models.fake import HashingEmbedder

if TYPE_CHECKING:
    from strategies.models.transformers_lm import TransformersModel

TOWNS = (
    *("Arvel", "Brone", "Cadra", "Delm", "Ester", "Fondy", "Gaul", "Hemd"),
    *("Ilsa", "Jorn", "Kelm", "Lund", "Morv", "Nerd", "Olst", "Pram"),
)


@dataclass(frozen=True)
class SmallTask:
    """A task with what a client would hand over."""

    task: Task
    examples: tuple[Example, ...]
    documents: tuple[Document, ...] = ()


def classification() -> SmallTask:
    """Three labels, two of which begin alike; 60 examples."""
    rows = []
    for i in range(20):
        rows += [
            (f"Why is invoice {i} about {i * 7} euros higher than last month?", "billing"),
            (f"I paid invoice {i} twice and want {i * 7} euros back!", "billing dispute"),
            (f"No power in Größe Street {i} since {i % 12} o'clock.", "outage"),
        ]
    task = Task("Sort the message of a customer.", Kind.CLASSIFICATION, "accuracy", "messages")
    return SmallTask(task, _examples(rows))


def answering() -> SmallTask:
    """48 questions over 16 short documents."""
    documents, rows = [], []
    for i, town in enumerate(TOWNS):
        text = (
            f"{town} is a town of {i + 2} thousand people. The bridge of {town} was built in {1800 + 7 * i}. "
            f"The mayor of {town} is {TOWNS[-1 - i]} Smith."
        )
        documents.append(Document(f"d{i}", text, town))
        rows += [
            (f"When was the bridge of {town} built?", f"{1800 + 7 * i}"),
            (f"Who is the mayor of {town}?", f"{TOWNS[-1 - i]} Smith"),
            (f"How many people live in {town}?", f"{i + 2} thousand"),
        ]
    return SmallTask(Task("Answer the question.", Kind.QA, "token_f1", "towns"), _examples(rows), tuple(documents))


def extraction() -> SmallTask:
    """48 bookings to JSON."""
    rows = []
    for i in range(48):
        city, guests, breakfast = ("Arvel", "Brone", "Cadra")[i % 3], i % 5 + 1, i % 2 == 0
        booking: dict[str, Any] = {"city": city, "guests": guests, "breakfast": breakfast}
        text = f"Booking {i}: {guests} guests in {city}, {'with' if breakfast else 'no'} breakfast"
        rows.append((text, json.dumps(booking)))
    task = Task("Write the booking as JSON.", Kind.EXTRACTION, "json_field_f1", "bookings")
    return SmallTask(task, _examples(rows))


def rewriting() -> SmallTask:
    """48 spoken sentences to clean ones, with documents that do not help."""
    rows = [
        (
            f"um so i want uh {i} tickets for the {i % 7} o clock show",
            f"I want {i} tickets for the {i % 7} o'clock show.",
        )
        for i in range(48)
    ]
    task = Task("Clean up the sentence.", Kind.GENERATION, "rougeL", "tickets")
    documents = (Document("show", "The show begins every hour. Tickets cost ten euros.", "Show"),)
    return SmallTask(task, _examples(rows), documents)


def _examples(rows: list[tuple[str, str]]) -> tuple[Example, ...]:
    return tuple(Example(f"{i:03}", text, (target,), i + 1) for i, (text, target) in enumerate(rows))


SMALL_TASKS: dict[Kind, Callable[[], SmallTask]] = {
    Kind.CLASSIFICATION: classification,
    Kind.QA: answering,
    Kind.EXTRACTION: extraction,
    Kind.GENERATION: rewriting,
}


@pytest.fixture(scope="session")
def small_tasks() -> dict[Kind, SmallTask]:
    """One small task of each kind."""
    return {kind: make() for kind, make in SMALL_TASKS.items()}


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of two layers with a ChatML tokenizer, in Hugging Face format."""
    return tiny.make_language_model(tmp_path_factory.mktemp("tiny-model"))


@pytest.fixture(scope="session")
def tiny_embedder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of one layer, in the format of sentence-transformers."""
    return tiny.make_embedder(tmp_path_factory.mktemp("tiny-embedder"))


def _load(folder: Path) -> TransformersModel:
    from strategies.models.transformers_lm import TransformersModel

    return TransformersModel.load(str(folder), folder, device="cpu")


@pytest.fixture(scope="session")
def tiny_model(tiny_model_folder: Path) -> TransformersModel:
    """The tiny model as it runs in earnest: bfloat16 on CPU."""
    return _load(tiny_model_folder)


@pytest.fixture(scope="session")
def exact_model(tiny_model_folder: Path) -> TransformersModel:
    """The tiny model in float32, for comparisons with straightforward computations."""
    model = _load(tiny_model_folder)
    model.network.float()
    return model


@pytest.fixture(scope="session")
def embedder() -> HashingEmbedder:
    """Bags of words: no weights needed."""
    return HashingEmbedder()
