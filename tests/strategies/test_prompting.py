"""What prompts tell of the form of answers, and when they tell less."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eval.contracts import Document, Example, Kind, Task
from eval.harness import evaluate
from eval.metrics import get_metric
from strategies.base import Allowance, Workshop
from strategies.models.fake import HashingEmbedder, ScriptedModel
from strategies.prompting import LIST_LEFT_OUT
from strategies.registry import make_strategy

CONTEXT = 300
SORT = Task("Sort.", Kind.CLASSIFICATION, "accuracy")
READ = Task("Read.", Kind.EXTRACTION, "json_field_f1")


def sorting(labels: int, words: int = 4) -> list[Example]:
    """Two rows of each label, which a word of the input names."""
    return [Example(f"{i:03}", "word " * (words - 1) + f"{i % labels}", (f"label {i % labels}",)) for i in range(160)]


def fitted(
    name: str, task: Task, rows: list[Example], folder: Path, first: dict[str, Any] | None = None
) -> tuple[Any, Workshop]:
    model = ScriptedModel(lambda prompt: f"label {prompt.turns[-1].content.split()[-1]}", context_tokens=CONTEXT)
    documents, allowance = [Document("d", "a document")], Allowance(tuning_seconds=0)
    workshop = Workshop(model, HashingEmbedder(), documents, folder, allowance=allowance)
    strategy: Any = make_strategy(name)
    strategy.configurations = ({**strategy.configurations[0], **(first or {})},)
    return strategy.fit(task, rows, workshop), workshop


@pytest.mark.parametrize("name", ["zero_shot", "few_shot", "rag", "nearest_examples"])
def test_a_list_of_labels_that_fills_the_context_is_left_out_and_that_is_told(name: str, tmp_path: Path) -> None:
    """Labels are weighed, listed or not; with such a list no input would be answered at all."""
    first = {"form_told": True} if name == "nearest_examples" else {}
    rows = sorting(labels=160)
    solution, workshop = fitted(name, SORT, rows, tmp_path, first)
    assert "label 1\n" not in solution.template.instruction
    assert workshop.log.config[LIST_LEFT_OUT] is True
    assert evaluate(solution, rows[:9], get_metric("accuracy")).scores == [1.0] * 9


@pytest.mark.parametrize("described", [False, True])
def test_a_list_that_leaves_room_stays(described: bool, tmp_path: Path) -> None:
    solution, workshop = fitted("zero_shot", SORT, sorting(labels=20), tmp_path, {"described": described})
    assert "label 1" in solution.template.instruction
    assert LIST_LEFT_OUT not in workshop.log.config


def test_how_long_inputs_are_decides(tmp_path: Path) -> None:
    """40 labels take 80 of 300 words, and 64 stay for what is weighed."""
    for words, left_out in ((100, False), (180, True), (400, False)):
        solution, workshop = fitted("zero_shot", SORT, sorting(40, words), tmp_path)
        assert workshop.log.config.get(LIST_LEFT_OUT, False) is left_out, "inputs of 400 words never fit"
        assert ("label 1\n" not in solution.template.instruction) is left_out


def test_a_few_long_inputs_do_not_cost_the_others_the_list(tmp_path: Path) -> None:
    rows = [*sorting(40)[:156], *sorting(40, words=180)[156:]]
    assert LIST_LEFT_OUT not in fitted("zero_shot", SORT, rows, tmp_path)[1].log.config


def test_keys_that_fill_the_context_are_left_out_too(tmp_path: Path) -> None:
    rows = [Example(f"{i:03}", f"text {i}", (json.dumps({f"field {i}": i}),)) for i in range(160)]
    solution, workshop = fitted("zero_shot", READ, rows, tmp_path)
    assert solution.template.instruction == "Read.\nAnswer with one JSON object."
    assert workshop.log.config[LIST_LEFT_OUT] is True


@pytest.mark.parametrize("name", ["zero_shot", "few_shot", "rag", "nearest_examples"])
def test_broken_json_is_not_shown(name: str, tmp_path: Path) -> None:
    rows = [Example(f"{i:02}", f"text {i}", (f'{{"a": {i}' + "}" * (i % 5 > 0),)) for i in range(40)]
    first = {"zero_shot": {"described": True}, "rag": {"demonstrations": 20}}.get(name, {})
    solution, _ = fitted(name, READ, rows, tmp_path, first)
    shown = [turn.content for turn in solution.prompts(["text 5"])[0].turns]
    assert "".join(shown).count("{") == "".join(shown).count("}") > 0


def test_what_was_left_out_of_another_configuration_is_not_told(tmp_path: Path) -> None:
    rows = sorting(labels=160)
    model = ScriptedModel(lambda prompt: f"label {prompt.turns[-1].content.split()[-1]}", context_tokens=CONTEXT)
    workshop = Workshop(model, HashingEmbedder(), (), tmp_path)
    make_strategy("nearest_examples").fit(SORT, rows, workshop)
    assert workshop.log.config["form_told"] is False
    assert LIST_LEFT_OUT not in workshop.log.config


def test_a_hosted_model_is_told_the_labels_all_the_same(tmp_path: Path) -> None:
    """It names a label rather than weighing all, and its context is only assumed."""

    class Naming(ScriptedModel):
        weighs_labels = False

    workshop = Workshop(Naming(lambda prompt: "label 1", context_tokens=CONTEXT), HashingEmbedder(), (), tmp_path)
    solution: Any = make_strategy("zero_shot").fit(SORT, sorting(labels=160), workshop)
    assert "label 1\n" in solution.template.instruction
    assert LIST_LEFT_OUT not in workshop.log.config
