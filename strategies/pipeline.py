"""The one solution that works with a language model: a prompt, and optionally retrievers and an adapter."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from eval.contracts import Document, Prediction
from eval.errors import RequestError
from strategies.answers import AnswerFormat
from strategies.label_pool import LabelPool
from strategies.linear_classifier import LinearClassifier
from strategies.manifest import model_entry, read_manifest, write_manifest
from strategies.models.base import Embedder, LabelScores, LanguageModel, Prompt
from strategies.models.shelf import ModelShelf
from strategies.prompts import Fitted, PromptTemplate, in_prompt, within_context
from strategies.retrieval.chunks import Passage, cut_documents
from strategies.retrieval.index import ExampleIndex, Pair, PassageIndex

KIND = "pipeline"
SELVES = 5
"""So many examples may have the very same input."""
DEEPER = 4
"""Times as many are searched for a query that nearly all of what was found belongs together with."""


@dataclass(frozen=True)
class DocumentRetriever:
    """Puts the passages nearest to a query into its prompt."""

    index: PassageIndex
    count: int
    passage_words: int
    """The documents are cut into passages of at most so many."""
    word_share: float
    """How much words count in the search; the rest is meaning."""

    def search(self, queries: Sequence[str]) -> list[list[Passage]]:
        """For each query what it is shown, best first."""
        return self.index.search(queries, self.count, self.word_share)

    def shown(self, queries: Sequence[str]) -> list[str]:
        """For each query what it is shown, as its prompt has it."""
        return [in_prompt(passages) for passages in self.search(queries)]

    def over(self, documents: Sequence[Document], embedder: Embedder) -> DocumentRetriever:
        """The same over other documents."""
        return replace(self, index=PassageIndex.build(cut_documents(documents, self.passage_words), embedder))


@dataclass(frozen=True)
class ExampleRetriever:
    """Shows the training examples nearest to a query as demonstrations."""

    index: ExampleIndex
    count: int
    word_share: float = 0.0
    """How much words count in the search; the rest is meaning."""

    def search(self, queries: Sequence[str], *, unseen: bool = True) -> list[list[Pair]]:
        """For each query what it is shown, best first.

        One that is not `unseen` is not shown itself, nor what belongs together with it: folds keep these apart from
        what they test.
        """
        if unseen:
            return self.index.search(queries, self.count, self.word_share)
        groups = {pair.input: pair.group for pair in self.index.pairs if pair.group}
        shown: list[list[Pair]] = [[] for _ in queries]
        short, depth = list(range(len(queries))), self.count + SELVES
        while short:
            asked = [queries[i] for i in short]
            found = self.index.search(asked, depth, self.word_share)
            for i, query, pairs in zip(short, asked, found, strict=True):
                others = [pair for pair in pairs if pair.input != query and pair.group != groups.get(query)]
                shown[i] = others[: self.count]
            is_all = depth >= len(self.index.pairs)
            short = [] if is_all else [i for i in short if len(shown[i]) < self.count]
            depth *= DEEPER
        return shown


@dataclass(frozen=True)
class Pipeline:
    """Implements `Solution`. Which parts are present decides what it is: RAG, LoRA, both, or a plain prompt."""

    model: LanguageModel
    template: PromptTemplate
    answers: AnswerFormat
    embedder: Embedder | None = None
    documents: DocumentRetriever | None = None
    examples: ExampleRetriever | None = None
    adapter: Path | None = None
    """A PEFT folder."""
    pool: LabelPool | None = None
    """A second opinion of the labels."""

    def with_documents(self, documents: Sequence[Document]) -> Pipeline:
        """The same over other documents. Raises RequestError where it looks into none."""
        if self.documents is None or self.embedder is None:
            raise RequestError("This solution looks into no documents; there is nothing to refresh.")
        return replace(self, documents=self.documents.over(documents, self.embedder))

    def predict(self, inputs: Sequence[str]) -> list[Prediction]:
        """Answer each input, in order; inputs given together are batched together."""
        self.model.use_adapter(self.adapter)
        fitted = self._fitted(inputs)
        prompts, contexts = [f.prompt for f in fitted], [f.context for f in fitted]
        pooled = partial(self.pool.pooled, inputs, self.answers.labels) if self.pool else None
        answers = self.answers.answer(self.model, prompts, contexts, pooled)
        reads = self.documents and not self.answers.labels
        return [
            replace(answer, sources=f.sources, context=f.context if reads else None)
            for answer, f in zip(answers, fitted, strict=True)
        ]

    def label_scores(self, inputs: Sequence[str], *, unseen: bool = True, every: bool = False) -> list[LabelScores]:
        """What the language model alone thinks of the labels; `unseen` is as in `prompts`, `every` as in the model."""
        self.model.use_adapter(self.adapter)
        return self.model.score_labels(self.prompts(inputs, unseen=unseen), self.answers.labels, every=every)

    def prompts(self, inputs: Sequence[str], *, unseen: bool = True) -> list[Prompt]:
        """The prompt of each input.

        Inputs that are not `unseen` are examples of the index themselves: such a text is shown neither its own answer
        nor those of its group.
        """
        return [fitted.prompt for fitted in self._fitted(inputs, unseen=unseen)]

    def _fitted(self, inputs: Sequence[str], *, unseen: bool = True) -> list[Fitted]:
        passages = self.documents.search(inputs) if self.documents else [[] for _ in inputs]
        nearest: list[list[Pair]] = [[] for _ in inputs]
        if self.examples:
            nearest = self.examples.search(inputs, unseen=unseen)
        return [
            within_context(self.model, self.template, text, shown, pairs, self.answers.room)
            for text, shown, pairs in zip(inputs, passages, nearest, strict=True)
        ]

    def save(self, folder: Path) -> None:
        """Write manifest, prompt, indexes and adapter."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.documents:
            self.documents.index.save(folder / "documents")
        if self.examples:
            self.examples.index.save(folder / "examples")
        if self.adapter and self.adapter.resolve() != (folder / "adapter").resolve():
            shutil.copytree(self.adapter, folder / "adapter", dirs_exist_ok=True)
        if self.pool:
            self.pool.classifier.save(folder / "classifier")
        (folder / "prompt.json").write_text(
            json.dumps(self.template.to_json(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
        )
        write_manifest(folder, KIND, self._manifest())

    def _manifest(self) -> dict[str, Any]:
        return {
            "language_model": model_entry(self.model.identity),
            "embedder": model_entry(self.embedder.identity) if self.embedder else None,
            "answers": self.answers.to_json(),
            "passages_shown": self.documents.count if self.documents else None,
            "passage_words": self.documents.passage_words if self.documents else None,
            "word_share": self.documents.word_share if self.documents else None,
            "examples_shown": self.examples.count if self.examples else None,
            "examples_word_share": self.examples.word_share if self.examples else None,
            "adapter": "adapter" if self.adapter else None,
            "adapter_weights": sorted(p.name for p in self.adapter.glob("*.safetensors")) if self.adapter else [],
            "pool": self.pool.to_json() if self.pool else None,
        }

    @classmethod
    def load(cls, folder: Path, shelf: ModelShelf) -> Pipeline:
        """Inverse of `save`; warns where the base weights are not those that the solution was made with.

        The adapter is put on at once, so that a damaged one is told now and not by the first query.
        """
        manifest = read_manifest(folder)
        template = json.loads((folder / "prompt.json").read_text(encoding="utf-8"))
        embedder = shelf.embedder_for(manifest["embedder"]) if manifest["embedder"] else None
        documents = examples = pool = None
        if embedder is not None and manifest["passages_shown"]:
            index = PassageIndex.load(folder / "documents", embedder)
            documents = DocumentRetriever(
                index, manifest["passages_shown"], manifest["passage_words"], manifest["word_share"]
            )
        if embedder is not None and manifest["examples_shown"]:
            nearest, words = ExampleIndex.load(folder / "examples", embedder), manifest.get("examples_word_share", 0.0)
            examples = ExampleRetriever(nearest, manifest["examples_shown"], words)  # before, meaning alone counted
        if manifest["pool"]:
            pool = LabelPool(LinearClassifier.load(folder / "classifier", shelf), **manifest["pool"])
        model, adapter = shelf.language_model_for(manifest["language_model"]), folder / "adapter"
        for name in manifest.get("adapter_weights", []):  # before there was this list, a head that is gone stays unseen
            if not (adapter / name).exists():
                raise RequestError(f"The adapter in {adapter} is not whole: {name} is missing.")
        if manifest["adapter"]:
            model.use_adapter(adapter)
        return cls(
            model=model,
            template=PromptTemplate.from_json(template),
            answers=AnswerFormat.from_json(manifest["answers"]),
            embedder=embedder,
            documents=documents,
            examples=examples,
            adapter=adapter if manifest["adapter"] else None,
            pool=pool,
        )
