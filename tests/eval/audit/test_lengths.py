"""Inputs that are longer than what will read them."""

from __future__ import annotations

from eval.audit.lengths import Limit, long_inputs
from eval.contracts import Example

ROWS = [Example("short", "one two three", ("a",)), Example("long", "one two three four " * 3, ("a",))]
WORDS = Limit(10, "the context of m", "Shorten them.", lambda text: len(text.split()), "tokens")


def test_rows_beyond_the_limit_are_named_with_the_longest() -> None:
    finding = long_inputs(ROWS, WORDS)
    assert finding is not None
    assert (finding.rows, finding.count, finding.severity) == (("long",), 1, "warning")
    assert "the context of m, 10 tokens (the longest has 12)" in finding.message
    assert finding.action == "Shorten them."


def test_inputs_within_the_limit_are_no_finding() -> None:
    assert long_inputs(ROWS, Limit(12, "m", "Shorten.", WORDS.length)) is None
    assert long_inputs(ROWS[:1], Limit(13, "m", "Shorten.")) is None
    assert long_inputs(ROWS[:1], Limit(12, "m", "Shorten.")) is not None


def test_texts_with_fewer_characters_than_the_limit_are_not_measured() -> None:
    measured: list[str] = []

    def length(text: str) -> int:
        measured.append(text)
        return 0

    long_inputs(ROWS, Limit(20, "m", "Shorten.", length))
    assert measured == [ROWS[1].input]
