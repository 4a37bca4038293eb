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

All cases together take about ten hours on two cores. So each leaves a record of its figures (no client text) in
benchmarks/decision_records, and the summary is a function of the records alone: run it in pieces, on any machine, and
commit what it leaves. A case with a record is not run again, unless its rows have changed or with --again. Cases in
which a strategy failed or was stopped by the clock are told and not counted: its rivals' regret would seem too small.

    python benchmarks/decision_quality.py --summary [--records benchmarks/decision_records ...]
    python benchmarks/decision_quality.py [--quick] [--tasks a,b] [--sizes 40,120,all] [--most-seconds 3600]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from common import advisor, drawn, examples_of, machine, task_names, task_options, tasks_root

from advisor.cli import quieten_libraries
from advisor.decide import Assumptions, Candidate, Limits, decide
from advisor.economics import Tariff
from advisor.evidence import compare_pairs, evidence_of
from advisor.runs import FOLD_SOLUTIONS, SOLUTIONS, write_atomically
from eval.contracts import Example
from eval.harness import evaluate, scored_rows
from eval.metrics import Metric, ScoredRow, get_metric
from eval.statistics import interval
from strategies.models.catalogue import file_sha256
from strategies.models.shelf import ModelShelf
from strategies.registry import STRATEGIES
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
RECORDS = Path(__file__).parent / "decision_records"
QUERIES = 10_000.0
"""A month; the costs are those at this volume."""
SWAPS = 50
"""Of each case, for A/A and for the planted ties: 1,000 from 20 cases on."""
RESAMPLES = 1000
UNFINISHED = ("stopped_early", "failed")
"""Statuses of strategies that a case is not counted for."""
REFUSED = (1, 2)
"""Exit statuses of the advisor that say so."""
Record = dict[str, Any]
"""What is kept of a case: plain JSON values."""


@dataclass(frozen=True)
class Bar:
    """What a figure must reach, and of how many at least it must be a figure."""

    says: str
    path: tuple[str, ...]
    low: float
    high: float
    number: tuple[str, ...]
    least: int


BARS = (
    Bar(
        "median regret, all rows, at most 1",
        ("regret", "all", "advice", "median"),
        -1e9,
        1,
        ("regret", "all", "runs"),
        10,
    ),
    Bar("95th percentile of it at most 5", ("regret", "all", "advice", "p95"), -1e9, 5, ("regret", "all", "runs"), 10),
    Bar(
        "coverage of 95 % intervals 92 to 98 %",
        ("coverage", "same_source", "share"),
        0.92,
        0.98,
        ("coverage", "same_source", "n"),
        200,
    ),
    Bar("A/A: clear in at most 5 %", ("a_a", "clear"), 0, 0.05, ("a_a", "n"), 1000),
    Bar("claims: the same sign in at least 97 %", ("claims", "same_sign"), 0.97, 1, ("claims", "n"), 100),
    Bar(
        "planted ties: the cheaper in at least 40 %",
        ("planted_ties", "cheaper_taken"),
        0.4,
        1,
        ("planted_ties", "n"),
        1000,
    ),
    Bar("and no quality lost", ("planted_ties", "observed_loss_points"), -1e9, 0.1, ("planted_ties", "n"), 1000),
)


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
    parser.add_argument("--output", type=Path, default=Path(tempfile.gettempdir()) / "decisions", help="for the runs")
    parser.add_argument("--records", type=Path, default=[RECORDS], nargs="+", help="a summary counts several together")
    parser.add_argument("--summary", action="store_true", help="of the records there are; nothing is run")
    parser.add_argument("--again", action="store_true", help="also what has a record")
    parser.add_argument("--most-seconds", type=float, default=float("inf"), help="no case is begun after these")
    parser.add_argument("--quick", action="store_true", help="five tasks, 120 and all rows, one seed")
    parser.add_argument("--tasks", default="")
    parser.add_argument("--sizes", default="")
    parser.add_argument("--seeds", default="")
    parser.add_argument("--budget", type=float, default=3600, help="seconds of each run; must allow cross-fitting")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--strategies", default="", help="all that apply by default")
    parser.add_argument("--limit", type=int, default=0, help="holdout rows, drawn; all by default")
    arguments = parser.parse_args()
    quieten_libraries()
    if not arguments.summary:
        root, end = tasks_root(), time.monotonic() + arguments.most_seconds
        for case in cases(arguments, root):
            if time.monotonic() < end:
                leave_record(case, arguments, root)
    paths = [path for folder in arguments.records for path in sorted(folder.glob("*.json"))]
    figures = summarise([json.loads(path.read_text(encoding="utf-8")) for path in paths])
    print(markdown(figures))
    print(json.dumps(figures))


