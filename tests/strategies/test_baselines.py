"""The best constant answer."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from time import process_time

import pytest

from eval.contracts import Example, Kind, Task
from strategies.base import Workshop
from strategies.baselines import Constant, Majority
from strategies.models.fake import HashingEmbedder, ScriptedModel

WORDS = [f"{a}{b}{c}" for a in ("br", "st", "m", "gl", "t") for b in "aeiou" for c in ("nd", "ck", "lt", "se")]


def constant(metric: str, targets: Sequence[str | tuple[str, ...]]) -> str:
    """What is always answered after these."""
    train = [Example(str(i), f"question {i}", (t,) if isinstance(t, str) else t) for i, t in enumerate(targets)]
    workshop = Workshop(ScriptedModel(lambda prompt: ""), HashingEmbedder(), (), Path())
    solution = Majority().fit(Task("Answer.", Kind.GENERATION, metric), train, workshop)
    assert isinstance(solution, Constant)
    assert solution.answer in {e.target for e in train}
    assert workshop.log.train_examples == len(train)
    return solution.answer


def price(i: int) -> str:
    return f"A parcel of up to {i} kg to country {i * 7} costs {i * 13}.50 EUR."


def delay(i: int) -> str:
    return f"We are sorry that order {i} is late; it will be with you in {i * 3} days."


def prose(rng: random.Random, words: int = 15) -> str:
    return " ".join(rng.choices(WORDS, k=words))


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "exact_match"])
@pytest.mark.parametrize("others", [2, 100])
def test_of_labels_it_is_the_commonest(metric: str, others: int) -> None:
    labels = [f"label {i % others}" for i in range(5 * others)]
    assert constant(metric, [*labels, "label 1"]) == "label 1"
    assert constant(metric, labels[::-1]) == "label 0", "of equals the first"


@pytest.mark.parametrize("metric", ["rougeL", "token_f1", "gleu", "chrf"])
def test_of_texts_it_is_one_in_the_commonest_form(metric: str) -> None:
    rng = random.Random(0)
    replies = [price(i) for i in range(2, 40)] + [delay(i) for i in range(2, 20)] + [prose(rng) for _ in range(10)]
    rng.shuffle(replies)
    assert constant(metric, replies).startswith("A parcel")


def test_each_text_that_is_tried_stands_for_others_that_are_not() -> None:
    said = "I do not know, please ask the branch."
    assert constant("rougeL", [said] * 30 + [price(i) for i in range(70)]).startswith("A parcel")
    assert constant("rougeL", [said] * 30 + [prose(random.Random(i)) for i in range(70)]) == said


def test_all_accepted_answers_count() -> None:
    assert constant("exact_match", [("a", "c"), ("b", "c"), ("d", "d"), "c"]) == "c"


def test_of_json_the_fields_count_and_what_is_broken_is_none() -> None:
    bookings = [f'{{"place": "Oslo", "day": "Monday", "guests": {i}}}' for i in range(6)]
    assert constant("json_field_f1", [*bookings, *['{"place": "Oslo"'] * 3, '{"place": "Rome"}']) in bookings


def test_the_order_of_the_examples_does_not_matter() -> None:
    rng = random.Random(0)
    texts = [prose(rng) for _ in range(100)]
    assert constant("rougeL", texts) == constant("rougeL", texts[::-1])


@pytest.mark.parametrize("words", [20, 300])
@pytest.mark.parametrize("metric", ["rougeL", "chrf", "token_f1"])
def test_many_texts_take_a_second_or_two(metric: str, words: int) -> None:
    rng = random.Random(0)
    texts = [prose(rng, words) for _ in range(5000)]
    constant(metric, texts[:20])
    start = process_time()
    constant(metric, texts)
    assert process_time() - start < 3
