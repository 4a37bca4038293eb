"""The models of a request: where they are, what they cost, and what may be sent to them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from advisor import economics, environment
from advisor.data import Data
from advisor.request import CompareRequest
from eval.errors import RequestError
from eval.findings import Code, Finding
from strategies.models.hosted.model import Hosted, TokenPrice
from strategies.models.shelf import ModelShelf


def check_models(request: CompareRequest, data: Data, prices: economics.Prices) -> None:
    """Raise RequestError where a price that is needed is not known, or data may not leave the machine."""
    for name in request.model:
        if economics.is_paid_by_token(name, request.hosting):
            economics.token_prices(prices, name)
    refuse_to_send(request.model, data.findings, redact=request.redact, accept=request.accept)


def prices_of(request: CompareRequest, tokens: Mapping[str, economics.TokenPrices] | None = None) -> economics.Prices:
    """The client's prices, or assumed ones; of tokens also those that a service's operator names, then list prices."""
    given = economics.read_prices(request.prices) if request.prices else None
    prices = given or economics.assumed_prices(environment.cores(), None)
    return economics.with_list_prices(replace(prices, tokens={**(tokens or {}), **prices.tokens}), request.model)


def on_gpu(request: CompareRequest, prices: economics.Prices, gpu: str | None) -> economics.Prices:
    """The prices once it is known that there is a GPU: another machine is assumed where the client names none."""
    if request.prices or gpu is None:
        return prices
    return replace(economics.assumed_prices(environment.cores(), gpu), tokens=prices.tokens)


def shelf_of(request: CompareRequest, prices: economics.Prices, places: Mapping[str, str] | None = None) -> ModelShelf:
    """A shelf on which hosted models are found where the request says, within what may be spent.

    `places` says what names of models stand for on this machine.
    """
    tokens = prices.tokens.items()
    each = {name: TokenPrice(p.input / economics.MILLION, p.output / economics.MILLION) for name, p in tokens}
    return ModelShelf(request.device, places=places, hosted=Hosted(request.endpoint, request.max_spend, each))


def refuse_to_send(
    models: Iterable[str], findings: Sequence[Finding], *, redact: bool, accept: Collection[str]
) -> None:
    """Raise RequestError where a hosted model would be sent what the client has not said may leave the machine."""
    hosted = next(filter(economics.is_hosted, models), None)
    if hosted is None:
        return
    ways = {Code.PERSONAL_DATA: "Mask them with --redact, or send", Code.PROMPT_INJECTION: "Send"}
    for code, way in ways.items():
        found = [finding.message for finding in findings if finding.code == code]
        masked = redact and code == Code.PERSONAL_DATA
        if found and not masked and code not in accept:
            raise RequestError(f"{hosted} is hosted. {' '.join(found)} {way} them as they are with --accept {code}.")
