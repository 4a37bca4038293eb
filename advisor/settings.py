"""The options and prices that a decision hangs on, as a report keeps them."""

from __future__ import annotations

from typing import Any

from advisor import economics
from advisor.evidence import terms_of
from advisor.report import schema
from advisor.request import Options


def settings_of(options: Options, prices: economics.Prices) -> schema.Settings:
    """The options that a decision depends on."""
    return schema.Settings(
        volume=options.volume,
        months=economics.MONTHS,
        tolerance_points=options.tolerance,
        min_quality=options.min_quality,
        max_cost_per_1k=options.max_cost_per_1k,
        max_latency_ms=options.max_latency_ms,
        min_recall=dict(options.min_recall),
        error_cost=options.error_cost,
        hosting=options.hosting,
        min_replicas=options.min_replicas,
        peak_qps=options.peak_qps,
        peak_ratio=terms_of(options, prices).peak_ratio,
        machine=prices.machine,
        machine_hourly_usd=prices.hourly_usd,
        price_source=prices.source,
        watts=prices.watts,
        token_prices=dict(prices.tokens),
        effort_usd=dict(prices.effort_usd),
        retrainings_per_year=prices.retrainings_per_year,
        label_usd=prices.label_usd,
    )


def options_in(settings: schema.Settings) -> dict[str, Any]:
    """The options that `settings_of` was given."""
    kept = settings.model_dump(include=set(Options.model_fields))
    return {**kept, "tolerance": settings.tolerance_points}


def prices_in(settings: schema.Settings) -> economics.Prices:
    """The prices that `settings_of` was given."""
    return economics.Prices(
        settings.machine,
        settings.machine_hourly_usd,
        settings.price_source,
        settings.watts,
        settings.token_prices,
        settings.effort_usd,
        settings.retrainings_per_year,
        settings.label_usd,
    )
