"""Linear classifiers: what they see of a text, how they are fitted, and what is found on rows that are left out."""

from __future__ import annotations

import random
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import log_softmax

from eval.contracts import Example, Kind, Task
from eval.errors import RequestError
from strategies import linear, linear_classifier
from strategies.base import Allowance, Workshop
from strategies.label_pool import USUAL_WEIGHT, likeliest_weights
from strategies.linear import FOLDS, PooledLinear, TfidfLinear
from strategies.linear_classifier import MOST_SPAN, LinearClassifier
from strategies.models.fake import HashingEmbedder, ScriptedModel
from strategies.models.shelf import ModelShelf
from strategies.solutions import load_solution
from strategies.text_features import MANY_TEXTS, Matrix, TermCounts, TfidfFeatures, terms_of
from strategies.workload import Profile, Speeds

WORDS = ("invoice", "password", "parcel", "refund", "login", "courier")


def task(metric: str = "accuracy") -> Task:
    return Task("Route.", Kind.CLASSIFICATION, metric)


def workshop(folder: Path, **allowance: object) -> Workshop:
    return Workshop(ScriptedModel(lambda prompt: ""), HashingEmbedder(), (), folder, allowance=Allowance(**allowance))  # type: ignore[arg-type]


def clear_rows(count: int = 60) -> list[Example]:
    """The label is a word of the text."""
    return [Example(str(i), f"{WORDS[i % 6]} number {i}", (WORDS[i % 6],)) for i in range(count)]


def test_words_are_seen_with_the_vowels_that_are_marks_on_a_letter() -> None:
    listed = terms_of()
    assert {"दिन", "दिन में"} <= set(listed("दिन में"))
    assert "दान" in listed("दान")
    assert [term for term in listed("It's A-1, ok") if term[0] != "#"] == [
        "it", "s", "a", "1", "ok", "it s", "s a", "a 1", "1 ok",
    ]  # fmt: skip


def rare_rows(share: float, signal: float, count: int = 300) -> list[Example]:
    """A rare label, which a word gives away in some of the texts."""
    draw = random.Random(5)
    rows = []
    for i in range(count):
        is_rare = draw.random() < share
        word = "alarm" if is_rare and draw.random() < signal else draw.choice(WORDS)
        noise = " ".join(str(draw.randrange(300)) for _ in range(6))
        rows.append(Example(str(i), f"{word} {noise} {i}", ("yes" if is_rare else "no",)))
    return rows


def features_of(texts: list[str]) -> TfidfFeatures:
    return TermCounts.of(texts).learn(np.arange(len(texts)))[0]


def fitted_on(rows: list[Example]) -> LinearClassifier:
    return LinearClassifier.fit_texts(features_of([e.input for e in rows]), rows)


