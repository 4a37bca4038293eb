"""Work in a helper's process is bounded, and what goes wrong there stays there."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from api import helper as helpers
from api.helper import MOST_OF_ONE, Helper
from api.problems import Problem
from eval.errors import RequestError

GIB = 2**30


def work(what: str, value: Any = None) -> Any:
    """What helpers of these tests do; runs in their process."""
    if what == "refuse":
        raise RequestError("--examples: no.")
    if what == "fail":
        raise ValueError(value)
    if what == "sleep":
        time.sleep(value)
    if what == "grow":
        kept = [bytearray(2**20) for _ in range(value)]
        time.sleep(30)
        return len(kept)
    if what == "die":
        os._exit(3)
    return os.getpid(), value


def step_by_step(seconds: float, how: str = "sleep") -> Iterator[str]:
    """Work whose first answer is there at once and whose last takes long."""
    yield "first"
    work(how, seconds)
    yield "last"


@pytest.fixture
def helper_of() -> Iterator[Callable[[int], Helper]]:
    made: list[Helper] = []

    def make(memory: int = 8 * GIB, work: Callable[..., Any] = work) -> Helper:
        made.append(Helper(work, memory))
        return made[-1]

    yield make
    for helper in made:
        helper.close()


def test_calls_share_a_process_that_is_not_ours(helper_of: Callable[..., Helper]) -> None:
    helper = helper_of()
    first, second = (helper.call("say", n, whose="one", seconds=60) for n in (1, 2))
    assert (first[1], second[1]) == (1, 2)
    assert first[0] == second[0] != os.getpid()


def test_errors_of_users_come_back_as_they_are_and_others_as_failures(helper_of: Callable[..., Helper]) -> None:
    helper = helper_of()
    with pytest.raises(RequestError, match="--examples"):
        helper.call("refuse", whose="one", seconds=60)
    with pytest.raises(RuntimeError, match="ValueError"):
        helper.call("fail", "x", whose="one", seconds=60)
    assert helper.call("say", 1, whose="one", seconds=60)[1] == 1


def test_only_a_few_may_wait_and_the_others_are_refused_at_once(helper_of: Callable[..., Helper]) -> None:
    helper = helper_of()
    helper.call("say", 0, whose="one", seconds=60)
    answers: list[Any] = []

    def ask() -> None:
        try:
            answers.append(helper.call("sleep", 0.3, whose="one", seconds=30)[1])
        except Problem as error:
            answers.append(error.status)

    threads = [threading.Thread(target=ask) for _ in range(MOST_OF_ONE + 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [0.3] * MOST_OF_ONE + [503] * 3


@pytest.mark.parametrize(
    ("what", "value", "seconds", "status"),
    [("sleep", 30, 1.0, 504), ("grow", 2000, 20.0, 413), ("die", None, 20.0, 503)],
)
def test_what_goes_on_or_grows_too_much_or_dies_is_ended_and_the_next_call_works(
    what: str, value: Any, seconds: float, status: int, helper_of: Callable[..., Helper]
) -> None:
    helper = helper_of(GIB + GIB // 2)
    helper.call("say", 1, whose="one", seconds=60)
    begun = time.monotonic()
    with pytest.raises(Problem) as refused:
        helper.call(what, value, whose="one", seconds=seconds)
    assert refused.value.status == status
    assert time.monotonic() - begun < 15
    assert helper.call("say", 2, whose="one", seconds=60)[1] == 2


def test_how_long_the_process_takes_to_be_there_is_not_counted(
    helper_of: Callable[..., Helper], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = Helper._start

    def late(self: Helper) -> None:
        begun(self)
        time.sleep(3)

    monkeypatch.setattr(Helper, "_start", late)
    assert helper_of().call("say", 1, whose="one", seconds=2.5)[1] == 1


def test_a_process_that_cannot_be_begun_or_never_is_there_is_a_problem_and_the_next_call_works(
    helper_of: Callable[..., Helper], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(process: Any) -> None:
        raise OSError("no more processes")

    helper = helper_of()
    with monkeypatch.context() as broken:
        broken.setattr(helpers.processes.Process, "start", refused)
        for _ in range(2):
            with pytest.raises(Problem, match="try again"):
                helper.call("say", 1, whose="one", seconds=60)
    with monkeypatch.context() as slow:
        slow.setattr(helpers, "START_SECONDS", 0.0)
        with pytest.raises(Problem, match="try again"):
            helper.call("say", 1, whose="one", seconds=60)
    assert helper.call("say", 2, whose="one", seconds=60)[1] == 2


def test_what_to_do_about_too_much_work_is_said_of_each_kind() -> None:
    helper = Helper(work, GIB, "compare fewer rows")
    with pytest.raises(Problem, match=r"took too long and was ended: compare fewer rows\."):
        helper.call("sleep", 30, whose="one", seconds=0.5)


def test_work_that_nobody_waits_for_any_more_is_ended(helper_of: Callable[..., Helper]) -> None:
    helper = helper_of()
    left = threading.Event()
    threading.Timer(0.5, left.set).start()
    begun = time.monotonic()
    with pytest.raises(Problem, match="Nobody waits"):
        helper.call("sleep", 60, whose="one", seconds=60, gone=left.is_set)
    with pytest.raises(Problem, match="Nobody waits"):
        helper.call("fail", whose="one", seconds=60, gone=left.is_set)
    assert time.monotonic() - begun < 15
    assert helper.call("say", 2, whose="one", seconds=60)[1] == 2


def test_where_it_is_cut_off_the_answer_is_the_last_that_was_there(helper_of: Callable[..., Helper]) -> None:
    helper = helper_of(GIB + GIB // 2, step_by_step)
    assert helper.call(0.0, whose="one", seconds=60) == "last"
    assert helper.call(30.0, whose="one", seconds=1.0) == "first"
    assert helper.call(2000, "grow", whose="one", seconds=20.0) == "first"
    with pytest.raises(RequestError, match="--examples"):
        helper.call(0.0, "refuse", whose="one", seconds=60)
    assert helper.call(0.0, whose="one", seconds=60) == "last"
