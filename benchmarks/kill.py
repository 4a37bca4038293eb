"""Comparisons survive being killed: server and worker are killed at random moments, and nothing is lost or done twice.

    python benchmarks/kill.py [--kills 20] [--jobs 3] [--database URL] [--seed 0]

One comparison of the bundled sample with the default models is carried out undisturbed. Then the same is asked for
several times, under the plan that the first one stored, while `kill -9` ends the server, the worker, or both. Every
comparison must end once, with the same outputs and the same recommendation, and no record of a finished fit may be
written again.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
from service import Service

STRATEGIES = "nearest_copy,passage_copy,few_shot,nearest_examples,rag,lora"
BUDGET = 150
LONGEST_PAUSE = 20.0
PATIENCE = 900.0


def main() -> None:
    """Run, kill, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=3)
    parser.add_argument("--database", default="", help="SQLAlchemy URL of an empty database; SQLite by default")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="advisor-kill-"))
    data = scratch / "data"
    settings = {"database_url": arguments.database, "most_attempts": 1000, "lease_seconds": 3}
    service = Service(data, 1, **settings)
    try:
        service.start()
        reference = submit(service)
        until_ended(service, [reference])
        service.stop()
        service.start(workers=0)
        jobs = [submit(service) for _ in range(arguments.jobs)]
        for job in jobs:
            give_plan(run_of(data, reference), run_of(data, job))
        service.stop()
        watch = Records([run_of(data, job) for job in jobs])
        killed = kill_again_and_again(service, jobs, arguments.kills, random.Random(arguments.seed), watch)
        until_ended(service, jobs, watch)
        result = judged(service, data, reference, jobs, watch)
        print(json.dumps({"database": arguments.database.split(":")[0] or "sqlite", "killed": killed, **result}))
        if not (result["ended_once"] == result["same_outputs"] == result["same_recommendation"] == len(jobs)):
            sys.exit(1)
        if result["made_again"]:
            sys.exit(1)
    finally:
        service.stop()
        shutil.rmtree(scratch, ignore_errors=True)


def submit(service: Service) -> str:
    """Ask for a comparison of the sample."""
    import advisor

    sample = Path(advisor.__file__).parent / "sample"
    files = [
        ("examples", ("examples.jsonl", next(sample.glob("examples.*")).read_bytes())),
        *(("documents", (p.name, p.read_bytes())) for p in sorted((sample / "documents").glob("*"))),
    ]
    form = {"task": (sample / "task.json").read_text(), "strategies": STRATEGIES, "time_budget": str(BUDGET)}
    answer = httpx.post(f"{service.url}/v1/comparisons", data=form, files=files, timeout=60)
    answer.raise_for_status()
    return str(answer.json()["id"])


def run_of(data: Path, id: str) -> Path:
    """The run folder of a comparison."""
    (folder,) = data.glob(f"projects/*/{id}")
    return folder / "run"


def give_plan(source: Path, target: Path) -> None:
    """Let a comparison begin with the plan of another of the same content."""
    target.mkdir()
    shutil.copy(source / "plan.json", target / "plan.json")


class Records:
    """The records of finished fits, and whether one was ever written again."""

    def __init__(self, runs: list[Path]) -> None:
        self.runs = runs
        self.seen: dict[Path, float] = {}
        self.again: list[str] = []

    def look(self) -> None:
        """Compare with what was there before. Only fits that ended well are kept for good."""
        for run in self.runs:
            for path in (run / "finished").rglob("*.json"):
                if path.name.startswith(".") or json.loads(path.read_text())["status"] not in ("ok", "not_applicable"):
                    continue
                at = path.stat().st_mtime
                if self.seen.setdefault(path, at) != at:
                    self.again.append(str(path.relative_to(run)))
                    self.seen[path] = at


def kill_again_and_again(
    service: Service, jobs: list[str], kills: int, draw: random.Random, watch: Records
) -> dict[str, int]:
    """Start the service, kill part of it after a random while, and so on."""
    killed = {"server": 0, "worker": 0, "both": 0}
    service.start()
    for _ in range(kills):
        pause_until = time.monotonic() + draw.uniform(0.5, LONGEST_PAUSE)
        while time.monotonic() < pause_until:
            time.sleep(0.25)
            watch.look()
        whom = draw.choice(list(killed))
        killed[whom] += 1
        server = psutil.Process(service.process.pid) if service.process else None
        workers = [c for c in server.children() if "worker" in c.cmdline()] if server else []
        victims = {"server": [server], "worker": workers, "both": [server, *workers]}[whom]
        for victim in victims:
            if victim is not None:
                victim.send_signal(signal.SIGKILL)
        if whom != "worker":
            assert service.process is not None
            service.process.wait()
            service.start()
    return killed


def until_ended(service: Service, jobs: list[str], watch: Records | None = None) -> None:
    """Wait until all have ended."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        states = [httpx.get(f"{service.url}/v1/comparisons/{job}", timeout=30).json()["state"] for job in jobs]
        if all(state in ("succeeded", "failed", "cancelled") for state in states):
            return
        time.sleep(0.5)
        if watch:
            watch.look()
    sys.exit("The comparisons do not end.")


def judged(service: Service, data: Path, reference: str, jobs: list[str], watch: Records) -> dict[str, Any]:
    """How many ended once and as the undisturbed one did."""
    import pandas as pd

    columns = ["strategy", "id", "output", "score"]

    def outputs(id: str) -> pd.DataFrame:
        return pd.read_parquet(run_of(data, id) / "predictions.parquet")[columns]

    def recommended(id: str) -> tuple[Any, Any]:
        advice = httpx.get(f"{service.url}/v1/comparisons/{id}/report.json", timeout=30).json()["recommendation"]
        return advice["strategy"], advice["verdict"]

    views = {id: httpx.get(f"{service.url}/v1/comparisons/{id}", timeout=30).json() for id in jobs}
    good = [id for id in jobs if views[id]["state"] == "succeeded"]
    return {
        "jobs": len(jobs),
        "ended_once": sum(ends(service, id) == 1 for id in jobs),
        "succeeded": len(good),
        "same_outputs": sum(outputs(id).equals(outputs(reference)) for id in good),
        "same_recommendation": sum(recommended(id) == recommended(reference) for id in good),
        "attempts": [views[id]["attempts"] for id in jobs],
        "finished_fits": len(watch.seen),
        "made_again": watch.again,
    }


def ends(service: Service, id: str) -> int:
    """How often a comparison is told to have ended."""
    text = httpx.get(f"{service.url}/v1/comparisons/{id}/events", timeout=60).text
    data = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]
    return sum(event.get("state") in ("succeeded", "failed", "cancelled") for event in data)


if __name__ == "__main__":
    main()
