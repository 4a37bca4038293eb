"""Words and votes count where training rows that are left out say so."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from eval.contracts import Example, Kind, Task
from eval.metrics import get_metric
from strategies.answers import AnswerFormat
from strategies.base import Allowance, Workshop
from strategies.baselines import CopyNearest, NearestCopy
from strategies.models.fake import HashingEmbedder, ScriptedModel
from strategies.models.shelf import ModelShelf
from strategies.pipeline import ExampleRetriever, Pipeline
from strategies.prompts import PromptTemplate
from strategies.retrieval import neighbours
from strategies.retrieval.index import ExampleIndex, Pair
from strategies.retrieval.neighbours import VOTES, Neighbours, best_neighbours, voters

ACCURACY = get_metric("accuracy")
TASK = Task("Sort.", Kind.CLASSIFICATION, "accuracy")
NOISY = [Example(str(i), f"{'up' if i % 2 else 'down'} {i}", (f"{i % 2 if i % 5 else 1 - i % 2}",)) for i in range(120)]
"""Every fifth row is labelled wrongly."""


class Seeing(HashingEmbedder):
    """Embeds the first word of a text alone."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return super().encode([text.split()[0] for text in texts])


def rows(count: int, group: str = "") -> list[Example]:
    """The label hangs on the ending of the second word, which `Seeing` does not see; what it sees says nothing."""
    texts = [f"word{i % 5} {'zinnober' if i // 5 % 2 else 'karmesin'}{i}" for i in range(count)]
    return [Example(str(i), t, ("a" if "zinn" in t else "b",), group=group) for i, t in enumerate(texts)]


def best(examples: Sequence[Example], embedder: HashingEmbedder, votes: Sequence[int] = (1,)) -> Neighbours:
    return best_neighbours(ExampleIndex.build(examples, embedder), ACCURACY, 0, votes)


def workshop(folder: Path, embedder: HashingEmbedder, allowance: Allowance | None = None) -> Workshop:
    model = ScriptedModel(lambda prompt: "")
    return Workshop(model, embedder, (), folder, allowance=allowance or Allowance())


def test_words_count_where_they_tell_and_not_where_meaning_tells_as_much() -> None:
    assert best(rows(60), Seeing()).word_share > 0
    told = [Example(str(i), f"{'up' if i % 2 else 'down'} {i * 7919}", (f"{i % 2}",)) for i in range(60)]
    assert best(told, Seeing()) == Neighbours()


def test_a_few_rows_decide_nothing() -> None:
    assert best(rows(7), Seeing()) == Neighbours()


def test_what_is_better_by_chance_is_seldom_taken() -> None:
    """Some of nine ways is nearly always ahead of the usual one, though the labels mean nothing."""
    chosen = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        noise = [Example(str(i), f"word{i % 9} w{rng.integers(9)}", (str(rng.integers(2)),)) for i in range(60)]
        chosen.append(best(noise, Seeing(), VOTES) != Neighbours())
    assert sum(chosen) < 10


def test_what_belongs_together_does_not_speak_for_each_other() -> None:
    """Words tell the answer within a group alone, and folds keep groups apart."""
    name = "abcdefghijklmnopqrst"
    alike = [
        Example(f"{g}/{i}", f"word {letter * 6} {letter * 5}{i}", (f"{hash_of(g)}",), group=letter)
        for g, letter in enumerate(name)
        for i in range(4)
    ]
    assert best(alike, Seeing()) == Neighbours()
    apart = [Example(e.id, e.input, e.targets) for e in alike]
    assert best(apart, Seeing()).word_share > 0


def hash_of(number: int) -> int:
    return number * 7919 % 13 % 2


def test_one_group_or_one_row_is_answered_the_usual_way() -> None:
    assert best(rows(20, group="all"), Seeing()) == Neighbours()
    assert best(rows(1), Seeing()) == Neighbours()
    assert best([], Seeing()) == Neighbours()
    assert best([Example("0", " ", ("a",)), Example("1", "", ("b",))], HashingEmbedder()) == Neighbours()


@pytest.mark.parametrize(("limit", "most"), [("MOST_EXACT", 59), ("MOST_CHARACTERS", 500)])
def test_where_not_all_are_compared_or_terms_take_too_long_to_count_the_search_is_the_usual_one(
    limit: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, limit, most)
    assert best(rows(60), Seeing()) == Neighbours()


