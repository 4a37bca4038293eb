"""Sentences written for the command line are told in the caller's own words."""

from __future__ import annotations

import pytest

from api.problems import answer, in_fields

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
