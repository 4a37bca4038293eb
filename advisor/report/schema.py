"""`report.json`: the public record of a comparison. The schema in docs/report.schema.json is made from these models."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from advisor.decide import Verdict
from advisor.economics import PEAK_RATIO, Hosting, TokenPrices
from advisor.error_costs import ErrorCost
from eval.findings import Severity
from strategies.base import Family

SCHEMA_VERSION = "1.0"
INCUMBENT = "incumbent"
"""Name under which the outputs of the system in use today take part."""

Status = Literal["ok", "failed", "stopped_early", "not_applicable"]
Role = Literal["language_model", "embedder"]
Source = Literal["split", "file", "latest"]
"""Where test rows come from: drawn from the examples, the client's own file, or the latest of the examples."""


class Model(BaseModel):
    """Base of all parts: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Finding(Model):
    """Something the audit noticed about the data, and what was done about it."""

    code: str
    severity: Severity
    count: int
    rows: list[str] = Field(default_factory=list)
    """Row numbers or ids, at most the first 100; `count` is the full number."""
    message: str
    action: str


class TaskPart(Model):
    name: str
    description: str
    kind: str
    metric: str
    labels: list[str] | None = None


class PlanOffer(Model):
    kind: Literal["cross_fit", "holdout"]
    folds: int
    predicted_seconds: float
    chosen: bool


class Plan(Model):
    kind: Literal["cross_fit", "holdout"]
    folds: int
    repeats: int = 1
    """Planned fits of each fine-tuned strategy per fold, with different seeds."""
    train: int
    """Rows for fitting (of a fold), the dev rows among them."""
    dev: int
    """Rows of the training part that fine-tuning and tuning choose by, at most."""
    tuning_seconds: float | None = None
    """Model-seconds that each strategy could spend, in each fit, on choosing its configuration."""
    test: int
    """Rows tested on, over all folds; with cross-fitting, every example is one."""
    test_source: Source = "split"
    refit: bool = False
    """Whether what is kept was fitted again on all examples."""
    offers: list[PlanOffer] = Field(default_factory=list)
    """The ways of dividing the examples that were weighed, the strongest first."""
    smallest_difference: float | None = None
    """Between the pick and the runner-up: what these rows show with 80 % power."""
    cuts: list[str] = Field(default_factory=list)
    """What was cut to fit the time budget, in the order it was cut."""
    predicted_seconds: float
    time_budget: float

    def seeds(self, fit: Fit) -> int:
        """With how many of them a strategy was fitted."""
        return fit.count // self.folds


class DataPart(Model):
    examples: int
    documents: int
    input_columns: list[str] = Field(default_factory=list)
    """Of the examples: what makes the input, there and in files that the kept solution is to answer."""
    plan: Plan
    findings: list[Finding] = Field(default_factory=list)
    stated: list[str] = Field(default_factory=list)
    """Sentences on what was taken: the kind of task and its metric, how rows were grouped, ordered, matched."""


class ModelInfo(Model):
    name: str
    role: Role
    sha256: str | None = None
    revision: str | None = None
    licence: str | None = None
    parameters: int | None = None
    precision: str | None = None
    """What it computed in on this machine; None for hosted models."""


class Environment(Model):
    device: str
    cpu: str
    gpu: str | None = None
    threads: int
    libraries: dict[str, str]
    models: list[ModelInfo]


class Quality(Model):
    metric: str
    value: float
    ci95: tuple[float, float]
    n: int
    """Rows scored."""
    correct: int | None = None
    """Rows right, where a row is either right or wrong; with several fits, on average over them."""
    unscored: int = 0
    """Rows that an infrastructure failure left without a score."""
    unusable: int = 0
    """Answers that could not be used (invalid JSON, context overflow); they score 0. With several fits, on average over
    them, rounded up."""
    per_label: dict[str, float] | None = None
    """Recall of each label that occurs among the test targets (classification)."""
    per_fold: list[float] | None = None
    """Of each fit on each fold."""
    per_fit: list[float] | None = None
    """Over all folds, for each of several fits that differ in their seed alone; `value` is their mean."""


class Tokens(Model):
    input: float
    output: float
    cached: float = 0.0
    estimated: bool = False
    """Whether some of them are, since the server did not count them."""


class Cost(Model):
    per_query_usd: float
    """At the stated volume, the idle hours of machines that are always on included."""
    per_1k_usd: float
    training_usd: float
    """Paid once: training (of a hosted model the tokens of choosing a configuration), and the effort of setting up
    where its price was given."""
    monthly_usd: float
    """At the stated volume, with what is paid once spread over the stated months, and training again."""
    retraining_usd: float = 0.0
    """A month, for training again as often as the prices say."""
    machines: int = 0
    """That are always on."""
    errors_per_1k_usd: float | None = None
    """What its wrong answers cost, where they have a price; in no other figure here."""
    watt_hours_per_1k: float | None = None
    """Of busy time; None where the machine's power was not given."""
    tokens: Tokens
    """Per query, on average."""
    basis: str


