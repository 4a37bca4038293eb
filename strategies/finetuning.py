"""Strategies that change the model: LoRA adapters, alone, with retrieved passages, or with similar examples."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, replace

from eval.contracts import Example, Kind, Solution, Task
from eval.errors import NotApplicable
from strategies.answers import AnswerFormat, canonical
from strategies.base import Allowance, Family, Workshop
from strategies.baselines import NOT_A_CLASSIFICATION
from strategies.models.base import LanguageModel
from strategies.models.batching import PACK_TOKENS
from strategies.pipeline import DocumentRetriever, ExampleRetriever, Pipeline
from strategies.prompting import WITHOUT_DOCUMENTS
from strategies.prompts import PromptTemplate
from strategies.retrieval.contexts import shortest_context
from strategies.retrieval.index import ExampleIndex
from strategies.tuning import EPOCH_ROWS, dev_rows, parts, quality
from strategies.workload import (
    SEARCHED_HALF_TUNED,
    SEARCHED_TUNED,
    Profile,
    Tokens,
    Workload,
    answering,
    training,
)

FEWEST_ROWS = 16
DEV_LOSS_ROWS = 16
"""Rows whose loss is compared with that of the rows learnt from."""
PASSES, JSON_PASSES = 4, 8
"""Over the training rows: what more of them gain is lost again, but for answers with many parts to get right."""
TINY_MODEL, SMALL_MODEL = 250_000_000, 1_000_000_000
"""Of fewer parameters."""


class Lora:
    """A LoRA adapter on all linear layers; the prompt is the task sentence alone, without the label list."""

    name = "lora"
    family: Family = "finetune"
    needs_documents = False
    uses_language_model = True
    dispensable = False

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        from strategies.training.lora import train_lora

        model = _trainable(workshop.language_model)
        check_enough(train)
        fit_rows, dev = parts(task, train, workshop, EPOCH_ROWS)
        rows = sample(fit_rows, workshop.allowance.train_rows, workshop.seed)
        pipeline = self._pipeline(task, train, workshop)
        learning = self._remembering(pipeline, fit_rows, workshop)  # dev rows must not find themselves
        fixed = workshop.allowance.fixed_epochs
        epochs = fixed or passes(workshop.allowance, pipeline.answers.json_shape is not None)
        settings = replace(_settings(model, pipeline.answers), epochs=epochs, seed=workshop.seed)
        prompts = learning.prompts([e.input for e in rows], unseen=False)
        answers = [canonical(e.target, pipeline.answers) for e in rows]
        watched = dev[:DEV_LOSS_ROWS]
        unlearnt = zip(learning.prompts([e.input for e in watched]), watched, strict=True)
        adapter = workshop.folder / "adapter"
        log = train_lora(
            model,
            list(zip(prompts, answers, strict=True)),
            settings,
            adapter,
            (lambda: quality(task, learning, dev)) if dev and not fixed else None,
            labels=self._labels(pipeline.answers),
            dev_pairs=[(prompt, canonical(e.target, pipeline.answers)) for prompt, e in unlearnt],
            on_step=lambda done, total: workshop.progress("training", done, total),
            deadline=workshop.allowance.deadline,
        )
        workshop.log.curve = [
            {name: value for name, value in asdict(epoch).items() if value is not None} for epoch in log.epochs
        ]
        workshop.log.config |= {**asdict(settings), "best_epoch": log.best_epoch}
        workshop.log.train_examples = len(rows)
        workshop.log.held_out = tuple(e.id for e in dev)
        workshop.log.guard_fired = log.guard_fired
        return replace(self._remembering(pipeline, train, workshop), adapter=adapter)

    def _labels(self, answers: AnswerFormat) -> Sequence[str]:
        """Labels that a head is trained for, rather than that they are written."""
        return ()

    def _pipeline(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Pipeline:
        answers = AnswerFormat.infer(task, train, workshop.language_model)
        return Pipeline(workshop.language_model, PromptTemplate(task.description), answers)

    def _remembering(self, pipeline: Pipeline, rows: Sequence[Example], workshop: Workshop) -> Pipeline:
        """The pipeline with these examples at hand, if it shows any."""
        return pipeline

    def _shown_tokens(self, profile: Profile) -> float:
        """Of what a prompt holds besides the input."""
        return 0.0

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        own = profile.input_tokens + self._shown_tokens(profile)
        query = answering(profile.searched(SEARCHED_TUNED), own, tuned=True)
        unsure = answering(profile.searched(SEARCHED_HALF_TUNED), own, tuned=True)
        dev = dev_rows(profile.train_rows, allowance, EPOCH_ROWS)
        rows = min(profile.train_rows - dev, allowance.train_rows)
        a_row = own + profile.output_tokens + 6
        a_row += profile.instruction_tokens * min(1.0, a_row / PACK_TOKENS)  # shared by the rows of a pack
        watched = Tokens(read=a_row * min(dev, DEV_LOSS_ROWS))
        return Workload(
            fit=(training(a_row, rows) + unsure * dev + watched) * passes(allowance, profile.json), query=query
        )


class LoraClassifier(Lora):
    """An adapter and a head that weighs the labels (sequence classification): no label is written, nor read."""

    name = "lora_classifier"
    dispensable = True

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        if task.kind is not Kind.CLASSIFICATION:
            raise NotApplicable(NOT_A_CLASSIFICATION)
        return super().fit(task, train, workshop)

    def _labels(self, answers: AnswerFormat) -> Sequence[str]:
        return answers.labels

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        if not profile.label_tokens:
            return Workload()
        work = super().workload(replace(profile, output_tokens=0.0), allowance)
        own = profile.input_tokens
        return replace(work, query=Tokens(read=own, looks_reading=own * own / 2))


class LoraRag(Lora):
    """An adapter trained to read: its training prompts hold the passages that retrieval finds, as its queries will."""

    name = "lora_rag"
    family: Family = "combination"
    needs_documents = True
    uses_language_model = True

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        if not workshop.has_passages:
            raise NotApplicable(WITHOUT_DOCUMENTS)
        return super().fit(task, train, workshop)

    def _pipeline(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Pipeline:
        context, words = shortest_context(train, workshop.index, workshop.seed)
        workshop.log.config |= {"passages": context.passages, "passage_words": context.words, "word_share": words}
        retriever = DocumentRetriever(workshop.index(context.words), context.passages, context.words, words)
        return replace(super()._pipeline(task, train, workshop), embedder=workshop.embedder, documents=retriever)

    def _shown_tokens(self, profile: Profile) -> float:
        return profile.passage_tokens


class LoraExamples(Lora):
    """An adapter trained to follow the most similar examples, which its prompts show as its queries will."""

    name = "lora_examples"
    family: Family = "combination"
    dispensable = True
    count = 3
    """Demonstrations; each makes every training row as long again."""

    def _remembering(self, pipeline: Pipeline, rows: Sequence[Example], workshop: Workshop) -> Pipeline:
        workshop.log.config["demonstrations"] = self.count
        retriever = ExampleRetriever(ExampleIndex.build(rows, workshop.embedder), self.count)
        return replace(pipeline, embedder=workshop.embedder, examples=retriever)

    def _shown_tokens(self, profile: Profile) -> float:
        return profile.own_tokens(self.count) - profile.input_tokens


def passes(allowance: Allowance, json: bool) -> int:
    """How often the training rows are passed over; measured by benchmarks/lora_passes.py."""
    return min(allowance.epochs, JSON_PASSES if json else PASSES)


def check_enough(train: Sequence[Example]) -> None:
    """Raise NotApplicable where there are too few rows to change a model by."""
    if len(train) < FEWEST_ROWS:
        raise NotApplicable(f"{len(train)} training examples are too few to fine-tune on: {FEWEST_ROWS} are needed")


def _trainable(model: LanguageModel):  # type: ignore[no-untyped-def]
    """The model, if it is one whose weights can be adapted here."""
    from strategies.models.transformers_lm import TransformersModel

    if not isinstance(model, TransformersModel):
        raise NotApplicable(f"{model.identity.name} cannot be fine-tuned here: its weights are not at hand")
    return model


def _settings(model: LanguageModel, answers: AnswerFormat):  # type: ignore[no-untyped-def]
    """Small models bear, and need, a higher learning rate; the smallest a still higher one where answers have a form.

    Free answers they learn by heart at that rate: with retrieved passages, the loss of rows not learnt from rises.
    """
    from strategies.training.lora import LoraSettings

    parameters = model.identity.parameters or 0
    has_form = bool(answers.labels) or answers.json_shape is not None
    if parameters < TINY_MODEL and has_form:
        return LoraSettings(learning_rate=2e-3)
    return LoraSettings(learning_rate=1e-3 if parameters < SMALL_MODEL else 2e-4)


def sample(rows: Sequence[Example], most: int, seed: int) -> list[Example]:
    """At most so many rows, drawn by the seed, in their order."""
    if len(rows) <= most:
        return list(rows)
    chosen = set(random.Random(seed).sample(range(len(rows)), most))
    return [row for i, row in enumerate(rows) if i in chosen]
