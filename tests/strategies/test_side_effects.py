"""Forgetting and unsteadiness are found where they are, and not where they are not."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from eval.contracts import Prediction
from strategies import side_effects as module
from strategies.answers import AnswerFormat
from strategies.models.base import LabelScores, Prompt
from strategies.models.fake import ScriptedModel
from strategies.models.transformers_lm import TransformersModel
from strategies.pipeline import Pipeline
from strategies.probe import QUESTIONS, SHOWN, TEXTS
from strategies.prompts import PromptTemplate
from strategies.side_effects import CHANGES, MOST_INPUTS, general, side_effects, steadiness

INPUTS = [f"Where is parcel number {i}, please?" for i in range(40)]


@dataclass
class Knowing(ScriptedModel):
    """Knows the first answer to everything until an adapter is put on."""

    reply: object = None  # type: ignore[assignment]
    tuned: bool = False
    asked: list[Prompt] = field(default_factory=list)

    def use_adapter(self, folder: Path | None) -> None:
        self.tuned = folder is not None

    def score_labels(
        self, prompts: Sequence[Prompt], labels: Sequence[str], *, every: bool = False
    ) -> list[LabelScores]:
        worth = -2.0 if self.tuned else -1.0
        tokens = [worth * (len(label.split()) + 1) for label in labels]
        return [LabelScores(tuple(tokens)) for _ in prompts]

    def weigh_choices(self, prompts: Sequence[Prompt], choices: Sequence[Sequence[str]]) -> list[LabelScores]:
        self.asked += prompts
        right = -1 if self.tuned else 0
        return [LabelScores(tuple(float(text == own[right]) for text in own)) for own in choices]


@dataclass
class Answering:
    """Implements `Solution` by a function of the input and of how many are asked together."""

    answer: object
    calls: list[list[str]] = field(default_factory=list)

    def predict(self, inputs: Sequence[str]) -> list[Prediction]:
        self.calls.append(list(inputs))
        return [Prediction(self.answer(text, len(inputs))) for text in inputs]  # type: ignore[operator]

    def save(self, folder: Path) -> None: ...


def test_what_was_forgotten_is_the_difference_of_the_two_models(tmp_path: Path) -> None:
    model = Knowing()
    task = Pipeline(model, PromptTemplate("Sort."), AnswerFormat(labels=("a", "b")), adapter=tmp_path)
    found = side_effects(task, INPUTS, seed=0)
    assert (found.before.questions, found.after.questions) == (1.0, 0.0)
    assert found.before.perplexity == pytest.approx(math.e)
    assert found.after.perplexity == pytest.approx(math.e**2)
    assert [prompt.turns[-1].content for prompt in model.asked] == [q.text for q in QUESTIONS] * 2
    (shown,) = {prompt.turns[: prompt.shared] for prompt in model.asked}  # which is read once
    assert [turn.content for turn in shown] == [text for pair in SHOWN for text in pair]
    assert model.tuned, "it is left as the solution uses it"


def test_a_real_model_gets_figures_that_mean_something(tiny_model: TransformersModel) -> None:
    tiny_model.use_adapter(None)
    found = general(tiny_model)
    assert 0 <= found.questions <= 1
    assert 1 < found.perplexity < 1e6
    assert general(tiny_model) == found


def test_who_always_answers_alike_is_steady() -> None:
    solution = Answering(lambda text, together: "Yes." if "parcel" in text.casefold() else "yes.")
    assert steadiness(solution, INPUTS, seed=0) == module.Steadiness(1.0, 1.0, MOST_INPUTS)
    assert steadiness(solution, INPUTS[:3], seed=0).inputs == 3
    assert steadiness(solution, [], seed=0).inputs == 0


def test_who_answers_by_the_company_is_not() -> None:
    solution = Answering(lambda text, together: str(together))
    assert steadiness(solution, INPUTS, seed=0).repeated == 0.0


def test_who_answers_by_the_letter_is_not() -> None:
    found = steadiness(Answering(lambda text, together: text), INPUTS, seed=0)
    assert (found.repeated, found.reworded) == (1.0, pytest.approx(1 / len(CHANGES), abs=0.4))
    assert found.reworded < 0.5


def test_every_change_changes_a_little_and_only_that() -> None:
    rng = random.Random(0)
    for change in CHANGES:
        for text in INPUTS:
            changed = change(text, rng)
            assert changed != text
            assert abs(len(changed) - len(text)) <= 1
            assert sorted(changed.casefold().rstrip(".?")) == sorted(text.casefold().rstrip(".?"))
    assert [change("", rng) for change in CHANGES] == ["", ".", ""]


@pytest.mark.parametrize("text", ["أين طردي الذي طلبته", "मेरा पार्सल कहाँ है", "我的包裹在哪里", "4711 0815"])
def test_a_change_that_leaves_a_text_as_it_is_says_nothing_of_steadiness(text: str) -> None:
    """Other case does in most scripts; who answers by the letter is then not steady all the same."""
    assert steadiness(Answering(lambda text, together: text), [text], seed=0).reworded == 0.0


def test_a_slip_changes_places_of_letters_that_differ() -> None:
    slip = CHANGES[-1]
    assert {slip("aabbb", random.Random(seed)) for seed in range(20)} == {"ababb"}
    assert slip("aaaaaa", random.Random(0)) == "aaaaaa"


def test_the_seed_decides_what_is_asked() -> None:
    first, again = Answering(lambda text, together: ""), Answering(lambda text, together: "")
    steadiness(first, INPUTS, seed=3)
    steadiness(again, INPUTS, seed=3)
    assert first.calls == again.calls


def test_the_probe_is_fit_to_be_asked() -> None:
    assert len({q.text for q in QUESTIONS}) == len(QUESTIONS) >= 30
    assert all(len(set(q.answers)) == len(q.answers) == 4 for q in QUESTIONS)
    assert len(TEXTS) >= 8
    assert not {text for pair in SHOWN for text in pair} & {text for q in QUESTIONS for text in (q.text, *q.answers)}
