"""Tuning an embedder: the loss, the batches, and what becomes of a tiny one."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eval.contracts import Example, Kind, Task
from eval.errors import NotApplicable
from strategies import embedder_tuning
from strategies.base import Allowance, Workshop
from strategies.embedder_tuning import SetFit
from strategies.finetuning import passes
from strategies.linear_classifier import LinearClassifier
from strategies.models.embedding_cache import CachingEmbedder
from strategies.models.fake import HashingEmbedder, ScriptedModel
from strategies.models.sentence_embedder import SentenceEmbedder
from strategies.models.shelf import ModelShelf
from strategies.solutions import load_solution
from strategies.training import contrastive
from strategies.training.contrastive import ContrastiveSettings, batch_count, batches, contrastive_loss, tune_embedder
from strategies.tuning import watched_parts

TASK = Task("Sort the message.", Kind.CLASSIFICATION, "accuracy")
WORDS = {"billing": "invoice bill payment", "outage": "power dark street", "praise": "thanks great service"}
TRAIN = [Example(f"{label}{i}", f"{WORDS[label]} {i}", (label,)) for i in range(16) for label in WORDS]
SETTINGS = ContrastiveSettings(learning_rate=1e-2)


@pytest.fixture
def embedder(tiny_embedder_folder: Path) -> SentenceEmbedder:
    return SentenceEmbedder.load("tiny", tiny_embedder_folder, "cpu")


def workshop(embedder: Any, folder: Path, **allowance: Any) -> Workshop:
    return Workshop(ScriptedModel(lambda p: ""), embedder, (), folder, 3, Allowance(**allowance))


def plain_loss(vectors: torch.Tensor, kinds: list[int], temperature: float) -> float:
    """Khosla et al. 2020, equation 2, term by term."""
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    values = []
    for i, kind in enumerate(kinds):
        others = [j for j in range(len(kinds)) if j != i]
        partners = [j for j in others if kinds[j] == kind]
        whole = sum(math.exp(float(unit[i] @ unit[j]) / temperature) for j in others)
        terms = [-math.log(math.exp(float(unit[i] @ unit[j]) / temperature) / whole) for j in partners]
        if partners:
            values.append(sum(terms) / len(partners))
    return sum(values) / len(values)


def test_the_loss_is_that_of_the_paper() -> None:
    vectors = torch.randn(7, 5, generator=torch.Generator().manual_seed(1))
    kinds = [0, 1, 0, 2, 1, 0, 3]
    found = contrastive_loss(vectors, torch.tensor(kinds), 0.5)
    assert float(found) == pytest.approx(plain_loss(vectors, kinds, 0.5), rel=1e-5)


def test_where_no_two_are_of_one_kind_there_is_nothing_to_learn() -> None:
    vectors = torch.randn(3, 4, requires_grad=True)
    loss = contrastive_loss(vectors, torch.tensor([0, 1, 2]), 0.1)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0.0
    assert vectors.grad is not None
    assert not vectors.grad.any()


def test_the_steps_that_are_planned_are_taken(embedder: SentenceEmbedder) -> None:
    """A rate below zero unlearns: an epoch has as many batches, however its order falls."""
    labels = ["a"] * 31 + ["b"] * 36
    steps: list[tuple[int, int]] = []
    texts = [f"{label} {i}" for i, label in enumerate(labels)]
    tune_embedder(embedder, texts, labels, 3, 1, on_step=lambda done, total: steps.append((done, total)))
    assert steps == [(i, 6) for i in range(1, 7)]


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=80), st.integers(0, 5))
def test_an_epoch_shows_every_row_once_and_labels_in_company(labels: list[str], seed: int) -> None:
    found = batches(labels, 32, seed)
    assert sorted(row for batch in found for row in batch) == list(range(len(labels)))
    assert batches(labels, 32, seed) == found
    assert len(found) == batch_count(len(labels), 32)
    alone = sum(n == 1 for batch in found for n in Counter(labels[row] for row in batch).values())
    assert alone <= len(set(labels)), "a label's last row at most"


@pytest.mark.parametrize(("rare", "fewest"), [(50, 1), (200, 8)])
def test_labels_take_turns_so_that_every_batch_has_something_to_tell_apart(rare: int, fewest: int) -> None:
    labels = ["a"] * (400 - rare) + ["b"] * rare
    for seed in range(20):
        found = [Counter(labels[row] for row in batch) for batch in batches(labels, 32, seed)]
        assert all(min(kinds["a"], kinds["b"]) >= fewest for kinds in found)


def closeness(embedder: SentenceEmbedder) -> float:
    """How much nearer texts of one label are than others."""
    vectors = embedder.encode([e.input for e in TRAIN])
    same = np.array([[a.target == b.target for b in TRAIN] for a in TRAIN])
    cosines = vectors @ vectors.T
    return float(cosines[same].mean() - cosines[~same].mean())


def tuned(embedder: SentenceEmbedder, seed: int = 0) -> SentenceEmbedder:
    kept: list[SentenceEmbedder] = []
    texts, labels = [e.input for e in TRAIN], [e.target for e in TRAIN]
    tune_embedder(embedder, texts, labels, 2, seed, SETTINGS, on_epoch=lambda e, loss, own: not kept.append(own))
    assert len(kept) == 2
    return kept[-1]


def test_texts_of_one_label_are_drawn_together_and_the_base_stays_as_it_is(embedder: SentenceEmbedder) -> None:
    before = embedder.encode([TRAIN[0].input])
    own = tuned(embedder)
    assert closeness(own) > closeness(embedder) + 0.1
    assert np.array_equal(embedder.encode([TRAIN[0].input]), before)
    again = tuned(embedder).encode([TRAIN[0].input])
    assert np.array_equal(own.encode([TRAIN[0].input]), again), "the same seed gives the same weights"


def test_the_clock_ends_it(embedder: SentenceEmbedder) -> None:
    texts, labels = [e.input for e in TRAIN], [e.target for e in TRAIN]
    seen: list[int] = []
    done = tune_embedder(
        embedder, texts, labels, 5, 0, SETTINGS, on_epoch=lambda e, loss, own: not seen.append(e), deadline=0.0
    )
    assert (done, seen) == (True, [1])


# ---- the strategy ----------------------------------------------------------------------------------------------------


def test_what_is_kept_answers_the_same_when_it_is_loaded(embedder: SentenceEmbedder, tmp_path: Path) -> None:
    shop = workshop(CachingEmbedder(embedder), tmp_path)
    made = SetFit().fit(TASK, TRAIN, shop)
    inputs = ["the street is dark", "my invoice", "great"]
    made.save(tmp_path / "kept")
    again = load_solution(tmp_path / "kept", ModelShelf("cpu"))
    assert [p.text for p in again.predict(inputs)] == [p.text for p in made.predict(inputs)]
    assert [p.confidence for p in again.predict(inputs)] == [p.confidence for p in made.predict(inputs)]
    assert not [path for path in (tmp_path / "kept").rglob("*") if path.suffix in (".bin", ".pt", ".pkl")]


def test_few_rows_are_passed_over_as_often_as_by_lora(embedder: SentenceEmbedder, tmp_path: Path) -> None:
    shop = workshop(embedder, tmp_path)
    SetFit().fit(TASK, TRAIN, shop)
    learnt, _ = watched_parts(TASK, TRAIN, shop)
    epochs = passes(shop.allowance, False, len(learnt))
    assert len(shop.log.curve) == epochs
    assert shop.log.config == {"balanced": True, "epochs": epochs, "best_epoch": epochs}
    assert shop.log.train_examples == len(learnt) == 42
    fixed = workshop(embedder, tmp_path, fixed_epochs=2)
    SetFit().fit(TASK, TRAIN, fixed)
    assert (len(fixed.log.curve), fixed.log.config["best_epoch"], fixed.log.train_examples) == (2, 2, len(TRAIN))


def test_dev_rows_are_learnt_from_by_the_classifier_that_is_kept_alone(
    embedder: SentenceEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted, tuned_on = [], []
    fit_classifier, tune = LinearClassifier.fit_texts, contrastive.tune_embedder

    def fit_noted(features: Any, rows: Any, **how: bool) -> LinearClassifier:
        fitted.append(list(rows))
        return fit_classifier(features, rows, **how)

    def tune_noted(own: Any, texts: Any, *rest: Any, **how: Any) -> bool:
        tuned_on.extend(texts)
        return tune(own, texts, *rest, **how)

    monkeypatch.setattr(LinearClassifier, "fit_texts", fit_noted)
    monkeypatch.setattr(contrastive, "tune_embedder", tune_noted)
    shop = workshop(embedder, tmp_path)
    made = SetFit().fit(TASK, TRAIN, shop)
    learnt, dev = watched_parts(TASK, TRAIN, shop)
    assert dev
    *judged, kept = fitted
    assert all(rows == list(learnt) for rows in judged)
    assert (tuned_on, kept) == ([e.input for e in learnt], TRAIN)
    assert shop.log.held_out == (), "a refit cannot be checked by rows that its classifier knows"
    assert made.predict(["the street is dark"])


@pytest.mark.parametrize(("reached", "best"), [([0.5, 0.45, 0.4], 3), ([1.0, 1.0, 0.9], 3), ([0.9, 0.9, 0.1], 2)])
def test_the_last_epoch_before_answers_became_worse_is_kept(
    embedder: SentenceEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reached: list[float], best: int
) -> None:
    """By more than chance. A perfect answer to the dev rows ends nothing."""
    found, seen = iter(reached), list[Any]()
    monkeypatch.setattr(embedder_tuning, "passes", lambda *_: 3)
    monkeypatch.setattr(embedder_tuning, "quality", lambda task, own, dev: seen.append(own) or next(found))
    shop = workshop(embedder, tmp_path)
    made = SetFit().fit(TASK, TRAIN, shop)
    assert (shop.log.config["best_epoch"], [step["dev_quality"] for step in shop.log.curve]) == (best, reached)
    assert isinstance(made, LinearClassifier)
    assert made.features == seen[best - 1].features


@pytest.mark.parametrize(("metric", "balanced"), [("accuracy", False), ("macro_f1", True)])
def test_rare_labels_count_as_much_as_frequent_ones_where_the_metric_gains_by_it(
    embedder: SentenceEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metric: str, balanced: bool
) -> None:
    """On rows left out of those that are tuned on, by the embedder as it comes, which has learnt from none of them."""
    fitted, asked = list[bool](), list[str]()
    fit_classifier, encode = LinearClassifier.fit_texts, SentenceEmbedder.encode

    def fit_noted(features: Any, rows: Any, **how: bool) -> LinearClassifier:
        fitted.append(how["balanced"])
        return fit_classifier(features, rows, **how)

    def encode_noted(self: SentenceEmbedder, texts: Any) -> Any:
        if self is embedder:
            asked.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(LinearClassifier, "fit_texts", fit_noted)
    monkeypatch.setattr(SentenceEmbedder, "encode", encode_noted)
    labels = ["rare" if i % 6 == 0 else "usual" for i in range(48)]
    word = {"rare": "dark" if metric == "macro_f1" else "bill", "usual": "bill"}  # the rare label shows, or does not
    rows = [Example(str(i), f"{word[label]} {i}", (label,)) for i, label in enumerate(labels)]
    shop, chosen_before = workshop(embedder, tmp_path, epochs=2), [{"balanced": not balanced}]
    SetFit().fit(replace(TASK, metric=metric), rows, shop)
    assert shop.log.config["balanced"] is balanced
    assert set(fitted) == {balanced}
    learnt, _ = watched_parts(TASK, rows, shop)
    assert sorted(asked) == sorted(e.input for e in learnt)
    again = workshop(embedder, tmp_path, fixed_epochs=1, chosen_before=chosen_before)
    SetFit().fit(replace(TASK, metric=metric), rows, again)
    assert again.log.config["balanced"] is not balanced


def test_it_says_where_it_cannot_work(embedder: SentenceEmbedder, tmp_path: Path) -> None:
    with pytest.raises(NotApplicable, match="the answers are not labels"):
        SetFit().fit(replace(TASK, kind=Kind.QA), TRAIN, workshop(embedder, tmp_path))
    with pytest.raises(NotApplicable, match="10 training examples are too few"):
        SetFit().fit(TASK, TRAIN[:10], workshop(embedder, tmp_path))
    with pytest.raises(NotApplicable, match="its weights are not at hand"):
        SetFit().fit(TASK, TRAIN, workshop(HashingEmbedder(), tmp_path))
