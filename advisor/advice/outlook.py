"""What would change the decision, and what more examples would bring."""

from __future__ import annotations

from advisor.advice.case import Case
from advisor.economics import is_paid_by_token
from advisor.error_costs import ErrorCosts
from advisor.planning import CURVE_SHARES
from advisor.report import schema, wording
from advisor.report.schema import INCUMBENT
from advisor.report.wording import title_in_text
from advisor.sensitivity import Flip, break_evens, in_few_digits, shuts_out, what_would_flip
from strategies.base import TRAINED

MOST_BREAK_EVENS = 6
LEAST_USD = 0.0001
"""Nobody sets a limit below, or prices an error lower: nothing is told that begins or ends there."""
LEAST_MS = 1.0
_UNKNOWN_TODAY = {"max_latency_ms": "latency", "max_cost_per_1k": "cost", "volume": "cost", "price": "cost"}
"""What is not known of today's system, by the assumption under which a limit on it leaves nothing better."""


def outlook_of(case: Case) -> list[str]:
    """What would flip the decision, the nearest value on either side, and what more examples would bring."""
    assumed = case.weighed.assumptions
    fewest = 2.0 if case.settings.volume > 1 else 1.0  # below one query a month there is none
    least = {"volume": fewest, "max_cost_per_1k": LEAST_USD, "error_cost": LEAST_USD, "max_latency_ms": LEAST_MS}
    flips = []
    for flip in what_would_flip(assumed):
        if flip.value >= (first := least.get(flip.what, 0.0)):
            ends = flip.until is not None and flip.until >= first
            flips.append(told_flip(case, flip if ends else flip._replace(until=None)))
    if case.decision.pick is not None and not flips:
        keeps = case.decision.keeps_incumbent
        leads = "speaks against keeping today's system" if keeps else "makes another strategy the pick"
        flips = [f"No other volume, price, limit or tolerance that was tried {leads}."]
    return [*flips, *_curve_sentences(case)]


def told_flip(case: Case, flip: Flip, *others: Flip) -> str:
    """What is then picked, in a sentence; of several, what all do together."""
    changes = " and ".join([_change(case, flip), *(wording.uncapitalised(_change(case, other)) for other in others)])
    then = f"the pick is {title_in_text(flip.pick)}"
    if flip.pick == INCUMBENT:
        unknown = _UNKNOWN_TODAY.get(flip.what)
        beaten = f"no strategy that meets all limits beats today's system, whose own {unknown} is not known"
        then = beaten if unknown else "today's system is to be kept"
    return f"{changes}, {then}."


def _change(case: Case, flip: Flip) -> str:
    """The other value, in words."""
    settings = case.settings
    if flip.what == "volume" and flip.until is not None:
        low, high = sorted((flip.value, flip.until))
        return f"Between {round(low):,} and {wording.a_month(high)}"
    if flip.what == "volume":
        side = "Above" if flip.value > settings.volume else "Below"
        return f"{side} {wording.a_month(flip.value)}"
    if flip.what == "price" and _by_token(case):
        of = "all prices, those of tokens and of the machine," if _by_token(case) == "some" else "all prices"
        return f"With {of} {_times(case, flip, 1.0)}"
    if flip.what == "price" and settings.effort_usd:
        return f"With all prices, those of set-up among them, {_times(case, flip, 1.0)}"
    if flip.what == "price":
        hourly = _beyond(case, flip, 1.0, "above", "below", unit=1 / settings.machine_hourly_usd)
        return f"With the machine's price {hourly} USD an hour"
    if flip.what == "error_cost":
        now = case.weighed.assumptions.error_cost or 0.0
        if isinstance(settings.error_cost, ErrorCosts):
            return f"With all costs of wrong answers {_times(case, flip, now)}"
        return f"With a wrong answer's cost {_beyond(case, flip, now, 'above', 'below')} USD"
    of_100 = flip.what == "tolerance" or flip.what.startswith("min_")
    value = in_few_digits(case.weighed.assumptions, flip, 0.01 if of_100 else 1.0)
    name, _, label = flip.what.partition(" ")
    least, most, within = "at least", "at most", "within"
    if shuts_out(case.weighed.assumptions, flip):  # the value is what the one that is shut out has itself
        least, most, within = "more than", "less than", "in less than"
    return {
        "tolerance": f"With a tolerance of {value} {'point' if value == '1' else 'points'}",
        "min_recall": f"With {least} {value} of 100 {label} to be found",
        "min_quality": f"With a quality of {least} {value} of 100 asked for",
        "max_cost_per_1k": f"With {most} {value} USD per 1,000 queries allowed",
        "max_latency_ms": f"With 95 of 100 answers wanted {within} {value} ms",
    }[name]


