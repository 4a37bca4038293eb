"""Strategies without a language model. If one of these is as good, nothing more is needed."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from eval.contracts import Document, Example, Kind, Prediction, Solution, Task
from eval.metrics import Metric, get_metric
from eval.reading.text import SENTENCE_END
from strategies.base import Allowance, Family, Strategy, Workshop, check_suits
from strategies.manifest import model_entry, read_manifest, write_manifest
from strategies.models.base import Embedder
from strategies.models.shelf import ModelShelf
from strategies.prompts import in_prompt
from strategies.retrieval.chunks import MOST_WORDS, cut_documents, heading_level, is_question, is_rule, table_heads
from strategies.retrieval.contexts import best_search
from strategies.retrieval.index import ExampleIndex, PassageIndex
from strategies.retrieval.neighbours import VOTES, Neighbours, best_neighbours, voters
from strategies.tuning import choose, most_often
from strategies.workload import Profile, Workload


class Baseline(Strategy):
    """What all baselines share: they cost no tokens of a language model."""

    family: Family = "baseline"
    uses_language_model = False

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        return Workload()


@dataclass(frozen=True)
class Constant:
    """Answers the same, whatever is asked."""

    answer: str

    def predict(self, inputs: Sequence[str]) -> list[Prediction]:
        return [Prediction(self.answer) for _ in inputs]

    def save(self, folder: Path) -> None:
        write_manifest(folder, "constant", {"answer": self.answer})

    @classmethod
    def load(cls, folder: Path, shelf: ModelShelf) -> Constant:
        return cls(read_manifest(folder)["answer"])


MOST_COMPARED, MOST_CHARACTERS = 20, 10_000
"""Different training answers that are compared with each other, and what they hold together."""


class Majority(Baseline):
    """The best constant: the commonest label, or the text most like all others, of the training examples."""

    name = "majority"

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        workshop.log.train_examples = len(train)
        return Constant(_best_constant(get_metric(task.metric), train))


def _best_constant(metric: Metric, train: Sequence[Example]) -> str:
    """The training answer that would score most as the answer to every training example.

    Of many different ones some are tried, at even distances, the commonest first; each stands for those that follow it.
    """
    counts = Counter(e.targets for e in train)
    answers = sorted(counts, key=lambda targets: (-counts[targets], targets))
    characters = sum(len(targets[0]) for targets in answers)
    step = math.ceil(max(len(answers) / MOST_COMPARED, characters / MOST_CHARACTERS)) or 1
    weights = {answers[i]: sum(counts[t] for t in answers[i : i + step]) for i in range(0, len(answers), step)}

    def score(targets: tuple[str, ...]) -> float:
        return sum(weight * metric.row(targets[0], other).score for other, weight in weights.items())

    return max(weights, key=score)[0]


@dataclass(frozen=True)
class Echo:
    """Answers with the input."""

    def predict(self, inputs: Sequence[str]) -> list[Prediction]:
        return [Prediction(text) for text in inputs]

    def save(self, folder: Path) -> None:
        write_manifest(folder, "echo", {})

    @classmethod
    def load(cls, folder: Path, shelf: ModelShelf) -> Echo:
        return cls()


class CopyInput(Baseline):
    """Leave the text as it is: what any rewriting must beat."""

    name = "copy_input"
    kinds = (Kind.GENERATION,)

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        check_suits(self, task, workshop)
        workshop.log.train_examples = len(train)
        return Echo()


@dataclass(frozen=True)
class NearestCopy:
    """Answers with the answer of the nearest example, or with the one that most of the nearest have."""

    index: ExampleIndex
    embedder: Embedder
    neighbours: Neighbours

    def predict(self, inputs: Sequence[str]) -> list[Prediction]:
        nearest = self.index.search(inputs, self.neighbours.votes, self.neighbours.word_share)
        agreeing = [voters(pairs) for pairs in nearest]
        return [Prediction(pairs[0].answer, sources=tuple(pair.id for pair in pairs)) for pairs in agreeing]

    def save(self, folder: Path) -> None:
        self.index.save(folder / "examples")
        values = {"embedder": model_entry(self.embedder.identity), "neighbours": asdict(self.neighbours)}
        write_manifest(folder, "nearest_copy", values)

    @classmethod
    def load(cls, folder: Path, shelf: ModelShelf) -> NearestCopy:
        manifest = read_manifest(folder)
        embedder = shelf.embedder_for(manifest["embedder"])
        neighbours = Neighbours(**manifest.get("neighbours", {}))  # before there was a choice, the usual ones
        return cls(ExampleIndex.load(folder / "examples", embedder), embedder, neighbours)


class CopyNearest(Baseline):
    """The answer of the training example whose input is nearest; of labels, the one that most of the nearest have.

    How many of these vote, and how much words count beside embeddings, is found on training rows that are left out.
    """

    name = "nearest_copy"

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        return Workload().embedding(profile.input_tokens)

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        workshop.log.train_examples = len(train)
        index, votes = ExampleIndex.build(train, workshop.embedder), VOTES if task.kind is Kind.CLASSIFICATION else (1,)
        before = most_often(workshop.allowance.chosen_before, ("word_share", "votes"))
        best = Neighbours(**before) if before else best_neighbours(index, get_metric(task.metric), workshop.seed, votes)
        workshop.log.config |= asdict(best)
        return NearestCopy(index, workshop.embedder, best)


_SENTENCE_END = re.compile(SENTENCE_END)


@dataclass(frozen=True)
class PassageCopy:
    """Answers with the best passage, or with its sentence that is nearest to the question; no heading is one."""

    index: PassageIndex
    embedder: Embedder
    unit: str
    """`passage` or `sentence`."""
    passage_words: int
    """The documents are cut into passages of at most so many."""
    word_share: float
    """How much words count in the search; the rest is meaning."""

    def predict(self, inputs: Sequence[str]) -> list[Prediction]:
        found = self.index.search(inputs, 1, self.word_share)
        texts = [hits[0].text if hits else "" for hits in found]
        if self.unit == "sentence":
            texts = self._nearest(inputs, [_sentences(text) for text in texts])
        return [
            Prediction(text, sources=tuple(p.document_id for p in hits), context=in_prompt(hits))
            for text, hits in zip(texts, found, strict=True)
        ]

    def with_documents(self, documents: Sequence[Document]) -> PassageCopy:
        """The same over other documents."""
        return replace(self, index=PassageIndex.build(cut_documents(documents, self.passage_words), self.embedder))

    def _nearest(self, inputs: Sequence[str], split: Sequence[Sequence[tuple[str, str]]]) -> list[str]:
        queries = self.embedder.encode_as("query", inputs)
        vectors = self.embedder.encode_as("document", [told for sentences in split for _, told in sentences])
        found, start = [], 0
        for query, sentences in zip(queries, split, strict=True):
            scores = vectors[start : start + len(sentences)] @ query
            found.append(sentences[int(np.argmax(scores))][0])
            start += len(sentences)
        return found

    def save(self, folder: Path) -> None:
        self.index.save(folder / "documents")
        values = {"unit": self.unit, "passage_words": self.passage_words, "word_share": self.word_share}
        write_manifest(folder, "passage_copy", {"embedder": model_entry(self.embedder.identity), **values})

    @classmethod
    def load(cls, folder: Path, shelf: ModelShelf) -> PassageCopy:
        manifest = read_manifest(folder)
        embedder = shelf.embedder_for(manifest["embedder"])
        index = PassageIndex.load(folder / "documents", embedder)
        return cls(index, embedder, manifest["unit"], manifest["passage_words"], manifest["word_share"])


def _sentences(text: str) -> list[tuple[str, str]]:
    """The sentences of a passage, each with what is compared with a question. The whole passage where it has none.

    Headings and questions are no answers, but the sentence after them often says no more of what it is about. Nor is
    the first row of a table that is ruled off; further rows are compared with their first one, ruled off or not.
    """
    sentences, above, asked = list[tuple[str, str]](), "", ""
    lines = text.split("\n")
    heads = table_heads(lines)
    for line, head, following, next_head in zip(lines, heads, [*lines[1:], ""], [*heads[1:], ""], strict=True):
        if heading_level(line):
            above, asked = f"{above}{line.strip()} ", ""
            continue
        if is_rule(line) or (next_head and is_rule(following)):
            continue
        is_row = bool(head or next_head)
        for sentence in filter(None, map(str.strip, [line] if is_row else _SENTENCE_END.split(line))):
            if is_question(sentence):
                asked = f"{sentence} "
                continue
            sentences.append((sentence, f"{above}{asked}{head} {sentence}".strip()))
            above = asked = ""
    return sentences or [(text, text)]


class CopyPassage(Baseline):
    """Search alone: the best passage, or its best sentence, as the answer."""

    name = "passage_copy"
    kinds = (Kind.QA,)
    needs_documents = True
    configurations: Sequence[dict[str, Any]] = ({"unit": "passage"}, {"unit": "sentence"})

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        """With the sentences of the passage that is found, and the input once more for comparing them with it."""
        return Workload().embedding(2 * profile.input_tokens + profile.passage_tokens)

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        check_suits(self, task, workshop)

        def make(configuration: dict[str, Any], rows: Sequence[Example]) -> Solution:
            index = workshop.index()
            words = best_search(rows, index, 1, workshop.seed).word_share
            workshop.log.config["word_share"] = words
            return PassageCopy(index, workshop.embedder, configuration["unit"], MOST_WORDS, words)

        def knows(solution: Solution, example: Example) -> bool:
            return False

        return choose(task, train, workshop, self.configurations, make, is_free=True, knows=knows)