def cases(arguments: argparse.Namespace, root: Path) -> list[Case]:
    """What is to be run; sizes that a task's examples do not reach are left out. One of each task first."""
    tasks = QUICK_TASKS if arguments.quick and not arguments.tasks else task_names(arguments.tasks)
    sizes = (arguments.sizes or ("120,all" if arguments.quick else "all,120,40")).split(",")
    seeds = [int(s) for s in (arguments.seeds or ("0" if arguments.quick else "0,1,2")).split(",")]
    rows = {task: len(_lines(root / task / "examples.jsonl")) for task in tasks}
    found = [Case(task, size, seed) for seed in seeds for size in sizes for task in tasks]
    return [c for c in found if (c.seed == seeds[0] if c.size == "all" else int(c.size) < rows[c.task])]


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def leave_record(case: Case, arguments: argparse.Namespace, root: Path) -> None:
    """Compare on the subset, score on the holdout and keep the figures, unless there is a record of the same rows."""
    task = root / case.task
    lines = _lines(task / "examples.jsonl")
    if case.size != "all":
        lines = random.Random(f"{case.task}:{case.seed}").sample(lines, int(case.size))
    holdout = drawn(examples_of(task / "holdout.jsonl"), arguments.limit)
    content = hashlib.sha256(json.dumps([lines, [asdict(e) for e in holdout]]).encode()).hexdigest()[:12]
    path = arguments.records[0] / f"{case.task}-{case.size}-{case.seed}.json"
    if path.exists() and not arguments.again and json.loads(path.read_text(encoding="utf-8"))["content"] == content:
        return
    how = ["--time-budget", str(arguments.budget), "--seed", str(case.seed), "--device", arguments.device]
    how += ["--strategies", arguments.strategies] if arguments.strategies else []
    about = {
        **asdict(case),
        "content": content,
        "holdout_rows": len(holdout),
        "options": how,
        "machine": machine(arguments.device),
        "commit": _commit(),
        "made": date.today().isoformat(),
    }
    told = hashlib.sha256(json.dumps([lines, how]).encode()).hexdigest()[:12]
    folder = arguments.output / f"{path.stem}-{told}"  # a run that was broken off is resumed, on any holdout rows
    if arguments.again:
        shutil.rmtree(folder, ignore_errors=True)
    found = carry_out(case, lines, [*task_options(task), *how], holdout, folder)
    if found is not None:
        write_atomically(path, json.dumps({**about, **found}, indent=1) + "\n")


def _commit() -> str:
    here = Path(__file__).parent
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True)
    return done.stdout.strip()


def carry_out(
    case: Case, lines: Sequence[str], options: list[str], holdout: Sequence[Example], folder: Path
) -> Record | None:
    """The figures of a case; those of a refusal are its status. None where the advisor broke off: that says nothing."""
    write_atomically(folder / "examples.jsonl", "\n".join(lines) + "\n")
    run, started = folder / "run", time.monotonic()
    status = advisor(
        ["compare", "--examples", str(folder / "examples.jsonl"), "--output", str(run), *options, "--keep", "all"]
    )
    if status not in (0, 3):
        print(f"{case}: the advisor ended with status {status}", file=sys.stderr, flush=True)
        return {"refused": status} if status in REFUSED else None
    compared = time.monotonic() - started
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    answers = score_all(run, report, holdout, options[options.index("--device") + 1])
    found = figures_of(case, report, answers)
    spent = {"compare": round(compared), "all": round(time.monotonic() - started)}
    print(f"{case}: compared in {spent['compare']} s, all in {spent['all']} s", file=sys.stderr, flush=True)
    return {**found, "seconds": spent}


