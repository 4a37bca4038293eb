"""Is the advice right, and does it know how sure it is? Measured on rows that the advisor never saw.

Runs `advisor compare` on subsets of each task's examples (40, 120, all; several seeds), scores every kept solution, and
the measured ones, on the whole holdout, and prints per task and overall, as Markdown and on the last line as JSON:

- regret: quality lost by following the advice. The oracle is chosen on one half of the holdout and regret measured on
  the other, halves swapped and averaged; "best average" (the strategy with the highest measured quality) beside it.
- coverage of the 95 % intervals: the score on the holdout of the very solutions that were measured, its own sampling
  error counted in; of the recommended strategy alone; and of the refit that is kept, which the interval is not for.
- A/A: the outcomes of two fits of one strategy, swapped row by row at random: how often the verdict is `clear`.
- claims: differences with an adjusted p below 0.05 whose sign is the same on the holdout.
- planted ties: two fits of one strategy at different costs: how often the cheaper is taken, and what quality is lost.

Everything is cached under --output by content, so that it can run in pieces:

    python benchmarks/decision_quality.py --output /tmp/decisions [--quick] [--tasks a,b] [--sizes 40,120,all]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import advisor, drawn, task_options, tasks_root

from advisor.cli import quieten_libraries
from advisor.decide import Candidate, Evidence, Limits, decide
from advisor.economics import Money
from advisor.runs import FOLD_SOLUTIONS, SOLUTIONS, write_atomically
from eval.contracts import Example
from eval.harness import evaluate, scored_rows
from eval.metrics import Metric, ScoredRow, get_metric
from eval.reading.examples import read_examples
from eval.statistics import interval, paired_difference, resample
from strategies.models.shelf import ModelShelf
from strategies.solutions import load_solution

QUICK_TASKS = (
    "clickbait_headlines",
    "product_review_sentiment",
    "patient_health_faq",
    "spoken_question_cleanup",
    "voice_command_to_json",
)
OTHER_SOURCES = ("contract_clause_type", "spoken_question_cleanup")
"""Tasks whose holdout comes from other sources than their examples: shown apart in coverage."""
SWAPS = 1000
RESAMPLES = 1000


@dataclass(frozen=True)
class Case:
    """One run of the advisor."""

    task: str
    size: str
    seed: int


@dataclass(frozen=True)
class Answers:
    """What one strategy answered to the holdout."""

    kept: list[ScoredRow]
    """Of the kept solution, the refit, in the order of the holdout."""
    measured: list[ScoredRow]
    """Of the fits that were measured: each row by one of them, drawn by its id."""


def main() -> None:
    """Parse the arguments, run what is missing, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="five tasks, 120 and all rows, one seed")
    parser.add_argument("--tasks", default="")
    parser.add_argument("--sizes", default="")
    parser.add_argument("--seeds", default="")
    parser.add_argument("--budget", type=float, default=3600, help="seconds of each run; must allow cross-fitting")
    parser.add_argument("--strategies", default="", help="all that apply by default")
    parser.add_argument("--limit", type=int, default=0, help="holdout rows, drawn; all by default")
    arguments = parser.parse_args()
    quieten_libraries()
    root = tasks_root()
    found = [(case, result) for case in cases(arguments, root) if (result := carry_out(case, arguments, root))]
    figures = summarise(found)
    print(markdown(figures))
    print(json.dumps(figures))


def cases(arguments: argparse.Namespace, root: Path) -> list[Case]:
    """What is to be run; sizes that a task's examples do not reach are left out."""
    every = sorted(p.name for p in root.iterdir() if p.is_dir())
    tasks = arguments.tasks.split(",") if arguments.tasks else (QUICK_TASKS if arguments.quick else every)
    sizes = (arguments.sizes or ("120,all" if arguments.quick else "40,120,all")).split(",")
    seeds = [int(s) for s in (arguments.seeds or ("0" if arguments.quick else "0,1,2")).split(",")]
    found = []
    for task in tasks:
        rows = sum(1 for line in (root / task / "examples.jsonl").open(encoding="utf-8") if line.strip())
        for size in sizes:
            if size == "all" or int(size) < rows:
                found += [Case(task, size, seed) for seed in (seeds if size != "all" else seeds[:1])]
    return found


