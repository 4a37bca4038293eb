"""What the service takes and gives, as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, FailFast, Field, field_validator

from advisor.decide import Verdict
from advisor.economics import Hosting, PriceFile
from advisor.error_costs import ErrorCost
from advisor.report.schema import Finding, Role, Status
from advisor.request import Name, Options, PlanOptions
from advisor.runs import REPORT
from api.tables import Comparison, State
from eval.reading.text import SURROGATE

LONGEST_TEXT = 100_000


class TaskFields(BaseModel):
    """A task in fields; only the description is needed."""

    model_config = ConfigDict(extra="forbid")

    description: str = Field(min_length=1, max_length=LONGEST_TEXT)
    name: Name | None = None
    kind: Literal["classification", "extraction", "qa", "generation"] | None = None
    metric: Name | None = None
    labels: list[Name] | None = Field(default=None, max_length=1000)
    json_keys: list[Name] | None = Field(default=None, max_length=1000)


class ComparisonOptions(Options):
    """The options of `advisor compare`, with underscores."""

    task: TaskFields | str
    """A sentence, or fields; as a form field, fields are JSON."""
    prices: PriceFile | None = None

    @field_validator("task")
    @classmethod
    def _described(cls, task: TaskFields | str) -> TaskFields | str:
        if isinstance(task, str) and not 0 < len(task.strip()) <= LONGEST_TEXT:
            raise ValueError(f"say in 1 to {LONGEST_TEXT} characters what the model is asked to do")
        return task


class Rows(BaseModel):
    """Data in a JSON body, in place of files."""

    examples: list[dict[str, Any]] = Field(min_length=1)
    """Objects with an input and an output, under the usual names or those of `input_columns` and `output_column`."""
    documents: list[dict[str, Any]] | None = None
    """Objects with a text and, if there is one, a title and an id."""
    test: list[dict[str, Any]] | None = None
    incumbent: list[dict[str, Any]] | None = None


class ComparisonBody(ComparisonOptions, Rows):
    """A comparison as a JSON body."""


class ComparisonForm(ComparisonOptions):
    """A comparison as a form with files. Lists have commas; `task`, `prices` and `error_cost` may be JSON; `min_recall`
    is JSON, or comes once for each LABEL=RATE."""

    examples: bytes = Field(json_schema_extra={"format": "binary"})
    documents: list[bytes] | None = None
    """One table, one zip of texts, or texts."""
    test: bytes | None = None
    incumbent: bytes | None = None


class AuditOptions(PlanOptions):
    """The options of `advisor audit`, and of the plan that may come with it."""

    task: TaskFields | str = "Answer as the examples do."
    estimate: bool = False
    """Whether to plan the comparison as well, which takes some seconds more."""


class AuditBody(AuditOptions, Rows):
    """An audit as a JSON body."""


class AuditForm(AuditOptions):
    """An audit as a form with files."""

    examples: bytes = Field(json_schema_extra={"format": "binary"})
    documents: list[bytes] | None = None
    test: bytes | None = None
    incumbent: bytes | None = None


class StrategyDone(BaseModel):
    """A strategy that is done."""

    outcome: Literal[Status, "left_out"]
    quality: float | None
    """Its metric on the test rows, 0 to 1."""


class Advice(BaseModel):
    """The recommendation in short; the report has the rest."""

    strategy: str | None
    verdict: Verdict
    headline: str
    keeps_incumbent: bool = False
    """Today's system is to be kept; `strategy` is then the best to put in its place."""
    falls_short: bool = False
    """`strategy` is the best of those tried, and not good enough to be called a solution; the headline says why."""


class FileNote(BaseModel):
    """A file that came with the request."""

    name: str
    bytes: int
    sha256: str


