"""Which rule should pick the strategy? Simulated comparisons whose truth is known.

Draws true qualities, answers to the test rows and the order of costs; applies each rule to what it could observe; and
prints what its picks lose, and how often it finds the cheapest of four equal leaders. Then it asks `advisor.decide`
for verdicts: how often `clear` is said and right, how often it is said of two fits of one strategy (A/A), and how often
of a strategy that does wholly worse on few queries, which few rows may not show. Numpy only, no model, one core, under
five minutes; tables as Markdown, JSON on the last line:

    python benchmarks/decision_rule.py [--draws 2000] [--quick]

Strategies are numbered by cost throughout, the cheapest first: "the cheapest of" is then "the first of".
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import binom

from advisor.decide import Assumptions, Candidate, Decision, Evidence, Limits, decide
from advisor.economics import Tariff

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Field = Literal["spread", "leaders", "twins"]

POINT = 0.01
TOLERANCE = POINT
QUERIES = 10_000.0
"""A month; the costs are those at this volume."""
AT_ONCE = 250
RESAMPLES = 500
TWINS_AGREE = 0.8
"""Latent correlation of two fits of one strategy; .8 makes them disagree on 17 % of rows at a quality of .8."""


@dataclass(frozen=True)
class Scenario:
    """What a comparison looks like."""

    rows: int
    strategies: int = 10
    continuous: bool = False
    """Row scores anywhere in [0, 1], as of token F1, instead of right or wrong."""
    outcomes_correlated: float = 0.5
    """Latent correlation of two strategies' answers to a row; .5 is a phi of about .3, as real runs have."""
    cost_follows_quality: float = 0.0
    """Latent correlation of a strategy's cost with its true quality."""


@dataclass(frozen=True)
class Draws:
    """What was observed, and what is true, in many comparisons. Shapes: D draws, S strategies, B resamples."""

    truth: Floats
    """D × S."""
    observed: Floats
    """D × S."""
    error: Floats
    """Standard errors of the paired differences, D × S × S."""
    resampled: Floats
    """Bootstrap resamples of the observed qualities, D × S × B."""
    rows: int
    continuous: bool

    @property
    def gap(self) -> Floats:
        """Observed gap of each to the best."""
        return np.asarray(self.observed.max(axis=1, keepdims=True) - self.observed)

    @property
    def error_to_best(self) -> Floats:
        """Standard error of each one's difference to the best observed."""
        return np.asarray(self.error[np.arange(len(self.observed)), self.observed.argmax(axis=1)])

    @property
    def loss(self) -> Floats:
        """True loss of each, in points."""
        return np.asarray((self.truth.max(axis=1, keepdims=True) - self.truth) / POINT)


# ---- the world -------------------------------------------------------------------------------------------------------


def truths(field: Field, scenario: Scenario, draws: int, rng: np.random.Generator) -> Floats:
    """True qualities (D × S), in the order of cost.

    `spread`: anywhere from .62 to .97. `leaders`: four (of four, two) at .85, the others 2 to 30 points behind, costs
    in any order. `twins`: spread, and the best entered once more as the dearest.
    """
    count = scenario.strategies
    if field == "leaders":
        quality = 0.83 - np.abs(rng.normal(0, 0.08, (draws, count)))
        quality[:, : 4 if count > 4 else 2] = 0.85
        return rng.permuted(quality, axis=1)
    spread = rng.uniform(-1, 1, (draws, count))
    follows = scenario.cost_follows_quality
    cost = follows * spread * np.sqrt(3) + np.sqrt(1 - follows**2) * rng.standard_normal((draws, count))
    quality = 0.8 + 0.173 * np.take_along_axis(spread, cost.argsort(axis=1), axis=1)
    return np.hstack([quality, quality.max(axis=1, keepdims=True)]) if field == "twins" else quality


def scores(field: Field, truth: Floats, scenario: Scenario, rng: np.random.Generator) -> Floats:
    """Scores of the rows (D × S × rows): a Gaussian copula whose means are the true qualities."""
    draws, count = truth.shape
    shared = scenario.outcomes_correlated
    row = rng.standard_normal((draws, 1, scenario.rows))
    latent = np.sqrt(shared) * row + np.sqrt(1 - shared) * rng.standard_normal((draws, count, scenario.rows))
    if field == "twins":
        twin = latent[np.arange(draws), truth[:, :-1].argmax(axis=1)]
        latent[:, -1] = np.sqrt(TWINS_AGREE) * twin + np.sqrt(1 - TWINS_AGREE) * latent[:, -1]
    level = ndtri(truth)[..., None]
    return np.asarray(ndtr(np.sqrt(2) * level - latent) if scenario.continuous else (latent < level), dtype=np.float64)


