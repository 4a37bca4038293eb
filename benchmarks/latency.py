"""Do the latency and throughput that a report states come true on the same machine?

    python benchmarks/latency.py RUN --examples FILE [--seconds 40]

RUN was compared with `--keep all`. Of the rows of FILE those are taken that RUN tested; where it tested none of them,
as many of the first. Every kept solution answers them as `advisor predict` does: one by one for so many seconds, in an
order drawn at random, and all in one go. The table shows what the report says and what was seen, as a quotient; the
last lines say how many quotients are within 15 %, and how much one product of matrices, which never changes, varies
from second to second: no prediction comes truer than that. The machine must be idle, then and during the comparison.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from common import machine, read_rows

from eval.latency import quantiles

WARM_UP = 2
STEADY_SECONDS = 0.5
"""Of answering all rows in one go, which is repeated until then."""
CLOSE = 0.15
SECONDS_OF_PRODUCTS = 30
SHAPE = (512, 576, 1536)
"""Of a product like those of the default language model: rows, and a layer's inputs and outputs."""


def main() -> None:
    """Measure each solution, print the table and, on the last line, JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--examples", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=40)
    arguments = parser.parse_args()
    report = json.loads((arguments.run / "report.json").read_text(encoding="utf-8"))
    tested = set(pd.read_parquet(arguments.run / "predictions.parquet").id)
    known = read_rows(arguments.examples)
    inputs = [row["input"] for row in known if row["id"] in tested] or [row["input"] for row in known[: len(tested)]]
    rows = [
        seen(arguments.run, said, inputs, arguments.seconds)
        for said in report["strategies"]
        if said["latency"] and (arguments.run / "solutions" / said["name"]).is_dir()
    ]
    print("| " + " | ".join(rows[0]) + " |\n" + "|---" * len(rows[0]) + "|")
    print("\n".join("| " + " | ".join(str(value) for value in row.values()) + " |" for row in rows))
    for name in ("p50 ms", "p95 ms", "queries/s"):
        close = [abs(row[f"{name}: seen / said"] - 1) <= CLOSE for row in rows]
        print(f"{name}: {sum(close)} of {len(close)} within {CLOSE:.0%}")
    second = products()
    typical = statistics.median(second)
    steady = sum(abs(value / typical - 1) <= CLOSE for value in second)
    low, middle, high = (f"{1000 * value:.2f}" for value in (min(second), typical, max(second)))
    print(f"one product of matrices, by the median of each second: {low} to {high} ms, {middle} in the middle one;")
    print(f"{steady} of {len(second)} seconds are within {CLOSE:.0%} of it")
    print(json.dumps({"machine": machine("cpu"), "solutions": rows, "product_ms": [1000 * value for value in second]}))


def seen(run: Path, said: dict[str, Any], inputs: list[str], most_seconds: float) -> dict[str, Any]:
    """A solution's line of the table: what was said, and seen / said."""
    from advisor.further import answers
    from strategies.models.shelf import ModelShelf
    from strategies.solutions import load_solution

    solution = load_solution(run / "solutions" / said["name"], ModelShelf("cpu"))
    alone = random.Random(0).sample(inputs, len(inputs))
    for text in alone[:WARM_UP]:
        list(answers(solution, [text]))
    times: list[float] = []
    while len(times) < len(alone) and sum(times) < most_seconds:
        times.append(seconds(lambda: list(answers(solution, [alone[len(times)]]))))
    passes: list[float] = []
    while not passes or sum(passes) < STEADY_SECONDS:
        passes.append(seconds(lambda: list(answers(solution, inputs))))
    p50, p95, _ = quantiles(times)
    stated, line = said["latency"], {"strategy": said["name"], "timed": len(times)}
    figures = (
        ("p50 ms", stated["p50_ms"], 1000 * p50),
        ("p95 ms", stated["p95_ms"], 1000 * p95),
        ("queries/s", stated["throughput_qps"], len(passes) * len(inputs) / sum(passes)),
    )
    for name, value, found in figures:
        line |= {name: round(value, 1), f"{name}: seen / said": round(found / value, 2)}
    return line


def products() -> list[float]:
    """Median seconds of the product in each second of so many, in the precision that answers are made in."""
    import torch

    from strategies.models.devices import data_type

    dtype, (rows, inputs, outputs) = data_type(torch.device("cpu")), SHAPE
    left, right = torch.ones(rows, inputs, dtype=dtype), torch.ones(inputs, outputs, dtype=dtype)
    return [statistics.median(_second(lambda: left @ right)) for _ in range(SECONDS_OF_PRODUCTS)]


def _second(work: Callable[[], object]) -> list[float]:
    times: list[float] = []
    while sum(times) < 1:
        times.append(seconds(work))
    return times


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
