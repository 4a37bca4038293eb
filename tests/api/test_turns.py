"""Turns come one at a time, and a project that asks often does not keep others from theirs."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest

from api.problems import Problem
from api.turns import Turns


@pytest.mark.parametrize(
    ("waiting", "served"),
    [
        (("many", "many", "many", "few", "other"), ["few", "other", "many", "many", "many"]),
        (("many", "b", "many", "b", "c", "b", "c"), ["b", "c", "many", "b", "c", "many", "b"]),
    ],
)
def test_a_project_that_waits_with_many_lets_others_through(waiting: Sequence[str], served: list[str]) -> None:
    turns, order = Turns(most=9, most_of_one=4), []

    def ask(whose: str) -> None:
        with turns.turn(whose, 30):
            order.append(whose)

    threads = [threading.Thread(target=ask, args=(whose,)) for whose in waiting]
    with turns.turn("many", 1):
        for number, thread in enumerate(threads, 1):
            thread.start()
            _until_waiting(turns, number)
    for thread in threads:
        thread.join(30)
    assert order == served


def test_a_call_that_nobody_waits_for_leaves_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.turns.LOOK_SECONDS", 0.01)
    turns = Turns(most=9, most_of_one=1)
    with turns.turn("a", 1):
        with pytest.raises(Problem), turns.turn("b", 30, lambda: True):
            pass
        assert len(turns._here) == 1


def test_so_many_may_be_here_of_one_project_and_in_all() -> None:
    turns = Turns(most=3, most_of_one=2)
    with turns.turn("a", 1):
        waiting = [threading.Thread(target=_wait, args=(turns, whose)) for whose in ("a", "b")]
        for number, thread in enumerate(waiting, 1):
            thread.start()
            _until_waiting(turns, number)
            if number == 1:
                with pytest.raises(Problem, match="busy"), turns.turn("a", 0.01):
                    pass
        with pytest.raises(Problem, match="busy"), turns.turn("c", 0.01):
            pass
    for thread in waiting:
        thread.join(30)
    with turns.turn("c", 1):
        pass


def test_who_gives_up_waiting_or_fails_at_work_stands_in_nobodys_way() -> None:
    turns = Turns(most=9, most_of_one=9)
    with turns.turn("a", 1), pytest.raises(Problem) as refused, turns.turn("b", 0.01):
        pass
    assert (refused.value.status, refused.value.headers) == (503, {"retry-after": "5"})
    with pytest.raises(KeyError), turns.turn("a", 1):
        raise KeyError
    for whose in "ab":
        with turns.turn(whose, 1):
            pass


def _wait(turns: Turns, whose: str) -> None:
    with turns.turn(whose, 30):
        pass


def _until_waiting(turns: Turns, number: int) -> None:
    """Besides the one that is at work."""
    while len(turns._here) <= number:
        time.sleep(0.01)
