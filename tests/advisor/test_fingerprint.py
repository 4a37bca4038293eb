"""What parts one request from another."""

from __future__ import annotations

from typing import Any

import pytest

from advisor.fingerprint import what_differs

SAME: dict[str, Any] = {
    "time_budget": 60.0, "redact": False, "strategies": ["zero_shot"], "output_column": "sha256:1",
    "examples": "sha256:1", "groups": "sha256:1", "reading": "sha256:1",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, []),
        ({"time_budget": 90.0}, ["--time-budget differs (60 then, 90 now)"]),
        ({"redact": True}, ["--redact differs (not given then, given now)"]),
        ({"strategies": ["rag", "lora"]}, ["--strategies differs (zero_shot then, rag,lora now)"]),
        ({"output_column": "sha256:2"}, ["--output-column differs"]),
        ({"examples": "sha256:2", "reading": "sha256:2"}, ["the examples have changed"]),
        ({"groups": "sha256:2"}, ["the cells of --group-by have changed"]),
        (
            {"time_budget": 90.0, "examples": "sha256:2"},
            ["--time-budget differs (60 then, 90 now)", "the examples have changed"],
        ),
        ({"another": 1}, []),
    ],
)
def test_what_differs_is_told_by_its_flag_or_its_name(changes: dict[str, Any], told: list[str]) -> None:
    assert what_differs(SAME, {**SAME, **changes}) == told
