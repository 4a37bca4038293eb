"""What strategies cost. Pure functions over plain figures; all money in USD."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eval.errors import RequestError

MONTHS = 12
HOURS = 3600.0

CPU_CORE_HOURLY_USD = 0.05
GPU_HOURLY_USD = 4.0


@dataclass(frozen=True)
class Prices:
    """What the machine costs."""

    machine: str
    hourly_usd: float
    source: str
    """Where the price comes from; said wherever a cost is shown."""


@dataclass(frozen=True)
class Money:
    """A strategy's cost at a volume."""

    per_query: float
    training: float
    monthly: float
    """Queries of a month, and the month's share of training."""


def assumed_prices(cores: int, gpu: str | None) -> Prices:
    """A round figure for a rented machine of this kind, called an assumption."""
    if gpu is not None:
        return Prices(gpu, GPU_HOURLY_USD, "assumed; give yours with --prices")
    return Prices(f"{cores} CPU cores", cores * CPU_CORE_HOURLY_USD, "assumed; give yours with --prices")


def read_prices(path: str) -> Prices:
    """Prices from a YAML file with `machine` and `hourly_usd`. Raises RequestError that names the field."""
    import yaml

    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RequestError(f"--prices: the file {path} cannot be read as YAML: {_first_line(error)}.") from error
    hourly = values.get("hourly_usd") if isinstance(values, dict) else None
    if isinstance(hourly, bool) or not isinstance(hourly, int | float) or not 0 <= hourly < 1e6:
        raise RequestError(f"--prices: {path} must give hourly_usd, the price of a machine-hour in USD, as a number.")
    return Prices(str(values.get("machine", "the machine")), float(hourly), path)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def cost(query_seconds: float, fit_seconds: float, prices: Prices, volume: int, months: int = MONTHS) -> Money:
    """Busy machine-seconds at the hourly price; fitting once, spread over `months` at `volume` queries a month."""
    per_query = query_seconds * prices.hourly_usd / HOURS
    training = fit_seconds * prices.hourly_usd / HOURS
    return Money(per_query, training, per_query * volume + training / months)


def break_even(a: Money, b: Money, months: int = MONTHS) -> float | None:
    """Queries a month above which `a` is the cheaper of the two; None where it is so at every volume or at none."""
    saving = b.per_query - a.per_query
    extra = (a.training - b.training) / months
    if saving <= 0 or extra <= 0:
        return None
    return extra / saving