def carry_out(case: Case, arguments: argparse.Namespace, root: Path) -> dict[str, Any] | None:
    """Compare on the subset and score on the holdout, unless that was done before; None where the advisor refused."""
    task = root / case.task
    lines = [line for line in (task / "examples.jsonl").read_text(encoding="utf-8").splitlines() if line.strip()]
    if case.size != "all":
        lines = random.Random(f"{case.task}:{case.seed}").sample(lines, int(case.size))
    options = [*task_options(task), "--time-budget", str(arguments.budget), "--seed", str(case.seed), "--keep", "all"]
    options += ["--strategies", arguments.strategies] if arguments.strategies else []
    rows = read_examples(str(task / "holdout.jsonl"), input_columns=[], output_column=None).examples
    holdout = drawn(rows, arguments.limit)
    key = hashlib.sha256(json.dumps([lines, options, [asdict(e) for e in holdout]]).encode()).hexdigest()[:12]
    folder = arguments.output / f"{case.task}-{case.size}-{case.seed}-{key}"
    done = folder / "holdout.json"
    if not done.exists():
        write_atomically(folder / "examples.jsonl", "\n".join(lines) + "\n")
        started = time.monotonic()
        files = ["--examples", str(folder / "examples.jsonl"), "--output", str(folder / "run")]
        status = advisor(["compare", *files, *options])
        if status not in (0, 3):
            print(f"{case}: the advisor ended with status {status}", file=sys.stderr, flush=True)
            return None
        compared = time.monotonic() - started
        scores = score_all(folder / "run", holdout)
        write_atomically(done, json.dumps(scores))
        print(f"{case}: compared in {compared:.0f} s, all in {time.monotonic() - started:.0f} s", file=sys.stderr)
    report = json.loads((folder / "run" / "report.json").read_text(encoding="utf-8"))
    return {"report": report, "answers": {name: _answers(rows) for name, rows in json.loads(done.read_text()).items()}}


# ---- the holdout -----------------------------------------------------------------------------------------------------


def score_all(run: Path, holdout: Sequence[Example]) -> dict[str, dict[str, list[Any]]]:
    """Answers of each kept solution and of the measured ones to the holdout, as plain values."""
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    metric, shelf = get_metric(report["task"]["metric"]), ModelShelf("cpu")
    found = {}
    for folder in sorted(p for p in (run / SOLUTIONS).iterdir() if p.is_dir()):
        kept = _rows(folder, holdout, metric, shelf)
        fits = sorted(p for p in (run / FOLD_SOLUTIONS / folder.name).iterdir() if p.is_dir())
        turns = [int(hashlib.sha256(e.id.encode()).hexdigest(), 16) % len(fits) for e in holdout]
        measured: list[ScoredRow | None] = [None] * len(holdout)
        for number, fit in enumerate(fits):
            mine = [i for i, turn in enumerate(turns) if turn == number]
            for i, row in zip(mine, _rows(fit, [holdout[i] for i in mine], metric, shelf), strict=True):
                measured[i] = row
        found[folder.name] = {"kept": [asdict(r) for r in kept], "measured": [asdict(r) for r in measured if r]}
    return found


def _rows(folder: Path, examples: Sequence[Example], metric: Metric, shelf: ModelShelf) -> list[ScoredRow]:
    """A row for each example. Raises RuntimeError where one could not be scored: a local model has no excuse."""
    if not examples:
        return []
    rows = scored_rows(evaluate(load_solution(folder, shelf), examples, metric).outcomes)
    if len(rows) < len(examples):
        raise RuntimeError(f"{folder}: {len(examples) - len(rows)} holdout rows could not be scored")
    return rows


def _answers(rows: dict[str, list[dict[str, Any]]]) -> Answers:
    def made(values: list[dict[str, Any]]) -> list[ScoredRow]:
        return [ScoredRow(v["output"], tuple(v["targets"]), v["score"]) for v in values]

    return Answers(made(rows["kept"]), made(rows["measured"]))