def test_nearly_as_many_labels_as_rows_are_fitted_without_a_librarys_warning() -> None:
    rows = [Example(str(i), f"word{i % 20} more", (f"label {i % 20}",)) for i in range(30)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier = fitted_on(rows)
    assert classifier.predict(["word3 more"])[0].text == "label 3"


def test_a_misspelt_word_and_an_unseen_ending_are_known_by_their_characters() -> None:
    rows = clear_rows()
    classifier = fitted_on(rows)
    assert [p.text for p in classifier.predict(["invoicing", "pasword", "COURIERS!"])] == [
        "invoice",
        "password",
        "courier",
    ]


def test_a_text_of_marks_alone_has_features_too() -> None:
    rows = [Example(str(i), "!!! ..." if i % 2 else "??? ,,,", ("a" if i % 2 else "b",)) for i in range(8)]
    classifier = fitted_on(rows)
    assert [p.text for p in classifier.predict(["!!!", "???"])] == ["a", "b"]


def test_terms_are_weighed_by_their_frequency_dampened_and_by_how_rare_they_are() -> None:
    features = TfidfFeatures({"red": 0, "red car": 1, "car": 2}, np.array([1.0, 2.0, 3.0]))
    row = features.transform(["Red car, red"]).toarray()[0]
    expected = np.array([1.0 * (1 + np.log(2)), 2.0, 3.0])
    assert row == pytest.approx(expected / np.linalg.norm(expected))


@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("labels", [2, 6])
def test_fitting_among_the_rows_themselves_loses_nothing(
    labels: int, balanced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [e for i, e in enumerate(clear_rows(50)) if i % 6 < labels]
    features = features_of([e.input for e in rows])
    quick = LinearClassifier.fit_texts(features, rows, balanced=balanced)
    monkeypatch.setattr(linear_classifier, "MOST_SPAN", 0)
    slow = LinearClassifier.fit_texts(features, rows, balanced=balanced)
    assert quick.weights.shape == (labels, len(features.vocabulary))
    asked = features.transform([e.input for e in clear_rows(60)])  # the solver ends a little earlier or later
    np.testing.assert_allclose(quick.probabilities(asked), slow.probabilities(asked), atol=5e-3)


def test_rows_that_say_the_same_are_fitted_all_the_same() -> None:
    rows = [Example(str(i), "the very same", ("a" if i else "b",)) for i in range(5)]
    assert fitted_on(rows).predict(["the very same"])[0].text in ("a", "b")


def test_joined_classifiers_add_up_what_each_thinks() -> None:
    rows, asked = clear_rows(), ["invoice or parcel", "my login", "7"]
    parts = [fitted_on(rows[:size]) for size in (30, 60)]
    both = LinearClassifier.joined(parts, [0.3, 2.0])
    one, other, joined = (own.opinions(own.features.transform(asked), both.labels) for own in (*parts, both))
    np.testing.assert_allclose(joined, log_softmax(0.3 * one + 2.0 * other, axis=1), atol=1e-9)


def test_both_kinds_of_features_are_kept_and_read_again(tmp_path: Path) -> None:
    rows = clear_rows()
    solution = PooledLinear().fit(task(), rows, workshop(tmp_path))
    solution.save(tmp_path / "kept")
    shelf = ModelShelf("cpu")
    shelf.embedder_for = lambda entry: HashingEmbedder()  # type: ignore[method-assign, assignment, return-value]
    again = LinearClassifier.load(tmp_path / "kept", shelf)
    asked = [e.input for e in rows[:9]]
    assert [(p.text, p.confidence) for p in again.predict(asked)] == [
        (p.text, p.confidence) for p in solution.predict(asked)
    ]


def test_who_knows_nothing_counts_for_nothing(tmp_path: Path) -> None:
    """If weights were found on rows that were learnt from, what was learnt by heart would count."""
    draw = random.Random(3)
    rows = [Example(str(i), f"{draw.random()}", (draw.choice("ab"),)) for i in range(200)]
    shop = workshop(tmp_path)
    PooledLinear().fit(task(), rows, shop)
    assert shop.log.config["embedding_weight"] < 0.3
    assert shop.log.config["tfidf_weight"] < 0.3


def test_no_fold_learns_from_the_rows_that_it_is_weighed_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its classifier nor the vocabulary and frequencies of its terms."""
    learn, fit, opinions = TermCounts.learn, LinearClassifier.fit, LinearClassifier.opinions
    learnt: list[tuple[TfidfFeatures, set[int], NDArray[np.float64]]] = []
    fitted: list[tuple[LinearClassifier, set[bytes]]] = []
    asked: list[set[bytes]] = []

    def learning(self: TermCounts, rows: NDArray[np.int_]) -> tuple[TfidfFeatures, Matrix]:
        features, matrix = learn(self, rows)
        learnt.append((features, set(rows.tolist()), matrix.toarray()))
        return features, matrix

    def fitting(features: TfidfFeatures, matrix: Matrix, targets: list[str], **options: bool) -> LinearClassifier:
        fitted.append((fit(features, matrix, targets, **options), {row.tobytes() for row in matrix.toarray()}))
        (rows,) = (rows for own, rows, _ in learnt if own is features)
        assert len(rows) == matrix.shape[0]
        return fitted[-1][0]

    def asking(self: LinearClassifier, matrix: Matrix, labels: list[str]) -> NDArray[np.float64]:
        (own,) = (rows for classifier, rows in fitted if classifier is self)
        asked.append({row.tobytes() for row in matrix.toarray()})
        assert not own & asked[-1]
        return opinions(self, matrix, labels)

    monkeypatch.setattr(TermCounts, "learn", learning)
    monkeypatch.setattr(LinearClassifier, "fit", fitting)
    monkeypatch.setattr(LinearClassifier, "opinions", asking)
    rows = clear_rows()
    TfidfLinear().fit(task(), rows, workshop(tmp_path))
    assert [len(rows) for _, rows, _ in learnt] == [40, 40, 40, 60]
    assert len(asked) == 2 * FOLDS
    texts = [e.input for e in rows]
    for features, own, matrix in tuple(learnt):
        alone = features_of([texts[row] for row in sorted(own)])
        assert alone.vocabulary == features.vocabulary
        np.testing.assert_array_equal(alone.idf, features.idf)
        np.testing.assert_allclose(alone.transform(texts).toarray(), matrix)


def test_rare_labels_count_as_much_as_frequent_ones_where_that_answers_better(tmp_path: Path) -> None:
    weak, shop = rare_rows(0.12, 0.0), workshop(tmp_path)
    answers = {
        p.text for p in TfidfLinear().fit(task(), weak, shop).predict([e.input for e in rare_rows(0.12, 0.0)[:50]])
    }
    assert not shop.log.config["balanced"], "nothing tells the rare label: whoever answers it is mostly wrong"
    assert "no" in answers
    shop = workshop(tmp_path)
    TfidfLinear().fit(task("macro_f1"), rare_rows(0.05, 1.0), shop)
    assert shop.log.config["balanced"]
    assert [t["chosen"] for t in shop.log.trials] == [True, False]


def test_what_most_fits_before_chose_is_not_chosen_again(tmp_path: Path) -> None:
    shop = workshop(tmp_path, chosen_before=[{"balanced": False}, {"balanced": False}, {"balanced": True}])
    TfidfLinear().fit(task("macro_f1"), rare_rows(0.05, 1.0), shop)
    assert shop.log.config["balanced"] is False
    assert not shop.log.trials


def test_too_few_rows_to_leave_any_out_have_the_usual_weights(tmp_path: Path) -> None:
    shop = workshop(tmp_path)
    solution = PooledLinear().fit(task(), [Example("1", "one", ("a",)), Example("2", "two", ("b",))], shop)
    assert shop.log.config == {"balanced": True, "embedding_weight": USUAL_WEIGHT, "tfidf_weight": USUAL_WEIGHT}
    assert [p.text for p in solution.predict(["one", "two"])] == ["a", "b"]


def test_a_label_of_one_row_alone_does_no_harm(tmp_path: Path) -> None:
    rows = [*clear_rows(30), Example("x", "something else", ("once",))]
    solution = PooledLinear().fit(task("macro_f1"), rows, workshop(tmp_path))
    assert solution.predict(["something else"])[0].text == "once"


def test_rows_with_a_label_that_was_not_there_to_be_learnt_say_nothing_of_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weighed: list[tuple[NDArray[np.float64], NDArray[np.int_]]] = []

    def weights(opinions: NDArray[np.float64], places: NDArray[np.int_]) -> list[float]:
        weighed.append((opinions, places))
        return likeliest_weights(opinions, places)

    monkeypatch.setattr(linear, "likeliest_weights", weights)
    PooledLinear().fit(task(), [*clear_rows(30), Example("x", "else", ("once",))], workshop(tmp_path))
    assert weighed
    for opinions, places in weighed:
        assert opinions.shape == (2, 30, 7)
        assert sorted(WORDS) == [sorted({*WORDS, "once"})[place] for place in sorted(set(places.tolist()))]


def test_one_label_is_answered_always(tmp_path: Path) -> None:
    rows = [Example(str(i), f"text {i}", ("a",)) for i in range(9)]
    assert PooledLinear().fit(task(), rows, workshop(tmp_path)).predict(["b"])[0].text == "a"


def test_of_many_rows_weights_are_found_on_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "MOST_ROWS", 30)
    shop = workshop(tmp_path)
    TfidfLinear().fit(task(), clear_rows(), shop)
    assert {t["dev_rows"] for t in shop.log.trials} == {30}
    assert shop.log.train_examples == 60


def test_parts_of_many_texts_see_the_terms_that_the_whole_will() -> None:
    counts = TermCounts.of([f"parcel once{i}" for i in range(MANY_TEXTS)])
    assert "once7" not in counts.learn(np.arange(600))[0].vocabulary
    assert "parcel" in counts.learn(np.arange(600))[0].vocabulary
    assert "once7" in TermCounts.of([f"parcel once{i}" for i in range(20)]).learn(np.arange(10))[0].vocabulary


def test_learning_is_planned_by_rows_and_labels_and_is_no_language_models_work() -> None:
    known = Profile(1000, 40.0, 5.0, 20, 12, 0.0, 40, labels=50)
    allowance = Allowance(epochs=2)

    def seconds(**changed: Any) -> float:
        work = TfidfLinear().workload(replace(known, **changed), allowance)
        assert not work.of_language_model
        return Speeds(1000, 100, 100).seconds(work.fit)

    assert 1 < seconds() < 20
    assert seconds(labels=100) == 2 * seconds()
    assert seconds(labels=0) == 0
    assert seconds(train_rows=10_000) > 3 * seconds(train_rows=MOST_SPAN)
    both = PooledLinear().workload(known, allowance).fit
    assert both.classified > TfidfLinear().workload(known, allowance).fit.classified


def test_a_classifier_of_parts_that_do_not_fit_each_other_is_refused(tmp_path: Path) -> None:
    fitted_on(clear_rows()).save(tmp_path / "one")
    fitted_on(clear_rows(12)).save(tmp_path / "other")
    assert LinearClassifier.load(tmp_path / "one", ModelShelf("cpu")).predict(["refund"])[0].text == "refund"
    shutil.copy(tmp_path / "other" / "linear.safetensors", tmp_path / "one")
    with pytest.raises(ValueError, match="has other labels or features"):
        LinearClassifier.load(tmp_path / "one", ModelShelf("cpu"))
    (tmp_path / "one" / "vocabulary.json").write_text('{"bridge": 0}', encoding="utf-8")
    with pytest.raises(RequestError, match="a file of it is missing or damaged"):
        load_solution(tmp_path / "one", ModelShelf("cpu"))
