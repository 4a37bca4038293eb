"""The default models, where they are fetched: what they know, and that the fast paths hold on real weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from strategies.models import catalogue
from strategies.models.base import Decoding, Embedder, Prompt, Turn
from strategies.models.transformers_lm import TransformersModel

pytestmark = pytest.mark.real_model

LABELS = ("billing", "billing dispute", "power outage", "meter reading", "contract change", "praise")
TEXTS = (
    "There is no electricity in our street since this morning.",
    "I was charged twice for March and want my money back!",
    "You are the best supplier we ever had, thank you so much for the quick help on Sunday.",
)
PROMPTS = [
    Prompt((Turn("system", "Sort the message of a customer.\nLabels:\n" + "\n".join(LABELS)), Turn("user", text)), 1)
    for text in TEXTS
]


def fetched(name: str) -> None:
    if not catalogue.is_fetched(name):
        pytest.skip(f"{name} is not on this machine: fetch it with `advisor models pull {name}`")


@pytest.fixture(scope="module")
def model() -> TransformersModel:
    fetched(catalogue.DEFAULT_LANGUAGE_MODEL)
    loaded = catalogue.load_language_model(catalogue.DEFAULT_LANGUAGE_MODEL, "cpu")
    assert isinstance(loaded, TransformersModel)
    return loaded


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    fetched(catalogue.DEFAULT_EMBEDDER)
    return catalogue.load_embedder(catalogue.DEFAULT_EMBEDDER, "cpu")


def plain_scores(model: TransformersModel, prompt: Prompt) -> list[float]:
    """One full forward pass for each label."""
    import torch

    start, found = model.chat.tokens(prompt), []
    for label in LABELS:
        answer = [*model.chat.answer_tokens(label), model.chat.end_token]
        with torch.inference_mode():
            logits = model.network(input_ids=torch.tensor([start + answer])).logits[0].float()
        found.append(float(logits[len(start) - 1 : -1].log_softmax(-1)[range(len(answer)), answer].sum()))
    return found


def test_the_default_model_knows_the_capital_of_france(model: TransformersModel) -> None:
    (answer,) = model.generate([Prompt((Turn("user", "What is the capital of France?"),))], Decoding(16))
    assert "Paris" in answer.text
    assert answer.error is None


def test_the_default_model_is_what_the_catalogue_says(model: TransformersModel) -> None:
    assert model.identity.name == catalogue.DEFAULT_LANGUAGE_MODEL
    assert model.identity.licence == "Apache-2.0"
    assert model.identity.parameters == pytest.approx(135e6, rel=0.01)
    assert model.tokenizer.decode([model.chat.end_token]) == "<|im_end|>"


def test_label_scores_equal_those_of_one_forward_pass_a_label(model: TransformersModel) -> None:
    """Exact in float32; in bfloat16, where the CPU has it, both ways are off, the plain one by 0.4 nat here."""

    exact_model = catalogue.load_language_model(catalogue.DEFAULT_LANGUAGE_MODEL, "cpu")
    assert isinstance(exact_model, TransformersModel)
    exact_model.network.float()
    exact = np.array([plain_scores(exact_model, prompt) for prompt in PROMPTS])
    in_float32 = np.array([scores.log_likelihoods for scores in exact_model.score_labels(PROMPTS, LABELS)])
    as_it_runs = np.array([scores.log_likelihoods for scores in model.score_labels(PROMPTS, LABELS)])
    in_the_running = exact > exact.max(axis=1, keepdims=True) - 8
    assert np.abs(in_float32 - exact)[in_the_running].max() < 1e-3
    assert np.abs(as_it_runs - exact)[in_the_running].max() < 0.5
    assert np.abs(as_it_runs - exact)[in_the_running].mean() < 0.3
    plain = np.array([plain_scores(model, prompt) for prompt in PROMPTS])
    for scores in (in_float32, as_it_runs, plain):
        assert (scores.argmax(axis=1) == exact.argmax(axis=1)).all()


def test_embeddings_are_unit_vectors_that_know_what_is_meant(embedder: Embedder) -> None:
    vectors = embedder.encode(["My lights are out.", TEXTS[0], "I love pancakes with syrup.", ""])
    assert (vectors.shape, vectors.dtype) == ((4, 384), np.float32)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
    assert embedder.max_tokens >= 256


def test_no_texts_have_no_embeddings(embedder: Embedder) -> None:
    assert embedder.encode([]).shape == (0, 384)


def test_two_steps_of_training_change_the_answers_and_leave_the_base_alone(
    model: TransformersModel, tmp_path: Path
) -> None:
    from strategies.training.lora import LoraSettings, train_lora

    base = model.score_labels(PROMPTS, LABELS)
    pairs = [(prompt, "praise") for prompt in PROMPTS for _ in range(2)]
    settings = LoraSettings(rank=4, learning_rate=2e-3, epochs=1, batch_size=3)
    log = train_lora(model, pairs, settings, tmp_path / "adapter", lambda: 0.0)
    assert len(log.epochs) == 1
    assert model.score_labels(PROMPTS, LABELS) == base
    model.use_adapter(tmp_path / "adapter")
    tuned = model.score_labels(PROMPTS, LABELS)
    model.use_adapter(None)
    praise = LABELS.index("praise")
    assert all(t.log_likelihoods[praise] > b.log_likelihoods[praise] for t, b in zip(tuned, base, strict=True))
    assert model.score_labels(PROMPTS, LABELS) == base
