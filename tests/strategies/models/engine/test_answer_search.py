"""The search finds the likeliest answer, and asks for little where the model is sure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.models.engine import answer_search
from strategies.models.engine.answer_search import AnswerSearch

END, MOST = 0, 4
After = Callable[[Sequence[int]], Sequence[float]]
"""Probabilities of the tokens 0 (the end), 1 and 2 after a beginning."""


def found_by(search: AnswerSearch, after: After) -> list[int]:
    """Tell it what follows until it asks no more."""
    while True:
        path = list(search.beginning)
        while True:
            shares = after(path)
            order = sorted(range(len(shares)), key=lambda token: -shares[token])
            token = search.take(order, [math.log(shares[t]) for t in order])
            if token is None:
                break
            path.append(token)
        if not search.next():
            return search.answer


def likelihood(answer: Sequence[int], after: After) -> float:
    """Of an answer with its end, or one that is cut."""
    whole = [*answer, END][:MOST]
    return math.prod(after(whole[:n])[token] for n, token in enumerate(whole))


@given(st.data())
def test_no_answer_is_likelier_than_the_one_found(data: st.DataObject) -> None:
    shares = st.lists(st.integers(1, 20), min_size=3, max_size=3)
    known: dict[tuple[int, ...], list[float]] = {}

    def after(path: Sequence[int]) -> list[float]:
        if tuple(path) not in known:
            drawn = data.draw(shares)
            known[tuple(path)] = [share / sum(drawn) for share in drawn]
        return known[tuple(path)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answer_search, "MOST_LOOKS", 1000)
        patch.setattr(answer_search, "WORTH_A_LOOK", 1e-9)
        search = AnswerSearch(MOST, {END})
        found = found_by(search, after)
    best = max(likelihood(a, after) for n in range(MOST + 1) for a in product([1, 2], repeat=n))
    assert likelihood(found, after) == pytest.approx(best)
    assert math.exp(search.log_likelihood) == pytest.approx(best)


def test_the_greedy_answer_may_not_be_the_likeliest() -> None:
    """A likelier beginning leads to two answers, each of which is less likely than the only one of the other."""

    def after(path: Sequence[int]) -> list[float]:
        return {(): [0.01, 0.55, 0.44], (1,): [0.01, 0.5, 0.49]}.get(tuple(path), [0.98, 0.01, 0.01])

    search = AnswerSearch(MOST, {END})
    assert found_by(search, after) == [2]
    assert search.looks == 2


def test_where_the_model_is_sure_one_answer_is_looked_at() -> None:
    search = AnswerSearch(MOST, {END})
    assert found_by(search, lambda path: [0.04, 0.9, 0.06] if len(path) < 2 else [0.9, 0.05, 0.05]) == [1, 1]
    assert search.looks == 1


def test_a_beginning_that_cannot_win_any_more_is_given_up_at_once() -> None:
    search, asked = AnswerSearch(MOST, {END}), []

    def after(path: Sequence[int]) -> list[float]:
        asked.append(tuple(path))
        return {(): [0.02, 0.5, 0.48], (1,): [0.9, 0.05, 0.05]}.get(tuple(path), [0.3, 0.4, 0.3])

    assert found_by(search, after) == [1]
    assert asked == [(), (1,), (2,)]


def test_an_unsure_model_comes_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_search, "WORTH_A_LOOK", 1e-9)
    search = AnswerSearch(30, {END})
    found_by(search, lambda path: [1e-9, 0.5, 0.5 - 1e-9])
    assert search.looks == answer_search.MOST_LOOKS


def test_what_is_hardly_the_right_answer_is_not_looked_for() -> None:
    """A model that has not learnt the task gives every answer a probability of nearly none."""
    asked: list[Sequence[int]] = []

    def unsure(path: Sequence[int]) -> list[float]:
        asked.append(path)
        return [0.1, 0.5, 0.4]

    search = AnswerSearch(30, {END})
    assert found_by(search, unsure) == [1] * 30, "what would be written greedily"
    assert len(asked) < 60, "others are left as soon as they are less likely than one in ten"


def test_an_answer_that_is_cut_counts_as_one() -> None:
    search = AnswerSearch(2, {END})
    assert found_by(search, lambda path: [0.1, 0.8, 0.1]) == [1, 1]
    assert search.log_likelihood == pytest.approx(2 * math.log(0.8))
