"""Costs are measured in batches: what is said where queries come otherwise."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from advisor.advice.arrivals import arrivals_of
from advisor.advice.case import Case
from advisor.decide import Assumptions, Candidate, Evidence, Limits, decide
from advisor.economics import Prices, Tariff, Use, tariff
from advisor.evidence import Weighed, terms_of
from advisor.report import schema
from advisor.report.schema import INCUMBENT, LoadLevel
from advisor.request import make_request
from advisor.settings import settings_of

PRICES = Prices("a machine", 0.36, "the bill")
"""0.0001 USD a second."""
LOAD = [
    LoadLevel(parallel=1, p50_ms=500, p95_ms=600, throughput_qps=2.0),
    LoadLevel(parallel=2, p50_ms=650, p95_ms=800, throughput_qps=3.0),
    LoadLevel(parallel=4, p50_ms=1100, p95_ms=1500, throughput_qps=3.6),
]


def told(
    *, models: dict[str, str] | None = None, load: list[LoadLevel] | None = None, plain_ms: float = 200, **options: Any
) -> list[str]:
    """Of `lora`, 0.11 busy seconds a query and 0.5 by itself, and `few_shot`, which takes 0.12 and `plain_ms`."""
    request = make_request(task="Sort.", examples="tickets.csv", **options)
    seconds, alone_ms = {"lora": 0.11, "few_shot": 0.12}, {"lora": 500.0, "few_shot": plain_ms}
    terms = terms_of(request, PRICES)
    money = {name: tariff(Use(each, 0.0), terms).at(request.volume) for name, each in seconds.items()}
    candidates = [Candidate(name, 0.9, money[name], alone_ms[name], n) for n, name in enumerate(seconds)]
    candidates.append(Candidate(INCUMBENT, 0.7, Tariff(0.0, 0.0).at(0), 0.0, 9, incumbent=True))
    names = [c.name for c in candidates]
    known = Evidence(
        {(a, b): 0.001 for a in names for b in names}, {c.name: np.full(10, c.quality) for c in candidates}, 200
    )
    limits = Limits(request.min_quality, request.max_cost_per_1k, request.max_latency_ms)
    assumed = Assumptions(candidates, known, limits, 0.01, request.volume)
    results = {
        name: schema.StrategyResult(
            name=name,
            family="prompt",
            model=(models or {}).get(name, "small"),
            status="ok",
            cost=schema.Cost(
                per_query_usd=of_name.per_query,
                per_1k_usd=1000 * of_name.per_query,
                training_usd=0.0,
                monthly_usd=of_name.monthly,
                machines=of_name.tariff.machines(request.volume),
                tokens=schema.Tokens(input=0, output=0),
                basis="",
            ),
            latency=schema.LatencyPart(
                p50_ms=alone_ms[name],
                p95_ms=alone_ms[name],
                n=40,
                throughput_qps=1 / seconds[name],
                load=(LOAD if load is None else load) if name == "lora" else [],
            ),
        )
        for name, of_name in money.items()
    }
    results[INCUMBENT] = schema.StrategyResult(name=INCUMBENT, family="baseline", status="ok")
    weighed = Weighed({}, [], assumed, decide(assumed))
    nothing: Any = None
    return arrivals_of(Case(nothing, nothing, settings_of(request, PRICES), cast(Any, results), weighed, is_kept=True))


def test_what_queries_that_come_alone_cost_is_told_and_what_would_be_picked_then() -> None:
    costs = "Costs are of queries answered together, in batches; one at a time, as most come at"
    alone = f"{costs} 10,000 queries a month, 1,000 queries cost about 0.050 USD with fine-tuning (LoRA), not 0.011"
    assert told(plain_ms=600) == [f"{alone}."]
    assert told() == [f"{alone}, and the pick is prompt with fixed examples then."]
    assert told(plain_ms=600, max_cost_per_1k=0.02) == [f"{alone}, and today's system is to be kept then."]


@pytest.mark.parametrize(
    "options",
    [
        {"volume": 1_000_000, "plain_ms": 600},  # a query every 2.6 seconds, each of half a second
        {"volume": 200, "plain_ms": 600},  # less than a cent a month
        {"volume": 0},
        {"hosting": "always-on", "load": []},
        {"models": {"lora": "openai:big"}, "plain_ms": 600},
    ],
)
def test_nothing_is_said_of_queries_that_come_alone_where_little_hangs_on_it(options: dict[str, Any]) -> None:
    assert told(**options) == []


def test_machines_that_do_not_bear_the_peak_in_the_time_allowed_are_told() -> None:
    """10 times a million queries in 730 hours are 3.8 a second, 0.42 of a machine in large batches."""
    asked: dict[str, Any] = {"hosting": "always-on", "volume": 1_000_000}
    peak = "At the peak of 3.8 queries a second they wait for each other: "
    assert told(**asked, max_latency_ms=1000) == [
        f"{peak}with at most 2 at once, 95 of 100 within 800 ms, a machine bears 3 a second, which takes 2 machines "
        "instead of 1 (526 USD a month)."
    ]
    (at_any_latency,) = told(**asked)
    assert "with at most 4 at once, 95 of 100 within 1.5 s, a machine bears 3.6 a second" in at_any_latency
    (alone,) = told(**asked, max_latency_ms=550)
    assert "one at a time, 95 of 100 within 600 ms, a machine bears 2 a second" in alone
    (stated,) = told(**asked, max_latency_ms=1000, peak_qps=9.0)
    assert "At the peak of 9 queries a second" in stated
    assert "3 machines instead of 1" in stated
    assert told(**asked, max_latency_ms=1000, min_replicas=2) == []
    assert told(hosting="always-on", volume=100_000) == told(hosting="always-on", volume=0) == []
