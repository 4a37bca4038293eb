"""Any text comes back from a file of JSON lines."""

from __future__ import annotations

from pathlib import Path

from strategies.json_lines import read_json_lines, write_json_lines


def test_json_lines_hold_any_text(tmp_path: Path) -> None:
    rows = [{"text": "a\nb\r\nc\u2028d\x85e\x0bf"}, {"text": ""}, {"text": '"\\'}]
    write_json_lines(tmp_path / "rows.jsonl", rows)
    assert read_json_lines(tmp_path / "rows.jsonl") == rows
