"""What the benchmarks of the service share: starting it on this machine, and data to submit."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

TOPICS = {"invoice": "billing", "refund": "billing", "outage": "power", "breaker": "power"}


class Service:
    """`advisor api` in processes of its own, ended by their ids."""

    def __init__(self, data: Path, workers: int, **settings: Any) -> None:
        self.workers = workers
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in settings.items()}
        self.environment = {**os.environ, "HF_HUB_OFFLINE": "1", "ADVISOR_DATA": str(data)}
        self.environment |= {f"ADVISOR_{name.upper()}": value for name, value in texts.items()}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, workers: int | None = None) -> None:
        """Start it and wait until it answers."""
        count = self.workers if workers is None else workers
        command = [sys.executable, "-m", "api", "api", "--port", str(self.port), "--workers", str(count)]
        self.process = subprocess.Popen(command, env=self.environment, stderr=subprocess.DEVNULL)
        for _ in range(1200):
            if self.answers(count):
                return
            time.sleep(0.1)
        sys.exit("The service does not start.")

    def answers(self, workers: int) -> bool:
        """Whether it is there, with its workers."""
        try:
            answer = httpx.get(f"{self.url}/health/ready", timeout=5)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200 and answer.json()["workers"] >= workers

    def stop(self) -> None:
        """End it as an operator would."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def tickets(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Made-up labelled tickets."""
    draw = random.Random(seed)
    words = list(TOPICS)
    rows = []
    for number in range(count):
        word = words[number % len(words)]
        rows.append({"input": f"case {draw.randrange(10**6)}: about the {word}", "output": TOPICS[word]})
    return rows
