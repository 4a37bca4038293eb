"""What a strategy is, and what it is given to work with."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from eval.contracts import Document, Example, Kind, Solution, Task
from eval.errors import NotApplicable
from strategies.models.base import Embedder, LanguageModel
from strategies.models.embedding_cache import recalled_seconds
from strategies.racing import Meter
from strategies.retrieval.chunks import MOST_WORDS, cut_documents
from strategies.retrieval.index import PassageIndex
from strategies.workload import Profile, Speeds, Workload

Family = Literal["baseline", "prompt", "retrieval", "finetune", "combination"]
Standing = Literal["plain", "further", "dispensable"]
"""What a plan leaves out first where time is short: what is dispensable, before the others are given less; then what
goes further than the plain form of its family; that form last."""
SHORTENED = "shortened_to_epochs"
"""In a fit's configuration: how many of the planned epochs of training there was time for, where not for all."""
TRAINED: tuple[Family, ...] = ("finetune", "combination")
"""Families whose fits depend on a seed."""


@dataclass
class FitLog:
    """What a strategy tells about its fitting, for the report."""

    config: dict[str, Any] = field(default_factory=dict)
    """The configuration that was chosen. Plain JSON values."""
    trials: list[dict[str, Any]] = field(default_factory=list)
    """Every configuration tried, with its dev quality."""
    curve: list[dict[str, float]] = field(default_factory=list)
    """Per epoch of training: epoch, train_loss, and, where rows watch it, dev_quality and dev_loss."""
    train_examples: int = 0
    held_out: tuple[str, ...] = ()
    """Ids of training rows that the solution neither learnt from nor shows, though it may have been chosen by them."""
    index_seconds: dict[int, float] = field(default_factory=dict)
    """What another fit had spent on each index that was used (see `Workshop.indexes`); 0 where this one made it."""
    failure: str = ""
    """Why the infrastructure left rows unanswered that were to choose by; empty where it left none."""
    guard_fired: bool = False
    """The wall clock ended the work before its plan did."""


@dataclass(frozen=True)
class Allowance:
    """How much a strategy may spend, planned from measured speeds before anything is fitted."""

    epochs: int = 4
    """Passes of training over its rows, at most; over few rows more (see `strategies.finetuning.passes`)."""
    train_rows: int = 1_000_000
    """Rows that training passes over each epoch, at most."""
    dev_rows: int = 64
    """Rows of the training part that are set aside to choose by, at most."""
    tuning_seconds: float = math.inf
    """Model-seconds (see `strategies.racing.Meter`) that choosing among configurations may take, beside one fit with
    the first one: the same for every strategy."""
    adapter_search: bool = False
    """Whether fine-tuning may spend them too, on whole trainings with other settings."""
    fixed_epochs: int | None = None
    """Train for exactly so many epochs, without choosing among them: for a fit on all examples after cross-fitting."""
    chosen_before: Sequence[Mapping[str, Any]] = ()
    """What the fits chose that were measured: for a fit on all examples, which chooses among what most of them did."""
    deadline: float = math.inf
    """`time.monotonic()` value at which training ends, whatever the plan said."""


@dataclass(frozen=True)
class Given:
    """What another strategy made of the very same rows with the same seed and allowance."""

    folder: Path
    """Its solution."""
    config: Mapping[str, Any]
    """Its log's, as the rest."""
    curve: Sequence[dict[str, float]] = ()
    train_examples: int = 0
    seconds: float = 0.0
    """That it took."""


NO_DOCUMENTS = "there are no documents to retrieve from"


@dataclass
class Workshop:
    """Everything that fitting needs besides the task and its training examples. Passed, never global."""

    language_model: LanguageModel
    embedder: Embedder
    documents: Sequence[Document]
    folder: Path
    """A folder of this fit's own, for adapters."""
    seed: int = 0
    allowance: Allowance = Allowance()
    progress: Callable[[str, int, int], None] = lambda phase, done, total: None
    """Called with what is under way, how many steps are done and how many there are."""
    log: FitLog = field(default_factory=FitLog)
    speeds: Speeds | None = None
    """Of the language model, by which work is counted; without them it is free."""
    given: Given | None = None
    """A fit of the strategy that this one builds on, where there is one; else it fits that itself."""
    meter: Meter = field(init=False)
    """What choosing among configurations has taken in this fit, and may take."""

    no_documents: str = NO_DOCUMENTS
    """Why there are none, where there are none."""
    indexes: dict[int, tuple[PassageIndex, float]] = field(default_factory=dict, repr=False)
    """The documents by the most words of a passage, and the seconds that each index took; shared by all fits."""

    def __post_init__(self) -> None:
        self.meter = Meter(self.allowance.tuning_seconds, self.speeds)

    def index(self, words: int = MOST_WORDS) -> PassageIndex:
        """The documents, cut into passages of at most so many words and embedded, once for all fits."""
        if words not in self.indexes:
            start, before = time.perf_counter(), recalled_seconds(self.embedder)
            index = PassageIndex.build(cut_documents(self.documents, words), self.embedder)
            recalled = recalled_seconds(self.embedder) - before
            self.indexes[words] = index, time.perf_counter() - start + recalled
            self.log.index_seconds[words] = 0.0
        index, seconds = self.indexes[words]
        self.log.index_seconds.setdefault(words, seconds)
        return index

    @property
    def has_passages(self) -> bool:
        """Whether there is any text to retrieve."""
        return bool(self.documents) and bool(self.index().passages)

    def for_fit(
        self,
        folder: Path,
        allowance: Allowance,
        progress: Callable[[str, int, int], None],
        seed: int,
        given: Given | None = None,
    ) -> Workshop:
        """A workshop for one fit that shares the models and the indexes of this one."""
        fresh = replace(self, folder=folder, allowance=allowance, progress=progress, log=FitLog())
        return replace(fresh, seed=seed, given=given)


class Strategy(Protocol):
    """A way of turning a task and its training examples into a solution. Ours inherit what most of them are."""

    name: str
    family: Family
    needs_documents: bool = False
    uses_language_model: bool = True
    standing: Standing = "further"
    kinds: Sequence[Kind] = tuple(Kind)
    """Kinds of task that it works on, all or one; `fit` refuses the others."""

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        """Make a solution from the training examples and the workshop's documents.

        Raises NotApplicable, with the reason, where the strategy cannot work on this task.
        """
        ...

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        """What fitting and one query cost, in tokens, for planning. Zero where no model works."""
        ...


_NOT_FOR_OTHERS = {
    Kind.CLASSIFICATION: "the answers are not labels",
    Kind.QA: "the task is not to answer questions",
    Kind.GENERATION: "the answers are not rewritings of the input",
}
"""Why a strategy for one kind of task is none for the others."""


def check_suits(strategy: Strategy, task: Task, workshop: Workshop) -> None:
    """Raise NotApplicable where a strategy needs documents and there are none, or is for another kind of task."""
    if strategy.needs_documents and not workshop.has_passages:
        raise NotApplicable(workshop.no_documents)
    if task.kind not in strategy.kinds:
        raise NotApplicable(_NOT_FOR_OTHERS[strategy.kinds[0]])
