"""Demonstrations are typical, different from each other, and of as many labels as possible."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.contracts import Document, Example, Kind, Task
from strategies.answers import AnswerFormat
from strategies.base import Allowance, Workshop
from strategies.demonstrations import MOST_CANDIDATES, Choice, pick
from strategies.finetuning import LoraExamples
from strategies.models.fake import HashingEmbedder, ScriptedModel
from strategies.pipeline import Pipeline
from strategies.prompting import FewShot
from strategies.prompts import PromptTemplate
from strategies.registry import make_strategy

EMBEDDER = HashingEmbedder()
ROWS = [
    Example(f"{label}{i}", f"{word} number {i} {extra}", (label,))
    for label, word, n in (("a", "invoice", 12), ("b", "power", 6), ("c", "contract", 2))
    for i, extra in zip(range(n), ("", "please", "again", "today", "now", "here") * 2, strict=False)
]


@pytest.mark.parametrize("by_label", [True, False])
@pytest.mark.parametrize("count", [1, 5, 20, 99])
@pytest.mark.parametrize("choice", ["typical", "diverse", "random"])
def test_as_many_are_shown_as_asked_for_and_none_twice(choice: Choice, count: int, by_label: bool) -> None:
    shown = pick(ROWS, count, EMBEDDER, by_label=by_label, choice=choice)
    assert len(shown) == min(count, len(ROWS))
    assert len({e.id for e in shown}) == len(shown)
    assert set(shown) <= set(ROWS)


@pytest.mark.parametrize("by_label", [True, False])
@pytest.mark.parametrize("count", [6, 12, 24])
@pytest.mark.parametrize("choice", ["typical", "diverse", "random"])
def test_what_stands_several_times_is_shown_once(choice: Choice, count: int, by_label: bool) -> None:
    canned = [Example(f"r{i}", f"canned question {i % 3}", ("abc"[i % 3],)) for i in range(25)]
    shown = pick([*canned, *ROWS], count, EMBEDDER, by_label=by_label, choice=choice)
    assert len(shown) == len({(e.input, e.target) for e in shown}) == min(count, len(ROWS) + 3)


def test_labels_take_turns_the_commonest_first() -> None:
    assert [e.target for e in pick(ROWS, 8, EMBEDDER, by_label=True)] == list("abcabcab")
    assert [e.target for e in pick(ROWS, 2, EMBEDDER, by_label=True)] == list("ab")


@pytest.mark.parametrize("choice", ["typical", "diverse", "random"])
def test_a_long_file_sorted_by_label_has_all_labels_shown(choice: Choice) -> None:
    sizes = {"a": 2 * MOST_CANDIDATES, "b": MOST_CANDIDATES, "c": 3}
    rows = [Example(f"{label}{i}", f"text {i} of {label}", (label,)) for label, n in sizes.items() for i in range(n)]
    shown = pick(rows, 6, EMBEDDER, by_label=True, choice=choice)
    assert [e.target for e in shown][:3] == ["a", "b", "c"]
    spread = pick(rows, 12, EMBEDDER, by_label=False, choice="random")
    assert {e.target for e in spread} >= {"a", "b"}


def test_a_label_that_has_run_out_leaves_its_turn_to_the_others() -> None:
    assert [e.target for e in pick(ROWS, 11, EMBEDDER, by_label=True)] == list("abcabcababa")


def test_the_first_is_the_most_typical_and_the_second_the_farthest_from_it() -> None:
    first, second = pick(ROWS, 2, EMBEDDER, by_label=False)
    vectors = EMBEDDER.encode([e.input for e in ROWS])
    typical = int((vectors @ vectors.mean(axis=0)).argmax())
    assert first == ROWS[typical]
    assert second == ROWS[int((vectors @ vectors[typical]).argmin())]


def test_each_is_the_farthest_from_all_before_it() -> None:
    vectors = EMBEDDER.encode([e.input for e in ROWS])
    shown = [ROWS.index(e) for e in pick(ROWS, 6, EMBEDDER, by_label=False)]
    for n in range(1, 6):
        nearness = (vectors @ vectors[shown[:n]].T).max(axis=1)
        nearness[shown[:n]] = np.inf
        assert nearness[shown[n]] == pytest.approx(nearness.min())


@pytest.mark.parametrize("choice", ["typical", "diverse", "random"])
def test_the_same_rows_are_picked_every_time(choice: Choice) -> None:
    first, again = (pick(ROWS, 7, EMBEDDER, by_label=True, choice=choice) for _ in range(2))
    assert first == again


FIRST = {"demonstrations": 5, "choice": "typical", "described": False}


def test_the_most_typical_may_stand_next_to_the_question(tmp_path: Path) -> None:
    """The same demonstrations, in the opposite order."""

    def shown(most_typical: str) -> list[str]:
        strategy = FewShot()
        strategy.configurations = ({**FIRST, "most_typical": most_typical},)
        workshop = Workshop(ScriptedModel(lambda prompt: "a"), EMBEDDER, [], tmp_path)
        solution = strategy.fit(Task("Sort.", Kind.CLASSIFICATION, "accuracy"), ROWS, workshop)
        assert isinstance(solution, Pipeline)
        return [demonstration.question for demonstration in solution.template.demonstrations]

    assert shown("last") == shown("first")[::-1]


def test_rows_with_the_same_input_are_all_picked_in_the_end() -> None:
    twins = [Example(str(i), "the same", (f"answer {i}",)) for i in range(4)]
    assert {e.id for e in pick(twins, 4, EMBEDDER, by_label=False)} == {"0", "1", "2", "3"}


def test_only_the_first_rows_of_many_are_candidates() -> None:
    many = [Example(str(i), f"text {i}", ("x",)) for i in range(MOST_CANDIDATES + 50)]
    assert all(int(e.id) < MOST_CANDIDATES for e in pick(many, 20, EMBEDDER, by_label=False))


@pytest.mark.parametrize("name", ["few_shot", "rag"])
def test_the_log_says_how_many_are_shown(tmp_path: Path, name: str) -> None:
    rows = [Example(str(i), "word " * 30 + str(i), (f"label {i % 2}",)) for i in range(20)]
    model = ScriptedModel(lambda prompt: "", context_tokens=500)
    documents = [Document("d", "The word is word.")]
    workshop = Workshop(model, HashingEmbedder(), documents, tmp_path, allowance=Allowance(tuning_seconds=0.0))
    strategy: Any = make_strategy(name)
    strategy.configurations = ({**strategy.configurations[0], "demonstrations": 12},)
    solution: Any = strategy.fit(Task("Sort.", Kind.CLASSIFICATION, "accuracy"), rows, workshop)
    assert workshop.log.config["demonstrations"] == 12
    assert 0 < workshop.log.config["demonstrations_shown"] == len(solution.template.demonstrations) < 12


WIDE = [Example(str(i), f"room for {i}", (json.dumps({"nights": i, "city": "Oslo"}, indent=2),)) for i in range(20)]
BOOKING = Task("Write the booking as JSON.", Kind.EXTRACTION, "json_field_f1")


@pytest.mark.parametrize("name", ["few_shot", "nearest_examples", "rag"])
def test_demonstrations_are_laid_out_as_answers_must_be_written(tmp_path: Path, name: str) -> None:
    """The grammar writes one space after commas and colons, whatever the client's layout."""
    model, documents = ScriptedModel(lambda prompt: "{}"), [Document("d", "Rooms in Oslo.")]
    workshop = Workshop(model, EMBEDDER, documents, tmp_path, allowance=Allowance(tuning_seconds=0.0))
    strategy: Any = make_strategy(name)
    strategy.configurations = ({**strategy.configurations[0], "demonstrations": 3},)
    solution: Any = strategy.fit(BOOKING, WIDE, workshop)
    (prompt,) = solution.prompts(["room for 3"])
    shown = [turn.content for turn in prompt.turns if turn.role == "assistant"]
    assert len(shown) == 3
    assert all(text == json.dumps(json.loads(text)) for text in shown)


def test_what_is_copied_keeps_the_layout_of_the_client(tmp_path: Path) -> None:
    workshop = Workshop(ScriptedModel(lambda prompt: "{}"), EMBEDDER, [], tmp_path)
    solution = make_strategy("nearest_copy").fit(BOOKING, WIDE, workshop)
    assert solution.predict(["room for 3"])[0].text == WIDE[3].target


def test_an_adapter_that_follows_examples_is_shown_them_as_it_must_write(tmp_path: Path) -> None:
    model = ScriptedModel(lambda prompt: "{}")
    workshop = Workshop(model, EMBEDDER, [], tmp_path)
    plain = Pipeline(model, PromptTemplate("Do it."), AnswerFormat.infer(BOOKING, WIDE, model))
    remembering = LoraExamples()._remembering(BOOKING, plain, WIDE, workshop)
    (prompt,) = remembering.prompts(["room for 3"])
    shown = [turn.content for turn in prompt.turns if turn.role == "assistant"]
    assert len(shown) == LoraExamples.count
    assert all(text == json.dumps(json.loads(text)) for text in shown)
