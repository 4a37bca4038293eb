"""Strategies that leave the model as it is and work on what it reads: prompts and retrieval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from eval.contracts import Example, Kind, Solution, Task
from eval.errors import NotApplicable
from strategies.answers import AnswerFormat
from strategies.base import Allowance, Family, Workshop
from strategies.calibration import MOST_ROWS, calibrated
from strategies.demonstrations import pick
from strategies.pipeline import DocumentRetriever, ExampleRetriever, Pipeline
from strategies.prompts import Demonstration, PromptTemplate, instruction, question
from strategies.retrieval.chunks import MOST_WORDS
from strategies.retrieval.contexts import best_search
from strategies.retrieval.index import ExampleIndex
from strategies.tuning import choose
from strategies.workload import SEARCHED, Profile, Workload, answering

WITHOUT_DOCUMENTS = "there are no documents to retrieve from"


class ZeroShot:
    """The task sentence and the form of the answer."""

    name = "zero_shot"
    family: Family = "prompt"
    needs_documents = False
    dispensable = False

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        def make(configuration: dict[str, Any], rows: Sequence[Example]) -> Pipeline:
            answers = AnswerFormat.infer(task, rows, workshop.language_model)
            return Pipeline(workshop.language_model, PromptTemplate(instruction(task, answers, rows)), answers)

        return _choose(task, train, workshop, [{}], make)

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        query = answering(profile, profile.input_tokens, tuned=False)
        return Workload(fit=query * _trying(profile, allowance, 1), query=query)


class FewShot:
    """Fixed demonstrations, the same for every query."""

    name = "few_shot"
    family: Family = "prompt"
    needs_documents = False
    dispensable = False
    configurations: tuple[dict[str, Any], ...] = (
        {"demonstrations": 24, "choice": "typical", "most_typical": "first"},
        {"demonstrations": 24, "choice": "typical", "most_typical": "last"},
        {"demonstrations": 24, "choice": "random", "most_typical": "first"},
        {"demonstrations": 24, "choice": "diverse", "most_typical": "last"},
        {"demonstrations": 12, "choice": "typical", "most_typical": "first"},
    )
    """Small models lean towards what they read last (Zhao 2021, arXiv 2102.09690), so that the order is tried as well.
    Read once for all queries, demonstrations cost little: many come first."""

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        def make(configuration: dict[str, Any], rows: Sequence[Example]) -> Pipeline:
            answers = AnswerFormat.infer(task, rows, workshop.language_model)
            by_label = task.kind is Kind.CLASSIFICATION
            count, choice = configuration["demonstrations"], configuration["choice"]
            shown = pick(rows, count, workshop.embedder, by_label=by_label, choice=choice)
            words = instruction(task, answers, rows)
            template = PromptTemplate(words, tuple(Demonstration(e.input, e.target) for e in shown))
            template = template.within(workshop.language_model)
            if configuration["most_typical"] == "last":
                template = replace(template, demonstrations=template.demonstrations[::-1])
            return Pipeline(workshop.language_model, template, answers)

        return _choose(task, train, workshop, self.configurations, make)

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        most = max(configuration["demonstrations"] for configuration in self.configurations)
        query = answering(profile, profile.input_tokens, tuned=False, shared=profile.shared_tokens(most))
        return Workload(fit=query * _trying(profile, allowance, len(self.configurations)), query=query)


class NearestExamples:
    """Demonstrations retrieved for each query: the training examples most like it (Liu 2021, arXiv 2101.06804)."""

    name = "nearest_examples"
    family: Family = "prompt"
    needs_documents = False
    dispensable = False
    counts = (8, 16)

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        def make(configuration: dict[str, Any], rows: Sequence[Example]) -> Pipeline:
            answers = AnswerFormat.infer(task, rows, workshop.language_model)
            retriever = ExampleRetriever(ExampleIndex.build(rows, workshop.embedder), configuration["demonstrations"])
            template = PromptTemplate(task.description)
            return Pipeline(workshop.language_model, template, answers, workshop.embedder, examples=retriever)

        configurations = [{"demonstrations": n} for n in self.counts]
        return _choose(task, train, workshop, configurations, make, calibrated_first=False)

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        if not allowance.tune:
            searched = profile.searched(SEARCHED)
            return Workload(query=answering(searched, profile.own_tokens(self.counts[0]), tuned=False))
        longest = answering(profile, profile.own_tokens(self.counts[-1]), tuned=False)
        return Workload(fit=longest * _trying(profile, allowance, len(self.counts)), query=longest)


class Rag:
    """Retrieval-augmented generation (Lewis 2020, arXiv 2005.11401): the nearest passages stand before the question."""

    name = "rag"
    family: Family = "retrieval"
    needs_documents = True
    dispensable = False
    configurations = (
        {"passages": 1, "demonstrations": 0},
        {"passages": 3, "demonstrations": 0},
        {"passages": 1, "demonstrations": 3},
    )

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        if not workshop.has_passages:
            raise NotApplicable(WITHOUT_DOCUMENTS)

        def make(configuration: dict[str, Any], rows: Sequence[Example]) -> Pipeline:
            answers = AnswerFormat.infer(task, rows, workshop.language_model)
            index, count = workshop.index(), configuration["passages"]
            words = best_search(rows, index, count, workshop.seed).word_share
            workshop.log.config["word_share"] = words
            retriever = DocumentRetriever(index, count, MOST_WORDS, words)
            by_label = task.kind is Kind.CLASSIFICATION
            wanted = configuration["demonstrations"]
            shown = pick(rows, wanted, workshop.embedder, by_label=by_label) if wanted else []
            found = retriever.search([e.input for e in shown])
            template = PromptTemplate(
                instruction(task, answers, rows, with_context=True),
                tuple(
                    Demonstration(question(e.input, passages), e.target)
                    for e, passages in zip(shown, found, strict=True)
                ),
            )
            model = workshop.language_model
            return Pipeline(model, template.within(model), answers, workshop.embedder, documents=retriever)

        return _choose(task, train, workshop, self.configurations, make)

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        query = answering(profile, profile.input_tokens + 3 * profile.passage_tokens, tuned=False)
        return Workload(fit=query * _trying(profile, allowance, len(self.configurations)), query=query)


def _choose(
    task: Task,
    train: Sequence[Example],
    workshop: Workshop,
    configurations: Sequence[dict[str, Any]],
    make: Callable[[dict[str, Any], Sequence[Example]], Pipeline],
    *,
    calibrated_first: bool = True,
) -> Solution:
    """The best of the configurations; where labels are weighed, with calibration and, the first one, without.

    The other way round where demonstrations are retrieved: what they lean towards is mostly what is right.
    """
    if not (task.kind is Kind.CLASSIFICATION and workshop.language_model.weighs_labels):
        return choose(task, train, workshop, configurations, make)

    def weighing(configuration: dict[str, Any], rows: Sequence[Example]) -> Solution:
        made = make(configuration, rows)
        return calibrated(made, rows, workshop) if configuration["calibrated"] else made

    tried = [{**c, "calibrated": calibrated_first} for c in configurations]
    return choose(task, train, workshop, [*tried, {**configurations[0], "calibrated": not calibrated_first}], weighing)


def _trying(profile: Profile, allowance: Allowance, configurations: int) -> float:
    """How many queries choosing among so many configurations takes, with calibration where labels are weighed."""
    calibrating = MOST_ROWS if profile.label_tokens else 0
    several = configurations + (1 if profile.label_tokens else 0)
    if not allowance.tune or several == 1:
        return calibrating
    return several * allowance.dev_rows + (configurations + 1) * calibrating