def test_several_vote_where_single_ones_are_often_wrong() -> None:
    assert best(NOISY, Seeing(), VOTES).votes > 1
    assert best(NOISY, Seeing()).votes == 1


def test_of_equally_many_votes_the_nearest_decides() -> None:
    answers = [Pair(str(i), "", answer) for i, answer in enumerate("abbac")]
    assert [p.id for p in voters(answers)] == ["0", "3"]
    assert [p.id for p in voters(answers[1:])] == ["1", "2"]
    assert [p.id for p in voters(answers[:1])] == ["0"]


def test_what_is_copied_is_what_most_of_the_nearest_answer_and_survives_the_disk(tmp_path: Path) -> None:
    shop = workshop(tmp_path, Seeing())
    solution = CopyNearest().fit(TASK, NOISY, shop)
    assert isinstance(solution, NearestCopy)
    assert shop.log.config == {"word_share": solution.neighbours.word_share, "votes": solution.neighbours.votes}
    answers = solution.predict(["up again", "down again"])
    assert [a.text for a in answers] == ["1", "0"]
    targets = {e.id: e.target for e in NOISY}
    assert all({targets[name] for name in a.sources} == {a.text} for a in answers)
    assert len(answers[0].sources) > solution.neighbours.votes / 2
    solution.save(tmp_path / "kept")
    assert NearestCopy.load(tmp_path / "kept", Shelf()).predict(["up again", "down again"]) == answers


class Shelf(ModelShelf):
    """With one embedder."""

    def __init__(self) -> None:
        super().__init__("cpu")

    def embedder_for(self, entry: object) -> Seeing:
        return Seeing()

    def language_model_for(self, entry: object) -> ScriptedModel:
        return ScriptedModel(lambda prompt: "")


def test_a_prompt_shows_the_same_examples_when_it_was_kept(tmp_path: Path) -> None:
    retriever = ExampleRetriever(ExampleIndex.build(rows(20), Seeing()), 3, 0.5)
    answers, template = AnswerFormat(max_new_tokens=3), PromptTemplate("Sort.")
    made = Pipeline(ScriptedModel(lambda prompt: ""), template, answers, Seeing(), examples=retriever)
    made.save(tmp_path)
    kept = Pipeline.load(tmp_path, Shelf())
    for unseen in (True, False):
        assert kept.prompts(["word1 zinnober6"], unseen=unseen) == made.prompts(["word1 zinnober6"], unseen=unseen)
    manifest = json.loads((tmp_path / "solution.json").read_text())
    assert manifest.pop("examples_word_share") == 0.5
    (tmp_path / "solution.json").write_text(json.dumps(manifest))
    before = Pipeline.load(tmp_path, Shelf()).examples
    assert before is not None
    assert before.word_share == 0.0


def test_what_was_kept_before_there_was_a_choice_answers_as_it_did(tmp_path: Path) -> None:
    kept = NearestCopy(ExampleIndex.build(rows(9), Seeing()), Seeing(), Neighbours())
    kept.save(tmp_path)
    manifest = json.loads((tmp_path / "solution.json").read_text())
    del manifest["neighbours"]
    (tmp_path / "solution.json").write_text(json.dumps(manifest))
    assert NearestCopy.load(tmp_path, Shelf()).neighbours == Neighbours()


def test_a_fit_on_all_examples_does_what_most_fits_before_chose(tmp_path: Path) -> None:
    before = ({"word_share": 0.3, "votes": 5}, {"word_share": 0.0, "votes": 1}, {"word_share": 0.3, "votes": 5})
    shop = workshop(tmp_path, HashingEmbedder(), Allowance(chosen_before=before))
    solution = CopyNearest().fit(TASK, rows(20), shop)
    assert isinstance(solution, NearestCopy)
    assert solution.neighbours == Neighbours(0.3, 5)


def test_texts_are_copied_from_one(tmp_path: Path) -> None:
    solution = CopyNearest().fit(Task("Tell.", Kind.GENERATION, "rougeL"), rows(60), workshop(tmp_path, Seeing()))
    assert isinstance(solution, NearestCopy)
    assert (solution.neighbours.votes, solution.neighbours.word_share > 0) == (1, True)
