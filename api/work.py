"""What helpers do: functions over plain values, run in a process of their own."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Generator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from advisor.request import CompareRequest, make_request
from eval.contracts import Solution
from eval.errors import InfrastructureError, RequestError
from eval.findings import MOST_ROWS_NAMED, gravest_first
from eval.near_duplicates import forget
from eval.reading.tables import read_table
from eval.reading.text import clean
from strategies.models.base import Embedder, LanguageModel
from strategies.models.caches import uncached
from strategies.models.shelf import ModelShelf
from strategies.pipeline import Pipeline

if TYPE_CHECKING:
    from advisor.data import Data
    from advisor.economics import Prices, TokenPrices

FIRST_ROWS = 5
SHOWN_LETTERS = 500
MOST_LOADED = 2

HOPELESS = "There is no estimate: with these findings no comparison can be made."
TOO_LONG = (
    "There is no estimate: it was not there in time, or needed too much memory. "
    "A comparison may be asked for all the same; with fewer strategies or smaller models an estimate is quicker."
)
UNCOUNTED = (
    "What calls of {} cost is not known here, so that the service's spending cap cannot be kept: whoever runs it can "
    "name its token prices (ADVISOR_TOKEN_PRICES)."
)

WITHDRAWN = "This solution works with {}, which is not offered here any more: ask for the comparison anew."
OPERATOR = "the service's operator"
"""From whom a price is, as reports say it."""

_loaded: OrderedDict[tuple[str, float], Solution] = OrderedDict()


def check_rows(request: CompareRequest, most: int) -> None:
    """Raise RequestError where a table has more rows than are allowed."""
    for role in ("examples", "test", "incumbent", "documents"):
        path = getattr(request, role)
        if path and Path(path).is_file() and len(read_table(path).rows) > most:
            raise RequestError(f"--{role}: at most {most} rows here.")


def models_of(
    request: CompareRequest, places: Mapping[str, str], tokens: Mapping[str, TokenPrices]
) -> tuple[ModelShelf, Prices]:
    """A request's models and prices. `tokens`: what the operator pays for hosted models.

    What a caller says of prices is for the report alone: the cap is the operator's, and counted at the operator's
    prices or list prices. Of the operator's, the report has those of its own models.
    """
    from advisor.economics import with_list_prices
    from advisor.models import prices_of, shelf_of

    own = {name: tokens[name] for name in request.model if name in tokens}
    named = {name: each.model_copy(update={"source": each.source or OPERATOR}) for name, each in own.items()}
    prices = prices_of(request, named)
    paid = with_list_prices(replace(prices, tokens=tokens), request.model)
    return shelf_of(request, paid, places), prices


def uncounted(shelf: ModelShelf, request: CompareRequest) -> str | None:
    """Why the cap cannot be kept, as a sentence; None where it can, or there is none."""
    from advisor.economics import is_hosted

    unknown = [name for name in request.model if is_hosted(name) and name not in shelf.hosted.prices]
    return UNCOUNTED.format(unknown[0]) if unknown and request.max_spend is not None else None


def audit(
    options: dict[str, Any],
    places: dict[str, str],
    estimate: bool,
    most_rows: int,
    tokens: Mapping[str, TokenPrices] = MappingProxyType({}),
) -> Generator[dict[str, Any], None, None]:
    """What is in the files of a request and what is wrong with them; then also what a comparison would take.

    `tokens` is as for `models_of`.
    Nothing of them stays in this process, which serves other clients next.
    """
    try:
        yield from _audit(options, places, estimate, most_rows, tokens)
    finally:
        forget()


def _audit(
    options: dict[str, Any],
    places: dict[str, str],
    estimate: bool,
    most_rows: int,
    tokens: Mapping[str, TokenPrices],
) -> Generator[dict[str, Any], None, None]:
    from advisor.auditing import is_hopeless, judged
    from advisor.data import audited

    request = make_request(**options)
    check_rows(request, most_rows)
    (shelf, _), data = models_of(request, places, tokens), audited(request)
    findings = gravest_first(judged(data, request, shelf).findings)
    found = {
        "findings": [finding.to_json(MOST_ROWS_NAMED) for finding in findings],
        "columns": list(read_table(request.examples).columns),
        "examples": len(data.examples),
        "documents": len(data.documents),
        "first_rows": [
            {"input": e.input[:SHOWN_LETTERS], "output": e.target[:SHOWN_LETTERS]} for e in data.examples[:FIRST_ROWS]
        ],
        "plan": None,
        "no_plan": None,
    }
    if not estimate:
        yield found
    elif is_hopeless(data):
        yield {**found, "no_plan": HOPELESS}
    elif reason := uncounted(shelf, request):
        yield {**found, "no_plan": reason}
    else:
        yield {**found, "no_plan": TOO_LONG}  # this is the answer where what follows is cut off
        yield {**found, "plan": _plan(request, data, shelf)}


def _plan(request: CompareRequest, data: Data, shelf: ModelShelf) -> dict[str, Any]:
    from advisor.comparison import forecast, prepare
    from advisor.progress import Silent

    return forecast(prepare(request, data, time.monotonic(), Silent(), shelf))


def predict(run: str, inputs: list[str], places: dict[str, str], device: str) -> list[dict[str, Any]]:
    """Answers of a run's kept solution; the last few that were used stay loaded, but no answer is remembered.

    Raises RequestError for what is wrong with the solution or its models, InfrastructureError where the server of a
    hosted one refuses to answer.
    """
    from advisor.further import answers
    from advisor.runs import find_solution
    from strategies.solutions import load_solution

    folder = find_solution(Path(run))
    key = str(folder), folder.stat().st_mtime
    if key not in _loaded:
        _loaded[key] = load_solution(folder, _shelf(device, tuple(places.items())))
    _loaded.move_to_end(key)
    while len(_loaded) > MOST_LOADED:
        _loaded.popitem(last=False)
    solution, texts = _loaded[key], [clean(text) for text in inputs]
    try:
        with uncached(*[solution.model] if isinstance(solution, Pipeline) else ()):
            found = {answer["input"]: answer for answer in answers(solution, list(dict.fromkeys(texts)))}
    except RequestError as error:
        raise InfrastructureError(str(error)) from error
    return [found[text] for text in texts]


def decide(run: str, changes: dict[str, Any], prices: Prices | None) -> bytes:
    """A run's report as JSON, with the decision made again under other options."""
    from advisor.recompute import report_again
    from advisor.report.forms import rendered

    return rendered(report_again(Path(run), prices=prices, travels=True, **changes), "json")


class OfferedModels(ModelShelf):
    """The models that kept solutions name, as far as the operator still offers them."""

    def language_model_for(self, entry: dict[str, Any]) -> LanguageModel:
        return super().language_model_for(self._offered(entry))

    def embedder_for(self, entry: dict[str, Any]) -> Embedder:
        return super().embedder_for(self._offered(entry))

    def _offered(self, entry: dict[str, Any]) -> dict[str, Any]:
        if entry["name"] not in self.places:
            raise RequestError(WITHDRAWN.format(entry["name"]))
        return entry


@cache
def _shelf(device: str, places: tuple[tuple[str, str], ...]) -> OfferedModels:
    """One for all solutions: they share their base model."""
    return OfferedModels(device, places=dict(places))
