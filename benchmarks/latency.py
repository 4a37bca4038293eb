"""Do the latency and throughput that a report states come true on the same machine?

    python benchmarks/latency.py RUN --examples FILE [--alone 20]

RUN was compared with `--keep all`. Of the rows of FILE those are taken that RUN tested; where it tested none of them,
as many of the first. Every kept solution answers them as `advisor predict` does: some one by one, and all in one go.
The table shows what the report says, what was seen, and the quotient.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
from common import machine, read_rows

WARM_UP = 2


def main() -> None:
    """Measure each solution, print the table and, on the last line, JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--examples", type=Path, required=True)
    parser.add_argument("--alone", type=int, default=20)
    arguments = parser.parse_args()
    report = json.loads((arguments.run / "report.json").read_text(encoding="utf-8"))
    tested = set(pd.read_parquet(arguments.run / "predictions.parquet").id)
    known = read_rows(arguments.examples)
    inputs = [row["input"] for row in known if row["id"] in tested] or [row["input"] for row in known[: len(tested)]]
    rows = [
        seen(arguments.run, said, inputs[: arguments.alone], inputs)
        for said in report["strategies"]
        if said["latency"] and (arguments.run / "solutions" / said["name"]).is_dir()
    ]
    print("| " + " | ".join(rows[0]) + " |\n" + "|---" * len(rows[0]) + "|")
    print("\n".join("| " + " | ".join(str(value) for value in row.values()) + " |" for row in rows))
    print(json.dumps({"machine": machine("cpu"), "solutions": rows}))


def seen(run: Path, said: dict[str, Any], alone: list[str], together: list[str]) -> dict[str, Any]:
    """A solution's line of the table."""
    from advisor.further import answers
    from strategies.models.shelf import ModelShelf
    from strategies.solutions import load_solution

    solution = load_solution(run / "solutions" / said["name"], ModelShelf("cpu"))
    times = []
    for text in [*alone[:WARM_UP], *alone]:
        start = time.perf_counter()
        list(answers(solution, [text]))
        times.append(1000 * (time.perf_counter() - start))
    p50 = median(times[WARM_UP:])
    start = time.perf_counter()
    list(answers(solution, together))
    rate = len(together) / (time.perf_counter() - start)
    stated = said["latency"]
    return {
        "strategy": said["name"],
        "p50 said, ms": round(stated["p50_ms"], 1),
        "seen": round(p50, 1),
        "seen / said": round(p50 / stated["p50_ms"], 2),
        "queries a second said": round(stated["throughput_qps"], 1),
        "seen in one go": round(rate, 1),
        "one go / said": round(rate / stated["throughput_qps"], 2),
    }


if __name__ == "__main__":
    main()