def observe(truth: Floats, rows: Floats, continuous: bool) -> Draws:
    """What a comparison would measure. For right and wrong answers the errors are Bonett and Price's (2012), for others
    those of `eval.statistics`: of the rows, and of two that differ as much as is to be feared."""
    n = rows.shape[2]
    observed = rows.mean(axis=2)
    centred = rows - observed[..., None]
    covariance = centred @ centred.transpose(0, 2, 1) / n
    variance = np.einsum("dii->di", covariance)
    difference = observed[:, :, None] - observed[:, None, :]
    spread = np.maximum(variance[:, :, None] + variance[:, None, :] - 2 * covariance, 0)
    discordant = (spread + difference**2) * n
    if continuous:
        sizes = np.stack([np.abs(rows - rows[:, [i]]).sum(axis=2) for i in range(rows.shape[1])], axis=1)
        squared = (spread * n + 2 * ((discordant + 2) / (sizes + 2)) ** 2) / (n + 2) ** 2
    else:
        squared = ((discordant + 2) / (n + 2) - (difference * n / (n + 2)) ** 2) / (n + 2)
    squared *= 1 - np.eye(squared.shape[1])
    drawn = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(np.float32)
    # Counts of right rows are whole, so that single precision keeps ties exact.
    resampled = (rows.astype(np.float32) @ drawn.T).astype(np.float64) / n
    return Draws(truth, observed, np.sqrt(squared), resampled, n, continuous)


