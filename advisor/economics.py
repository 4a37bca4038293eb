"""What strategies cost. Pure functions over plain figures; all money in USD."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from advisor.faults import Fault, first_fault
from eval.errors import RequestError, first_line
from eval.reading.text import counted
from strategies.base import Family
from strategies.models.hosted.model import PREFIX

MONTHS = 12
"""Over which what is paid once is spread."""
HOURS = 3600.0
HOURS_A_MONTH = 730.0
MILLION = 1e6
WINDOW = 200
"""Numbers of machines that are looked at on either side of a volume."""
CACHE_MINUTES = 5.0
"""For which providers keep what they have read, after the last query that began alike: five to ten in what OpenAI and
Azure say, five in what Anthropic does."""
COLD_QUERIES = HOURS_A_MONTH * 60 / CACHE_MINUTES / math.e
"""Of a month that find nothing kept, at the most. Of V queries at random times, V exp(-V / W) come so long after the
one before, W being how often that time goes into a month; that is greatest where V is W."""
PEAK_RATIO = 10.0
"""Load at its peak over the mean load of a month, where the client does not say; said wherever it counts."""

CPU_CORE_HOURLY_USD = 0.05
GPU_HOURLY_USD = 4.0

Hosting = Literal["scale-to-zero", "always-on", "per-token"]
"""What is paid for: busy machine-seconds, machines that run all day, or a provider's tokens."""


class TokenPrices(BaseModel):
    """USD per million tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    input: float = Field(ge=0, lt=1e6)
    output: float = Field(ge=0, lt=1e6)
    cached_input: float | None = Field(default=None, ge=0, lt=1e6)
    """Of input that the provider has read before; as `input` where not given."""
    source: str | None = Field(default=None, max_length=500)
    """Where they come from, if not from where the other prices do."""

    def of(self, read: float, cached: float, written: float) -> float:
        """USD of a query with so many tokens; `cached` are among those read."""
        cheaper = self.input if self.cached_input is None else self.cached_input
        return ((read - cached) * self.input + cached * cheaper + written * self.output) / MILLION


class PriceFile(BaseModel):
    """What `--prices` may hold."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    hourly_usd: float = Field(ge=0, lt=1e6)
    machine: str = Field(default="the machine", max_length=500)
    watts: float | None = Field(default=None, gt=0, lt=1e6)
    """Of the machine at work."""
    tokens: dict[str, TokenPrices] = Field(default={}, max_length=100)
    """By the model's name."""
    effort_usd: dict[Family, Annotated[float, Field(ge=0, lt=1e9)]] = {}
    """What setting up a strategy of a family costs once, in people's time."""
    retrainings_per_year: float = Field(default=0.0, ge=0, le=366)
    """How often what was trained is to be trained again."""
    label_usd: float | None = Field(default=None, ge=0, lt=1e6)
    """What labelling one example costs."""

    def prices(self, source: str) -> Prices:
        """The prices, and where they come from."""
        effort = {str(family): usd for family, usd in self.effort_usd.items()}
        return Prices(
            self.machine, self.hourly_usd, source, self.watts, self.tokens, effort, self.retrainings_per_year,
            self.label_usd,
        )  # fmt: skip


@dataclass(frozen=True)
class Prices:
    """What machines, tokens and people cost."""

    machine: str
    hourly_usd: float
    source: str
    """Where the prices come from; said wherever a cost is shown."""
    watts: float | None = None
    tokens: Mapping[str, TokenPrices] = field(default_factory=dict)
    effort_usd: Mapping[str, float] = field(default_factory=dict)
    retrainings_per_year: float = 0.0
    label_usd: float | None = None
    """Of one labelled example; told with what it would bring, and in no strategy's cost."""


@dataclass(frozen=True)
class Terms:
    """Prices, and what is paid for."""

    prices: Prices
    hosting: Hosting = "scale-to-zero"
    fewest_machines: int = 1
    """That are always on, if any are."""
    peak_ratio: float = PEAK_RATIO
    """Load at its peak over the mean load."""


