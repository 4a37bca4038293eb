"""The service under load: clients that submit, clients that read, and two workers that carry out what was submitted.

    python benchmarks/load.py [--seconds 60] [--submitters 50] [--readers 200] [--database URL]

Tiny random models, so that comparisons take seconds. A submitter sends a comparison, waits, and sends another; a reader
asks for the state of one of them about once a second. Afterwards everything that was accepted must be there, and end.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import shutil
import ssl
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import numpy as np
from common import machine
from service import Service, tickets

READ_PAUSE = (0.5, 1.5)
PATIENCE = 1800.0


class Tally:
    """What happened."""

    def __init__(self) -> None:
        self.accepted: list[str] = []
        self.read_seconds: list[float] = []
        self.submit_seconds: list[float] = []
        self.statuses: Counter[str] = Counter()


def main() -> None:
    """Load it for a while, let it drain, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--submitters", type=int, default=50)
    parser.add_argument("--readers", type=int, default=200)
    parser.add_argument("--pause", type=float, default=60, help="mean seconds between a submitter's comparisons")
    parser.add_argument("--database", default="")
    arguments = parser.parse_args()
    from strategies.models import tiny

    scratch = Path(tempfile.mkdtemp(prefix="advisor-load-"))
    models = {"smollm2-135m-instruct": str(tiny.make_language_model(scratch / "model"))}
    embedders = {"all-minilm-l6-v2": str(tiny.make_embedder(scratch / "embedder"))}
    service = Service(
        scratch / "data", 2, models=models, embedders=embedders, database_url=arguments.database, device="cpu",
        most_waiting=100_000, requests_per_minute=10_000_000,
    )  # fmt: skip
    try:
        service.start()
        tally = asyncio.run(load(service.url, arguments))
        states, drained = asyncio.run(drain(service.url, tally.accepted))
        result = {
            "machine": machine("cpu"),
            "database": arguments.database.split(":")[0] or "sqlite",
            "submitted": len(tally.accepted),
            "reads": len(tally.read_seconds),
            "reads_per_second": len(tally.read_seconds) / arguments.seconds,
            "read_ms": percentiles(tally.read_seconds),
            "submit_ms": percentiles(tally.submit_seconds),
            "statuses": dict(tally.statuses),
            "states_at_the_end": states,
            "drained_seconds": drained,
        }
        print(json.dumps(result))
        errors = sum(count for status, count in tally.statuses.items() if status not in ("200", "202"))
        if errors or states != {"succeeded": len(tally.accepted)} or result["read_ms"]["p99"] > 100:
            sys.exit(1)
    finally:
        service.stop()
        shutil.rmtree(scratch, ignore_errors=True)


def percentiles(seconds: list[float]) -> dict[str, float]:
    """In milliseconds."""
    return {f"p{p}": round(float(np.percentile(seconds, p)) * 1000, 1) for p in (50, 95, 99)}


async def load(url: str, arguments: argparse.Namespace) -> Tally:
    """All clients at once, until the time is up."""
    gc.disable()  # the pauses of the clients' own process are none of the service's
    tally, end = Tally(), time.monotonic() + arguments.seconds
    context = ssl.create_default_context()  # made once: every client has a connection of its own, as people have

    async def alone(work: Callable[..., Awaitable[None]], number: int, *rest: float) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=60, verify=context) as client:
            await work(client, tally, number, end, *rest)

    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        await submit(client, tally, 0)
    submitters = [alone(submitter, n + 1, arguments.pause) for n in range(arguments.submitters)]
    await asyncio.gather(*submitters, *(alone(reader, n) for n in range(arguments.readers)))
    return tally


async def submitter(client: httpx.AsyncClient, tally: Tally, number: int, end: float, pause: float) -> None:
    """Send, wait, send."""
    draw = random.Random(number)
    await asyncio.sleep(draw.uniform(0, pause))
    while time.monotonic() < end:
        await submit(client, tally, draw.randrange(10**6))
        await asyncio.sleep(draw.uniform(0.5 * pause, 1.5 * pause))


async def submit(client: httpx.AsyncClient, tally: Tally, seed: int) -> None:
    """One comparison of baselines on forty tickets."""
    body = {
        "task": "Route the ticket.", "examples": tickets(40, seed), "strategies": ["majority", "tfidf_linear"],
        "time_budget": 60,
    }  # fmt: skip
    started = time.perf_counter()
    try:
        answer = await client.post("/v1/comparisons", json=body)
    except httpx.HTTPError as error:
        tally.statuses[type(error).__name__] += 1
        return
    tally.submit_seconds.append(time.perf_counter() - started)
    tally.statuses[str(answer.status_code)] += 1
    if answer.status_code == 202:
        tally.accepted.append(answer.json()["id"])


async def reader(client: httpx.AsyncClient, tally: Tally, number: int, end: float) -> None:
    """Ask how some comparison is, about once a second."""
    draw = random.Random(-1 - number)
    while time.monotonic() < end:
        await asyncio.sleep(draw.uniform(*READ_PAUSE))
        started = time.perf_counter()
        try:
            answer = await client.get(f"/v1/comparisons/{draw.choice(tally.accepted)}")
        except httpx.HTTPError as error:
            tally.statuses[type(error).__name__] += 1
            continue
        tally.read_seconds.append(time.perf_counter() - started)
        tally.statuses[str(answer.status_code)] += 1


async def drain(url: str, accepted: list[str]) -> tuple[dict[str, int], float]:
    """Wait until all that was accepted has ended; the states, and how long that took."""
    started = time.monotonic()
    states: dict[str, str] = {}
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        while time.monotonic() < started + PATIENCE:
            for id in accepted:
                if states.get(id) not in ("succeeded", "failed", "cancelled"):
                    states[id] = (await client.get(f"/v1/comparisons/{id}")).json().get("state", "lost")
            if all(state in ("succeeded", "failed", "cancelled", "lost") for state in states.values()):
                break
            await asyncio.sleep(1)
    return dict(Counter(states.values())), round(time.monotonic() - started, 1)


if __name__ == "__main__":
    main()