def comparisons(field: Field, scenario: Scenario, draws: int) -> Iterator[Draws]:
    """Observed comparisons, some at a time."""
    rng = np.random.default_rng(0)
    for _ in range(draws // AT_ONCE):
        truth = truths(field, scenario, AT_ONCE, rng)
        yield observe(truth, scores(field, truth, scenario, rng), scenario.continuous)


# ---- the rules -------------------------------------------------------------------------------------------------------

Rule = Callable[[Draws], Ints]


def first(wanted: NDArray[np.bool_]) -> Ints:
    """The cheapest that is wanted."""
    return np.asarray(wanted.argmax(axis=1))


def undominated(d: Draws) -> NDArray[np.bool_]:
    """Better than all that are cheaper."""
    cheaper = np.maximum.accumulate(d.observed, axis=1)[:, :-1]
    return np.hstack([np.ones((len(cheaper), 1), bool), d.observed[:, 1:] > cheaper])


def within(margin: Callable[[Draws], Any]) -> Rule:
    """The cheapest whose gap to the best is at most a margin, and that nothing cheaper equals."""
    return lambda d: first((d.gap <= margin(d) + 1e-12) & undominated(d))


def not_significantly_worse(d: Draws) -> Ints:
    """Exact McNemar against the best observed at 5 %; a z-test for continuous scores."""
    if d.continuous:
        return first((d.gap <= 1.96 * d.error_to_best) & undominated(d))
    centre = d.gap * d.rows / (d.rows + 2)
    discordant = np.rint((d.error_to_best**2 * (d.rows + 2) + centre**2) * (d.rows + 2) - 2)
    wins = np.rint((discordant - d.gap * d.rows) / 2)
    p_value = np.where(discordant > 0, 2 * binom.cdf(wins, np.maximum(discordant, 1), 0.5), 1)
    return first((p_value > 0.05) & undominated(d))


def james_stein(d: Draws) -> Floats:
    """By what the observed gaps are to be multiplied: positive-part James-Stein towards the common mean, per draw."""
    count = d.observed.shape[1]
    noise = (d.error**2).sum(axis=(1, 2)) / (count * (count - 1)) / 2
    spread = ((d.observed - d.observed.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    factor: Floats = np.maximum(0.0, 1 - (count - 3) * noise / np.maximum(spread, 1e-12))
    return factor[:, None]


def empirical_bayes(d: Draws) -> tuple[Floats, Floats]:
    """Posterior gaps to the highest posterior mean (D × S), and the posterior standard deviations of these gaps.

    Normal prior; its mean by generalised least squares and its variance by moments, from all strategies of a draw.
    """
    draws, count = d.observed.shape
    centred = d.resampled - d.resampled.mean(axis=2, keepdims=True)
    sampling = centred @ centred.transpose(0, 2, 1) / RESAMPLES
    one, several = np.ones((draws, count, 1)), ~np.eye(count, dtype=bool)
    difference = d.observed[:, :, None] - d.observed[:, None, :]
    spread = np.maximum((difference**2 - d.error**2)[:, several].mean(axis=1) / 2, 1e-8)[:, None, None]
    total = sampling + spread * np.eye(count)
    weights = np.linalg.solve(total, one)
    mean = (weights * d.observed[..., None]).sum(axis=1, keepdims=True) / weights.sum(axis=1, keepdims=True)
    posterior = (mean + spread * np.linalg.solve(total, d.observed[..., None] - mean))[..., 0]
    covariance = spread * np.eye(count) - spread**2 * np.linalg.inv(total)
    variance = np.einsum("dii->di", covariance)
    best = posterior.argmax(axis=1)
    among = np.arange(draws)
    squared = variance + variance[among, best][:, None] - 2 * covariance[among, best]
    return posterior.max(axis=1, keepdims=True) - posterior, np.sqrt(np.maximum(squared, 0))


def bayes_within(deviations: float) -> Rule:
    """The cheapest whose posterior gap is within the tolerance, or so many posterior standard deviations."""

    def rule(d: Draws) -> Ints:
        gap, deviation = empirical_bayes(d)
        return first(gap <= np.maximum(TOLERANCE, deviations * deviation))

    return rule


def resampled_loss(d: Draws) -> Floats:
    """Loss of each to the best of each resample, D × S × B."""
    return np.asarray(d.resampled.max(axis=1, keepdims=True) - d.resampled)


def probably_within_tolerance(d: Draws) -> Ints:
    """The cheapest that is within tolerance of the best at least half as probably as the one that is so most."""
    chance = (resampled_loss(d) <= TOLERANCE + 1e-12).mean(axis=2)
    return first((chance >= chance.max(axis=1, keepdims=True) / 2) & undominated(d))


def little_expected_loss(d: Draws) -> Ints:
    """The cheapest whose expected loss is within the tolerance, or a quarter more than the least."""
    loss = resampled_loss(d).mean(axis=2)
    return first((loss <= np.maximum(TOLERANCE, 1.25 * loss.min(axis=1, keepdims=True))) & undominated(d))


DEFAULT = "cheapest within max(tolerance, 1/2 SE)"
LADDER: dict[str, Rule] = {
    "best average": lambda d: d.observed.argmax(axis=1),
    "cheapest within tolerance": within(lambda d: TOLERANCE),
    "cheapest within max(tolerance, 1/4 SE)": within(lambda d: np.maximum(TOLERANCE, d.error_to_best / 4)),
    DEFAULT: within(lambda d: np.maximum(TOLERANCE, d.error_to_best / 2)),
    "cheapest within max(tolerance, 3/4 SE)": within(lambda d: np.maximum(TOLERANCE, d.error_to_best * 3 / 4)),
    "cheapest within max(tolerance, 1 SE)": within(lambda d: np.maximum(TOLERANCE, d.error_to_best)),
    "cheapest within max(tolerance, 2 SE)": within(lambda d: np.maximum(TOLERANCE, 2 * d.error_to_best)),
}
"""From careful of quality to careful of money: what another rule has to be compared with is a step of this ladder."""
OTHERS: dict[str, Rule] = {
    "cheapest not significantly worse": not_significantly_worse,
    "root of tolerance² + (1/2 SE)²": within(lambda d: np.hypot(TOLERANCE, d.error_to_best / 2)),
    "gaps shrunk, prior of 5 points": within(lambda d: TOLERANCE * (1 + (d.error_to_best / (5 * POINT)) ** 2)),
    "gaps shrunk, James-Stein": within(lambda d: TOLERANCE / np.maximum(james_stein(d), 1e-9)),
    "James-Stein, and 1/2 SE": within(
        lambda d: (
            np.maximum(TOLERANCE, np.sqrt(james_stein(d)) * d.error_to_best / 2) / np.maximum(james_stein(d), 1e-9)
        )
    ),
    "empirical Bayes, best mean": lambda d: empirical_bayes(d)[0].argmin(axis=1),
    "empirical Bayes, within tolerance": bayes_within(0),
    "empirical Bayes, and 1/2 SD": bayes_within(0.5),
    "P(loss within tolerance), half the highest": probably_within_tolerance,
    "expected loss, 5/4 of the least": little_expected_loss,
}
RULES = LADDER | OTHERS


@dataclass(frozen=True)
class Outcome:
    """How a rule fares in a scenario."""

    loss: float
    """True points lost on average, qualities spread."""
    loss_p95: float
    found: float
    """How often the pick is the cheapest of the equal leaders."""
    leaders_loss: float
    """True points lost on average where there are equal leaders."""
    cheap_twin: float
    """How often it is the cheap one of the best strategy's two entries, and not the dear one or another strategy."""
    twin_loss: float


def run_rules(scenario: Scenario, draws: int) -> dict[str, Outcome]:
    """All rules on the same draws."""
    spread = run_field("spread", scenario, draws)
    leaders = run_field("leaders", scenario, draws)
    twins = run_field("twins", scenario, draws)
    return {
        name: Outcome(
            loss=float(spread[name][0].mean()),
            loss_p95=float(np.quantile(spread[name][0], 0.95)),
            found=float(leaders[name][1].mean()),
            leaders_loss=float(leaders[name][0].mean()),
            cheap_twin=float(twins[name][1].mean()),
            twin_loss=float(twins[name][0].mean()),
        )
        for name in RULES
    }


def run_field(field: Field, scenario: Scenario, draws: int) -> dict[str, Floats]:
    """Per rule and draw (2 × draws): points lost, and whether the pick is the cheapest of the truly best."""
    found: dict[str, list[Floats]] = {name: [] for name in RULES}
    for d in comparisons(field, scenario, draws):
        wanted = first(d.truth == d.truth.max(axis=1, keepdims=True))
        for name, rule in RULES.items():
            pick = rule(d)
            found[name].append(np.array([d.loss[np.arange(len(pick)), pick], pick == wanted]))
    return {name: np.hstack(parts) for name, parts in found.items()}


def gain_over_ladder(outcomes: dict[str, Outcome], name: str) -> float:
    """How much more often a rule finds the cheapest leader than the step of the ladder that loses as much.

    The loss is the mean of both kinds of fields: a rule that takes all for equal where all are close pays for it there.
    """

    def loss(rule: str) -> float:
        return (outcomes[rule].loss + outcomes[rule].leaders_loss) / 2

    losses, founds = zip(*sorted((loss(step), outcomes[step].found) for step in LADDER), strict=True)
    return outcomes[name].found - float(np.interp(loss(name), losses, founds))


# ---- verdicts of advisor.decide --------------------------------------------------------------------------------------


def decisions(d: Draws, costs: Floats) -> Iterator[Decision]:
    """What the advisor decides in each draw."""
    names = [f"s{i:02}" for i in range(d.observed.shape[1])]
    for observed, error, resampled in zip(d.observed, d.error, d.resampled, strict=True):
        candidates = [
            Candidate(name, float(quality), Tariff(0.0, 0.0, cost).at(QUERIES), 1.0, place)
            for place, (name, quality, cost) in enumerate(zip(names, observed, costs.tolist(), strict=True))
        ]
        errors = {(a, b): float(error[i, j]) for i, a in enumerate(names) for j, b in enumerate(names) if i != j}
        found = Evidence(errors, dict(zip(names, resampled, strict=True)), d.rows)
        yield decide(Assumptions(candidates, found, Limits(), TOLERANCE, QUERIES))


def run_verdicts(scenario: Scenario, draws: int) -> dict[str, float | None]:
    """How often `clear` is said, and is right: the pick truly loses at most the tolerance."""
    clear, right, agrees, confidence = [], [], [], []
    for d in comparisons("spread", scenario, draws):
        picks = RULES[DEFAULT](d)
        for i, decision in enumerate(decisions(d, 1.5 ** np.arange(scenario.strategies, dtype=np.float64))):
            pick = int(str(decision.pick)[1:])
            clear.append(decision.verdict == "clear")
            right.append(d.loss[i, pick] <= TOLERANCE / POINT + 1e-9)
            agrees.append(pick == picks[i])
            confidence.append(decision.confidence)
    said = np.array(clear)
    return {
        "clear": float(said.mean()),
        "clear_right": float(np.array(right)[said].mean()) if said.any() else None,
        "pick_right": float(np.mean(right)),
        "mean_confidence": float(np.mean(confidence)),
        "same_pick_as_here": float(np.mean(agrees)),
    }


def run_a_a(rows: int, agree: float, continuous: bool, price: float, draws: int) -> float:
    """How often `clear` is said of two fits of one strategy, whose outcomes are shuffled among them row by row.

    The first of the fits costs 1, the other `price`.
    """
    rng = np.random.default_rng(0)
    scenario, truth = Scenario(rows, 2, continuous, outcomes_correlated=agree), np.full((AT_ONCE, 2), 0.8)
    said = []
    for _ in range(draws // AT_ONCE):
        d = observe(truth, rng.permuted(scores("spread", truth, scenario, rng), axis=1), continuous)
        said += [decision.verdict == "clear" for decision in decisions(d, np.array([1.0, price]))]
    return float(np.mean(said))


def run_sparse(rows: int, lost: float, small: float, draws: int) -> tuple[float, float]:
    """How often `clear` is said at all, and of a cheap strategy that loses more than the tolerance.

    It has 0 on a share of the queries, `lost`, where the dear one has 1; on the others they differ by a little or not
    at all. The metric is no proportion: that rows are right or wrong is not known.
    """
    rng = np.random.default_rng(0)
    truth = np.tile([0.75 * (1 - lost), 0.75 + 0.25 * lost], (AT_ONCE, 1))
    said = []
    for _ in range(draws // AT_ONCE):
        dear = np.full((AT_ONCE, rows), 0.75)
        cheap = np.clip(dear + small * rng.standard_normal(dear.shape), 0, 1)
        failed = rng.random(dear.shape) < lost
        dear[failed], cheap[failed] = 1, 0
        d = observe(truth, np.stack([cheap, dear], axis=1), continuous=True)
        found = decisions(d, np.array([1.0, 10.0]))
        said += [(decision.verdict == "clear", decision.pick == "s00") for decision in found]
    clear, cheap_picked = np.array(said).T
    return float(clear.mean()), float((clear & cheap_picked).mean())


# ---- what is printed -------------------------------------------------------------------------------------------------

ISSUE = {
    "best average": "1.5 / 0.24; 25 %",
    "cheapest not significantly worse": "5.1 / 0.95",
    DEFAULT: "1.8 / 0.33; 42 to 49 %",
}
"""Loss in points with 40 / 300 rows, and how often the cheapest leader is found, as the first plan had them."""
BASE = (Scenario(40), Scenario(300))
GRID = [
    Scenario(rows, strategies, continuous, correlated, follows)
    for rows, strategies, continuous, correlated, follows in product(
        (40, 120, 300), (4, 10), (False, True), (0.0, 0.5), (0.0, 0.5)
    )
]
VERDICTS = [Scenario(n, s, c) for n, s, c in product((40, 120, 300, 1000), (4, 10), (False, True))]
A_A = list(product((40, 120, 300, 1000), (TWINS_AGREE, 0.95), (False, True), (1.0, 10.0)))
SPARSE = list(product((20, 40, 100, 300), (0.02, 0.04), (0.0, 0.02, 0.1)))


def main() -> None:
    """Parse the arguments, simulate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2000, help=f"per scenario, a multiple of {AT_ONCE}")
    parser.add_argument("--quick", action="store_true", help="only 10 strategies with 40 and 300 rows, few verdicts")
    arguments = parser.parse_args()
    started, draws, quick = time.monotonic(), arguments.draws, arguments.quick
    if draws < AT_ONCE or draws % AT_ONCE:
        parser.error(f"--draws must be a multiple of {AT_ONCE}.")
    base = [run_rules(scenario, draws) for scenario in BASE]
    print(base_table(base))
    grid = [] if quick else [(scenario, run_rules(scenario, draws)) for scenario in GRID]
    gains = {name: [gain_over_ladder(found, name) for _, found in grid] for name in OTHERS}
    if grid:
        print(grid_table(gains))
    verdicts = [(s, run_verdicts(s, draws)) for s in (BASE if quick else VERDICTS)]
    print(verdict_table(verdicts))
    a_a = [(*case, run_a_a(*case, draws)) for case in (A_A[:8] if quick else A_A)]
    print(a_a_table(a_a))
    sparse = [(*case, *run_sparse(*case, draws)) for case in SPARSE]
    print(sparse_table(sparse))
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
    found = {
        "draws": draws,
        "base": [
            {"rows": s.rows, "rules": {name: asdict(o) for name, o in of.items()}}
            for s, of in zip(BASE, base, strict=True)
        ],
        "grid": [asdict(s) | {"rules": {n: asdict(o) for n, o in of.items()}} for s, of in grid],
        "gain_over_ladder": gains,
        "verdicts": [asdict(s) | of for s, of in verdicts],
        "a_a": [dict(zip(("rows", "agree", "continuous", "price", "clear"), row, strict=True)) for row in a_a],
        "sparse": [dict(zip(("rows", "lost", "small", "clear", "clear_wrong"), row, strict=True)) for row in sparse],
    }
    print(json.dumps(rounded(found)))


def rounded(value: Any) -> Any:
    """The same with four decimals: the draws give no more."""
    if isinstance(value, dict):
        return {key: rounded(of) for key, of in value.items()}
    if isinstance(value, list):
        return [rounded(of) for of in value]
    return round(value, 4) if isinstance(value, float) else value


def base_table(base: list[dict[str, Outcome]]) -> str:
    """Ten strategies, right or wrong answers, 40 and 300 rows, costs in any order."""
    few, many = base
    lines = [
        table_row(
            name, both(few[name].loss, many[name].loss, 2), both(few[name].loss_p95, many[name].loss_p95, 1),
            percents(few[name].found, many[name].found), both(few[name].leaders_loss, many[name].leaders_loss, 2),
            percents(few[name].cheap_twin, many[name].cheap_twin), both(few[name].twin_loss, many[name].twin_loss, 2),
            ISSUE.get(name, ""),
        )
        for name in RULES
    ]  # fmt: skip
    head = ("rule, 40 / 300 rows", "points lost", "95th percentile", "cheapest of 4 leaders found",
            "points lost, with leaders", "cheap twin taken", "points lost, with twins", "the issue")  # fmt: skip
    return table("Ten strategies", head, lines)


def grid_table(gains: dict[str, list[float]]) -> str:
    """How much a rule gains over the step of the ladder that loses as many points."""
    lines = [
        table_row(
            name, f"{100 * np.mean(g):+.1f}", f"{100 * min(g):+.1f}", f"{100 * max(g):+.1f}",
            f"{sum(x > 0.01 for x in g)} / {sum(x < -0.01 for x in g)}",
        )
        for name, g in gains.items()
    ]  # fmt: skip
    head = ("rule", "mean gain in leaders found, points", "least", "most", "scenarios better / worse by over 1 point")
    return table(f"Against the ladder at the same loss, {len(GRID)} scenarios", head, lines)


def verdict_table(verdicts: list[tuple[Scenario, dict[str, float | None]]]) -> str:
    """What `clear` is worth."""
    lines = [
        table_row(
            str(s.rows), str(s.strategies), kind_of(s.continuous), percent(v["clear"]),
            percent(v["clear_right"]), percent(v["pick_right"]), percent(v["mean_confidence"]),
            percent(v["same_pick_as_here"]),
        )
        for s, v in verdicts
    ]  # fmt: skip
    head = ("rows", "strategies", "scores", "clear", "of these right", "all picks right", "mean confidence",
            "decide picks as the rule here")  # fmt: skip
    return table("Verdicts", head, lines)


def a_a_table(found: list[tuple[int, float, bool, float, float]]) -> str:
    """`clear` said of two fits of one strategy."""
    lines = [
        table_row(
            str(n), f"{agree:g}", kind_of(continuous), "level" if price == 1 else f"{price:g} times", percent(clear)
        )
        for n, agree, continuous, price, clear in found
    ]  # fmt: skip
    return table("A/A: two fits of one strategy", ("rows", "latent correlation", "scores", "costs", "clear"), lines)


def sparse_table(found: list[tuple[int, float, float, float, float]]) -> str:
    """`clear` said where few rows differ wholly."""
    lines = [
        table_row(str(n), f"{100 * lost:g}", f"{100 * small:g}", percent(clear), percent(wrong))
        for n, lost, small, clear, wrong in found
    ]
    head = ("rows", "points that the cheap one loses on few queries", "standard deviation on the others, points",
            "clear", "clear and wrong")  # fmt: skip
    return table("Sparse differences of scores that are no proportion", head, lines)


def kind_of(continuous: bool) -> str:
    """Of scores."""
    return "continuous" if continuous else "binary"


def table(title: str, head: tuple[str, ...], lines: list[str]) -> str:
    """A Markdown table."""
    return "\n".join([f"## {title}", "", table_row(*head), table_row(*["---"] * len(head)), *lines, ""])


def table_row(*cells: str) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def both(few: float, many: float, digits: int) -> str:
    """A figure for few rows and for many."""
    return f"{few:.{digits}f} / {many:.{digits}f}"


def percent(share: float | None) -> str:
    """A share out of 100."""
    return "-" if share is None else f"{100 * share:.1f} %"


def percents(few: float, many: float) -> str:
    """Two shares out of 100."""
    return f"{100 * few:.0f} / {100 * many:.0f} %"


if __name__ == "__main__":
    main()