# ---- the figures -----------------------------------------------------------------------------------------------------


def summarise(found: Sequence[tuple[Case, dict[str, Any]]]) -> dict[str, Any]:
    """All figures, per task and overall."""
    tasks = sorted({case.task for case, _ in found})
    runs = [figures_of(case, result) for case, result in found]
    return {
        "runs": len(runs),
        "regret": {size: regret(runs, size) for size in dict.fromkeys(r["size"] for r in runs)},
        "coverage": coverage(runs),
        "a_a": a_a(found),
        "claims": claims(runs),
        "planted_ties": planted_ties(found),
        "verdicts": {v: sum(r["verdict"] == v for r in runs) for v in sorted({r["verdict"] for r in runs})},
        "plans": {p: sum(r["plan"] == p for r in runs) for p in sorted({r["plan"] for r in runs})},
        "tasks": {task: [_shown(r) for r in runs if r["task"] == task] for task in tasks},
    }


def _shown(run: dict[str, Any]) -> dict[str, Any]:
    names = ("size", "seed", "plan", "pick", "verdict", "regret", "regret_of_best_average")
    covered = [s["covered"] for s in run["strategies"]]
    return {**{name: run[name] for name in names}, "covered": sum(covered), "strategies": len(covered)}


def figures_of(case: Case, result: dict[str, Any]) -> dict[str, Any]:
    """Regret, coverage and claims of one run."""
    report, answers = result["report"], result["answers"]
    metric = get_metric(report["task"]["metric"])
    measured = {s["name"]: s for s in report["strategies"] if s["status"] == "ok" and s["name"] in answers}
    pick = report["recommendation"]["strategy"]
    best = max(measured, key=lambda name: measured[name]["quality"]["value"]) if measured else None
    kept = {name: answers[name].kept for name in measured}
    plan = report["data"]["plan"]
    return {
        "task": case.task,
        "size": case.size,
        "seed": case.seed,
        "plan": f"{plan['folds']}-fold" if plan["kind"] == "cross_fit" else "holdout",
        "pick": pick,
        "verdict": report["recommendation"]["verdict"],
        "regret": _regret(kept, pick, metric) if pick in kept else None,
        "regret_of_best_average": _regret(kept, best, metric) if best else None,
        "strategies": [_covered(s, answers[name], metric, name == pick) for name, s in measured.items()],
        "claims": _claims(report["comparisons"], kept, metric),
    }


def _regret(kept: dict[str, list[ScoredRow]], chosen: str, metric: Metric) -> float:
    """Quality of the half's oracle minus that of the chosen one on the other half; both ways, averaged. In points."""
    n = len(kept[chosen])
    first = np.random.default_rng(0).permutation(n) < n // 2
    losses = []
    for choosing in (first, ~first):
        on = {name: _value(rows, choosing, metric) for name, rows in kept.items()}
        oracle = max(on, key=lambda name: on[name])
        losses.append(_value(kept[oracle], ~choosing, metric) - _value(kept[chosen], ~choosing, metric))
    return 100 * float(np.mean(losses))


def _value(rows: Sequence[ScoredRow], where: Any, metric: Metric) -> float:
    return metric.aggregate([row for row, wanted in zip(rows, where, strict=True) if wanted])


def _covered(strategy: dict[str, Any], answers: Answers, metric: Metric, picked: bool) -> dict[str, Any]:
    """Whether the interval holds the holdout's score, with the holdout's own sampling error counted in."""
    quality = strategy["quality"]

    def holds(rows: Sequence[ScoredRow]) -> tuple[bool, float]:
        value = metric.aggregate(rows)
        low, high = interval(metric, rows, seed=0)
        gap = value - quality["value"]
        width = quality["ci95"][1] - quality["value"] if gap > 0 else quality["value"] - quality["ci95"][0]
        own = value - low if gap > 0 else high - value
        return abs(gap) <= float(np.hypot(width, own)) + 1e-9, 100 * gap

    covered, gap = holds(answers.measured)
    refit_covered, refit_gap = holds(answers.kept)
    return {
        "name": strategy["name"],
        "picked": picked,
        "covered": covered,
        "gap": gap,
        "refit_covered": refit_covered,
        "refit_gap": refit_gap,
        "refit_gain": 100 * (metric.aggregate(answers.kept) - metric.aggregate(answers.measured)),
    }


