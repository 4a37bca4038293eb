"""Strategies that leave the model as it is and work on what it reads: prompts and retrieval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial

from eval.contracts import Example, Kind, Solution, Task
from eval.metrics import get_metric
from strategies.answers import AnswerFormat, as_written
from strategies.base import Allowance, Family, Standing, Strategy, Workshop, check_suits
from strategies.calibration import MOST_ROWS, calibrated
from strategies.demonstrations import Choice, pick
from strategies.pipeline import DocumentRetriever, ExampleRetriever, Pipeline
from strategies.prompts import Demonstration, PromptTemplate, instruction, leaves_room, question
from strategies.racing import longest
from strategies.retrieval.chunks import MOST_WORDS
from strategies.retrieval.contexts import best_search
from strategies.retrieval.index import ExampleIndex
from strategies.retrieval.neighbours import best_neighbours
from strategies.tuning import SEARCH_ROWS, Configuration, choose, dev_rows
from strategies.workload import SEARCHED, Profile, Tokens, Workload, answering

SHOWN = "demonstrations_shown"
"""In the log: as many as there are rows for, and room."""
LIST_LEFT_OUT = "list_left_out"
"""In the log, where a prompt has no list of labels or keys since the inputs would not fit behind it."""


class ZeroShot(Strategy):
    """The task sentence and the form of the answer."""

    name = "zero_shot"
    family: Family = "prompt"
    configurations: tuple[Configuration, ...] = ({"described": False}, {"described": True})

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        def make(configuration: Configuration, rows: Sequence[Example]) -> Pipeline:
            model = workshop.language_model
            answers = AnswerFormat.infer(task, rows, model)
            template = PromptTemplate(told(task, answers, rows, workshop, described=configuration["described"]))
            return Pipeline(model, template, answers)

        return _choose(task, train, workshop, self.configurations, make)

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        query = answering(profile, profile.input_tokens, tuned=False)
        return _workload(query, profile, allowance, len(self.configurations))


class FewShot(Strategy):
    """Fixed demonstrations, the same for every query."""

    name = "few_shot"
    family: Family = "prompt"
    standing: Standing = "plain"
    configurations: tuple[Configuration, ...] = (
        {"demonstrations": 24, "choice": "typical", "most_typical": "first", "described": False},
        {"demonstrations": 24, "choice": "typical", "most_typical": "last", "described": False},
        {"demonstrations": 24, "choice": "random", "most_typical": "first", "described": False},
        {"demonstrations": 24, "choice": "diverse", "most_typical": "last", "described": False},
        {"demonstrations": 12, "choice": "typical", "most_typical": "first", "described": False},
        {"demonstrations": 24, "choice": "diverse", "most_typical": "first", "described": False},
        {"demonstrations": 12, "choice": "typical", "most_typical": "last", "described": False},
        {"demonstrations": 24, "choice": "random", "most_typical": "last", "described": False},
        {"demonstrations": 6, "choice": "typical", "most_typical": "last", "described": False},
        {"demonstrations": 12, "choice": "random", "most_typical": "first", "described": False},
        {"demonstrations": 24, "choice": "typical", "most_typical": "last", "described": True},
    )
    """Small models lean towards what they read last (Zhao 2021, arXiv 2102.09690), so that the order is tried as well.
    Read once for all queries, demonstrations cost little: many come first."""

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        @cache
        def picked(rows: tuple[Example, ...], count: int, choice: Choice) -> list[Example]:
            """Once for all configurations that show the same ones in other orders or words."""
            return pick(rows, count, workshop.embedder, by_label=task.kind is Kind.CLASSIFICATION, choice=choice)

        def make(configuration: Configuration, rows: Sequence[Example]) -> Pipeline:
            model = workshop.language_model
            answers = AnswerFormat.infer(task, rows, model)
            count, choice = configuration["demonstrations"], configuration["choice"]
            shown = picked(tuple(as_written(rows, answers)), count, choice) if count else []
            template = PromptTemplate(told(task, answers, rows, workshop, described=configuration["described"]))
            demonstrations = tuple(Demonstration(e.input, e.target) for e in shown)
            template = replace(template, demonstrations=demonstrations).within(model)
            workshop.log.config[SHOWN] = len(template.demonstrations)
            if configuration["most_typical"] == "last":
                template = replace(template, demonstrations=template.demonstrations[::-1])
            return Pipeline(model, template, answers)

        return _choose(task, train, workshop, self.configurations, make)

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        most = max(configuration["demonstrations"] for configuration in self.configurations)
        shared = profile.shared_tokens(most)
        query = answering(profile, profile.input_tokens, tuned=False, shared=shared)
        return _workload(query, profile, allowance, len(self.configurations), shared)


class NearestExamples(Strategy):
    """Demonstrations retrieved for each query: the training examples most like it (Liu 2021, arXiv 2101.06804)."""

    name = "nearest_examples"
    family: Family = "prompt"
    configurations: tuple[Configuration, ...] = (
        {"demonstrations": 8, "form_told": False},
        {"demonstrations": 16, "form_told": False},
        {"demonstrations": 8, "form_told": True},
        {"demonstrations": 4, "form_told": True},
    )

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        @cache
        def indexed(rows: tuple[Example, ...]) -> tuple[ExampleIndex, float]:
            """Once for all configurations, and how much words count in it."""
            index = ExampleIndex.build(rows, workshop.embedder)
            return index, best_neighbours(index, get_metric(task.metric), workshop.seed).word_share

        def make(configuration: Configuration, rows: Sequence[Example]) -> Pipeline:
            model = workshop.language_model
            answers = AnswerFormat.infer(task, rows, model)
            index, word_share = indexed(tuple(as_written(rows, answers)))
            workshop.log.config["word_share"] = word_share
            retriever = ExampleRetriever(index, configuration["demonstrations"], word_share)
            workshop.log.config.pop(LIST_LEFT_OUT, None)
            words = told(task, answers, rows, workshop) if configuration["form_told"] else task.description
            return Pipeline(model, PromptTemplate(words), answers, workshop.embedder, examples=retriever)

        return _choose(task, train, workshop, self.configurations, make, calibrated_first=False)

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        if not allowance.tuning_seconds:
            searched = profile.searched(SEARCHED)
            first = self.configurations[0]["demonstrations"]
            plain = Workload(query=answering(searched, profile.own_tokens(first), tuned=False))
            return plain.embedding(profile.input_tokens)
        most = max(configuration["demonstrations"] for configuration in self.configurations)
        query = answering(profile, profile.own_tokens(most), tuned=False)
        return _workload(query, profile, allowance, len(self.configurations)).embedding(profile.input_tokens)


class Rag(Strategy):
    """Retrieval-augmented generation (Lewis 2020, arXiv 2005.11401): the nearest passages stand before the question."""

    name = "rag"
    family: Family = "retrieval"
    needs_documents = True
    standing: Standing = "plain"
    configurations: tuple[Configuration, ...] = (
        {"passages": 1, "passage_words": MOST_WORDS, "demonstrations": 0},
        {"passages": 3, "passage_words": MOST_WORDS, "demonstrations": 0},
        {"passages": 1, "passage_words": MOST_WORDS, "demonstrations": 3},
        {"passages": 2, "passage_words": 60, "demonstrations": 0},
        {"passages": 2, "passage_words": 60, "demonstrations": 3},
        {"passages": 3, "passage_words": 60, "demonstrations": 6},
    )

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        check_suits(self, task, workshop)

        def make(configuration: Configuration, rows: Sequence[Example]) -> Pipeline:
            answers = AnswerFormat.infer(task, rows, workshop.language_model)
            count, words = configuration["passages"], configuration["passage_words"]
            index = workshop.index(words)
            by_label = task.kind is Kind.CLASSIFICATION
            word_share = best_search(rows, index, count, workshop.seed, labels=by_label).word_share
            workshop.log.config["word_share"] = word_share
            retriever = DocumentRetriever(index, count, words, word_share)
            wanted = configuration["demonstrations"]
            written = as_written(rows, answers)
            shown = pick(written, wanted, workshop.embedder, by_label=by_label) if wanted else []
            found = retriever.search([e.input for e in shown])
            template = PromptTemplate(
                told(task, answers, rows, workshop, with_context=True),
                tuple(
                    Demonstration(question(e.input, passages), e.target)
                    for e, passages in zip(shown, found, strict=True)
                ),
            )
            model = workshop.language_model
            fitting = template.within(model)
            workshop.log.config[SHOWN] = len(fitting.demonstrations)
            return Pipeline(model, fitting, answers, workshop.embedder, documents=retriever)

        return _choose(task, train, workshop, self.configurations, make)

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        query = answering(profile, profile.input_tokens + 3 * profile.passage_tokens, tuned=False)
        return _workload(query, profile, allowance, len(self.configurations)).embedding(profile.input_tokens)


def told(
    task: Task,
    answers: AnswerFormat,
    rows: Sequence[Example],
    workshop: Workshop,
    *,
    with_context: bool = False,
    described: bool = False,
) -> str:
    """The instruction; what describes the answers is left out where it would take too much of the context.

    And so is the list of labels or keys where inputs would not fit behind it, which is logged. Labels are weighed and
    keys are in the grammar, listed or not; hosted models, whose context is assumed, may know them from the list alone.
    """
    model, tell = workshop.language_model, partial(instruction, task, answers, rows, with_context=with_context)
    fewest = tell(listed=False)
    workshop.log.config.pop(LIST_LEFT_OUT, None)  # of a configuration tried before
    more = [words for words in [tell(described=True)] if PromptTemplate(words).is_short_for(model)] if described else []
    for words in (*more, tell()):
        if not model.weighs_labels or leaves_room(model, words, fewest, answers, rows):
            return words
    workshop.log.config[LIST_LEFT_OUT] = True
    return fewest


def _choose(
    task: Task,
    train: Sequence[Example],
    workshop: Workshop,
    configurations: Sequence[Configuration],
    make: Callable[[Configuration, Sequence[Example]], Pipeline],
    *,
    calibrated_first: bool = True,
) -> Solution:
    """The best of the configurations; where labels are weighed, with calibration and, the first one, without.

    The other way round where demonstrations are retrieved: what they lean towards is mostly what is right.
    """
    if task.kind not in (Kind.CLASSIFICATION, Kind.EXTRACTION):  # nothing in their form to describe
        configurations = [c for c in configurations if not c.get("described")]
    if not (task.kind is Kind.CLASSIFICATION and workshop.language_model.weighs_labels):
        return choose(task, train, workshop, configurations, make, knows=_shows)

    def weighing(configuration: Configuration, rows: Sequence[Example]) -> Solution:
        made = make(configuration, rows)
        return calibrated(made, rows, workshop) if configuration["calibrated"] else made

    both = [{**configurations[0], "calibrated": calibrated} for calibrated in (calibrated_first, not calibrated_first)]
    others = [{**configuration, "calibrated": calibrated_first} for configuration in configurations[1:]]
    return choose(task, train, workshop, [*both, *others], weighing, knows=_shows)


def _shows(solution: Solution, example: Example) -> bool:
    """Whether an example's input is in the prompt, or may come to be."""
    return not isinstance(solution, Pipeline) or solution.examples is not None or solution.template.shows(example.input)


def _workload(
    query: Tokens, profile: Profile, allowance: Allowance, configurations: int, shared: float = 0.0
) -> Workload:
    """Where labels are weighed, with calibration, and with one configuration more: the first without it.

    Tokens that the prompts of a configuration share are read once each lap; calibration leaves them for the first.
    """
    calibrating = query * (MOST_ROWS if profile.label_tokens else 0)
    several = configurations + (1 if profile.label_tokens else 0)
    run = longest(several, dev_rows(profile.train_rows, allowance, SEARCH_ROWS))
    search = calibrating * configurations if run else Tokens()
    for runners, rows in run:
        search += query * (runners * rows) + Tokens(read=shared, looks_reading=shared**2 / 2) * runners
    return Workload(fit=calibrating, query=query, search=search)
