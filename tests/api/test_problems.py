"""Sentences written for the command line are told in the caller's own words."""

from __future__ import annotations

import inspect

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError

from api.problems import answer, in_fields
from api.routes import health
from api.store import Store

FILES = [
    {"path": "examples.csv", "name": "my tickets.csv"},
    {"path": "test.csv", "name": "examples.csv"},
    {"path": "documents", "name": "3 files"},
]


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("--min-recall: 'x' is no label.", "min_recall: 'x' is no label."),
        ("name them with --input-columns and --output-column.", "name them with input_columns and output_column."),
        ("--device cuda: torch sees no GPU", "--device cuda: torch sees no GPU"),
        ("well--model --nothing ---task", "well--model --nothing ---task"),
        ("examples.csv has no rows; test.csv has.", "my tickets.csv has no rows; examples.csv has."),
        ('"uploads/examples.csv" cannot be read', '"my tickets.csv" cannot be read'),
        ("of 12 examples and 3 documents", "of 12 examples and 3 documents"),
        ("my-examples.csv and examples.csv2", "my-examples.csv and examples.csv2"),
    ],
)
def test_flags_become_fields_and_files_get_their_own_names(sentence: str, told: str) -> None:
    assert in_fields(sentence, FILES) == told


def test_half_a_character_that_a_sentence_quotes_is_replaced() -> None:
    assert b'"detail":"no column a?"' in answer(422, "no column a\ud83d").body


@pytest.mark.parametrize(
    "error", [OperationalError("S", {}, Exception()), InterfaceError("S", {}, Exception()), TimeoutError()]
)
def test_a_database_that_is_away_is_503_however_it_is_noticed(
    error: Exception, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise error

    monkeypatch.setattr(Store, "find", away)
    answered = client.get("/v1/comparisons/a")
    assert (answered.status_code, answered.headers["retry-after"]) == (503, "5")


def test_whether_it_lives_needs_no_thread() -> None:
    assert inspect.iscoroutinefunction(health.live)
