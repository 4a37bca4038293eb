"""What the benchmarks share: where tasks and peers lie, the advisor's command line, and transformers used plainly."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from eval.contracts import Example
from eval.reading.examples import read_examples

Row = TypeVar("Row")


def tasks_root() -> Path:
    """The folder of the public tasks: $ADVISOR_TASKS, or ../shared/tasks."""
    return Path(os.environ.get("ADVISOR_TASKS", "../shared/tasks"))


def task_names(asked: str) -> list[str]:
    """The tasks that are asked for, with commas between them; all for none."""
    return asked.split(",") if asked else sorted(p.name for p in tasks_root().iterdir() if p.is_dir())


def task_options(task: Path) -> list[str]:
    """The options of `advisor compare` that name a task and its documents, where it has some."""
    documents = ["--documents", str(task / "corpus.jsonl")] if (task / "corpus.jsonl").exists() else []
    return ["--task", str(task / "task.json"), *documents]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def examples_of(path: Path) -> Sequence[Example]:
    """The rows of one of a task's files."""
    return read_examples(str(path), input_columns=[], output_column=None).examples


def drawn(rows: Sequence[Row], most: int) -> list[Row]:
    """At most so many rows (all for 0), always the same, in their order: holdouts are partly ordered by label."""
    if not 0 < most < len(rows):
        return list(rows)
    return [rows[i] for i in sorted(random.Random(0).sample(range(len(rows)), most))]


def advisor(arguments: list[str]) -> int:
    """Run the command line in a process of its own; its exit status. 0 and 3 mean that it did its work."""
    return subprocess.run([sys.executable, "-m", "advisor.cli", *arguments], stdout=subprocess.DEVNULL).returncode


def must(arguments: list[str]) -> None:
    """Run the command line; stop where it fails."""
    status = advisor(arguments)
    if status not in (0, 3):
        sys.exit(f"advisor {arguments[0]} ended with status {status}")


# Peers: what users would use instead. They have an environment of their own (see their README).


def peers_root() -> Path:
    """The folder of the peers' scripts: $ADVISOR_PEERS, or ../shared/peers."""
    return Path(os.environ.get("ADVISOR_PEERS", "../shared/peers"))


def peers_python() -> str | None:
    """The interpreter of the peers' environment: $ADVISOR_PEERS_PYTHON, or ../.peers; None where there is none."""
    python = Path(os.environ.get("ADVISOR_PEERS_PYTHON", "../.peers/bin/python"))
    return str(python) if python.exists() else None


def peer_work(script: str, *arguments: str) -> Any:
    """The very work that a peer's script measures."""
    return json.loads(_output([sys.executable, str(peers_root() / script), "model", *arguments, "--work"]))


def run_peer(script: str, *arguments: str) -> dict[str, Any] | None:
    """What a peer's script measures; None where the peers are not installed."""
    python = peers_python()
    return json.loads(_output([python, str(peers_root() / script), *arguments])) if python else None


def last_line(command: list[str]) -> Any:
    """The JSON in the last line that a command prints."""
    return json.loads(_output(command))


def _output(command: list[str]) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


# Transformers, used as its documentation shows: the straightforward path that ours must agree with.


def plain_network(folder: Path, device: str, exact: bool = False) -> Any:
    """The same weights as ours, without anything of ours, in the same precision; in float32 where `exact`."""
    import torch
    from transformers import AutoModelForCausalLM

    from strategies.models.devices import data_type

    dtype = torch.float32 if exact else data_type(torch.device(device))
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True).to(device).eval()


def padded(sequences: Sequence[Sequence[int]], pad: int, *, left: bool) -> Any:
    """Token ids and attention mask, each of shape (sequences, longest)."""
    import torch

    width = max(map(len, sequences))
    ids = torch.full((len(sequences), width), pad)
    mask = torch.zeros(len(sequences), width, dtype=torch.long)
    for row, sequence in enumerate(sequences):
        part = slice(width - len(sequence), width) if left else slice(0, len(sequence))
        ids[row, part], mask[row, part] = torch.tensor(list(sequence)), 1
    return ids, mask


def default_model(device: str) -> tuple[str, Path, Any]:
    """The device that is used, the folder of the default model's weights, and our model on that device."""
    from strategies.models import catalogue
    from strategies.models.devices import pick_device

    name, device = catalogue.DEFAULT_LANGUAGE_MODEL, pick_device(device).type
    return device, catalogue.locate(name), catalogue.load_language_model(name, device)


def timed(work: Callable[[], Any], device: str) -> tuple[Any, float]:
    """What some work gives, and its seconds."""
    import torch

    start = time.perf_counter()
    found = work()
    if device == "cuda":
        torch.cuda.synchronize()
    return found, time.perf_counter() - start


def machine(device: str) -> str:
    """Where this was measured, in words."""
    import torch

    if device == "cuda":
        return torch.cuda.get_device_name()
    model = next((line.split(":")[1].strip() for line in _cpu_lines() if line.startswith("model name")), "CPU")
    return f"{len(os.sched_getaffinity(0))} cores of {model}"


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
