"""What fits the time budget, planned from speeds measured once. A plan is plain data and is kept in the run folder.

What does not fit is cut in this order, each step only if the ones before were not enough:

1. fine-tuning passes over the training rows fewer times (6, 4),
2. strategies take their first configuration instead of trying several,
3. fewer test rows (150, 100),
4. fine-tuning passes over the training rows 3 times,
5. fewer test rows (60),
6. fine-tuning passes over the training rows twice, and over half, then a quarter of them,
7. the strategies that take longest are left out.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from eval.contracts import Document, Example, Task
from strategies.answers import AnswerFormat
from strategies.base import Allowance
from strategies.models.base import Decoding, Embedder, LanguageModel, Prompt, Turn
from strategies.models.label_trie import LabelTrie
from strategies.retrieval.chunks import cut_documents
from strategies.workload import Profile, Tokens, Workload

MOST_EPOCHS = 6
RESERVE = 0.85
"""Share of the budget that is planned; the rest is for what no plan foresees."""
FIXED_SECONDS = 12.0
"""Loading, reading, statistics, report."""
LATENCY_SECONDS = 4.0
"""Longest measurement of latency, per strategy with a language model."""
STRATEGY_SECONDS = 1.5
"""What any strategy takes besides its tokens."""


@dataclass(frozen=True)
class Speeds:
    """Tokens a second of one language model on this machine, and passages a second of the embedder."""

    read: float
    written: float
    trained: float

    def seconds(self, tokens: Tokens) -> float:
        """How long so much work takes."""
        return tokens.read / self.read + tokens.written / self.written + tokens.trained / self.trained


class Plannable(Protocol):
    """The part of a strategy that planning needs."""

    def workload(self, profile: Profile, allowance: Allowance) -> Workload: ...


@dataclass(frozen=True)
class RunPlan:
    """What will be done, and how long it should take."""

    test_rows: int
    allowance: Allowance
    predicted: Mapping[str, float]
    """Seconds per strategy."""
    left_out: Sequence[str] = ()
    cuts: Sequence[str] = field(default_factory=tuple)
    """What was cut, in words, in order."""
    total: float = 0.0


@dataclass(frozen=True)
class _Step:
    say: str
    test_rows: int
    allowance: Allowance


def make_plan(
    strategies: Mapping[str, Plannable],
    profiles: Mapping[str, Profile],
    speeds: Mapping[str, Speeds],
    *,
    test_rows: int,
    fixed_test: bool,
    index_seconds: float,
    time_budget: float,
) -> RunPlan:
    """The fullest plan that fits. `profiles` and `speeds` are per strategy name; a given test set is never cut."""
    plan = None
    cuts: list[str] = []
    for step in _ladder(test_rows, fixed_test, profiles):
        predicted = {
            name: _seconds(strategy, profiles[name], speeds[name], step) for name, strategy in strategies.items()
        }
        total = FIXED_SECONDS + index_seconds + sum(predicted.values())
        if step.say:
            cuts.append(step.say)
        plan = RunPlan(step.test_rows, step.allowance, predicted, (), tuple(cuts), total)
        if total <= RESERVE * time_budget:
            return plan
    assert plan is not None
    return _leave_out(plan, time_budget)


def _ladder(test_rows: int, fixed_test: bool, profiles: Mapping[str, Profile]) -> list[_Step]:
    rows = max((p.train_rows for p in profiles.values()), default=0)
    step = _Step("", test_rows, Allowance(epochs=MOST_EPOCHS))
    steps = [step]

    def cut(say: str, *, test: int = 0, **allowance: object) -> None:
        nonlocal step
        step = _Step(say, test or step.test_rows, replace(step.allowance, **allowance))  # type: ignore[arg-type]
        steps.append(step)

    def epochs(most: int) -> None:
        cut(f"fine-tuning passes over the training rows at most {most} times", epochs=most)

    def fewer_test_rows(most: int) -> None:
        if most < step.test_rows and not fixed_test:
            cut(f"{most} test rows instead of {test_rows}", test=most)

    epochs(4)
    cut("strategies took their first configuration instead of trying several", tune=False)
    fewer_test_rows(150)
    fewer_test_rows(100)
    epochs(3)
    fewer_test_rows(60)
    epochs(2)
    for share, words in ((2, "half"), (4, "a quarter")):
        if rows // share >= 32:
            cut(f"fine-tuning learns from {words} of the training rows", train_rows=rows // share)
    return steps


def _seconds(strategy: Plannable, profile: Profile, speeds: Speeds, step: _Step) -> float:
    work = strategy.workload(profile, step.allowance)
    a_query = speeds.seconds(work.query)
    latency = LATENCY_SECONDS + 2.0 if a_query else 0.0  # the last query and the warm-up come on top
    return STRATEGY_SECONDS + speeds.seconds(work.fit) + step.test_rows * a_query + latency


def _leave_out(plan: RunPlan, time_budget: float) -> RunPlan:
    left_out: list[str] = []
    total = plan.total
    for name in sorted(plan.predicted, key=lambda name: -plan.predicted[name]):
        if total <= RESERVE * time_budget:
            break
        left_out.append(name)
        total -= plan.predicted[name]
    cuts = (*plan.cuts, *(f"{name} was left out" for name in left_out))
    return replace(plan, left_out=tuple(left_out), cuts=cuts, total=total)


def profile_of(
    task: Task, train: Sequence[Example], documents: Sequence[Document], model: LanguageModel, answers: AnswerFormat
) -> Profile:
    """A task in figures, from its training part."""
    inputs = model.count_tokens([e.input for e in train])
    outputs = model.count_tokens([e.target for e in train])
    passages = model.count_tokens([p.shown for p in cut_documents(documents)[:200]]) if documents else []
    trie = LabelTrie.build([[hash(w) for w in _pieces(label)] for label in answers.labels])
    return Profile(
        train_rows=len(train),
        input_tokens=sum(inputs) / len(train) + 8,  # what the chat template adds
        output_tokens=sum(outputs) / len(train),
        longest_output=answers.max_new_tokens,
        label_tokens=len(trie.tokens),
        passage_tokens=sum(passages) / len(passages) if passages else 0.0,
        instruction_tokens=model.count_tokens([task.description])[0] + 8,
    )


def _pieces(label: str) -> list[str]:
    """About the tokens of a label: four characters each."""
    return [label[i : i + 4] for i in range(0, len(label), 4)]


def measure_speeds(model: LanguageModel, train_pass: Callable[[LanguageModel], float] | None = None) -> Speeds:
    """Time a little reading, writing and training with text of ordinary length; about five seconds on two cores."""
    system = Turn("system", "Answer the question in a few words.")
    text = "The quick brown fox jumps over the lazy dog while the careful clerk counts every parcel twice. " * 6
    prompts = [Prompt((system, Turn("user", f"{i}. {text}")), 1) for i in range(32)]
    model.generate(prompts[:2], Decoding(2))
    reading = _timed(lambda: model.generate(prompts, Decoding(1)))
    steps = 16
    writing = _timed(lambda: model.generate(prompts, Decoding(steps)))
    tokens = sum(model.prompt_tokens(p) for p in prompts)
    read = tokens / max(reading, 1e-9)
    written = len(prompts) * (steps - 1) / max(writing - reading, 1e-3)
    trained = train_pass(model) if train_pass else math.inf
    return Speeds(read, written, trained)


def training_speed(model: LanguageModel) -> float:
    """Packed training tokens a second; infinite where the model cannot be trained, so that no time is planned."""
    from strategies.models.transformers_lm import TransformersModel
    from strategies.training.lora import LoraSettings, train_lora

    if not isinstance(model, TransformersModel):
        return math.inf
    system = Turn("system", "Answer the question in a few words.")
    question = Turn("user", "Where is the parcel that I sent last week, who signed for it, and when? " * 4)
    pairs = [(Prompt((system, question), 1), "the depot")] * 32
    steps: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        settings = LoraSettings(epochs=1)
        log = train_lora(
            model,
            pairs,
            settings,
            Path(folder),
            lambda: 0.0,
            on_step=lambda done, total: steps.append(time.perf_counter()),
        )
    return log.tokens * (len(steps) - 1) / len(steps) / (steps[-1] - steps[0])  # the first step warms up


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def index_seconds(documents: Sequence[Document], embedder: Embedder) -> float:
    """How long embedding the documents will take, from a sample of at most 32 passages."""
    passages = cut_documents(documents)
    if not passages:
        return 0.0
    sample = [p.shown for p in passages[:: max(1, len(passages) // 32)]][:32]
    embedder.encode(sample[:2])
    return _timed(lambda: embedder.encode(sample)) * len(passages) / len(sample)
