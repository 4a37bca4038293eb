"""Answers that were paid for, by what was asked."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict
from pathlib import Path

from eval.contracts import Usage
from strategies.models.base import Completion


class AnswerStore:
    """A memory of completions, and of those in a file once it has one. Used by several threads."""

    def __init__(self) -> None:
        self._known: dict[str, Completion] = {}
        self._file: Path | None = None
        self._lock = threading.Lock()

    def keep_in(self, file: Path) -> list[Usage]:
        """Write answers to a file of JSON lines from now on; the usage of those that were in it already.

        A line that was cut off when an earlier process died is passed over.
        """
        self._file = file
        found = []
        if file.exists():
            text = file.read_text(encoding="utf-8")
            if text and not text.endswith("\n"):
                file.write_text(text + "\n", encoding="utf-8")
            for line in text.split("\n"):
                try:
                    row = json.loads(line)
                    completion = Completion(row["text"], Usage(**row["usage"]), row["error"])
                except (ValueError, KeyError, TypeError):
                    continue
                if row["key"] not in self._known:
                    self._known[row["key"]] = completion
                    found.append(completion.usage)
        return found

    def get(self, key: str) -> Completion | None:
        """The answer, if it is known."""
        return self._known.get(key)

    def put(self, key: str, answer: Completion) -> None:
        """Remember an answer."""
        row = {"key": key, "text": answer.text, "usage": asdict(answer.usage), "error": answer.error}
        with self._lock:
            self._known[key] = answer
            if self._file is not None:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                with self._file.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
