"""Answers that were paid for, by what was asked, and what all calls have cost."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eval.contracts import Usage
from strategies.models.base import Completion


class AnswerStore:
    """A memory of completions, and of those in a file once it has one. Used by several threads."""

    def __init__(self) -> None:
        self._known: dict[str, Completion] = {}
        self._file: Path | None = None
        self._lock = threading.Lock()

    def keep_in(self, file: Path) -> float:
        """Write to a file of JSON lines from now on; USD that what was in it already has cost.

        A line that was cut off when an earlier process died is passed over.
        """
        self._file = file
        spent = 0.0
        if file.exists():
            text = file.read_text(encoding="utf-8", errors="replace")  # one may be cut off inside a letter
            if text and not text.endswith("\n"):
                with file.open("a", encoding="utf-8") as cut_off:
                    cut_off.write("\n")
            for line in text.split("\n"):
                try:
                    row = json.loads(line)
                    usd = float(row.get("usd", 0.0))  # beside an answer, in files of before
                    if "key" in row:
                        self._known[row["key"]] = Completion(row["text"], Usage(**row["usage"]), row["error"])
                except (ValueError, KeyError, TypeError, AttributeError):
                    continue
                spent += usd
        return spent

    def get(self, key: str) -> Completion | None:
        """The answer, if it is known."""
        return self._known.get(key)

    def put(self, key: str, answer: Completion) -> None:
        """Remember an answer."""
        row = {"key": key, "text": answer.text, "usage": asdict(answer.usage), "error": answer.error}
        with self._lock:
            self._known[key] = answer
            self._write(row)

    def pay(self, usd: float) -> None:
        """Note what is paid for a call, or given back (below 0) of what was noted before."""
        if usd:
            with self._lock:
                self._write({"usd": usd})

    def _write(self, row: dict[str, Any]) -> None:
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