class LoadLevel(Model):
    """So many queries at once, again and again: answered as one batch, or sent side by side to a hosted model."""

    parallel: int
    p50_ms: float
    p95_ms: float
    throughput_qps: float


class LatencyPart(Model):
    p50_ms: float
    p95_ms: float
    p99_ms: float | None = None
    """Of fewer than 50 queries this is the slowest."""
    n: int
    """Queries behind p50, p95 and p99."""
    repeated: int = 0
    """Further queries, left out since they had to be asked more than once: the server limits their rate, or failed."""
    first_token_p50_ms: float | None = None
    throughput_qps: float
    rows_a_call: int | None = None
    """Rows that were answered together, behind `throughput_qps`."""
    concurrency: int = 1
    """Queries at once behind p50, p95 and p99; `load` tells of more."""
    load: list[LoadLevel] = Field(default_factory=list)
    """Of the pick: how latency and throughput go with the queries that arrive together."""


class LearningPoint(Model):
    """Quality with a part of the training rows, on the test rows of the first fold."""

    share: float
    train_examples: int
    value: float
    ci95: tuple[float, float]
    gain_to_all: float | None = None
    """What all training rows bring over this part, on the same test rows."""
    gain_ci95: tuple[float, float] | None = None
    """Of further rows, and of fits with other seeds, where there are several that show how much these differ."""


class Refit(Model):
    """The fit on all examples."""

    seconds: float
    train_examples: int
    artefact_bytes: int
    epochs: int | None = None
    checked_on: int = 0
    """Rows that it was checked on, since it did not learn from them."""
    quality: float | None = None
    floor: float | None = None
    rejected: str | None = None
    """Why a measured fit is kept instead."""


class Fit(Model):
    seconds: float
    """Of one fit, the median."""
    count: int = 1
    """Fits that were measured: folds times seeds."""
    shortened: int = 0
    """Of them, whose training was planned anew for fewer epochs, since the machine was slower than when it was planned.
    """
    trials: int = 1
    tuning_seconds: float = 0.0
    """Model-seconds that choosing among the trials took, in the first fit."""
    train_examples: int
    curve: list[dict[str, float]] | None = None
    """Per epoch of the first fit: epoch, train_loss, dev_loss, dev_quality."""
    learning_curve: list[LearningPoint] | None = None
    refit: Refit | None = None


class Footprint(Model):
    artefact_bytes: int
    peak_memory_bytes: int


class SideEffects(Model):
    """What tuning did to the model besides the task, in its first fit."""

    general_before: float
    """Share of general questions, which have nothing to do with the task, that the base model answers rightly."""
    general_after: float
    general_questions: int
    perplexity_before: float
    """Of ordinary text, per token; the higher, the less natural it seems to the model."""
    perplexity_after: float
    same_when_repeated: float
    """Share of answers that are the same when a question is asked alone instead of among others."""
    same_when_reworded: float
    """The same with other case, other punctuation, or a slip of the pen."""
    inputs: int
    """Questions that were asked so."""


class StrategyResult(Model):
    name: str
    family: Family
    model: str | None = None
    config: dict[str, JsonValue] = Field(default_factory=dict)
    status: Status
    reason: str | None = None
    quality: Quality | None = None
    secondary: dict[str, float] = Field(default_factory=dict)
    cost: Cost | None = None
    latency: LatencyPart | None = None
    untimed: str | None = None
    """Why its latency could not be measured."""
    fit: Fit | None = None
    side_effects: SideEffects | None = None
    """Measured for the best fine-tuned strategy."""
    footprint: Footprint | None = None


class Comparison(Model):
    """A paired difference in quality, `a` minus `b`, on the same rows."""

    a: str
    b: str
    difference: float
    standard_error: float
    fit_error: float = 0.0
    """The part of the standard error that is due to the spread between fits."""
    ci95: tuple[float, float]
    p_value: float | None = None
    p_adjusted: float | None = None
    n: int


class BreakEven(Model):
    a: str
    b: str
    queries_per_month: float | None = None
    """Volume above which `a` is the cheaper; None where they never change places."""


