"""Every strategy on every task, scored on holdout rows that the comparison never saw.

Runs `advisor compare` and `advisor evaluate` on each task of $ADVISOR_TASKS (default ../shared/tasks), as a user would,
and prints the table (task × strategy) as Markdown and, on the last line, as JSON. Finished tasks are not run again, so
that it can run in pieces:

    python benchmarks/holdout_table.py --output /tmp/holdout [--tasks a,b] [--strategies a,b] [--budget 600]
        [--limit 300]

The rows of the holdout are drawn at random, the same ones every time; --limit 0 takes all.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from common import drawn, must, task_names, task_options, tasks_root


def main() -> None:
    """Parse the arguments, run what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--tasks", default="")
    parser.add_argument("--strategies", default="", help="all by default")
    parser.add_argument("--budget", type=float, default=600)
    parser.add_argument("--limit", type=int, default=300)
    arguments = parser.parse_args()
    root = tasks_root()
    options = ["--time-budget", str(arguments.budget)]
    options += ["--strategies", arguments.strategies] if arguments.strategies else []
    rows = [run_task(root / n, arguments.output / n, options, arguments.limit) for n in task_names(arguments.tasks)]
    print(markdown(rows))
    print(json.dumps(rows))


def run_task(task: Path, run: Path, options: list[str], limit: int) -> dict[str, Any]:
    """Compare and evaluate one task, unless that was done before."""
    scores = run / "holdout.json"
    if not scores.exists():
        compare = ["compare", "--examples", str(task / "examples.jsonl"), *task_options(task)]
        compare += [*options, "--keep", "all", "--output", str(run)]
        started = time.monotonic()
        must(compare)
        print(f"{task.name}: compared in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
        rows = run.with_suffix(".holdout.jsonl")
        lines = [line for line in (task / "holdout.jsonl").read_text(encoding="utf-8").split("\n") if line]
        rows.write_text("\n".join(drawn(lines, limit)) + "\n", encoding="utf-8")
        started = time.monotonic()
        must(["evaluate", str(run), "--examples", str(rows), "--all", "--json", str(run.with_suffix(".scores.json"))])
        print(f"{task.name}: evaluated in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
        run.with_suffix(".scores.json").replace(scores)
    report = json.loads((run / "report.json").read_text())
    peaks = [s["footprint"]["peak_memory_bytes"] or 0 for s in report["strategies"] if s.get("footprint")]
    found = {s["name"]: s["quality"]["value"] for s in json.loads(scores.read_text())["strategies"]}
    return {
        "task": task.name,
        "metric": report["task"]["metric"],
        "recommended": report["recommendation"]["strategy"],
        "verdict": report["recommendation"]["verdict"],
        "seconds": round(report["timing"]["total_seconds"]),
        "budget": report["data"]["plan"]["time_budget"],
        "plan": report["data"]["plan"]["kind"],
        "cuts": report["data"]["plan"]["cuts"],
        "phases": {phase: round(seconds) for phase, seconds in report["timing"]["phases"].items()},
        "peak_gib": round(max(peaks, default=0) / 2**30, 2),
        "stopped_early": [s["name"] for s in report["strategies"] if s["status"] == "stopped_early"],
        "failed": [s["name"] for s in report["strategies"] if s["status"] == "failed"],
        "holdout": found,
    }


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table; the recommended strategy's figure is bold."""
    names = list(dict.fromkeys(name for row in rows for name in row["holdout"]))
    lines = ["| strategy | " + " | ".join(row["task"] for row in rows) + " |", "|---" * (len(rows) + 1) + "|"]
    lines.append("| *metric* | " + " | ".join(f"*{row['metric']}*" for row in rows) + " |")
    for name in names:
        lines.append(f"| {name} | " + " | ".join(cell(row, name) for row in rows) + " |")
    lines.append("| *seconds* | " + " | ".join(f"*{row['seconds']}*" for row in rows) + " |")
    return "\n".join(lines)


def cell(row: dict[str, Any], name: str) -> str:
    """One figure."""
    if name in row["stopped_early"] and name not in row["holdout"]:
        return "stopped"
    if name not in row["holdout"]:
        return ""
    text = f"{row['holdout'][name]:.2f}"
    return f"**{text}**" if name == row["recommended"] else text


if __name__ == "__main__":
    main()
