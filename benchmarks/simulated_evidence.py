"""How much is the evidence worth? Simulated rows, whose truth is known, through the advisor's own statistics.

Draws the scored rows of strategies and hands them to `advisor.evidence` and `advisor.decide`, as a comparison does:

- how often `clear` is said of two strategies of equal quality and cost, where seeds or groups are few;
- how often any difference is claimed, after Holm's adjustment, among equals that were tuned with few seeds each;
- how often the verdict is `clear` after the number of further examples that was said to settle it, if the gap is in
  truth what it was;
- by how much the figure of the pick is too high because it was picked by it, and how much of that the caveat tells;
- how often the 95 % range of mostly equal scores holds, beside the bootstrap's alone (scipy's BCa);
- how often that of right answers holds, where rows hang together in groups of very unequal size;
- by how much macro F1 is too high where many labels have hardly any test rows.

No model, one core, some minutes; a table each as Markdown, JSON on the last line:

    python benchmarks/simulated_evidence.py [--draws 150] [--only SECTION ...]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import bootstrap

from advisor.decide import Assumptions, Candidate, Decision, Limits, decide, optimism
from advisor.economics import Tariff
from advisor.evidence import compare_pairs, evidence_of
from eval.metrics import Metric, ScoredRow, get_metric
from eval.statistics import holm, interval, paired_differences

Floats = NDArray[np.float64]
Fits = Mapping[str, Sequence[Sequence[ScoredRow]]]

POINT = 0.01
QUERIES = 10_000.0
QUALITY = 0.75
"""The true quality of equals and of leaders."""
SHARED = 0.5
"""Latent correlation of two strategies' answers to a row; .5 is a phi of about .3, as real runs have."""

# ---- from rows to a decision -----------------------------------------------------------------------------------------


def assumed(metric: Metric, fits: Fits, costs: Sequence[float]) -> Assumptions:
    """What the advisor decides on: its statistics of these fits, and what each strategy costs a month."""
    found = evidence_of(metric, fits, compare_pairs(metric, fits, seed=0), seed=0)
    candidates = [
        Candidate(name, float(np.mean([metric.aggregate(f) for f in fits[name]])), Tariff(0, 0, cost).at(QUERIES), 1, i)
        for i, (name, cost) in enumerate(zip(fits, costs, strict=True))
    ]
    return Assumptions(candidates, found, Limits(), POINT, QUERIES)


def scored(scores: Floats, groups: int | None = None) -> list[ScoredRow]:
    """Rows of these scores; with groups, each of as many rows that follow one another."""
    each = len(scores) // groups if groups else 1
    return [ScoredRow("", ("t",), s, f"g{i // each}" if groups else "") for i, s in enumerate(scores.tolist())]


def right_or_wrong(qualities: Floats, rows: int, rng: np.random.Generator) -> Floats:
    """Scores of 0 and 1 (strategies × rows): a Gaussian copula with these means."""
    shared, own = rng.standard_normal(rows), rng.standard_normal((len(qualities), rows))
    latent = np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * own
    return np.asarray(latent < ndtri(qualities)[:, None], dtype=np.float64)


# ---- equals ----------------------------------------------------------------------------------------------------------


def several_seeds(
    rows: int, spread: float, rng: np.random.Generator, *, names: Sequence[str] = "ab", seeds: int = 3
) -> Fits:
    """Strategies of one quality, some fits each, whose qualities are so far apart (standard deviation)."""
    shared = rng.standard_normal(rows)
    fits: dict[str, list[list[ScoredRow]]] = {name: [] for name in names}
    for of_name in fits.values():
        for quality in QUALITY + spread * rng.standard_normal(seeds):
            latent = np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * rng.standard_normal(rows)
            of_name.append(scored((latent < ndtri(np.clip(quality, 0.01, 0.99))).astype(np.float64)))
    return fits


def few_groups(groups: int, rng: np.random.Generator) -> Fits:
    """Two of one quality by a score of parts, on groups of 20 rows that each of them does well or badly on."""
    hard = 0.1 * rng.standard_normal(20 * groups)

    def fit() -> list[ScoredRow]:
        of_group = np.repeat(0.1 * rng.standard_normal(groups), 20)
        return scored(np.clip(0.6 + hard + of_group + 0.1 * rng.standard_normal(20 * groups), 0, 1), groups)

    return {"a": [fit()], "b": [fit()]}


