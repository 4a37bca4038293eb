"""What a user asks of `compare`: the options of the command line, of Python and of the service, checked once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from advisor.economics import Hosting, mean_qps
from advisor.error_costs import TAGS, ErrorCost, read_error_cost
from advisor.faults import first_fault
from advisor.flags import flag_of
from eval.errors import RequestError
from eval.findings import Code
from eval.reading.text import clean
from strategies.models.catalogue import DEFAULT_EMBEDDER, DEFAULT_LANGUAGE_MODEL
from strategies.registry import STRATEGIES, check_names

Name = Annotated[str, Field(max_length=500)]
"""Of a column, a model or its folder, a strategy, a label."""


class PlanOptions(BaseModel):
    """How data are to be read and audited, and what a comparison is to be planned with."""

    model_config = ConfigDict(extra="forbid", validate_default=True, allow_inf_nan=False)

    model: list[Name] = Field(default=[DEFAULT_LANGUAGE_MODEL], min_length=1, max_length=20)
    embedder: Name = DEFAULT_EMBEDDER
    strategies: list[Name] = Field(default=list(STRATEGIES), min_length=1, max_length=100)
    input_columns: list[Name] = Field(default=[], max_length=100)
    output_column: Name | None = None
    group_by: Name | None = None
    """A column; rows that share its value are never learnt from and tested on."""
    time_column: Name | None = None
    """A column of dates or numbers; the latest rows are tested on."""
    accept: list[Name] = Field(default=[], max_length=100)
    """Codes of findings; the data stay as they are for these."""
    redact: bool = False
    """Mask personal data before anything else sees them."""
    time_budget: float = Field(default=1800, gt=0)
    """Seconds, from start to report."""

    @field_validator("model", "strategies", "input_columns", "accept", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        """One name, or several with commas, for a list of them."""
        return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value

    @field_validator("strategies")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        check_names(names)
        return [name for name in STRATEGIES if name in names]

    @field_validator("accept")
    @classmethod
    def _codes(cls, codes: list[str]) -> list[str]:
        for code in codes:
            if code not in list(Code):
                raise RequestError(f"--accept: there is no finding {code!r}; known are {', '.join(Code)}.")
        return sorted(set(codes))

    @field_validator("model")
    @classmethod
    def _once(cls, names: list[str]) -> list[str]:
        return list(dict.fromkeys(names))

    @property
    def names_strategies(self) -> bool:
        """Whether only some strategies are asked for: none of these is to be left out lightly."""
        return self.strategies != list(STRATEGIES)


class Options(PlanOptions):
    """What may be asked wherever a comparison is asked for. Field names are the flags' with underscores."""

    seed: int = Field(default=0, ge=0, lt=2**31)
    tolerance: float = Field(default=1.0, ge=0, le=100)
    """Points of quality (hundredths) that are not worth paying for."""
    volume: int = Field(default=10_000, ge=0, le=10**12)
    """Queries a month."""
    hosting: Hosting = "scale-to-zero"
    """What is paid for: busy machine-seconds, machines that run all day, or a provider's tokens."""
    min_replicas: int = Field(default=1, ge=1, le=10_000)
    """Machines that are always on, at the least."""
    peak_qps: float | None = Field(default=None, gt=0)
    """Queries a second at the busiest time; ten times the month's mean where not given."""
    min_quality: float | None = Field(default=None, ge=0, le=1)
    max_cost_per_1k: float | None = Field(default=None, gt=0)
    max_latency_ms: float | None = Field(default=None, gt=0)
    min_recall: dict[Name, Annotated[float, Field(ge=0, le=1)]] = Field(default={}, max_length=100)
    """By label, the least share of its test rows that must be answered rightly."""
    error_cost: ErrorCost | None = None
    """USD that a wrong answer costs, or a matrix of these; with it the pick has the lowest expected total cost."""
    keep: Literal["winner", "all"] = "winner"

    @field_validator("min_recall", mode="before")
    @classmethod
    def _recalls(cls, value: object) -> object:
        """LABEL=RATE, once or several times, or a mapping; labels are cleaned as those of examples are."""
        given = [value] if isinstance(value, str) else value
        if isinstance(given, Mapping):
            return _once_each(given.items())
        return _once_each(_pairs(given)) if isinstance(given, Sequence) else value

    @model_validator(mode="after")
    def _errors_of_some_query(self) -> Self:
        if self.error_cost is not None and self.volume == 0:
            raise RequestError(
                "--error-cost prices the wrong answers of a month, and with --volume 0 there are none: give a volume, "
                "or leave the price out."
            )
        return self

    @model_validator(mode="after")
    def _peak_above_mean(self) -> Self:
        mean = mean_qps(self.volume)
        if self.peak_qps is not None and self.peak_qps < mean:
            raise RequestError(
                f"--peak-qps: {self.peak_qps:g} queries a second at the busiest time are fewer than the mean of "
                f"--volume {self.volume:,} queries a month, {mean:.3g} a second: give the peak, or leave it out."
            )
        return self


