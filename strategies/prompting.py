"""Strategies that leave the model as it is and work on what it reads: prompts and retrieval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from eval.contracts import Example, Kind, Solution, Task
from eval.errors import NotApplicable
from strategies.answers import AnswerFormat
from strategies.base import Allowance, Family, Workshop
from strategies.demonstrations import pick
from strategies.pipeline import DocumentRetriever, ExampleRetriever, Pipeline
from strategies.prompts import Demonstration, PromptTemplate, instruction, question
from strategies.retrieval.contexts import best_search
from strategies.retrieval.index import ExampleIndex
from strategies.tuning import choose
from strategies.workload import Profile, Tokens, Workload, answering

WITHOUT_DOCUMENTS = "there are no documents to retrieve from"


class ZeroShot:
    """The task sentence and the form of the answer."""

    name = "zero_shot"
    family: Family = "prompt"
    needs_documents = False

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        answers = AnswerFormat.infer(task, train, workshop.language_model)
        workshop.log.train_examples = len(train)
        return Pipeline(workshop.language_model, PromptTemplate(instruction(task, answers, train)), answers)

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        return Workload(query=answering(profile, profile.input_tokens, tuned=False))


class FewShot:
    """Fixed demonstrations, the same for every query."""

    name = "few_shot"
    family: Family = "prompt"
    needs_documents = False
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
        def make(configuration: dict[str, Any], rows: Sequence[Example]) -> Solution:
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

        return choose(task, train, workshop, self.configurations, make)

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        most = max(configuration["demonstrations"] for configuration in self.configurations)
        query = answering(profile, profile.input_tokens, tuned=False, shared=most * profile.example_tokens)
        return Workload(fit=query * tuning_rows(allowance, len(self.configurations)), query=query)


class NearestExamples:
    """Demonstrations retrieved for each query: the training examples most like it (Liu 2021, arXiv 2101.06804)."""

    name = "nearest_examples"
    family: Family = "prompt"
    needs_documents = False
    counts = (8, 16)

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        def make(configuration: dict[str, Any], rows: Sequence[Example]) -> Solution:
            answers = AnswerFormat.infer(task, rows, workshop.language_model)
            retriever = ExampleRetriever(ExampleIndex.build(rows, workshop.embedder), configuration["demonstrations"])
            template = PromptTemplate(task.description)
            return Pipeline(workshop.language_model, template, answers, workshop.embedder, examples=retriever)

        return choose(task, train, workshop, [{"demonstrations": n} for n in self.counts], make)

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        prompts = [profile.input_tokens + count * profile.example_tokens for count in self.counts]
        queries = [answering(profile, tokens, tuned=False) for tokens in prompts]
        if not tuning_rows(allowance, len(self.counts)):
            return Workload(query=queries[0])
        return Workload(fit=sum(queries, Tokens()) * allowance.dev_rows, query=queries[-1])


class Rag:
    """Retrieval-augmented generation (Lewis 2020, arXiv 2005.11401): the nearest passages stand before the question."""

    name = "rag"
    family: Family = "retrieval"
    needs_documents = True
    configurations = (
        {"passages": 1, "demonstrations": 0},
        {"passages": 3, "demonstrations": 0},
        {"passages": 1, "demonstrations": 3},
    )

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        if not workshop.has_passages:
            raise NotApplicable(WITHOUT_DOCUMENTS)

        def make(configuration: dict[str, Any], rows: Sequence[Example]) -> Solution:
            answers = AnswerFormat.infer(task, rows, workshop.language_model)
            index, count = workshop.index(), configuration["passages"]
            words = best_search(rows, index, count, workshop.seed).word_share
            workshop.log.config["word_share"] = words
            retriever = DocumentRetriever(index, count, words)
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

        return choose(task, train, workshop, self.configurations, make)

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        query = answering(profile, profile.input_tokens + 3 * profile.passage_tokens, tuned=False)
        return Workload(fit=query * tuning_rows(allowance, len(self.configurations)), query=query)


def tuning_rows(allowance: Allowance, configurations: int) -> float:
    """How many dev queries choosing among so many configurations takes."""
    return allowance.dev_rows * configurations if allowance.tune and configurations > 1 else 0