def equals(draws: int) -> Iterator[dict[str, Any]]:
    """How often `clear` is said of two that are equal, and how often although their range has both signs."""
    cases: list[tuple[str, int, float | None]]
    cases = [(f"three seeds, {100 * s:.0f} points apart; {n} rows", n, s) for n in (200, 600) for s in (0.03, 0.06)]
    cases += [(f"{groups} groups of 20 rows, token F1", groups, None) for groups in (8, 12)]
    for name, count, spread in cases:
        rng, clear, contradicted = np.random.default_rng(0), 0, 0
        for _ in range(draws):
            fits = few_groups(count, rng) if spread is None else several_seeds(count, spread, rng)
            known = assumed(get_metric("token_f1" if spread is None else "accuracy"), fits, (1.0, 1.0))
            said = decide(known).verdict == "clear"
            gap = abs(known.candidates[0].quality - known.candidates[1].quality)
            clear += said
            contradicted += said and gap < min(known.evidence.margins.values())
        yield {"case": name, "clear": clear / draws, "against_its_range": contradicted / draws}


def claims(draws: int) -> Iterator[dict[str, Any]]:
    """How often any two of some tuned strategies that are equal are said to differ at 5 %, after Holm's adjustment."""
    for seeds, tuned, rows, spread in ((3, 3, 300, 0.04), (3, 5, 200, 0.03), (3, 5, 400, 0.03), (2, 5, 400, 0.04)):
        rng, claimed = np.random.default_rng(0), 0
        for _ in range(draws):
            fits = several_seeds(rows, spread, rng, names=[f"s{i}" for i in range(tuned)], seeds=seeds)
            found = paired_differences(get_metric("accuracy"), fits, seed=0)
            claimed += min(holm([pair.p_value for pair in found.values()])) < 0.05
        case = f"{tuned} tuned strategies, {seeds} seeds each, {100 * spread:.0f} points apart; {rows} rows"
        yield {"case": case, "any_claim": claimed / draws}


# ---- rows that are said to be needed ---------------------------------------------------------------------------------


def settled(draws: int) -> Iterator[dict[str, Any]]:
    """Of ties that so many more rows are said to settle: how often they do. The rows come from those measured, so that
    the gap is in truth what it was there."""
    for name, rows, metric, gap, rivals in (
        ("accuracy, 10 points apart", 60, "accuracy", 0.10, 1),
        ("accuracy, 5 points apart", 120, "accuracy", 0.05, 1),
        ("token F1, 5 points apart", 60, "token_f1", 0.05, 1),
        ("accuracy, six rivals 10 points behind", 60, "accuracy", 0.10, 6),
    ):
        rng, said, found = np.random.default_rng(0), 0, 0

        def decision_on(scores: Floats, metric: str = metric) -> Decision:
            fits = {f"s{i}": [scored(of_name)] for i, of_name in enumerate(scores)}
            return decide(assumed(get_metric(metric), fits, [1.0] * len(fits)))

        while said < draws:
            scores = right_or_wrong(np.array([QUALITY, *[QUALITY - gap] * rivals]), rows, rng)
            if metric == "token_f1":
                scores = np.clip(0.6 * scores + 0.4 * rng.random(scores.shape), 0, 1)
            decision = decision_on(scores)
            if decision.verdict != "tie" or not decision.rows_needed or decision.rows_needed > MOST_ROWS:
                continue
            said += 1
            again = scores[:, rng.integers(rows, size=rows + decision.rows_needed)]
            found += decision_on(again).verdict == "clear"
        yield {"case": f"{name}, {rows} rows", "ties": said, "settled": found / said}


MOST_ROWS = 10_000
"""Ties that would take more rows to settle are passed over: they say that the two are equal."""

# ---- what is picked for its figure -----------------------------------------------------------------------------------


