"""How far a comparison is, by what its plan predicts."""

from __future__ import annotations

import pytest

from advisor import progress
from advisor.progress import Forecast


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_what_follows_the_last_strategy_is_part_of_what_is_left(clock: list[float]) -> None:
    forecast = Forecast()
    forecast.plan({"zero_shot": 10.0, "lora": 60.0}, after=30.0)
    assert forecast.whole == 100
    forecast.at("zero_shot")
    clock[0] = 4.0
    assert (forecast.left, forecast.share) == (96, pytest.approx(0.04))
    forecast.done("zero_shot")
    forecast.at("lora")
    clock[0] = 24.0
    assert (forecast.left, forecast.share) == (70, pytest.approx(0.3))
    forecast.done("lora")
    assert forecast.left == 30
    for phase in ("lora", "zero_shot"):  # looked at closer, then fitted again
        clock[0] += 5.0
        forecast.at(phase)
    assert (forecast.left, forecast.share) == (20, pytest.approx(0.8))


def test_a_strategy_that_takes_longer_than_predicted_does_not_eat_what_others_take(clock: list[float]) -> None:
    forecast = Forecast()
    forecast.plan({"lora": 10.0, "lora_rag": 20.0}, after=5.0)
    forecast.at("lora")
    clock[0] = 1000.0
    assert forecast.left == 25
    forecast.done("lora")
    forecast.done("lora_rag")
    clock[0] = 2000.0
    assert (forecast.left, forecast.share) == (0, 1)


def test_of_what_was_not_planned_nothing_is_said(clock: list[float]) -> None:
    forecast = Forecast()
    forecast.plan({"lora": 10.0}, after=0.0)
    forecast.at("majority")
    assert forecast.left is None
    assert forecast.share == 0
