"""Outputs of which the metric hardly tells one from another."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from time import process_time

import pytest

from eval.audit.blind_metric import blind_metric
from eval.contracts import Example, Kind, Task

WORDS = [f"{a}{b}{c}" for a in ("br", "st", "m", "gl", "t") for b in "aeiou" for c in ("nd", "ck", "lt", "se")]
CAUSES = ("storm damage to roofs of houses", "theft from a room locked at night", "fire in buildings near the house")


def task(metric: str, kind: Kind = Kind.GENERATION) -> Task:
    return Task("Answer.", kind, metric)


def answered(output: Callable[[int, random.Random], str], n: int = 60) -> list[Example]:
    rng = random.Random(0)
    return [Example(f"r{i}", f"question {i}", (output(i, rng),)) for i in range(n)]


def verdict(i: int, rng: random.Random) -> str:
    word, denied = rng.choice((("Yes", ""), ("No", "not ")))
    return f"{word}, the claim is {denied}covered under the clause on {rng.choice(CAUSES)}."


def balance(i: int, rng: random.Random) -> str:
    return f"Your balance at the end of the month was {rng.randint(100, 9999)} EUR, and no further payment is due."


def decision(i: int, rng: random.Random) -> str:
    what = rng.choice(("approve", "reject", "escalate"))
    return f"Decision: {what}. File the request under number {i} and inform the customer by letter."


def prose(i: int, rng: random.Random) -> str:
    return f"The {' '.join(rng.choices(WORDS, k=12))} of the {' '.join(rng.choices(WORDS, k=8))} case."


@pytest.mark.parametrize("output", [verdict, balance, decision])
@pytest.mark.parametrize("metric", ["rougeL", "chrf", "token_f1"])
def test_a_metric_by_which_the_opposite_is_nearly_right_is_told(
    output: Callable[[int, random.Random], str], metric: str
) -> None:
    finding = blind_metric(task(metric), answered(output))
    assert finding is not None
    assert (finding.code, finding.severity) == ("blind_metric", "warning")
    assert "of 100 points or more (" in finding.message
    assert '"metric"' in finding.action


def test_the_figure_is_what_half_of_the_outputs_get_in_place_of_another() -> None:
    finding = blind_metric(task("rougeL"), answered(lambda i, _: f"one two three four five six seven eight nine {i}"))
    assert finding is not None
    assert "ROUGE-L hardly tells right answers from wrong ones here" in finding.message
    assert "would still get 90 of 100 points or more" in finding.message


@pytest.mark.parametrize("metric", ["rougeL", "chrf", "token_f1", "gleu"])
def test_texts_of_their_own_words_are_told_apart(metric: str) -> None:
    assert blind_metric(task(metric), answered(prose)) is None


def test_a_few_outputs_that_are_much_alike_do_no_harm() -> None:
    assert blind_metric(task("rougeL"), answered(lambda i, rng: (prose if i % 3 else balance)(i, rng))) is None


def test_outputs_that_come_back_are_right_there() -> None:
    replies = [prose(i, random.Random(i)) for i in range(5)]
    assert blind_metric(task("rougeL"), answered(lambda i, _: replies[i % 5])) is None
    assert blind_metric(task("rougeL"), answered(lambda i, _: "We have passed it on, thanks" + "." * (i % 2))) is None


def test_another_accepted_answer_is_no_wrong_one() -> None:
    both = tuple(f"The claim is covered by the policy, as {word} can see." for word in ("you", "one"))
    rows = [Example(str(i), f"question {i}", both[:: 1 - 2 * (i % 2)]) for i in range(20)]
    assert blind_metric(task("rougeL"), rows) is None


@pytest.mark.parametrize("polite", ["", "Please, "])
def test_what_is_answered_to_nearly_the_same_input_is_no_wrong_answer(polite: str) -> None:
    rng = random.Random(0)
    replies = [prose(i, rng) for i in range(20)]
    asked = [f"{' '.join(rng.choices(WORDS, k=8))}?" for _ in replies]
    rows = [Example(f"a{i}", asked[i], (f"{reply} So it is.",)) for i, reply in enumerate(replies)]
    rows += [Example(f"b{i}", polite + asked[i], (f"{reply} So be it.",)) for i, reply in enumerate(replies)]
    assert blind_metric(task("rougeL"), rows) is None
    assert blind_metric(task("rougeL"), [replace(row, input=row.id) for row in rows]) is not None


@pytest.mark.parametrize("metric", ["exact_match", "accuracy"])
def test_what_is_right_as_a_whole_is_not_judged(metric: str) -> None:
    assert blind_metric(task(metric, Kind.EXTRACTION), answered(balance)) is None


@pytest.mark.parametrize("metric", ["field_f1", "json_field_f1"])
def test_fields_that_mostly_agree_are_not_judged(metric: str) -> None:
    """The report shows the quality of each field."""

    def fields(i: int, rng: random.Random) -> str:
        record = {"number": i, **{f"field {n}": "as always" for n in range(9)}}
        return json.dumps(record) if metric == "json_field_f1" else "\n".join(f"{k}: {v}" for k, v in record.items())

    rows = answered(fields)
    assert blind_metric(task("rougeL"), rows) is not None
    assert blind_metric(task(metric, Kind.EXTRACTION), rows) is None


def test_many_long_texts_take_a_second_or_two() -> None:
    rows = answered(lambda i, rng: " ".join(rng.choices(WORDS, k=300)), 5000)
    blind_metric(task("rougeL"), rows[:20])
    start = process_time()
    blind_metric(task("rougeL"), rows)
    assert process_time() - start < 5