def picked(draws: int) -> Iterator[dict[str, Any]]:
    """Points by which the pick's figure is too high, and by which it is said to be."""
    close = QUALITY - 0.03 * np.arange(14) / 13
    fields = {
        "all equal": np.full(14, QUALITY),
        "all within three points": close,
        "two within three points, the others far behind": np.concatenate([close[[0, -1]], np.linspace(0.3, 0.55, 12)]),
        "one 20 points ahead": np.concatenate([[QUALITY], np.linspace(0.3, 0.55, 13)]),
    }
    for (name, truth), rows in ((field, rows) for field in fields.items() for rows in (40, 100, 300)):
        rng, excess, told = np.random.default_rng(0), [], []
        for _ in range(max(1, draws // 5)):
            order = rng.permutation(14)
            scores = right_or_wrong(truth[order], rows, rng)
            fits = {f"s{i:02}": [scored(of)] for i, of in enumerate(scores)}
            known = assumed(get_metric("accuracy"), fits, (1.5 ** np.arange(14)).tolist())
            pick = known.candidate(known.pick())
            excess.append(pick.quality - float(truth[order][int(pick.name[1:])]))
            told.append(optimism(known))
        error = np.std(excess) / np.sqrt(len(excess))
        yield {
            "case": f"{name}, {rows} rows", "points_too_high": 100 * float(np.mean(excess)),
            "plus_minus": 196 * float(error), "points_told": 100 * float(np.mean(told)),
        }  # fmt: skip


# ---- ranges, and labels with hardly any rows ------------------------------------------------------------------------


def ranges(draws: int) -> Iterator[dict[str, Any]]:
    """Of an extractor with 3 % unusable answers and one field of ten wrong in 10 %: how often its range holds."""
    measure, truth = get_metric("json_field_f1"), 1 - 0.03 - 0.10 * 0.1
    for rows in (20, 40, 60, 100, 300):
        rng, held, by_bootstrap = np.random.default_rng(0), 0, 0
        for _ in range(draws):
            scores = rng.choice([0.0, 0.9, 1.0], size=rows, p=[0.03, 0.10, 0.87])
            low, high = interval(measure, scored(scores), seed=0)
            held += low <= truth <= high
            if np.ptp(scores):  # scipy's has no range of scores that never vary
                found = bootstrap((scores,), np.mean, n_resamples=2000, rng=rng).confidence_interval
                by_bootstrap += found.low <= truth <= found.high
        yield {"case": f"{rows} rows", "held": held / draws, "bootstrap_alone": by_bootstrap / draws}


def customers(draws: int) -> Iterator[dict[str, Any]]:
    """Of a system that is right four times in five, oftener with some customers than others: how often its range holds.
    The first of the customers has most of the rows, the second half as many, the third a third (Zipf)."""
    measure, alike = get_metric("accuracy"), 0.2
    strength = (1 - alike) / alike
    for count, rows in ((30, 60), (30, 200), (30, 500), (100, 200)):
        shares = 1 / np.arange(1, count + 1)
        rng, held, widths = np.random.default_rng(0), 0, []
        for _ in range(draws):
            of_row = rng.choice(count, size=rows, p=shares / shares.sum())
            chances = rng.beta(0.8 * strength, 0.2 * strength, size=count)[of_row]
            right = (rng.random(rows) < chances).astype(np.float64)
            answers = [ScoredRow("", ("t",), score, f"c{who}") for score, who in zip(right, of_row, strict=True)]
            low, high = interval(measure, answers, seed=0)
            held += low <= 0.8 <= high
            widths.append(high - low)
        yield {"case": f"{count} customers, {rows} rows", "held": held / draws, "width": float(np.median(widths))}


def rare_labels(draws: int) -> Iterator[dict[str, Any]]:
    """Macro F1 where one label has 85 % of the rows and the others share the rest; four of five answers are right."""
    measure = get_metric("macro_f1")
    for labels, rows in ((15, 200), (25, 100), (40, 200)):
        rng, shares = np.random.default_rng(0), np.array([0.85, *[0.15 / (labels - 1)] * (labels - 1)])
        recall = 0.8 + 0.2 / labels
        precision = shares * recall / (0.8 * shares + 0.2 / labels)
        truth = float(np.mean(2 * precision * recall / (precision + recall)))
        found = []
        for _ in range(draws):
            wanted = rng.choice(labels, size=rows, p=shares)
            given = np.where(rng.random(rows) < 0.8, wanted, rng.integers(0, labels, rows))
            answers = zip(given.tolist(), wanted.tolist(), strict=True)
            found.append(measure.aggregate([ScoredRow(str(a), (str(t),), float(a == t)) for a, t in answers]))
        yield {"case": f"{labels} labels, {rows} rows", "truth": truth, "measured": float(np.mean(found))}


# ---- what is printed -------------------------------------------------------------------------------------------------


def main() -> None:
    """Parse the arguments, simulate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=150, help="per case; a fifth of them where 14 strategies compete")
    sections = {
        "equals": ("Two of equal quality", equals),
        "claims": ("Any difference claimed among equals", claims),
        "settled": ("After the rows that are said to be needed", settled),
        "picked": ("The figure of the pick of 14", picked),
        "ranges": ("95 % ranges of scores that are mostly the same", ranges),
        "customers": ("95 % ranges of right answers to customers with more and fewer rows", customers),
        "rare_labels": ("Macro F1 of many rare labels", rare_labels),
    }
    parser.add_argument("--only", nargs="+", choices=sections, default=list(sections), help="sections; all by default")
    asked = parser.parse_args()
    draws, started = max(5, asked.draws), time.monotonic()
    found = {name: printed(sections[name][0], sections[name][1](draws)) for name in asked.only}
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
    print(json.dumps({"draws": draws} | found))


def printed(title: str, cases: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """Print a Markdown table as its rows are found; the rows, with four decimals: the draws give no more."""
    found: list[dict[str, Any]] = []
    for case in cases:
        row = {key: round(value, 4) if isinstance(value, float) else value for key, value in case.items()}
        if not found:
            heads = [key.replace("_", " ") for key in row]
            print(f"\n## {title}\n\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
        print(f"| {' | '.join(map(str, row.values()))} |", flush=True)
        found.append(row)
    return found


if __name__ == "__main__":
    main()
