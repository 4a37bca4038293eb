"""What hosted models may cost on a service: a setting of the operator, that no caller can change."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from advisor.economics import TokenPrices, not_given
from advisor.request import make_request
from api.job import request_of
from api.settings import Settings, read_settings
from api.tables import Comparison
from api.work import OPERATOR, audit, models_of, uncounted
from eval.errors import RequestError
from strategies.models.hosted.model import TokenPrice

BIG = "openai:big"
LISTED = "openai:gpt-4o"
WORDS = {"billing": "invoice payment refund", "outage": "power dark breaker"}


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "much"])
def test_a_cap_that_is_none_is_refused_by_its_name(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADVISOR_MAX_SPEND", value)
    with pytest.raises(RequestError, match="ADVISOR_MAX_SPEND: input should be"):
        read_settings()


def test_a_comparison_gets_the_operators_cap(make_settings: Callable[..., Settings]) -> None:
    options = {"model": [BIG], "embedder": "all-minilm-l6-v2"}
    files = {role: {"path": f"{role}.csv", "name": "", "bytes": 1, "sha256": ""} for role in ("task", "examples")}
    row = Comparison(options=options, files=files)
    assert request_of(row, make_settings(models={BIG: BIG}, max_spend=2.5)).max_spend == 2.5
    assert request_of(row, make_settings(models={BIG: BIG})).max_spend is None


def test_an_estimate_spends_no_more_than_the_cap(
    server: Any, tmp_path: Path, tiny_embedder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call costs 0.27 USD, and can cost much more than the cap; what the caller says of prices does not count."""
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    rows = [{"input": f"case {i}: {text}", "output": label} for i in range(20) for label, text in WORDS.items()]
    (tmp_path / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "prices.yaml").write_text(f"hourly_usd: 0.1\ntokens: {{'{BIG}': {{input: 0, output: 0}}}}\n")
    asked = {
        "task": "Route the ticket.", "examples": str(tmp_path / "examples.jsonl"), "model": [BIG],
        "prices": str(tmp_path / "prices.yaml"), "embedder": "all-minilm-l6-v2", "device": "cpu", "max_spend": 0.01,
    }  # fmt: skip
    places = {BIG: BIG, "all-minilm-l6-v2": str(tiny_embedder_folder)}
    *_, last = audit(asked, places, True, 1000, {BIG: TokenPrices(input=10_000, output=100_000)})
    assert last["plan"]
    assert server.asked == []
    *_, last = audit(asked, places, True, 1000)
    assert last["findings"] is not None
    assert BIG in last["no_plan"]
    assert "ADVISOR_TOKEN_PRICES" in last["no_plan"]
    assert server.asked == []


def test_the_cap_is_counted_at_the_operators_prices_and_the_report_at_the_callers(tmp_path: Path) -> None:
    prices = tmp_path / "prices.yaml"
    free = "{input: 0, output: 0}"
    prices.write_text(f"hourly_usd: 0.1\ntokens: {{'{BIG}': {free}, '{LISTED}': {free}}}\n")
    request = make_request(task="x", examples="y", model=[BIG, LISTED], max_spend=1, prices=str(prices))
    operators = TokenPrices(input=10, output=20)
    shelf, told = models_of(request, {}, {BIG: operators})
    assert shelf.hosted.prices[BIG] == TokenPrice(10e-6, 20e-6)
    assert shelf.hosted.prices[LISTED].written > 0
    assert told.tokens[BIG].output == told.tokens[LISTED].output == 0
    assert uncounted(shelf, request) is None
    without = request.model_copy(update={"prices": None})
    others = {BIG: operators, "openai:bigger": operators}
    told = models_of(without, {}, others)[1]
    assert told.tokens[BIG] == operators.model_copy(update={"source": OPERATOR})
    assert told.tokens.keys() == {BIG, LISTED}, "what else the operator pays is nothing to the caller"
    assert not_given(told, request.model) == []
    unknown, _ = models_of(request, {}, {})
    assert BIG in str(uncounted(unknown, request))
    assert uncounted(unknown, request.model_copy(update={"max_spend": None})) is None
