"""How many epochs end in time."""

from __future__ import annotations

import math

import pytest

from strategies.training.pace import FEWEST_TIMED, ROOM, TIMED_STEPS, Pace


def paced(deadline: float, *steps: float, after_epoch: float = 0.0, steps_an_epoch: int = 10) -> Pace:
    pace = Pace(deadline, steps_an_epoch)
    for seconds in steps:
        pace.took(seconds)
    pace.took_after_epoch(after_epoch)
    return pace


def test_nothing_is_said_before_some_steps_were_timed() -> None:
    assert paced(1.0, *[1.0] * (FEWEST_TIMED - 1)).last_epoch(1, 3, 0.0) == math.inf
    assert paced(1.0, *[1.0] * FEWEST_TIMED).last_epoch(1, 3, 0.0) == 0


@pytest.mark.parametrize(
    ("deadline", "last"),
    [(1.9 * ROOM, 0), (2 * ROOM, 1), (11.9 * ROOM, 1), (12.1 * ROOM, 2), (32.1 * ROOM, 4), (math.inf, math.inf)],
)
def test_epochs_are_counted_that_end_in_time(deadline: float, last: float) -> None:
    """Two steps of a second are left of the first epoch, and ten make another."""
    assert paced(deadline, *[1.0] * 8).last_epoch(1, 2, 0.0) == last


def test_what_follows_an_epoch_takes_time_too() -> None:
    pace = paced(100.0, *[1.0] * 10, after_epoch=10.0)
    assert pace.last_epoch(3, 0, 100 - 10 - 2 * (10 * ROOM + 10) - 0.1) == 5
    assert pace.last_epoch(3, 0, 100 - 10 - 2 * (10 * ROOM + 10) + 0.1) == 4


def test_a_step_that_was_held_up_says_nothing_and_old_ones_are_forgotten() -> None:
    held_up = paced(100.0, *[1.0] * 10, 600.0)
    assert held_up.last_epoch(1, 0, 0.0) == 1 + 100 // (10 * ROOM)
    slower = paced(100.0, *[1.0] * 100, *[2.0] * TIMED_STEPS)
    assert slower.last_epoch(1, 0, 0.0) == 1 + 100 // (20 * ROOM)


def test_steps_that_take_no_time_are_no_error() -> None:
    assert paced(1.0, *[0.0] * 8).last_epoch(1, 3, 0.0) > 1e6