@dataclass(frozen=True)
class Use:
    """What a strategy takes, as measured."""

    query_seconds: float
    """Busy machine-seconds of one query, of many that are answered together."""
    fit_seconds: float
    model: str | None = None
    """The language model; None where there is none."""
    family: str = "baseline"
    read: float = 0.0
    """Tokens of one query, the cached ones among them."""
    cached: float = 0.0
    written: float = 0.0
    fit_read: float = 0.0
    """Tokens of a hosted model that one fit took, the cached ones among them: choosing a configuration asks it."""
    fit_cached: float = 0.0
    fit_written: float = 0.0


@dataclass(frozen=True)
class Tariff:
    """How a strategy's cost depends on the volume: by the query, by the machine, and whatever the volume."""

    per_query: float
    """USD that one more query costs, as long as no further machine is needed and what is cached is still there."""
    once: float
    """USD paid at the start."""
    standing: float = 0.0
    """USD a month."""
    machine: float = 0.0
    """USD a month of one machine that is always on."""
    carries: float = math.inf
    """Queries a month that one such machine answers, with room for the peak."""
    fewest: int = 0
    """Such machines."""
    cold: float = 0.0
    """USD that a query costs more which finds nothing cached; the first `COLD_QUERIES` of a month count as such."""

    def machines(self, volume: float) -> int:
        """How many must be on."""
        return max(self.fewest, math.ceil(volume / self.carries - 1e-9))

    def at(self, volume: float) -> Money:
        """What it costs at so many queries a month."""
        shared, slope = self._of_queries(volume)
        start, _ = self.line(volume)
        return Money(slope + shared / max(volume, 1.0), self.once, start + slope * volume, self)

    def times(self, factor: float) -> Tariff:
        """The same with all prices multiplied."""
        return Tariff(
            self.per_query * factor, self.once * factor, self.standing * factor, self.machine * factor, self.carries,
            self.fewest, self.cold * factor,
        )  # fmt: skip

    def line(self, volume: float) -> tuple[float, float]:
        """The monthly cost as a line (its value at 0, its slope) that holds in the one of `pieces` that this is in."""
        shared, slope = self._of_queries(volume)
        return shared + self.standing + self.once / MONTHS, slope

    def spread_until(self, usd: float, volume: float) -> float:
        """The volume from which on a query costs less than so much, by the line at this one; 0 where it never does."""
        shared, slope = self._of_queries(volume)
        return shared / (usd - slope) if usd > slope else 0.0

    def _of_queries(self, volume: float) -> tuple[float, float]:
        """The same line without what is paid whether or not anybody asks: a machine that nobody asks is not cheap."""
        machines = self.machines(volume) * self.machine
        if volume < COLD_QUERIES:
            return machines, self.per_query + self.cold
        return machines + self.cold * COLD_QUERIES, self.per_query


@dataclass(frozen=True)
class Money:
    """A strategy's cost at a volume."""

    per_query: float
    """The share of idle machines included."""
    training: float
    """What is paid once."""
    monthly: float
    """All of a month, with its share of what is paid once."""
    tariff: Tariff = field(compare=False, repr=False)
    """How it depends on the volume."""


def tariff(use: Use, terms: Terms) -> Tariff:
    """What a strategy costs under these terms. Raises RequestError where a price that is needed is not known."""
    prices = terms.prices
    second = prices.hourly_usd / HOURS
    training = use.fit_seconds * second
    if use.model is not None and is_hosted(use.model):  # waiting for an answer takes no machine of the client's
        training = token_prices(prices, use.model).of(use.fit_read, use.fit_cached, use.fit_written)
    once = training + prices.effort_usd.get(use.family, 0.0)
    standing = training * prices.retrainings_per_year / MONTHS
    if use.model is not None and is_paid_by_token(use.model, terms.hosting):
        each = token_prices(prices, use.model)
        warm, cold = (each.of(use.read, cached, use.written) for cached in (use.cached, 0.0))
        return Tariff(warm, once, standing, cold=cold - warm)
    if terms.hosting == "always-on":
        carries = HOURS_A_MONTH * HOURS / (use.query_seconds * terms.peak_ratio) if use.query_seconds else math.inf
        return Tariff(0.0, once, standing, HOURS_A_MONTH * prices.hourly_usd, carries, terms.fewest_machines)
    return Tariff(use.query_seconds * second, once, standing)


