"""How many calls go at once."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

import pytest

from strategies.models.hosted.gate import Gate, Place


def some(gate: Gate, number: int) -> list[Place]:
    """Calls that are under way together."""
    with ExitStack() as stack:
        return [stack.enter_context(gate.place()) for _ in range(number)]


def test_no_more_go_at_once_than_the_gate_is_wide() -> None:
    gate, inside = Gate(2), list[int]()

    def call() -> None:
        with gate.place() as place:
            inside.append(place.at_once)
            time.sleep(0.01)

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(inside) == 8
    assert max(inside) <= 2


def test_half_as_many_go_once_those_beside_a_call_kept_it_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("strategies.models.hosted.gate.time.monotonic", lambda: now)
    gate = Gate(8)
    calls = some(gate, 8)
    now = 100.0
    gate.served(calls[0])
    now = 120.0
    assert [gate.narrows(call) for call in calls[6:]] == [True, True]
    assert gate.width == 4, "once for all that were under way together"
    assert [place.at_once for place in some(gate, 4)] == [4] * 4


def test_a_call_that_hangs_by_itself_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("strategies.models.hosted.gate.time.monotonic", lambda: now)
    gate = Gate(8)
    first, *_, last = some(gate, 8)
    now = 2.0
    gate.served(first)
    now = 120.0
    assert not gate.narrows(last), "others are answered in two seconds"
    (alone,) = some(gate, 1)
    now = 300.0
    gate.served(alone)
    assert not gate.narrows(alone)
    assert gate.width == 8