def _claims(comparisons: Sequence[dict[str, Any]], kept: dict[str, list[ScoredRow]], metric: Metric) -> list[bool]:
    """For each claimed difference, whether it has the same sign on the holdout."""
    claimed = [c for c in comparisons if (c["p_adjusted"] or 1.0) < 0.05 and c["a"] in kept and c["b"] in kept]
    return [
        bool((metric.aggregate(kept[c["a"]]) - metric.aggregate(kept[c["b"]])) * c["difference"] > 0) for c in claimed
    ]


def regret(runs: Sequence[dict[str, Any]], size: str) -> dict[str, Any]:
    """Of the advice and of "best average", over the runs of a size; in points."""
    mine = [r for r in runs if r["size"] == size and r["regret"] is not None]
    advised, average = [r["regret"] for r in mine], [r["regret_of_best_average"] for r in mine]
    return {"runs": len(mine), "advice": _spread(advised), "best_average": _spread(average)}


def _spread(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    return {"mean": float(np.mean(values)), "median": float(np.median(values)), "p95": float(np.quantile(values, 0.95))}


def coverage(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Share of intervals that hold, with its 95 % range by bootstrap over tasks; some shares apart."""
    same = [r for r in runs if r["task"] not in OTHER_SOURCES]
    other = [r for r in runs if r["task"] in OTHER_SOURCES]
    return {
        "same_source": _share(same, lambda s: s["covered"]),
        "other_sources": _share(other, lambda s: s["covered"]),
        "recommended": _share(same, lambda s: s["covered"], lambda s: s["picked"]),
        "refit": _share(same, lambda s: s["refit_covered"]),
        "refit_gain_points": _spread([s["refit_gain"] for r in same for s in r["strategies"]]),
    }


def _share(runs: Sequence[dict[str, Any]], holds: Any, wanted: Any = lambda s: True) -> dict[str, Any]:
    by_task: dict[str, list[bool]] = {}
    for run in runs:
        by_task.setdefault(run["task"], []).extend(bool(holds(s)) for s in run["strategies"] if wanted(s))
    groups = [held for held in by_task.values() if held]
    if not groups:
        return {"n": 0}
    draws = np.random.default_rng(0).integers(len(groups), size=(RESAMPLES, len(groups)))
    shares = [np.mean(np.concatenate([groups[i] for i in draw])) for draw in draws]
    low, high = (float(q) for q in np.quantile(shares, [0.025, 0.975]))
    held = [h for group in groups for h in group]
    return {"n": len(held), "share": float(np.mean(held)), "ci95_over_tasks": [low, high]}


def claims(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How many claims there are and which share has the same sign on the holdout."""
    found = [same for run in runs for same in run["claims"]]
    return {"n": len(found), "same_sign": float(np.mean(found)) if found else None}


def a_a(found: Sequence[tuple[Case, dict[str, Any]]]) -> dict[str, Any]:
    """Two fits of one strategy, their outcomes swapped at random: there is nothing between them to be clear about."""
    verdicts = []
    for metric, first, second in _swapped_pairs(found, SWAPS):
        verdicts.append(_decide({"a": first, "b": second}, {"a": 1.0, "b": 1.0}, metric)[1])
    return {"n": len(verdicts), "clear": float(np.mean([v == "clear" for v in verdicts])) if verdicts else None}


def planted_ties(found: Sequence[tuple[Case, dict[str, Any]]]) -> dict[str, Any]:
    """Two fits of one strategy, one at twice the cost."""
    cheaper, loss = [], []
    for metric, first, second in _swapped_pairs(found, SWAPS):
        rows = {"cheap": first, "dear": second}
        pick, _ = _decide(rows, {"cheap": 1.0, "dear": 2.0}, metric)
        cheaper.append(pick == "cheap")
        loss.append(100 * (metric.aggregate(second) - metric.aggregate(rows[pick])))
    share = float(np.mean(cheaper)) if cheaper else None
    return {"n": len(cheaper), "cheaper_taken": share, "observed_loss_points": float(np.mean(loss)) if loss else None}


def _swapped_pairs(
    found: Sequence[tuple[Case, dict[str, Any]]], times: int
) -> Iterable[tuple[Metric, list[ScoredRow], list[ScoredRow]]]:
    """Outcomes of a measured fit and of the kept one, swapped row by row at random, strategies in turn.

    On as many holdout rows as the run tested.
    """
    pool = [
        (get_metric(result["report"]["task"]["metric"]), result["report"]["data"]["plan"]["test"], answers)
        for _, result in found
        for answers in result["answers"].values()
        if any(a.score != b.score for a, b in zip(answers.kept, answers.measured, strict=True))
    ]
    rng = np.random.default_rng(0)
    for number in range(times if pool else 0):
        metric, rows, answers = pool[number % len(pool)]
        drawn = rng.choice(len(answers.kept), size=min(rows, len(answers.kept)), replace=False)
        swap = rng.random(len(drawn)) < 0.5
        pairs = [(answers.kept[i], answers.measured[i]) for i in drawn]
        turned = [(b, a) if s else (a, b) for (a, b), s in zip(pairs, swap, strict=True)]
        yield metric, [a for a, _ in turned], [b for _, b in turned]


def _decide(rows: dict[str, list[ScoredRow]], monthly: dict[str, float], metric: Metric) -> tuple[str, str]:
    """The advisor's own decision on these outcomes: (pick, verdict)."""
    values = resample(metric, rows, seed=0)
    a, b = rows
    if metric.is_proportion:
        error = paired_difference(metric, rows[a], rows[b], seed=0).standard_error
    else:  # As paired_difference has it, but without the interval and the test, which take long.
        error = float(np.std(values[a] - values[b], ddof=1))
    evidence = Evidence({(a, b): error, (b, a): error}, values, len(rows[a]))
    candidates = [
        Candidate(name, metric.aggregate(rows[name]), Money(0.0, 0.0, monthly[name]), 0.0, simplicity)
        for simplicity, name in enumerate(rows)
    ]
    decision = decide(candidates, evidence, Limits(), 0.01)
    return str(decision.pick), decision.verdict


def markdown(figures: dict[str, Any]) -> str:
    """The overall figures as a table, then a line per run."""
    lines = ["| figure | value |", "|---|---|"]
    for size, found in figures["regret"].items():
        for rule in ("advice", "best_average"):
            if found[rule]:
                spread = ", ".join(f"{name} {value:.1f}" for name, value in found[rule].items())
                lines.append(f"| regret in points, {size} rows, {rule.replace('_', ' ')} | {spread} |")
    for name, found in figures["coverage"].items():
        if found.get("share") is not None:
            low, high = found["ci95_over_tasks"]
            share = f"{found['share']:.1%} ({low:.1%} to {high:.1%}) of {found['n']}"
            lines.append(f"| coverage, {name.replace('_', ' ')} | {share} |")
    lines.append(f"| A/A: clear | {figures['a_a']['clear']} of {figures['a_a']['n']} |")
    lines.append(f"| claims with the same sign | {figures['claims']['same_sign']} of {figures['claims']['n']} |")
    lines.append(f"| planted ties: cheaper taken | {figures['planted_ties']['cheaper_taken']} |")
    lines += ["", "| task | rows | plan | pick | verdict | regret | best average |", "|---" * 7 + "|"]
    for task, runs in figures["tasks"].items():
        for r in runs:
            regrets = ["" if r[k] is None else f"{r[k]:.1f}" for k in ("regret", "regret_of_best_average")]
            lines.append(
                f"| {task} | {r['size']} | {r['plan']} | {r['pick']} | {r['verdict']} | " + " | ".join(regrets) + " |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