def token_prices(prices: Prices, model: str) -> TokenPrices:
    """A model's. Raises RequestError where they are not known: no price is invented."""
    if model not in prices.tokens:
        raise RequestError(
            f"No token prices of {model} are known: give them with --prices, as "
            f"`tokens: {{{model!r}: {{input: USD, output: USD}}}}` per million tokens."
        )
    return prices.tokens[model]


def is_hosted(model: str) -> bool:
    """Whether somebody else runs the model, and is paid by the token."""
    return model.startswith(PREFIX)


def is_paid_by_token(model: str | None, hosting: Hosting) -> bool:
    """Whether a query of a strategy with this language model, if it has one, costs its tokens."""
    return model is not None and (hosting == "per-token" or is_hosted(model))


def with_list_prices(prices: Prices, models: Sequence[str]) -> Prices:
    """The prices, with those of hosted models from a maintained list where the client has not given them."""
    listed = {name: found for name in models if is_hosted(name) and (found := _list_price(name))}
    return replace(prices, tokens={**listed, **prices.tokens})


def not_given(prices: Prices, models: Sequence[str]) -> list[str]:
    """Sentences about hosted models whose prices are from elsewhere, where the client gives prices of other names.

    `models` are those of the run; what is given may be meant for one of them.
    """
    others = {name.removeprefix(PREFIX): name for name in prices.tokens if name not in models}
    sentences = []
    for model in models:
        elsewhere = prices.tokens[model].source if is_hosted(model) and model in prices.tokens else None
        if others and elsewhere:
            near = get_close_matches(model.removeprefix(PREFIX), others, n=1, cutoff=0.8)
            meant = f': write "{model}" if that is meant' if near else ""
            names = others[near[0]] if near else "other models"
            sentences.append(f"Token prices are given of {names}, and none of {model} ({elsewhere}){meant}.")
    return sentences


def _list_price(model: str) -> TokenPrices | None:
    """From the data of the genai-prices package; None where it does not know the model.

    Some are cheaper at night: those of noon UTC count, whatever the hour of the run.
    """
    import genai_prices

    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)

    def usd(**tokens: int) -> float:
        usage = genai_prices.Usage(**{"input_tokens": 0, "output_tokens": 0, **tokens})
        name = model.removeprefix(PREFIX)
        return 1000 * float(genai_prices.calc_price(usage, name, genai_request_timestamp=noon).total_price)

    try:  # of a thousand tokens: some models cost more where a prompt is very long
        read, written = usd(input_tokens=1000), usd(output_tokens=1000)
        cached = usd(input_tokens=1000, cache_read_tokens=1000)
    except (LookupError, ValueError):
        return None
    source = f"genai-prices {version('genai-prices')}, list price at noon UTC"
    return TokenPrices(input=read, output=written, cached_input=cached, source=source)


def mean_qps(volume: float) -> float:
    """Queries a second, on average over a month with so many."""
    return volume / (HOURS_A_MONTH * HOURS)


def watt_hours(use: Use, prices: Prices) -> float | None:
    """Energy of a query; None where the power of the machine is not known, as of a provider's."""
    if prices.watts is None or (use.model is not None and is_hosted(use.model)):
        return None
    return use.query_seconds * prices.watts / HOURS


# ---- where prices come from ------------------------------------------------------------------------------------------


def assumed_prices(cores: int, gpu: str | None) -> Prices:
    """A round figure for a rented machine of this kind, called an assumption."""
    if gpu is not None:
        return Prices(gpu, GPU_HOURLY_USD, "assumed; give yours with --prices")
    return Prices(counted(cores, "CPU core"), cores * CPU_CORE_HOURLY_USD, "assumed; give yours with --prices")


