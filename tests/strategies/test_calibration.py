"""A model that leans towards one label is set upright by what it says to training inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from eval.contracts import Example, Kind, Task
from strategies.answers import AnswerFormat
from strategies.base import Allowance, Workshop
from strategies.calibration import MOST_ROWS, calibrated
from strategies.models.base import LabelScores, LanguageModel, Prompt
from strategies.models.fake import HashingEmbedder, ScriptedModel
from strategies.models.shelf import ModelShelf
from strategies.pipeline import ExampleRetriever, Pipeline
from strategies.prompts import PromptTemplate
from strategies.registry import make_strategy
from strategies.retrieval.index import ExampleIndex, Pair
from strategies.solutions import load_solution

TASK = Task("Sort the messages.", Kind.CLASSIFICATION, "accuracy")
LEAN = 7.0


@dataclass
class Leaning(ScriptedModel):
    """Knows which of two labels is likelier, but leans towards `bill`. Says whether every label was asked for."""

    asked_every: bool = False

    def score_labels(
        self, prompts: Sequence[Prompt], labels: Sequence[str], *, every: bool = False
    ) -> list[LabelScores]:
        self.asked_every = every
        self.seen += prompts
        found = []
        for prompt in prompts:
            knows = 2.0 if "invoice" in prompt.turns[-1].content else -2.0
            found.append(LabelScores(tuple(LEAN + knows if label == "bill" else -knows for label in labels)))
        return found


def rows(bills: int, others: int) -> list[Example]:
    said = [("invoice", "bill")] * bills + [("parcel", "post")] * others
    return [Example(str(i), f"my {word} {i}", (label,)) for i, (word, label) in enumerate(said)]


def workshop(model: LanguageModel, folder: Path, **allowance: object) -> Workshop:
    return Workshop(model, HashingEmbedder(), (), folder, 0, Allowance(**allowance))  # type: ignore[arg-type]


@pytest.fixture
def model() -> Leaning:
    return Leaning(lambda prompt: "")


@pytest.mark.parametrize(("bills", "others"), [(8, 8), (20, 8), (10, 40)])
def test_what_it_leans_towards_is_taken_off(model: Leaning, tmp_path: Path, bills: int, others: int) -> None:
    train = rows(bills, others)
    answers = AnswerFormat.infer(TASK, train, model)
    plain = Pipeline(model, PromptTemplate("Sort."), answers)
    asked = ["one invoice", "one parcel"]
    assert [p.text for p in plain.predict(asked)] == ["bill", "bill"]
    upright = calibrated(plain, train, workshop(model, tmp_path))
    assert [p.text for p in upright.predict(asked)] == ["bill", "post"]
    assert model.asked_every, "bounds of hopeless labels would be taken for their likelihoods"
    assert len(plain.answers.labels) == len(upright.answers.handicaps) == 2


def test_a_rare_label_stays_rare_where_nothing_tells_the_labels_apart(tmp_path: Path) -> None:
    class Blind(Leaning):
        def score_labels(
            self, prompts: Sequence[Prompt], labels: Sequence[str], *, every: bool = False
        ) -> list[LabelScores]:
            return [LabelScores(tuple(LEAN if label == "bill" else 0.0 for label in labels)) for _ in prompts]

    model, train = Blind(lambda prompt: ""), rows(3, 27)
    plain = Pipeline(model, PromptTemplate("Sort."), AnswerFormat.infer(TASK, train, model))
    (answer,) = calibrated(plain, train, workshop(model, tmp_path)).predict(["anything"])
    assert answer.text == "post"
    assert answer.confidence == pytest.approx(28 / 32)


def test_few_rows_are_asked_and_only_their_inputs_seen(model: Leaning, tmp_path: Path) -> None:
    train = rows(100, 100)
    plain = Pipeline(model, PromptTemplate("Sort."), AnswerFormat.infer(TASK, train, model))
    calibrated(plain, train, workshop(model, tmp_path))
    assert len(model.seen) == MOST_ROWS
    assert {prompt.turns[-1].content for prompt in model.seen} <= {e.input for e in train}


def test_no_row_is_shown_its_own_answer(model: Leaning, tmp_path: Path) -> None:
    train = rows(8, 8)
    retriever = ExampleRetriever(ExampleIndex.build(train, HashingEmbedder()), 3)
    answers = AnswerFormat.infer(TASK, train, model)
    calibrated(Pipeline(model, PromptTemplate("Sort."), answers, examples=retriever), train, workshop(model, tmp_path))
    assert len(model.seen) == len(train)
    for prompt in model.seen:
        *shown, asked = (turn.content for turn in prompt.turns)
        assert len(shown) == 1 + 2 * 3
        assert asked not in shown


def test_no_row_is_shown_an_answer_of_its_group_however_large(model: Leaning, tmp_path: Path) -> None:
    """Queries to come will not find their like, either: folds keep groups apart."""
    alike = [Example(f"t{i}", f"ring {i}", ("bill",), group="one customer") for i in range(8)]
    train = [*alike, Example("a", "ring ring ring", ("bill",)), *rows(3, 3)]
    retriever = ExampleRetriever(ExampleIndex.build(train, HashingEmbedder()), 3)
    shown = retriever.search([e.input for e in train], unseen=False)
    assert [len(pairs) for pairs in shown] == [3] * len(train)
    for example, pairs in zip(train, shown, strict=True):
        assert example.id not in {pair.id for pair in pairs}
        assert not (example.group and example.group in {pair.group for pair in pairs})
    assert any(pair.group for pair in shown[8]), "a row on its own is shown what is like it"
    assert retriever.search(["ring 1"])[0][0].id == "t1", "a new text, whatever is like it"


def test_large_groups_are_not_looked_through_for_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    train = [Example(str(i), f"ring number {i * 7919}", ("bill",), group=f"half {i % 2}") for i in range(400)]
    index, found = ExampleIndex.build(train, HashingEmbedder()), list[int]()
    search = index.search

    def counted(queries: Sequence[str], k: int, word_share: float) -> list[list[Pair]]:
        hits = search(queries, k, word_share)
        found.append(sum(map(len, hits)))
        return hits

    monkeypatch.setattr(index, "search", counted)
    shown = ExampleRetriever(index, 3).search([e.input for e in train], unseen=False)
    assert all({pair.group for pair in pairs} == {f"half {1 - i % 2}"} for i, pairs in enumerate(shown))
    assert {len(pairs) for pairs in shown} == {3}
    assert sum(found) < 400 * 50


def test_where_nothing_can_be_read_nothing_changes(tmp_path: Path) -> None:
    model = ScriptedModel(lambda prompt: "bill", context_tokens=1)
    train = rows(8, 8)
    plain = Pipeline(model, PromptTemplate("Sort."), AnswerFormat.infer(TASK, train, model))
    assert calibrated(plain, train, workshop(model, tmp_path)) == plain


@pytest.mark.parametrize("name", ["zero_shot", "few_shot", "nearest_examples"])
def test_prompting_finds_out_whether_it_helps(model: Leaning, tmp_path: Path, name: str) -> None:
    train = rows(30, 30)
    made = make_strategy(name).fit(TASK, train, own := workshop(model, tmp_path))
    assert own.log.config["calibrated"] is True
    assert own.log.trials[0]["calibrated"] is (name != "nearest_examples")
    assert {trial["calibrated"] for trial in own.log.trials} == {True, False}
    made.save(tmp_path / "kept")
    again = load_solution(
        tmp_path / "kept", ModelShelf("cpu", {model.identity.name: model}, {"hashing": HashingEmbedder()})
    )
    assert [p.text for p in again.predict(["an invoice", "a parcel"])] == ["bill", "post"]


def test_without_tuning_it_is_done_unseen(model: Leaning, tmp_path: Path) -> None:
    made = make_strategy("zero_shot").fit(TASK, rows(10, 10), own := workshop(model, tmp_path, tuning_seconds=0))
    assert own.log.trials == []
    assert [p.text for p in made.predict(["a parcel"])] == ["post"]


def test_a_model_that_only_names_a_label_is_not_asked(tmp_path: Path) -> None:
    class Naming(Leaning):
        weighs_labels = False  # type: ignore[assignment]

    model = Naming(lambda prompt: "")
    made = make_strategy("zero_shot").fit(TASK, rows(10, 10), own := workshop(model, tmp_path))
    assert (model.seen, own.log.config) == ([], {"described": False})
    assert isinstance(made, Pipeline)
    assert made.answers.handicaps == ()


def test_handicaps_survive_the_manifest() -> None:
    format_ = AnswerFormat(("a", "b"), handicaps=(1.5, -0.25))
    assert AnswerFormat.from_json(format_.to_json()) == format_
    assert np.isfinite(format_.handicaps).all()
