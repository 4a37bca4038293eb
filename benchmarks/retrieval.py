"""How often the right passage is found: by meaning, by words, and by both, as the training examples choose.

Recall@k and MRR over the examples of each task with documents; the right passage is the one that the example names
(`doc_id`) or, where none is named, the first that holds every word of the answer. The share of words is chosen on one
half of the examples and measured on the other, halves swapped. Then, of the context that LoRA + RAG chooses on all
examples: how much of the holdout's answers it holds. More than that no reader can get right.

    python benchmarks/retrieval.py [--tasks a,b]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from common import read_rows, tasks_root

from advisor.cli import quieten_libraries
from eval.contracts import Example
from eval.metrics import words_held
from eval.reading.documents import read_documents
from strategies.models.base import Embedder
from strategies.models.shelf import ModelShelf
from strategies.retrieval.chunks import MOST_WORDS, cut_documents
from strategies.retrieval.contexts import best_search, shortest_context
from strategies.retrieval.index import PassageIndex, Ranks

DEPTHS = (1, 3, 5)


def main() -> None:
    """Print a table and, on the last line, the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default="")
    arguments = parser.parse_args()
    quieten_libraries()
    root = tasks_root()
    names = (
        arguments.tasks.split(",") if arguments.tasks else sorted(p.parent.name for p in root.glob("*/corpus.jsonl"))
    )
    embedder = ModelShelf("cpu").embedder()
    found = {name: measure(root / name, embedder) for name in names}
    contexts = {name: shown(root / name, embedder) for name in names}
    print("| task | search | " + " | ".join(f"recall@{k}" for k in DEPTHS) + " | MRR |")
    print("|---" * (len(DEPTHS) + 3) + "|")
    for name, searches in found.items():
        for search, figures in searches.items():
            print(f"| {name} | {search} | " + " | ".join(f"{v:.3f}" for v in figures.values()) + " |")
    print("\n| task | passages | words of each, at most | words of the answers held | whole answers held |")
    print("|---" * 5 + "|")
    for name, held in contexts.items():
        print(
            f"| {name} | {held['passages']} | {held['passage_words']} | {held['words']:.3f} | {held['answers']:.3f} |"
        )
    print(json.dumps({"searches": found, "contexts": contexts}))


def measure(task: Path, embedder: Embedder) -> dict[str, dict[str, float]]:
    """Figures of the three searches on one task."""
    rows = read_rows(task / "examples.jsonl")
    examples = _examples(rows)
    index = PassageIndex.build(cut_documents(read_documents(task / "corpus.jsonl").documents, MOST_WORDS), embedder)
    ranked = index.rank([e.input for e in examples])
    half = len(examples) // 2
    first, second = best_search(examples[:half], index, 1, 0), best_search(examples[half:], index, 1, 0)
    chosen = [(second if i < half else first).word_share for i in range(len(examples))]
    shares = {"dense": [0.0] * len(examples), "bm25": [1.0] * len(examples), "chosen": chosen}
    return {
        name: figures(
            [_place(index, r, share, row, e) for r, share, row, e in zip(ranked, own, rows, examples, strict=True)]
        )
        for name, own in shares.items()
    }


def shown(task: Path, embedder: Embedder) -> dict[str, float]:
    """The context chosen on the examples, and what it holds of the holdout's answers."""
    documents = read_documents(task / "corpus.jsonl").documents
    examples, holdout = (_examples(read_rows(task / f"{part}.jsonl")) for part in ("examples", "holdout"))

    @cache
    def index(words: int) -> PassageIndex:
        return PassageIndex.build(cut_documents(documents, words), embedder)

    context, word_share = shortest_context(examples, index, 0)
    passages = index(context.words).search([e.input for e in holdout], context.passages, word_share)
    held = [words_held(" ".join(p.shown for p in ps), e.targets) for ps, e in zip(passages, holdout, strict=True)]
    whole = float(np.mean([share == 1.0 for share in held]))
    return {
        "passages": context.passages, "passage_words": context.words, "words": float(np.mean(held)), "answers": whole
    }  # fmt: skip


def _examples(rows: Sequence[dict[str, Any]]) -> list[Example]:
    return [Example(str(i), row["input"], tuple(_answers(row["output"]))) for i, row in enumerate(rows)]


def figures(places: Sequence[float]) -> dict[str, float]:
    """Recall at each depth and mean reciprocal rank, of ranks that count from 1 and are infinite where nothing is."""
    ranks = np.array(places)
    return {**{f"recall@{k}": float((ranks <= k).mean()) for k in DEPTHS}, "mrr": float((1 / ranks).mean())}


def _place(index: PassageIndex, ranks: Ranks, share: float, row: dict[str, Any], example: Example) -> float:
    for place, passage in enumerate(index.best(ranks, 50, share), 1):
        named = row.get("doc_id")
        right = passage.document_id == named if named else words_held(passage.shown, example.targets) == 1.0
        if right:
            return place
    return float("inf")


def _answers(output: Any) -> list[str]:
    return [str(o) for o in output] if isinstance(output, list) else [str(output)]


if __name__ == "__main__":
    main()