def _pairs(given: Sequence[object]) -> list[tuple[str, str]]:
    """Labels may hold the sign themselves: the last one parts."""
    parts = [str(one).rpartition("=") for one in given]
    if any(not label.strip() or not rate.strip() for label, _, rate in parts):
        raise ValueError("say LABEL=RATE, such as complaint=0.9")
    return [(label, rate.strip()) for label, _, rate in parts]


def _once_each(pairs: Iterable[tuple[object, object]]) -> dict[object, object]:
    """Rates by label. Raises ValueError where two are for labels that are the same once cleaned."""
    rates: dict[object, object] = {}
    for label, rate in pairs:
        known = clean(label) if isinstance(label, str) else label
        if known in rates:
            raise ValueError(f"{known} is named twice: give one rate for each label")
        rates[known] = rate
    return rates


Form = TypeVar("Form", bound=Options)


class CompareRequest(Options):
    """A comparison with the files that it is made from."""

    task: str
    """A sentence, or the path of a JSON or YAML file."""
    examples: str
    documents: str | None = None
    test: str | None = None
    """The client's own test set; without it, part of the examples is set aside."""
    incumbent: str | None = None
    """A file with the outputs of the system in use today."""
    prices: str | None = None
    endpoint: str | None = None
    """Base URL of the server of hosted models (`openai:NAME`)."""
    max_spend: float | None = Field(default=None, gt=0)
    """USD that calls of hosted models may cost in all."""
    output: Path | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"


def make_request(**options: object) -> CompareRequest:
    """A checked request. Raises RequestError that names the flag and what it may be; None means the default."""
    given = {name: value for name, value in options.items() if value is not None}
    if isinstance(given.get("error_cost"), str):  # here, where it is the user's own machine, it may be a file
        given["error_cost"] = read_error_cost(str(given["error_cost"]))
    request = checked(CompareRequest, given)
    if request.test is not None and Path(request.test).resolve() == Path(request.examples).resolve():
        raise RequestError(
            "--test names the same file as --examples: a test on rows that were learnt from says nothing."
        )
    if request.test is not None and request.time_column is not None:
        raise RequestError(
            "--time-column takes the latest examples for the test, and --test gives the test rows already: leave one "
            "of them out."
        )
    return request


def checked(form: type[Form], values: Mapping[str, object]) -> Form:
    """Options of that form. Raises RequestError that names the flag and what it may be."""
    try:
        return form.model_validate(values)
    except ValidationError as error:
        raise RequestError(_sentence(error)) from error


def _sentence(error: ValidationError) -> str:
    fault = first_fault(error, TAGS)
    name, *place = map(str, fault.place)
    flag = flag_of(name)
    if fault.kind == "extra_forbidden":
        known = ", ".join(sorted(CompareRequest.model_fields, key=lambda name: name in Options.model_fields))
        return f"{flag} is no option of compare; known are {known}."
    if fault.kind == "too_short":
        return f"{flag}: name at least one, or leave it out."
    given = f" (given: {fault.given!r})" if fault.kind != "missing" else ""
    inside = f" {'.'.join(place)}:" if place and not isinstance(fault.place[1], int) else ""
    quotes = ": put it in quotes" if fault.kind == "string_type" else ""  # YAML reads yes as true, 5 as a number
    return f"{flag}:{inside} {fault.said}{given}{quotes}."