def _times(case: Case, flip: Flip, now: float) -> str:
    """The other value as a factor of the present one, from which on something holds."""
    return f"{_beyond(case, flip, now, 'more than', 'less than', unit=now)} times as high"


def _beyond(case: Case, flip: Flip, now: float, more: str, less: str, unit: float = 1.0) -> str:
    """The values for which it holds, in this unit: all on the far side of one, or those between two."""
    value = in_few_digits(case.weighed.assumptions, flip, unit)
    if flip.until is None:
        return f"{more if flip.value > now else less} {value}"
    until = in_few_digits(case.weighed.assumptions, flip._replace(value=flip.until), unit)
    if until == value:  # either end may be rounded to what lies between them
        value, until = (f"{end / unit:.6g}" for end in (flip.value, flip.until))
    return f"between {value} and {until}" if flip.value > now else f"between {until} and {value}"


def _by_token(case: Case) -> str:
    """Whether tokens are what is paid for: of all strategies with a language model, of some, or of none."""
    models = [case.results[c.name].model for c in case.candidates if not c.incumbent]
    paid = [is_paid_by_token(model, case.settings.hosting) for model in models]
    return "all" if all(paid) else "some" if any(paid) else ""


def break_evens_of(case: Case) -> list[schema.BreakEven]:
    if case.decision.pick is None:
        return []
    found = break_evens(case.candidates, case.decision.pick)
    found.sort(key=lambda item: item[2])
    return [schema.BreakEven(a=a, b=b, queries_per_month=v) for a, b, v in found[:MOST_BREAK_EVENS]]


def _curve_sentences(case: Case) -> list[str]:
    """What more examples are likely to bring, for the strategies whose learning curve is known."""
    sentences = []
    for name, result in case.results.items():
        points = (result.fit.learning_curve or []) if result.fit else []
        half = next((p for p in points if p.gain_to_all is not None and p.share == max(CURVE_SHARES)), None)
        if half is None or half.gain_to_all is None or half.gain_ci95 is None:
            continue
        gain = f"{wording.points(half.gain_to_all)} points ({wording.points_range(half.gain_ci95)})"
        found = f"Twice the training examples (half, then all of them) brought {title_in_text(name)} {gain}"
        sentences.append(f"{found}: {_further(case, result, half.gain_ci95)}.")
    return sentences


def _further(case: Case, result: schema.StrategyResult, gain: tuple[float, float]) -> str:
    """What the range of the gain by a doubling says of the next one; the tolerance counts as equal.

    The range knows how much fits vary by chance only where there are several on the same rows.
    """
    (low, high), tolerance = gain, case.settings.tolerance_points / 100
    is_trained = result.family in TRAINED
    if low <= 0 and high > tolerance:
        few = "test rows and seeds" if is_trained else "test rows"
        return f"too few {few} to say whether more would help"
    if is_trained and result.fit and case.data.plan.seeds(result.fit) == 1:
        return "there is one fit of each, so that it may be chance"
    if low > 0:
        return "the next doubling may bring less"
    return "more of them did harm" if high < 0 else "more would hardly help"
