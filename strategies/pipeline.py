"""The one solution that works with a language model: a prompt, and optionally retrievers and an adapter."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from eval.contracts import Prediction
from strategies.answers import AnswerFormat
from strategies.manifest import model_entry, read_manifest, write_manifest
from strategies.models.base import Embedder, LanguageModel, Prompt
from strategies.models.shelf import ModelShelf
from strategies.prompts import PromptTemplate, within_context
from strategies.retrieval.chunks import Passage
from strategies.retrieval.index import ExampleIndex, Pair, PassageIndex

KIND = "pipeline"


@dataclass(frozen=True)
class DocumentRetriever:
    """Puts the passages nearest to a query into its prompt."""

    index: PassageIndex
    count: int
    word_share: float
    """How much words count in the search; the rest is meaning."""

    def search(self, queries: Sequence[str]) -> list[list[Passage]]:
        """For each query what it is shown, best first."""
        return self.index.search(queries, self.count, self.word_share)


@dataclass(frozen=True)
class ExampleRetriever:
    """Shows the training examples nearest to a query as demonstrations."""

    index: ExampleIndex
    count: int


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

    def predict(self, inputs: Sequence[str]) -> list[Prediction]:
        """Answer each input, in order; inputs given together are batched together."""
        self.model.use_adapter(self.adapter)
        prompts, sources = self.prompts(inputs)
        answers = self.answers.answer(self.model, prompts)
        return [replace(answer, sources=found) for answer, found in zip(answers, sources, strict=True)]

    def prompts(self, inputs: Sequence[str]) -> tuple[list[Prompt], list[tuple[str, ...]]]:
        """The prompt of each input, and the ids of what was retrieved for it."""
        passages = self.documents.search(inputs) if self.documents else [[] for _ in inputs]
        nearest: list[list[Pair]] = [[] for _ in inputs]
        if self.examples:
            found = self.examples.index.search(inputs, self.examples.count)
            nearest = [[pair for pair, _ in hits] for hits in found]
        fitted = [
            within_context(self.model, partial(self.template.prompt, text), shown, pairs, self.answers.max_new_tokens)
            for text, shown, pairs in zip(inputs, passages, nearest, strict=True)
        ]
        sources = [(*(p.document_id for p in f.passages), *(pair.id for pair in f.nearest)) for f in fitted]
        return [f.prompt for f in fitted], sources

    def save(self, folder: Path) -> None:
        """Write manifest, prompt, indexes and adapter."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.documents:
            self.documents.index.save(folder / "documents")
        if self.examples:
            self.examples.index.save(folder / "examples")
        if self.adapter and self.adapter.resolve() != (folder / "adapter").resolve():
            shutil.copytree(self.adapter, folder / "adapter", dirs_exist_ok=True)
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
            "word_share": self.documents.word_share if self.documents else None,
            "examples_shown": self.examples.count if self.examples else None,
            "adapter": "adapter" if self.adapter else None,
        }

    @classmethod
    def load(cls, folder: Path, shelf: ModelShelf) -> Pipeline:
        """Inverse of `save`; warns where the base weights are not those that the solution was made with."""
        manifest = read_manifest(folder)
        template = json.loads((folder / "prompt.json").read_text(encoding="utf-8"))
        embedder = shelf.embedder_for(manifest["embedder"]) if manifest["embedder"] else None
        documents = examples = None
        if embedder is not None and manifest["passages_shown"]:
            index = PassageIndex.load(folder / "documents", embedder)
            documents = DocumentRetriever(index, manifest["passages_shown"], manifest.get("word_share", 0.0))
        if embedder is not None and manifest["examples_shown"]:
            examples = ExampleRetriever(ExampleIndex.load(folder / "examples", embedder), manifest["examples_shown"])
        return cls(
            model=shelf.language_model_for(manifest["language_model"]),
            template=PromptTemplate.from_json(template),
            answers=AnswerFormat.from_json(manifest["answers"]),
            embedder=embedder,
            documents=documents,
            examples=examples,
            adapter=folder / "adapter" if manifest["adapter"] else None,
        )
