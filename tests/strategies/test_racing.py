"""The race among configurations, on made-up scores."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.contracts import Usage
from eval.metrics import ScoredRow
from strategies.racing import FIRST_LAP, Meter, is_clearly_behind, laps, longest, race
from strategies.workload import Speeds

SECOND_A_ROW = Speeds(read=1.0, written=1.0, trained=1.0)


def mean(rows: Sequence[ScoredRow]) -> float:
    return sum(row.score for row in rows) / len(rows)


class Field:
    """Configurations whose score on each row is known; each row costs its configuration so many model-seconds."""

    def __init__(
        self,
        scores: Sequence[Sequence[float | None]],
        costs: Sequence[int] | None = None,
        making: int = 0,
        first_lap: int | None = None,
        shared: int = 0,
    ) -> None:
        self.scores, self.costs, self.making = scores, costs or [1] * len(scores), making
        self.first_lap, self.shared = first_lap, shared

    def run(self, seconds: float = float("inf")) -> tuple[int, list[int], float]:
        """The winner, the rows that each answered, and what it took."""
        meter = Meter(seconds, SECOND_A_ROW)

        def answer(number: int, rows: slice) -> list[ScoredRow | None]:
            scores = self.scores[number][rows]
            meter.answer([Usage(self.shared + self.costs[number], 0, cached_tokens=self.shared)] * len(scores))
            return [None if score is None else ScoredRow("", ("",), score) for score in scores]

        def make(number: int) -> None:
            meter.read(Usage(input_tokens=self.making))

        count, rows = len(self.scores), len(self.scores[0])
        winner, runners = race(count, rows, make, answer, mean, meter, self.first_lap)
        return winner, [len(runner.rows) for runner in runners], meter.spent


def most_answers(count: int, rows: int) -> int:
    return sum(runners * lap for runners, lap in longest(count, rows))


def even(*means: float, rows: int = 64) -> list[list[float]]:
    """Scores that are all the same."""
    return [[value] * rows for value in means]


def test_laps_double_up_to_all_rows() -> None:
    assert laps(64) == [4, 8, 16, 32, 64]
    assert laps(20) == [4, 8, 16, 20]
    assert laps(4) == [4]
    assert laps(0) == []


def test_what_is_clearly_behind_is_out_after_eight_rows() -> None:
    assert Field(even(0.2, 0.9, 0.5, 0.4)).run() == (1, [4, 8, 8, 4], 24.0)


def test_four_rows_put_out_the_worse_half_and_no_one_else() -> None:
    """Of two, the one that is better on the whole wins over a start at which all four rows speak for the other."""
    other = [0.3, 0.5, 0.2, 0.6] + [0.0, 0.4] * 30
    better = [0.1, 0.2, 0.1, 0.5] + [0.3, 0.7] * 30
    assert Field([other, better]).run()[0] == 1


def test_a_first_lap_of_all_rows_is_no_race() -> None:
    lucky = [1.0] * 8 + [0.0] * 56
    assert Field([lucky, *even(0.0, 0.2)]).run() == (0, [8, 4, 8], 20.0)
    assert Field([lucky, *even(0.0, 0.2)], first_lap=64).run() == (2, [64, 64, 64], 192.0)


def test_of_equals_half_go_on_but_two_to_the_end_and_the_first_wins() -> None:
    winner, rows, _ = Field(even(0.5, 0.5, 0.5, 0.5, 0.5)).run()
    assert (winner, rows) == (0, [64, 64, 8, 4, 4])


def test_the_best_wins_over_a_lucky_start() -> None:
    rng = random.Random(0)
    lucky = [1.0] * 6 + [float(rng.random() < 0.5) for _ in range(58)]
    steady = [float(rng.random() < 0.85) for _ in range(64)]
    assert Field([lucky, steady]).run()[0] == 1


@pytest.mark.parametrize("rows", [8, 10, 11, 20, 30, 64])
def test_a_single_row_makes_no_one_clearly_better(rows: int) -> None:
    """Its difference is as large as its standard error, whatever the rounding says."""
    leader, own = ([ScoredRow("", (), float(i < right)) for i in range(rows)] for right in (4, 3))
    assert not is_clearly_behind(own, leader)
    assert is_clearly_behind([ScoredRow("", (), 0.0)] * rows, leader)


def test_fewer_than_eight_rows_make_no_one_clearly_better() -> None:
    all_right, all_wrong = ([ScoredRow("", (), score)] * 7 for score in (1.0, 0.0))
    assert not is_clearly_behind(all_wrong, all_right)


def test_a_row_without_a_score_beats_no_one() -> None:
    broken: list[float | None] = [None] * 64
    assert Field([broken, *even(0.5)]).run()[0] == 1
    assert Field([broken, broken]).run()[0] == 0


def test_a_lap_without_a_score_is_the_last_and_the_laps_before_decide() -> None:
    broken: list[float | None] = [None] * 64
    assert Field([broken, broken]).run()[1] == [4, 4]
    later = [[*row[:8], *broken[8:]] for row in ([0.0, 1.0] * 4, [1.0, 0.0] * 3 + [1.0, 1.0])]
    assert Field(later).run()[:2] == (1, [16, 16])
    early = [[*row[:4], *broken[4:]] for row in even(0.1, 0.9)]
    assert Field(early).run()[:2] == (0, [8, 8]), "four rows that were scored decide nothing"


def test_without_time_the_first_is_taken_untried() -> None:
    assert Field(even(0.1, 0.9)).run(seconds=0.0) == (0, [0, 0], 0.0)


def test_a_lap_that_not_all_can_run_is_not_run() -> None:
    near = [[float(i % 2 == number) for i in range(64)] for number in (0, 1)]  # equal after every lap
    winner, rows, spent = Field(near).run(seconds=31.0)  # 8 for each of the first laps, 16 for the third
    assert (winner, rows, spent) == (0, [8, 8], 16.0)


def test_four_rows_decide_nothing_where_there_is_room_for_no_more() -> None:
    later = even(0.1, 0.9)
    assert Field(later).run(seconds=15.0) == (0, [4, 0], 4.0), "and so a second one does not begin"
    assert Field(later).run(seconds=16.0) == (1, [8, 8], 16.0)
    wrong_about_costs = Field(later, costs=[1, 4])
    assert wrong_about_costs.run(seconds=20.0) == (0, [4, 4], 20.0)


@pytest.mark.parametrize(("seconds", "begun"), [(19, 2), (20, 3), (24, 4), (36, 6), (60, 10), (72, 12)])
def test_no_more_begin_than_can_be_decided_among(seconds: int, begun: int) -> None:
    """Twelve that answer four rows each would take 48, and nothing would follow from it."""
    scores = even(0.1, 0.9, *[0.2] * 10)
    winner, rows, spent = Field(scores).run(float(seconds))
    assert (winner, sum(row > 0 for row in rows)) == (1, begun)
    assert spent <= seconds


def test_what_making_takes_is_not_taken_for_what_answers_do() -> None:
    near = [[float(i % 2 == number) for i in range(64)] for number in (0, 1)]
    assert Field(near, making=100).run(seconds=250.0) == (0, [16, 16], 232.0), "32 are then wanted for the fourth lap"
    assert Field(near, making=100).run(seconds=120.0) == (0, [4, 0], 104.0), "a second one would take 104 as well"


def test_what_prompts_share_is_read_once_a_lap() -> None:
    near = [[float(i % 2 == number) for i in range(64)] for number in (0, 1)]  # equal after every lap
    assert Field(near, shared=100).run() == (0, [64, 64], 2 * (64 + 5 * 100))
    assert Field(near, shared=100).run(seconds=864.0) == (0, [32, 32], 864.0), "as is expected of each lap"
    assert Field(near, shared=100).run(seconds=863.0) == (0, [16, 16], 632.0)


def test_a_first_lap_in_which_nothing_is_right_puts_no_one_out() -> None:
    late = [[0.0] * 4 + [float(number == 3)] * 60 for number in range(4)]
    assert Field(late).run() == (3, [8, 8, 8, 8], 32.0)
    assert Field(late).run(seconds=31.0)[1] == [8, 8, 4, 4], "half of them where there is no room for all"


def test_late_in_a_race_a_small_difference_ends_it() -> None:
    """After 16 rows one is ahead by 0.4 standard errors, after 32 by 0.7."""
    leader, second = [1.0] * 64, [1.0] * 64
    for place in (5, 9, 12, 17, 20):
        second[place] = 0.0
    for place in (6, 10, 18):
        leader[place] = 0.0
    assert Field([second, leader]).run()[:2] == (1, [32, 32])


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=40, max_size=40), min_size=2, max_size=12),
    st.integers(1, 400),
    st.data(),
)
def test_no_race_takes_more_than_its_share(scores: list[list[float]], seconds: int, data: st.DataObject) -> None:
    costs = data.draw(st.lists(st.integers(1, 4), min_size=len(scores), max_size=len(scores)))
    field = Field(scores, costs)
    winner, rows, spent = field.run(float(seconds))
    assert spent <= seconds + max(costs) * FIRST_LAP, "at most the first lap of a dearer configuration beyond it"
    assert rows[winner] > 0
    assert sum(rows) <= most_answers(len(scores), 40)
    assert all(last <= first for first, last in zip(sorted(rows)[::-1], sorted(rows)[::-1][1:], strict=False))


@pytest.mark.parametrize("count", [2, 5, 12])
def test_a_race_of_equals_takes_what_was_planned_for_it(count: int) -> None:
    nothing_at_first = [[0.0] * 4 + [0.5] * 60 for _ in range(count)]
    _, rows, _ = Field(nothing_at_first).run()
    assert sum(rows) == most_answers(count, 64)