# ---- the holdout -----------------------------------------------------------------------------------------------------


def score_all(run: Path, report: Record, holdout: Sequence[Example], device: str) -> dict[str, Answers]:
    """Answers of each kept solution and of the measured ones to the holdout."""
    metric, shelf = get_metric(report["task"]["metric"]), ModelShelf(device)
    found = {}
    for folder in sorted(p for p in (run / SOLUTIONS).glob("*") if p.is_dir()):  # none where the clock stopped all
        kept, contents = _rows(folder, holdout, metric, shelf), _contents(folder)
        fits = sorted(p for p in (run / FOLD_SOLUTIONS / folder.name).iterdir() if p.is_dir())
        turns = [int(hashlib.sha256(e.id.encode()).hexdigest(), 16) % len(fits) for e in holdout]
        measured: dict[int, ScoredRow] = {}
        for number, fit in enumerate(fits):
            mine = [i for i, turn in enumerate(turns) if turn == number]
            again = [holdout[i] for i in mine]
            rows = [kept[i] for i in mine] if _contents(fit) == contents else _rows(fit, again, metric, shelf)
            measured |= zip(mine, rows, strict=True)
        found[folder.name] = Answers(kept, [measured[i] for i in range(len(holdout))])
    return found


def _contents(folder: Path) -> dict[str, str]:
    """Digests of the files; without a refit the kept solution is the measured one, and answers as it does."""
    return {str(p.relative_to(folder)): file_sha256(p) for p in sorted(folder.rglob("*")) if p.is_file()}


def _rows(folder: Path, examples: Sequence[Example], metric: Metric, shelf: ModelShelf) -> list[ScoredRow]:
    """A row for each example. Raises RuntimeError where one could not be scored: a local model has no excuse."""
    if not examples:
        return []
    rows = scored_rows(evaluate(load_solution(folder, shelf), examples, metric).outcomes)
    if len(rows) < len(examples):
        raise RuntimeError(f"{folder}: {len(examples) - len(rows)} holdout rows could not be scored")
    return rows


# ---- the figures -----------------------------------------------------------------------------------------------------


def summarise(records: Sequence[Record]) -> dict[str, Any]:
    """All figures, per task and overall."""
    runs = [r for r in records if "refused" not in r and not r["unfinished"]]
    figures = {
        "runs": len(runs),
        "refused": [_title(r) for r in records if "refused" in r],
        "unfinished": [_title(r) for r in records if r.get("unfinished")],
        "regret": {size: regret(runs, size) for size in ("all", "120", "40")},
        "coverage": coverage(runs),
        "shortfall": {size: shortfall(runs, size) for size in ("all", "120", "40")},
        "a_a": _summed(runs, "a_a", "clear"),
        "claims": claims(runs),
        "planted_ties": _summed(runs, "planted_ties", "cheaper_taken", "observed_loss_points"),
        "verdicts": {v: sum(r["verdict"] == v for r in runs) for v in sorted({r["verdict"] for r in runs})},
        "plans": {p: sum(r["plan"] == p for r in runs) for p in sorted({r["plan"] for r in runs})},
        "machines": sorted({r["machine"] for r in records}),
        "commits": sorted({r["commit"] for r in records}),
        "tasks": {task: [_shown(r) for r in runs if r["task"] == task] for task in sorted({r["task"] for r in runs})},
        "kept": {r["task"]: kept_quality(r) for r in runs if r["size"] == "all" and r["seed"] == 0},
    }
    return {**figures, "bars": {bar.says: _reached(bar, figures) for bar in BARS}}


def _title(record: Record) -> str:
    return f"{record['task']}, {record['size']} rows, seed {record['seed']}"


def _reached(bar: Bar, figures: Mapping[str, Any]) -> str:
    """In words."""

    def at(path: Sequence[str]) -> Any:
        found: Any = figures
        for name in path:
            found = found.get(name) if found else None
        return found

    number, value = at(bar.number) or 0, at(bar.path)
    if value is None:
        return "nothing measured"
    words = "reached" if bar.low <= value <= bar.high else "NOT reached"
    return f"{value:.3g} (n = {number}): {words}" + ("" if number >= bar.least else f", too few ({bar.least} wanted)")