class Recommendation(Model):
    strategy: str | None
    verdict: Verdict
    headline: str
    """One sentence a client can read."""
    summary: list[str] = Field(default_factory=list)
    """What follows it, in plain words: today's system, the cost, the alternative, what is not sure."""
    scope: str
    probability_best: dict[str, float] = Field(default_factory=dict)
    expected_loss: dict[str, float] = Field(default_factory=dict)
    runner_up: str | None = None
    reasons: list[str] = Field(default_factory=list)
    caveats: list[str] = Field(default_factory=list)
    sensitivity: list[str] = Field(default_factory=list)
    """What would flip the decision, and what more examples bring."""
    rows_needed: int | None = None
    """More test rows that would part the pick from the others; None where no number would."""
    gain_over_incumbent: float | None = None
    """Quality of the recommended strategy minus that of today's system."""
    keeps_incumbent: bool = False
    """Today's system is to be kept; `strategy` is then the best to put in its place."""
    falls_short: bool = False
    """`strategy` is the best of those tried, and not good enough to be called a solution; the headline says why."""
    break_even: list[BreakEven] = Field(default_factory=list)
    next_step: str


class Artefact(Model):
    path: str
    kind: str
    sha256: dict[str, str]
    how_to_use: str


class Timing(Model):
    total_seconds: float
    phases: dict[str, float]


class Settings(Model):
    """The options that the decision was made with."""

    volume: int
    months: int
    tolerance_points: float
    min_quality: float | None = None
    max_cost_per_1k: float | None = None
    max_latency_ms: float | None = None
    min_recall: dict[str, float] = Field(default_factory=dict)
    """By label."""
    error_cost: ErrorCost | None = None
    """USD that a wrong answer costs, or a matrix of these."""
    hosting: Hosting = "scale-to-zero"
    min_replicas: int = 1
    peak_qps: float | None = None
    """As stated, moved with the volume where that alone was changed; None where `peak_ratio` was assumed."""
    peak_ratio: float = PEAK_RATIO
    """Load at its peak over the mean load."""
    machine: str
    machine_hourly_usd: float
    price_source: str
    watts: float | None = None
    token_prices: dict[str, TokenPrices] = Field(default_factory=dict)
    """By model, USD per million tokens."""
    effort_usd: dict[str, float] = Field(default_factory=dict)
    """By family, paid once."""
    retrainings_per_year: float = 0.0
    label_usd: float | None = None
    """Of one labelled example."""


class SampleAnswer(Model):
    """One test row, with the answers of several strategies; texts that are cut end in `…`."""

    id: str
    input: str
    target: str
    answers: dict[str, str]
    scores: dict[str, float | None]


class FieldQuality(Model):
    """How often the recommended strategy is right on one field of answers that are JSON or lines of fields."""

    field: str
    """`a.b` for nested keys, `a[]` for items of a list."""
    values: int
    """In the targets of the test rows."""
    found: float
    """Share of them that the answers have."""


class CostStep(Model):
    """A volume beyond which one more machine is on."""

    queries_per_month: float
    monthly_usd: tuple[float, float]
    """Up to it, and beyond."""


class CostLine(Model):
    """What a strategy costs by the volume."""

    strategy: str
    counts: bool
    """Whether its cost can make it the pick: it is as good as the best for this purpose, or errors have a price."""
    monthly_usd: list[float]
    """At each volume, that of wrong answers included where they have a price."""
    steps: list[CostStep] = Field(default_factory=list)
    """Of machines that are always on, those by which they become at least a tenth more."""


class PickFrom(Model):
    """The strategy that is picked from a volume on."""

    queries_per_month: float
    strategy: str | None


class Volumes(Model):
    """The decision by the volume, all else as it is."""

    queries_per_month: list[int]
    picks: list[str | None]
    """At each volume."""
    lines: list[CostLine]
    changes: list[PickFrom]
    """Exactly where the pick changes, from the least volume on."""
    searched: tuple[float, float] | None = None
    """Between which volumes changes were looked for, where that is not all that is shown."""


class Report(Model):
    schema_version: str = SCHEMA_VERSION
    run_id: str
    created_at: str
    seed: int
    task: TaskPart
    data: DataPart
    environment: Environment
    settings: Settings
    strategies: list[StrategyResult]
    comparisons: list[Comparison]
    recommendation: Recommendation
    artefact: Artefact | None = None
    samples: list[SampleAnswer] = Field(default_factory=list)
    """Some of the rows that the recommended strategy got most wrong, with the runner-up's answers."""
    rows: list[SampleAnswer] = Field(default_factory=list)
    """The test rows behind the figures, with shortened texts, the recommended strategy's worst first; besides its
    answers those of the runner-up, the best baseline and today's system."""
    label_rows: dict[str, int] = Field(default_factory=dict)
    """Test rows of each label (classification)."""
    fields: list[FieldQuality] = Field(default_factory=list)
    """Of JSON answers, the recommended strategy's."""
    volumes: Volumes | None = None
    timing: Timing
    spent_usd: float | None = None
    """What calls of hosted models cost in this run, all attempts together, as the spending cap counts them; None where
    nothing was spent."""

    def result(self, name: str) -> StrategyResult:
        """The strategy of that name."""
        return next(s for s in self.strategies if s.name == name)


if __name__ == "__main__":
    import json

    print(json.dumps(Report.model_json_schema(), indent=1))
