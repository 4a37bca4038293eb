"""Labels that are likely wrong are found by a classifier that did not learn from their rows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from advisor.auditing import audit_only, with_suspects
from advisor.data import Data, read_data
from advisor.request import make_request
from eval.contracts import Document
from strategies.models.embedding_cache import CachingEmbedder
from strategies.models.fake import HashingEmbedder
from strategies.models.shelf import ModelShelf

TOPICS = {
    "weather": "rain snow wind storm sunshine cloud frost thunder",
    "food": "bread soup cheese apple dinner kitchen recipe oven",
}


@pytest.fixture
def data(tmp_path: Path) -> Data:
    """60 rows that say what they are about, with the labels of rows 7 and 30 exchanged for the other."""
    rows = []
    for i in range(60):
        label = list(TOPICS)[i % 2]
        words = TOPICS[label].split()
        text = f"{words[i % 8]} {words[(i // 2) % 8]} {words[(i // 3) % 8]} {words[(i // 5) % 8]} note {i}"
        given = label if i not in (7, 30) else list(TOPICS)[1 - i % 2]
        rows.append({"id": f"r{i}", "input": text, "output": given})
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_data(make_request(task="Sort the notes.", examples=str(path)))


def test_exchanged_labels_are_named_and_nothing_is_changed(data: Data) -> None:
    found = with_suspects(data, CachingEmbedder(HashingEmbedder(dimensions=1024)), 0, [])
    (finding,) = [f for f in found.findings if f.code == "likely_wrong_labels"]
    assert set(finding.rows) == {"r7", "r30"}
    assert found.examples == data.examples


def test_a_task_without_labels_has_no_wrong_ones(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(
        "".join(json.dumps({"input": f"Tell of {i}.", "output": f"Once there was {i}."}) + "\n" for i in range(30))
    )
    data = read_data(make_request(task="Tell a story.", examples=str(path)))
    assert with_suspects(data, CachingEmbedder(HashingEmbedder()), 0, []) is data


def test_labels_that_hang_on_documents_are_not_judged(data: Data) -> None:
    read = replace(data, documents=(Document("d", "Row 7 is about food."),))
    assert with_suspects(read, CachingEmbedder(HashingEmbedder(dimensions=1024)), 0, []) is read


def test_the_audit_alone_reports_what_a_comparison_would_refuse(tmp_path: Path) -> None:
    path = tmp_path / "few.csv"
    path.write_text("text,label\n" + "".join(f"word {i},{'ab'[i % 2]}\n" for i in range(5)))
    request = make_request(task="Sort.", examples=str(path), embedder="hashing")
    findings = audit_only(request, ModelShelf(embedders={"hashing": HashingEmbedder()}))
    assert ("too_few_examples", "error") in [(f.code, f.severity) for f in findings]