def _summed(runs: Sequence[Record], name: str, *shares: str) -> dict[str, Any]:
    """Means over all swaps of all cases."""
    n = sum(r[name]["n"] for r in runs)
    return {"n": n, **{share: sum(r[name]["n"] * r[name][share] for r in runs) / n if n else None for share in shares}}


def _shown(run: Record) -> dict[str, Any]:
    names = ("size", "seed", "plan", "pick", "verdict", "regret", "regret_of_best_average")
    covered = [s["covered"] for s in run["strategies"]]
    return {**{name: run[name] for name in names}, "covered": sum(covered), "strategies": len(covered)}


def kept_quality(run: Record) -> dict[str, Any]:
    """Each strategy's kept solution on the holdout: a column of the table in docs/holdout.md."""
    quality = {s["name"]: s["holdout"] + s["refit_gain"] / 100 for s in run["strategies"]}
    budget = float(run["options"][run["options"].index("--time-budget") + 1])
    return {"quality": quality, "pick": run["pick"], "time budget": f"{budget:,.0f}", "commit": run["commit"]}


def figures_of(case: Case, report: Record, answers: Mapping[str, Answers]) -> Record:
    """Regret, coverage and claims of one run, and how often swapped outcomes seemed to differ."""
    metric = get_metric(report["task"]["metric"])
    measured = {s["name"]: s for s in report["strategies"] if s["status"] == "ok" and s["name"] in answers}
    pick = report["recommendation"]["strategy"]
    best = max(measured, key=lambda name: measured[name]["quality"]["value"]) if measured else None
    kept = {name: answers[name].kept for name in measured}
    plan = report["data"]["plan"]
    pairs = list(swapped_pairs(list(answers.values()), plan["test"], f"{case.task}:{case.size}:{case.seed}"))
    return {
        "plan": f"{plan['folds']}-fold" if plan["kind"] == "cross_fit" else "holdout",
        "cuts": plan["cuts"],
        "unfinished": [s["name"] for s in report["strategies"] if s["status"] in UNFINISHED],
        "pick": pick,
        "verdict": report["recommendation"]["verdict"],
        "regret": _regret(kept, pick, metric) if pick in kept else None,
        "regret_of_best_average": _regret(kept, best, metric) if best else None,
        "strategies": [_covered(s, answers[name], metric, name == pick) for name, s in measured.items()],
        "claims": _claims(report["comparisons"], kept, metric),
        "a_a": a_a(pairs, metric),
        "planted_ties": planted_ties(pairs, metric),
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
        "quality": quality["value"],
        "ci95": quality["ci95"],
        "holdout": metric.aggregate(answers.measured),
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


def shortfall(runs: Sequence[dict[str, Any]], size: str) -> dict[str, Any]:
    """By how many points strategies have less on the holdout than measured, the picks and the others; with errors."""
    gaps = [(s["picked"], -s["gap"]) for r in runs if r["size"] == size for s in r["strategies"]]
    return {
        name: {"mean": float(np.mean(own)), "error": float(np.std(own, ddof=1) / np.sqrt(len(own))), "n": len(own)}
        for name, is_pick in (("picks", True), ("others", False))
        if len(own := [gap for picked, gap in gaps if picked == is_pick]) > 1
    }


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


Pair = tuple[list[ScoredRow], list[ScoredRow]]


def a_a(pairs: Sequence[Pair], metric: Metric) -> dict[str, Any]:
    """Two fits of one strategy, their outcomes swapped at random: there is nothing between them to be clear about."""
    verdicts = [_decide({"a": a, "b": b}, {"a": 1.0, "b": 1.0}, metric)[1] for a, b in pairs]
    return {"n": len(verdicts), "clear": _mean([v == "clear" for v in verdicts])}


def planted_ties(pairs: Sequence[Pair], metric: Metric) -> dict[str, Any]:
    """Two fits of one strategy, one at twice the cost."""
    cheaper, loss = [], []
    for cheap, dear in pairs:
        rows = {"cheap": cheap, "dear": dear}
        pick, _ = _decide(rows, {"cheap": 1.0, "dear": 2.0}, metric)
        cheaper.append(pick == "cheap")
        loss.append(100 * (metric.aggregate(dear) - metric.aggregate(rows[pick])))
    return {"n": len(pairs), "cheaper_taken": _mean(cheaper), "observed_loss_points": _mean(loss)}


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def swapped_pairs(answers: Sequence[Answers], tested: int, seed: str, times: int = SWAPS) -> Iterable[Pair]:
    """Outcomes of a measured fit and of the kept one, swapped row by row at random, strategies in turn.

    On as many holdout rows as the run tested. None of strategies whose two fits answer alike.
    """
    pool = [a for a in answers if any(k.score != m.score for k, m in zip(a.kept, a.measured, strict=True))]
    rng = np.random.default_rng(list(seed.encode()))
    for number in range(times if pool else 0):
        both = pool[number % len(pool)]
        drawn_rows = rng.choice(len(both.kept), size=min(tested, len(both.kept)), replace=False)
        swap = rng.random(len(drawn_rows)) < 0.5
        pairs = [(both.kept[i], both.measured[i]) for i in drawn_rows]
        turned = [(b, a) if s else (a, b) for (a, b), s in zip(pairs, swap, strict=True)]
        yield [a for a, _ in turned], [b for _, b in turned]


def _decide(rows: dict[str, list[ScoredRow]], monthly: dict[str, float], metric: Metric) -> tuple[str, str]:
    """The advisor's own decision on these outcomes: (pick, verdict)."""
    fits = {name: [of_name] for name, of_name in rows.items()}
    evidence = evidence_of(metric, fits, compare_pairs(metric, fits, seed=0), seed=0)
    candidates = [
        Candidate(name, metric.aggregate(rows[name]), Tariff(0.0, 0.0, monthly[name]).at(QUERIES), 0.0, simplicity)
        for simplicity, name in enumerate(rows)
    ]
    decision = decide(Assumptions(candidates, evidence, Limits(), 0.01, QUERIES))
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
    for size, of_size in figures["shortfall"].items():
        for name, found in of_size.items():
            words = f"{found['mean']:.1f} ± {found['error']:.1f} of {found['n']}"
            lines.append(f"| points less on the holdout than measured, {size} rows, {name} | {words} |")
    lines += [
        "",
        "| bar | measured |",
        "|---|---|",
        *(f"| {bar} | {words} |" for bar, words in figures["bars"].items()),
    ]
    lines += ["", "| task | rows | plan | strategies | pick | verdict | regret | best average |", "|---" * 8 + "|"]
    for task, runs in figures["tasks"].items():
        for r in runs:
            regrets = ["" if r[k] is None else f"{r[k]:.1f}" for k in ("regret", "regret_of_best_average")]
            row = [task, r["size"], r["plan"], str(r["strategies"]), str(r["pick"]), r["verdict"], *regrets]
            lines.append(f"| {' | '.join(row)} |")
    return "\n".join([*lines, "", *_kept_table(figures["kept"])])


def _kept_table(kept: Mapping[str, dict[str, Any]]) -> list[str]:
    """A line per strategy, a column per task; what was recommended is bold."""

    def cell(name: str, of: dict[str, Any]) -> str:
        if name not in of["quality"]:
            return ""
        return f"**{of['quality'][name]:.2f}**" if name == of["pick"] else f"{of['quality'][name]:.2f}"

    lines = [f"| strategy | {' | '.join(kept)} |", "|---" * (1 + len(kept)) + "|"]
    for name in STRATEGIES:
        cells = [cell(name, of) for of in kept.values()]
        lines += [f"| {name} | {' | '.join(cells)} |"] if any(cells) else []
    return lines + [
        f"| *{about}* | {' | '.join(of[about] for of in kept.values())} |" for about in ("time budget", "commit")
    ]


if __name__ == "__main__":
    main()