class ComparisonView(BaseModel):
    """A comparison as its owner sees it."""

    id: str
    state: State
    phase: str
    progress: float = Field(ge=0, le=1)
    seconds_left: float | None
    task: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    attempts: int
    strategies: dict[str, StrategyDone]
    recommendation: Advice | None
    reason: str | None
    """Why it failed."""
    options: dict[str, Any]
    files: dict[str, FileNote]
    links: dict[str, str]

    @classmethod
    def of(cls, row: Comparison) -> ComparisonView:
        """What a row says."""
        at = f"/v1/comparisons/{row.id}"
        links = {"self": at, "events": f"{at}/events", "page": f"/comparisons/{row.id}"}
        if row.state == State.SUCCEEDED:
            links |= {name.split(".")[-1]: f"{at}/{name}" for name in (REPORT, "report.html", "report.md")}
            if row.recommendation and row.recommendation["strategy"]:
                links |= {"solution": f"{at}/solution.zip", "predict": f"{at}/predict"}
        return cls(
            id=row.id, state=State(row.state), phase=row.phase, progress=row.progress, seconds_left=row.seconds_left,
            task=row.task, created_at=moment(row.created_at), started_at=moment_or_none(row.started_at),
            ended_at=moment_or_none(row.ended_at), attempts=row.attempts, strategies=row.strategies,
            recommendation=Advice.model_validate(row.recommendation) if row.recommendation else None,
            reason=row.reason, options=row.options,
            files={role: FileNote.model_validate(stored) for role, stored in row.files.items()}, links=links,
        )  # fmt: skip


def moment(seconds: float) -> datetime:
    """Seconds since 1970 as a time."""
    return datetime.fromtimestamp(seconds, UTC)


def moment_or_none(seconds: float | None) -> datetime | None:
    """As `moment`, where there is one."""
    return None if seconds is None else moment(seconds)


class Page(BaseModel):
    """Some comparisons, the newest first."""

    comparisons: list[ComparisonView]
    next: str | None
    """Give it as `cursor` for those before; None where there are none."""


class Deleted(BaseModel):
    """What is gone, and what is not."""

    id: str
    deleted: Literal[True] = True
    removed: str = "The request, its files, events, reports, answers and the kept solution."
    kept: str = "The audit log's lines on who asked for it, read its solution and deleted it, by id alone."


def _whole(text: str) -> str:
    if SURROGATE.search(text):
        raise ValueError("a text holds half a character (a lone surrogate)")
    return text


class Inputs(BaseModel):
    """Texts to answer."""

    model_config = ConfigDict(extra="forbid")

    inputs: Annotated[list[Annotated[str, AfterValidator(_whole)]], FailFast()] = Field(min_length=1)


class Answer(BaseModel):
    """The kept solution's answer."""

    input: str
    output: str
    confidence: float | None = None
    sources: list[str] = []
    usage: dict[str, Any] = {}
    error: str | None = None


class Answers(BaseModel):
    """Answers in the order of the inputs."""

    answers: list[Answer]


class ReadRow(BaseModel):
    """An example."""

    input: str
    output: str


class Forecast(BaseModel):
    """What a comparison would do, how long it would take, and what it would cost."""

    predicted_seconds: float
    folds: int
    """1 for one holdout."""
    cuts: list[str]
    """What is given up to come near the time budget."""
    over_budget: str | None
    """Where even this plan takes longer than the time budget: a sentence."""
    most_usd: float | None
    """What calls of hosted models should cost, at the most; null where there are none."""


class AuditView(BaseModel):
    """The audit of data, and how they were read."""

    findings: list[Finding]
    columns: list[str]
    """Of the examples."""
    examples: int
    documents: int
    first_rows: list[ReadRow]
    """As they were understood."""
    plan: Forecast | None = None
    """Where `estimate` asked for it."""
    no_plan: str | None = None
    """Why there is none all the same."""


class ModelView(BaseModel):
    """A base model that may be named."""

    name: str
    role: Role
    available: bool
    """Whether it is on the service's machine."""


class Models(BaseModel):
    """All of them."""

    models: list[ModelView]


class Change(BaseModel):
    """What to decide with instead; what is not given stays as it was."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    volume: int | None = Field(default=None, ge=0, le=10**12)
    hosting: Hosting | None = None
    min_replicas: int | None = Field(default=None, ge=1, le=10_000)
    peak_qps: float | None = Field(default=None, gt=0)
    prices: PriceFile | None = None
    tolerance: float | None = Field(default=None, ge=0, le=100)
    min_quality: float | None = Field(default=None, ge=0, le=1)
    max_cost_per_1k: float | None = Field(default=None, gt=0)
    max_latency_ms: float | None = Field(default=None, gt=0)
    min_recall: dict[Name, Annotated[float, Field(ge=0, le=1)]] | None = Field(default=None, max_length=100)
    error_cost: ErrorCost | None = None


class Health(BaseModel):
    """Whether the service works."""

    status: Literal["ok"] = "ok"
    workers: int | None = None
    """How many are alive; without one, comparisons wait."""
    free_bytes: int | None = None
    """On the disk of the data folder."""
