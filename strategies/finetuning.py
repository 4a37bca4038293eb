"""Strategies that change the language model: LoRA adapters, alone, with a head for labels, with a linear classifier,
with similar examples or with retrieved passages; and full tuning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from eval.contracts import Example, Kind, Solution, Task
from eval.errors import NotApplicable
from eval.metrics import Metric, ScoredRow, get_metric
from strategies.answers import AnswerFormat, as_written
from strategies.base import SHORTENED, Allowance, Family, Given, Standing, Strategy, Workshop, check_suits
from strategies.label_pool import LabelPool
from strategies.linear import balancing, is_balanced
from strategies.linear_classifier import LinearClassifier
from strategies.models.base import LanguageModel, Prompt
from strategies.models.engine.batching import PACK_TOKENS
from strategies.pipeline import DocumentRetriever, ExampleRetriever, Pipeline
from strategies.prompts import PromptTemplate
from strategies.racing import FEWEST, Meter, scored
from strategies.retrieval.contexts import shortest_context
from strategies.retrieval.index import ExampleIndex
from strategies.retrieval.neighbours import best_neighbours
from strategies.text_features import EmbeddingFeatures
from strategies.training.watch import chance
from strategies.tuning import ALTERNATIVES, answered, sample, watched_parts, watched_rows
from strategies.workload import (
    LIKELIEST,
    SEARCHED_HALF_TUNED,
    SEARCHED_QUOTATIONS,
    SEARCHED_TUNED,
    Profile,
    Tokens,
    Workload,
    answering,
    training,
)

if TYPE_CHECKING:
    from strategies.models.transformers_lm import TransformersModel
    from strategies.training.lora import LoraSettings, TrainingLog

FEWEST_ROWS = 16
DEV_LOSS_ROWS = 16
"""Rows whose loss is compared with that of the rows learnt from."""
PASSES, JSON_PASSES = 4, 8
"""Over the training rows: what more of them gain is lost again, but for answers with many parts to get right."""
BATCH_ROWS = 8
STEPS, MOST_STEPS, MOST_PASSES = 40, 160, 32
"""Few rows are passed over more often than many, until there were so many steps for each pass that the allowance has
above two: what ails fine-tuning on them is mostly that it ends too early (Zhang 2021, arXiv 2006.05987; Mosbach 2021,
arXiv 2006.04884). With two passes a plan is at its last."""
SHORTEST = 1 / 3
"""Of the planned passes, that a training may be planned anew for where the machine turns out slower: a fit that the
clock cuts off in the midst of its learning rate is no fit to recommend, and takes its strategy out of the run."""
WHOLE_COST = 1.5
"""Of training by the weights themselves, in trainings of an adapter: their gradients come in addition."""
TINY_MODEL, SMALL_MODEL = 250_000_000, 1_000_000_000
"""Of fewer parameters."""


class Lora(Strategy):
    """A LoRA adapter on all linear layers; the prompt is the task sentence alone, without the label list."""

    name = "lora"
    family: Family = "finetune"
    standing: Standing = "plain"
    knows_dev_rows = False
    """Whether something beside the adapter learns from dev rows, or shows them: they are then no check of the whole."""

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        from strategies.training.search import most_chosen, search, train_first

        check_suits(self, task, workshop)
        model = _trainable(workshop.language_model)
        check_enough(train)
        fit_rows, dev = watched_parts(task, train, workshop)
        rows = sample(fit_rows, workshop.allowance.train_rows, workshop.seed)
        pipeline = self._pipeline(task, train, workshop)
        learning = self._remembering(task, pipeline, fit_rows, workshop)  # dev rows must not find themselves
        learning = replace(learning, answers=pipeline.answers.written())  # and what is half tuned is slow to search
        json = pipeline.answers.json_shape is not None
        epochs = workshop.allowance.fixed_epochs or passes(workshop.allowance, json, len(rows))
        before = workshop.allowance.chosen_before
        settings = most_chosen(self._settings(model, pipeline.answers), before)
        first = replace(settings, epochs=epochs, seed=workshop.seed, margin=chance(len(dev)))
        course = _Course(model, learning, rows, dev, self._labels(pipeline.answers), get_metric(task.metric), workshop)
        uncounted = Meter(speeds=workshop.speeds)
        trained = train_first(course, first, workshop.folder / "adapter", uncounted)
        is_whole = not trained.log.guard_fired and not trained.log.shortened_to
        if workshop.allowance.adapter_search and not before and len(dev) >= FEWEST and is_whole:
            meter, log, deadline = workshop.meter, workshop.log, workshop.allowance.deadline
            whole = uncounted.spent * epochs / len(trained.log.epochs)  # it may have ended early, and others not
            trained = search(trained, whole, course, meter, log, deadline)
        workshop.log.curve = [
            {name: value for name, value in asdict(epoch).items() if value is not None} for epoch in trained.log.epochs
        ]
        workshop.log.config |= {**trained.settings.told(), "best_epoch": trained.log.best_epoch}
        if trained.log.shortened_to:
            workshop.log.config[SHORTENED] = trained.log.shortened_to
        workshop.log.train_examples = trained.log.rows
        workshop.log.held_out = () if self.knows_dev_rows else tuple(e.id for e in dev)
        workshop.log.guard_fired = trained.log.guard_fired
        return replace(self._remembering(task, pipeline, train, workshop), adapter=trained.folder)

    def _settings(self, model: LanguageModel, answers: AnswerFormat) -> LoraSettings:
        """What is tried first.

        Small models bear, and need, a higher learning rate; the smallest a still higher one where answers have a form.
        Free answers they learn by heart at that rate: with retrieved passages, the loss of rows not learnt from rises.
        """
        from strategies.training.lora import LoraSettings

        parameters = model.identity.parameters or 0
        has_form = bool(answers.labels) or answers.json_shape is not None
        if parameters < TINY_MODEL and has_form:
            return LoraSettings(learning_rate=2e-3, batch_size=BATCH_ROWS)
        return LoraSettings(learning_rate=1e-3 if parameters < SMALL_MODEL else 2e-4, batch_size=BATCH_ROWS)

    def _labels(self, answers: AnswerFormat) -> Sequence[str]:
        """Labels that a head is trained for, rather than that they are written."""
        return ()

    def _pipeline(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Pipeline:
        answers = AnswerFormat.infer(task, train, workshop.language_model).searching(get_metric(task.metric))
        if answers.likeliest:
            workshop.log.config["likeliest_answer"] = True
        return Pipeline(workshop.language_model, PromptTemplate(task.description), answers)

    def _remembering(self, task: Task, pipeline: Pipeline, rows: Sequence[Example], workshop: Workshop) -> Pipeline:
        """The pipeline with these examples at hand, if it shows any."""
        return pipeline

    def _shown_tokens(self, profile: Profile) -> float:
        """Of what a prompt holds besides the input."""
        return 0.0

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        own = profile.input_tokens + self._shown_tokens(profile)
        written = answering(profile.searched(SEARCHED_TUNED), own, tuned=True)
        query = written * (LIKELIEST if profile.right_or_wrong else 1.0)
        unsure = answering(profile.searched(SEARCHED_HALF_TUNED), own, tuned=True)
        dev = watched_rows(profile.train_rows, allowance)
        rows = min(profile.train_rows - dev, allowance.train_rows)
        a_row = own + profile.output_tokens + 6
        a_row += profile.instruction_tokens * min(1.0, a_row / PACK_TOKENS)  # shared by the rows of a pack
        watched = Tokens(read=a_row * min(dev, DEV_LOSS_ROWS))
        fit = (training(a_row, rows) + unsure * dev + watched) * passes(allowance, profile.json, rows)
        if not allowance.adapter_search or dev < FEWEST:  # on so few rows no other settings are ever taken
            return Workload(fit=fit, query=query)
        again = fit + written * dev
        return Workload(fit=fit, query=query, search=again * ALTERNATIVES + written * dev, search_step=again)


class FullTuning(Lora):
    """The weights of all linear layers, in the place of an adapter, of models small enough.

    It learns about as much (docs/decisions/0012), and what is kept is nearly as large as the model.
    """

    name = "full_tuning"
    standing: Standing = "dispensable"

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        identity = _trainable(workshop.language_model).identity
        if identity.parameters is None or identity.parameters >= TINY_MODEL:
            most = f"{TINY_MODEL / 1e6:.0f} million parameters are the most"
            raise NotApplicable(f"{identity.name} is too large to be tuned as a whole ({most}); adapters are for it")
        return super().fit(task, train, workshop)

    def _settings(self, model: LanguageModel, answers: AnswerFormat) -> LoraSettings:
        from strategies.training.lora import LoraSettings

        return LoraSettings(whole=True, learning_rate=1e-4, batch_size=BATCH_ROWS)

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        if profile.parameters is None or profile.parameters >= TINY_MODEL:
            return Workload()
        work = super().workload(profile, allowance)
        more = Tokens(trained=(WHOLE_COST - 1) * work.fit.trained)
        step = more if work.search_step != Tokens() else Tokens()
        return replace(
            work, fit=work.fit + more, search=work.search + step * ALTERNATIVES, search_step=work.search_step + step
        )


class LoraClassifier(Lora):
    """An adapter and a head that weighs the labels (sequence classification): no label is written, nor read."""

    name = "lora_classifier"
    standing: Standing = "dispensable"
    kinds = (Kind.CLASSIFICATION,)

    def _labels(self, answers: AnswerFormat) -> Sequence[str]:
        return answers.labels

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        if not profile.label_tokens:
            return Workload()
        work = super().workload(replace(profile, output_tokens=0.0), allowance)
        own = profile.input_tokens
        return replace(work, query=Tokens(read=own, looks_reading=own * own / 2))


class LoraRag(Lora):
    """An adapter trained to read: its training prompts hold the passages that retrieval finds, as its queries will.

    So the right passage is sometimes missing and, where several are shown, among distractors, as RAFT wants (Zhang
    2024, arXiv 2403.10131); how often, is what queries will meet rather than a share of our choosing. Where training
    answers are quotations of what is shown, it quotes (`strategies.quotation`).
    """

    name = "lora_rag"
    family: Family = "combination"
    needs_documents = True

    def _pipeline(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Pipeline:
        labels = task.kind is Kind.CLASSIFICATION
        context, words = shortest_context(train, workshop.index, workshop.seed, labels=labels)
        retriever = DocumentRetriever(workshop.index(context.words), context.passages, context.words, words)
        plain = super()._pipeline(task, train, workshop)
        answers = plain.answers.quoting(plain.model, train, retriever.shown)
        workshop.log.config |= {"passages": context.passages, "passage_words": context.words, "word_share": words}
        workshop.log.config |= {"quotes": answers.quotations is not None}
        return replace(plain, answers=answers, embedder=workshop.embedder, documents=retriever)

    def _shown_tokens(self, profile: Profile) -> float:
        return profile.passage_tokens

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        work = super().workload(profile, allowance)
        if profile.quotes:
            searched, own = replace(profile, label_tokens=SEARCHED_QUOTATIONS), self._shown_tokens(profile)
            work = replace(work, query=answering(searched, profile.input_tokens + own, tuned=True))
        return work.embedding(profile.input_tokens)


class LoraLinear(Lora):
    """An adapter whose opinion of the labels is pooled with that of a linear classifier on embeddings.

    The rows that watched the adapter's training, which neither has learnt from, say how much each counts.
    """

    name = "lora_linear"
    family: Family = "combination"
    standing: Standing = "further"
    kinds = (Kind.CLASSIFICATION,)
    knows_dev_rows = True

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        check_suits(self, task, workshop)
        if workshop.given is None:
            tuned = super().fit(task, train, workshop)
        else:
            tuned = self._go_on_from(workshop.given, task, train, workshop)
        assert isinstance(tuned, Pipeline)
        features = EmbeddingFeatures(workshop.embedder)
        learnt, watched = watched_parts(task, train, workshop)
        balanced = is_balanced(task, learnt, workshop)
        pool = LabelPool(LinearClassifier.fit_texts(features, learnt, balanced=balanced))
        if watched:
            inputs, targets = [e.input for e in watched], [e.target for e in watched]
            pool = pool.weighed(inputs, targets, tuned.answers.labels, tuned.label_scores(inputs))
        workshop.log.config |= pool.to_json()
        whole = LinearClassifier.fit_texts(features, train, balanced=balanced)
        return replace(tuned, pool=replace(pool, classifier=whole))

    def _go_on_from(self, given: Given, task: Task, train: Sequence[Example], workshop: Workshop) -> Pipeline:
        """The solution that `lora` made, which is told of as if it had been made here."""
        log = workshop.log
        log.config, log.curve, log.train_examples = dict(given.config), list(given.curve), given.train_examples
        return replace(self._pipeline(task, train, workshop), adapter=given.folder / "adapter")

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        if not profile.label_tokens:
            return Workload()
        work = super().workload(profile, allowance)
        own, answered = balancing(profile), work.query * watched_rows(profile.train_rows, allowance)
        return replace(work, fit=work.fit + own, atop=answered + own).embedding(profile.input_tokens)


class LoraExamples(Lora):
    """An adapter trained to follow the most similar examples, which its prompts show as its queries will."""

    name = "lora_examples"
    family: Family = "combination"
    standing: Standing = "dispensable"
    knows_dev_rows = True
    count = 3
    """Demonstrations; each makes every training row as long again."""

    def _remembering(self, task: Task, pipeline: Pipeline, rows: Sequence[Example], workshop: Workshop) -> Pipeline:
        workshop.log.config["demonstrations"] = self.count
        index = ExampleIndex.build(as_written(rows, pipeline.answers), workshop.embedder)
        words = best_neighbours(index, get_metric(task.metric), workshop.seed).word_share
        workshop.log.config["word_share"] = words
        retriever = ExampleRetriever(index, self.count, words)
        return replace(pipeline, embedder=workshop.embedder, examples=retriever)

    def _shown_tokens(self, profile: Profile) -> float:
        return profile.own_tokens(self.count) - profile.input_tokens

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        return super().workload(profile, allowance).embedding(profile.input_tokens)


@dataclass(frozen=True)
class _Course:
    """What one fit trains on and is judged by, whatever the settings."""

    model: TransformersModel
    learning: Pipeline
    """Answers dev rows."""
    rows: Sequence[Example]
    dev: Sequence[Example]
    labels: Sequence[str]
    metric: Metric
    workshop: Workshop

    def train(self, settings: LoraSettings, folder: Path, meter: Meter, *, whole: bool = False) -> TrainingLog:
        """Train an adapter into the folder; dev rows watch, unless the number of epochs is fixed.

        Where the machine turns out too slow for all passes, fewer are planned; what is to be `whole` is given up.
        """
        from strategies.training.lora import Diverged, train_lora
        from strategies.training.search import OutOfTime

        def dev_quality() -> float:
            return self.value(self._answered(self.learning, meter))

        planned = 0

        def on_step(done: int, total: int) -> None:
            nonlocal planned
            planned = max(planned, total)
            if whole and total < planned:
                raise OutOfTime(done / planned)
            workshop.progress("training", done, total)

        workshop, watched = self.workshop, sample(self.dev, DEV_LOSS_ROWS, self.workshop.seed)
        fixed = workshop.allowance.fixed_epochs is not None
        cost = WHOLE_COST if settings.whole else 1.0
        try:
            log = train_lora(
                self.model,
                self._pairs(self.rows, unseen=False),
                settings,
                folder,
                dev_quality if self.dev and not fixed else None,
                labels=self.labels,
                dev_pairs=self._pairs(watched, unseen=True),
                on_step=on_step,
                deadline=workshop.allowance.deadline,
                fewest_epochs=None if fixed else 1 if whole else math.ceil(SHORTEST * settings.epochs),
            )
        except Diverged as failure:
            meter.train(cost * failure.tokens)
            raise
        meter.train(cost * log.tokens)
        return log

    def answer(self, folder: Path, meter: Meter) -> list[ScoredRow | None]:
        """What the adapter in the folder answers to the dev rows."""
        return self._answered(replace(self.learning, adapter=folder), meter)

    def value(self, rows: Sequence[ScoredRow | None]) -> float:
        """The metric of the rows that were scored."""
        return self.metric.aggregate(scored(rows))

    def _answered(self, pipeline: Pipeline, meter: Meter) -> list[ScoredRow | None]:
        return answered(pipeline, self.dev, self.metric, meter, self.workshop)

    def _pairs(self, rows: Sequence[Example], *, unseen: bool) -> list[tuple[Prompt, str]]:
        written = as_written(rows, self.learning.answers)
        prompts = self.learning.prompts([e.input for e in written], unseen=unseen)
        return [(p, e.target) for p, e in zip(prompts, written, strict=True)]


def passes(allowance: Allowance, json: bool, rows: int) -> int:
    """How often so many training rows are passed over; measured by benchmarks/lora_passes.py."""
    usual = min(allowance.epochs, JSON_PASSES if json else PASSES)
    steps = min(MOST_STEPS, STEPS * (allowance.epochs - 2))
    return max(usual, min(MOST_PASSES, math.ceil(steps * BATCH_ROWS / max(1, rows))))


def check_enough(train: Sequence[Example]) -> None:
    """Raise NotApplicable where there are too few rows to change a model by."""
    if len(train) < FEWEST_ROWS:
        raise NotApplicable(f"{len(train)} training examples are too few to fine-tune on: {FEWEST_ROWS} are needed")


def _trainable(model: LanguageModel) -> TransformersModel:
    """The model, if it is one whose weights can be adapted here."""
    from strategies.models.transformers_lm import TransformersModel

    if not isinstance(model, TransformersModel):
        raise NotApplicable(f"{model.identity.name} cannot be fine-tuned here: its weights are not at hand")
    return model
