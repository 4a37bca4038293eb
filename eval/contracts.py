"""The nouns that every other module shares. Plain data, no behaviour beyond the obvious."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class Kind(StrEnum):
    """What a task asks for. It decides which metric and which way of answering are natural."""

    CLASSIFICATION = "classification"
    EXTRACTION = "extraction"
    QA = "qa"
    GENERATION = "generation"


@dataclass(frozen=True)
class Task:
    """A client's task, complete: kind and metric are given or inferred (`eval.tasks.complete`)."""

    description: str
    """One sentence: what the model is asked to do."""
    kind: Kind
    metric: str
    """A name in `eval.metrics.METRICS`."""
    name: str = "task"
    labels: tuple[str, ...] = ()
    """Labels that the client states. Empty: strategies take those of the examples they are fitted on."""
    json_keys: tuple[str, ...] = ()
    """Keys that the client states for JSON answers. Empty: taken from the examples fitted on."""


@dataclass(frozen=True)
class Example:
    """One labelled row."""

    id: str
    input: str
    targets: tuple[str, ...]
    """Accepted answers, the preferred one first; never empty."""
    row: int = 0
    """Data record in the source file, counted from 1 without the header; 0 where there is no file."""
    group: str = ""
    """Rows that share it stay on one side of every split, and are one cluster in statistics. Empty: on its own."""

    @property
    def target(self) -> str:
        """The preferred answer."""
        return self.targets[0]


@dataclass(frozen=True)
class Document:
    """One document of the client's, or one passage where the client cut them already."""

    id: str
    text: str
    title: str = ""


@dataclass(frozen=True)
class Usage:
    """Tokens that a language model read and wrote. Adds with `+`."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """The part of `input_tokens` whose key/value state was reused from an earlier query."""
    estimated: bool = False
    """Whether some of them are an estimate, since a server did not count them."""
    repeated: bool = False
    """Whether a call had to be made again, after a wait, since the server limits their rate or failed."""

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.estimated or other.estimated,
            self.repeated or other.repeated,
        )


NO_USAGE = Usage()


@dataclass(frozen=True)
class Prediction:
    """A solution's answer to one input."""

    text: str
    usage: Usage = NO_USAGE
    confidence: float | None = None
    """Probability of the answer among the labels, where the model gives one."""
    sources: tuple[str, ...] = ()
    """Ids of the documents or examples that were shown to the model, best first."""
    context: str | None = None
    """The passages of documents that were shown to the model; None where it looks into none."""
    error: str | None = None
    """Why the answer is unusable (context overflow, say). Such an answer scores 0."""
    first_token_seconds: float | None = None


class Solution(Protocol):
    """Something that answers. Strings in, so that targets cannot leak."""

    def predict(self, inputs: Sequence[str]) -> list[Prediction]:
        """Answer each input, in order. Never raises for a bad input: it says so in `Prediction.error`."""
        ...

    def save(self, folder: Path) -> None:
        """Write everything needed to answer again; `strategies.solutions.load_solution` is the inverse."""
        ...


@dataclass(frozen=True)
class Outcome:
    """One example, answered and scored."""

    example: Example
    prediction: Prediction
    score: float | None
    """In [0, 1]; None where the infrastructure failed and nothing can be said."""
    seconds: float
    """Wall-clock share of this row in its batch."""
    problem: str | None = None
    """Why the score is 0 or missing, where that is known: invalid JSON, not a known label, time-out."""
    context_recall: float | None = None
    """The share of the answer's words that the passages shown to the model hold; the passages are not kept."""


@dataclass(frozen=True)
class Latency:
    """One query at a time, after a warm-up. Seconds."""

    p50: float
    p95: float
    n: int
    first_token_p50: float | None = None
    p99: float | None = None
    """Of fewer than 50 queries this is the slowest; None in records that were kept before it was measured."""
    repeated: int = 0
    """Queries that were left out since they had to be asked more than once."""


@dataclass(frozen=True)
class Load:
    """So many queries at once, again and again: each answered in a batch with those that arrived with it."""

    parallel: int
    p50: float
    """Seconds until the batch is answered, which is how long each of its queries takes."""
    p95: float
    throughput: float
    """Queries a second."""
    n: int
    """Batches."""


@dataclass(frozen=True)
class Evaluation:
    """What one solution did on one set of examples."""

    metric: str
    outcomes: tuple[Outcome, ...]
    seconds: float
    """Wall-clock seconds of answering all rows in batches."""
    secondary: dict[str, float] = field(default_factory=dict)
    """Other metrics of the same answers, by name."""
    latency: Latency | None = None
    calls: int = 0
    """In how many calls of `predict` the rows were answered; 0 where that is not known."""

    @property
    def scores(self) -> list[float]:
        """Scores of the rows that were scored, in order."""
        return [o.score for o in self.outcomes if o.score is not None]

    @property
    def usage(self) -> Usage:
        """Sum over rows."""
        total = NO_USAGE
        for outcome in self.outcomes:
            total = total + outcome.prediction.usage
        return total

    @property
    def asked(self) -> int:
        """Rows that took any time: none does that was not asked because the time was up."""
        return sum(1 for o in self.outcomes if o.seconds > 0)

    @property
    def throughput(self) -> float:
        """Queries per second in batches."""
        return self.asked / self.seconds if self.seconds > 0 else 0.0

    @property
    def rows_a_call(self) -> int | None:
        """Rows answered together, on average; None where that is not known."""
        return round(self.asked / self.calls) if self.calls else None
