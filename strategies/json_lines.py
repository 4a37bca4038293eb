"""Files of one JSON object a line, as indexes and caches keep texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def write_json_lines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """One JSON object a line, UTF-8."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """What `write_json_lines` wrote. Only line feeds end a line: client text may hold other line separators."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
