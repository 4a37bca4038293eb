"""How the work grows: seconds for more examples, and for more documents.

    python benchmarks/growth.py [--examples 100,300,1000] [--documents 200,2000,20000]

Made-up tickets and made-up articles, and the parts of a comparison on them one by one, so that the table says how each
part grows and not what a plan would cut. LoRA trains for one epoch.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from common import machine

TOPICS = ("invoice", "outage", "meter", "contract", "moving house", "praise")
WORDS = ("river", "valve", "copper", "lantern", "ledger", "harbour", "winter", "engine", "bridge", "garden", "market")


def main() -> None:
    """Measure every size and print the two tables and, on the last line, JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", default="100,300,1000")
    parser.add_argument("--documents", default="200,2000,20000")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        by_examples = [grow_examples(int(n), Path(scratch)) for n in arguments.examples.split(",") if n]
        by_documents = [grow_documents(int(n), Path(scratch)) for n in arguments.documents.split(",") if n]
    for rows in (by_examples, by_documents):
        if rows:
            print("| " + " | ".join(rows[0]) + " |\n" + "|---" * len(rows[0]) + "|")
            print("\n".join("| " + " | ".join(str(value) for value in row.values()) + " |" for row in rows) + "\n")
    print(json.dumps({"machine": machine("cpu"), "examples": by_examples, "documents": by_documents}))


def grow_examples(count: int, scratch: Path) -> dict[str, Any]:
    """Parts of a comparison on so many labelled tickets."""
    from advisor.auditing import with_suspects
    from advisor.data import read_data
    from advisor.request import make_request
    from strategies.base import Allowance, Workshop
    from strategies.models.embedding_cache import CachingEmbedder
    from strategies.models.shelf import ModelShelf
    from strategies.registry import make_strategy

    rows = tickets(count)
    file = scratch / f"tickets-{count}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    shelf = ModelShelf("cpu")
    request = make_request(task="Name the topic of the ticket.", examples=str(file))
    embedder = CachingEmbedder(shelf.embedder())
    embedder.encode(["warm"])
    start = time.perf_counter()
    data = with_suspects(read_data(request), embedder, 0, [])
    found: dict[str, Any] = {"examples": count, "reading and audit": round(time.perf_counter() - start, 1)}
    for name in ("embedding_linear", "few_shot", "nearest_examples", "lora"):
        folder = scratch / f"{name}-{count}"
        folder.mkdir()
        allowance = Allowance(epochs=1, tuning_seconds=0.0)
        workshop = Workshop(shelf.language_model(), embedder, (), folder, 0, allowance)
        start = time.perf_counter()
        solution = make_strategy(name).fit(data.task, data.examples, workshop)
        fitted = time.perf_counter()
        solution.predict([e.input for e in data.examples[:50]])
        found[f"{name}: fit"] = round(fitted - start, 1)
        found[f"{name}: 50 answers"] = round(time.perf_counter() - fitted, 1)
    return found


def grow_documents(count: int, scratch: Path) -> dict[str, Any]:
    """Parts of a comparison on so many articles and 100 questions about them."""
    from advisor.data import read_data
    from advisor.request import make_request
    from strategies.models.embedding_cache import CachingEmbedder
    from strategies.models.shelf import ModelShelf
    from strategies.retrieval.chunks import cut_documents
    from strategies.retrieval.index import PassageIndex

    articles, questions = library(count)
    file, corpus = scratch / f"questions-{count}.jsonl", scratch / f"articles-{count}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in questions))
    corpus.write_text("".join(json.dumps(row) + "\n" for row in articles))
    request = make_request(task="Answer the question.", examples=str(file), documents=str(corpus))
    embedder = CachingEmbedder(ModelShelf("cpu").embedder())
    embedder.encode(["warm"])
    start = time.perf_counter()
    data = read_data(request)
    read = time.perf_counter()
    passages = cut_documents(data.documents)
    index = PassageIndex.build(passages, embedder)
    built = time.perf_counter()
    index.search([row["input"] for row in questions], 3, word_share=0.3)
    return {
        "documents": count,
        "passages": len(passages),
        "reading and audit": round(read - start, 1),
        "embedding and index": round(built - read, 1),
        "100 searches": round(time.perf_counter() - built, 2),
    }


def tickets(count: int) -> list[dict[str, str]]:
    """Tickets of six topics."""
    draw = random.Random(count)
    rows = []
    for i in range(count):
        topic = TOPICS[i % len(TOPICS)]
        words = " ".join(draw.choices(WORDS, k=8))
        rows.append({"input": f"Case {i}: about my {topic}, the {words} was not as agreed.", "output": topic})
    return rows


def library(count: int) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Articles of about a hundred words, and questions about a hundred of them."""
    draw = random.Random(count)
    articles = []
    for i in range(count):
        facts = [
            f"The {' '.join(draw.choices(WORDS, k=9))} of place {i} is {draw.randrange(900)} years old."
            for _ in range(6)
        ]
        text = " ".join([f"Place {i} was founded in {1000 + i % 900}.", *facts])
        articles.append({"id": f"a{i}", "title": f"Place {i}", "text": text})
    asked = draw.sample(range(count), 100)
    return articles, [{"input": f"When was place {i} founded?", "output": str(1000 + i % 900)} for i in asked]


if __name__ == "__main__":
    main()
