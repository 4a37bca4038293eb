"""What the benchmarks on real tasks share: where the tasks lie, and the advisor's command line on them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def tasks_root() -> Path:
    """The folder of the public tasks: $ADVISOR_TASKS, or ../shared/tasks."""
    return Path(os.environ.get("ADVISOR_TASKS", "../shared/tasks"))


def task_options(task: Path) -> list[str]:
    """The options of `advisor compare` that name a task and its documents, where it has some."""
    documents = ["--documents", str(task / "corpus.jsonl")] if (task / "corpus.jsonl").exists() else []
    return ["--task", str(task / "task.json"), *documents]


def advisor(arguments: list[str]) -> int:
    """Run the command line in a process of its own; its exit status. 0 and 3 mean that it did its work."""
    return subprocess.run([sys.executable, "-m", "advisor.cli", *arguments], stdout=subprocess.DEVNULL).returncode
