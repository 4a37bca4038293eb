"""The audit that needs a model: labels that a classifier contradicts which did not learn from their rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from advisor.data import Data, audited
from advisor.request import CompareRequest
from eval.audit import accepted
from eval.audit.wrong_labels import likely_wrong_labels
from eval.contracts import Kind
from eval.errors import RequestError
from eval.findings import Finding
from eval.folds import k_folds
from strategies.linear_classifier import LinearClassifier
from strategies.models.embedding_cache import CachingEmbedder
from strategies.models.shelf import ModelShelf
from strategies.text_features import EmbeddingFeatures

FOLDS = 5
MOST_ROWS = 5000
"""With more, embedding them all would hold the audit up."""


def audit_only(request: CompareRequest, shelf: ModelShelf | None = None) -> list[Finding]:
    """The findings on a request's files, hopeless ones included; labels are judged where the embedder is fetched."""
    return list(judged(audited(request), request, shelf or ModelShelf(request.device)).findings)


def judged(data: Data, request: CompareRequest, shelf: ModelShelf) -> Data:
    """Audited data with their labels judged, unless they are hopeless or the embedder is not here."""
    if is_hopeless(data) or not shelf.has(request.embedder):
        return data
    return with_suspects(data, CachingEmbedder(shelf.embedder(request.embedder)), request.seed, request.accept)


def is_hopeless(data: Data) -> bool:
    """Whether no comparison can be made of the data."""
    return any(finding.severity == "error" for finding in data.findings)


def with_suspects(data: Data, embedder: CachingEmbedder, seed: int, accept: list[str]) -> Data:
    """The data with one more finding, where labels are likely wrong. Nothing else looks at these predictions.

    With documents, answers may hang on what these say, of which the classifier knows nothing.
    """
    if data.task.kind is not Kind.CLASSIFICATION or data.documents or len(data.examples) > MOST_ROWS:
        return data
    try:
        folds = k_folds(data.examples, folds=FOLDS, seed=seed, stratify=True)
    except RequestError:  # too few different inputs
        return data
    embedder.encode([e.input for e in data.examples])  # all at once; the folds then ask for parts
    features = EmbeddingFeatures(embedder)
    labels = sorted({e.target for e in data.examples})
    place = {e.id: i for i, e in enumerate(data.examples)}
    found = np.full((len(data.examples), len(labels)), np.nan)
    for train, test in folds:
        classifier = LinearClassifier.fit_texts(features, train, balanced=False)
        columns = [labels.index(label) for label in classifier.labels]
        shares = classifier.probabilities(features.transform([e.input for e in test]))
        for example, row in zip(test, shares, strict=True):
            found[place[example.id]] = 0.0
            found[place[example.id], columns] = row
    finding = likely_wrong_labels(data.examples, found, labels)
    return replace(data, findings=(*data.findings, *accepted([finding], accept))) if finding else data