def read_prices(path: str) -> Prices:
    """Prices from a YAML file. Raises RequestError that names the field."""
    return read_price_file(path).prices(Path(path).name)  # a client need not know of our folders


def read_price_file(path: str) -> PriceFile:
    """What a YAML file of prices holds. Raises RequestError that names the field."""
    import yaml

    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"--prices: {path} cannot be read: {error.strerror or error}. Check the path.") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        why = first_line(error).rstrip(".")
        raise RequestError(f"--prices: the file {path} cannot be read as YAML: {why}.") from error
    if not isinstance(values, dict) or not _is_number(values.get("hourly_usd")):
        raise RequestError(
            f"--prices: {path} must give hourly_usd, the price of a machine-hour in USD, as a number (0 or more)."
        )
    try:
        return PriceFile.model_validate(values)
    except ValidationError as error:
        raise RequestError(f"--prices: {path}{_complaint(first_fault(error))}.") from error


def _complaint(fault: Fault) -> str:
    """What is wrong, and what is right there."""
    *places, last = map(str, fault.place)
    if fault.kind == "extra_forbidden" or last == "[key]":
        name = places[-1] if last == "[key]" else last
        inside = f" under {places[0]}" if places else ""
        return f" has the unknown key {name!r}{inside}; known are {', '.join(_known_in(places))}"
    return f": {fault}; all prices are in USD"


def _known_in(places: Sequence[str]) -> Sequence[str]:
    """The keys that a price file may have there."""
    if not places:
        return list(PriceFile.model_fields)
    return list(TokenPrices.model_fields) if places[0] == "tokens" else get_args(Family)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < MILLION


# ---- where costs change places ---------------------------------------------------------------------------------------


def pieces(tariffs: Sequence[Tariff], around: float = 0.0) -> list[tuple[float, float]]:
    """Ranges of volumes, in order and without gaps, in each of which all of the tariffs are lines.

    One ends where cached tokens begin to count as such. Where machines are always on, one ends wherever one of them
    needs a further machine. So many that they cannot all be looked at are, `WINDOW` on either side of a volume.
    """
    low, high, steps = 0.0, math.inf, {COLD_QUERIES for one in tariffs if one.cold}
    for one in tariffs:
        if not one.machine or math.isinf(one.carries):
            continue
        now = one.machines(around)
        numbers = range(max(one.fewest, now - WINDOW), max(one.fewest, now) + WINDOW + 1)
        own = [number * one.carries for number in numbers]
        steps |= set(own)
        low = max(low, own[0] if numbers[0] > one.fewest else 0.0)
        high = min(high, own[-1])
    inside = sorted(step for step in steps if low < step < high)
    return list(pairwise([low, *inside, high]))


def middle(low: float, high: float) -> float:
    """A volume between the two."""
    return (low + high) / 2 if math.isfinite(high) else 2 * low + 1


def break_even(a: Money, b: Money) -> float | None:
    """Queries a month above which `a` is the cheaper of the two, having been the dearer below.

    None where it is not so, or where they change places again, as they may where machines are always on.
    """
    sign, crossed = 0.0, list[float]()
    for volume, difference in _differences(a.tariff, b.tariff):
        if difference * sign < 0:
            crossed.append(volume)
        sign = difference or sign
    return crossed[0] if len(crossed) == 1 and sign < 0 else None


def _differences(a: Tariff, b: Tariff) -> Iterator[tuple[float, float]]:
    """Volumes at which the sign of what `a` costs more may change, and that difference just above each."""
    for low, high in pieces([a, b]):
        (a_start, a_slope), (b_start, b_slope) = (one.line(middle(low, high)) for one in (a, b))
        start, slope = a_start - b_start, a_slope - b_slope
        yield low, start + slope * low or slope
        if slope and low < (meeting := -start / slope) < high:
            yield meeting, slope
