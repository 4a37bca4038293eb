"""Everything a comparison starts from, read and checked before anything is spent."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from advisor.request import CompareRequest
from eval.audit import audit, refuse_hopeless
from eval.contracts import Document, Example, Kind, Task
from eval.errors import RequestError
from eval.findings import Finding
from eval.folds import default_test_size, group_key, split
from eval.reading.documents import read_documents
from eval.reading.examples import read_examples
from eval.tasks import complete, read_task


@dataclass(frozen=True)
class Data:
    """A task with its examples and documents."""

    task: Task
    examples: tuple[Example, ...]
    test: tuple[Example, ...] | None
    """The client's own test set, where there is one."""
    documents: tuple[Document, ...]
    findings: tuple[Finding, ...]
    stated: tuple[str, ...]
    """Sentences on what was inferred."""


def read_data(request: CompareRequest) -> Data:
    """Read and audit all that a request names. Raises RequestError where it cannot be used."""
    data = _read(request)
    refuse_hopeless(data.findings)
    if request.test is None:
        return data
    further = read_examples(request.test, input_columns=request.input_columns, output_column=request.output_column)
    if not further.examples:
        raise RequestError(f"--test: {request.test} holds no usable example.")
    return replace(data, test=further.examples, findings=(*data.findings, *further.findings))


def audit_only(request: CompareRequest) -> list[dict[str, object]]:
    """The findings on a request's files as plain values, hopeless ones included."""
    return [{**asdict(finding), "rows": list(finding.rows)} for finding in _read(request).findings]


def _read(request: CompareRequest) -> Data:
    """Task, examples and documents with everything the audit found, however hopeless."""
    spec = read_task(request.task)
    file = read_examples(request.examples, input_columns=request.input_columns, output_column=request.output_column)
    documents = read_documents(request.documents) if request.documents else None
    task, stated = complete(spec, file.examples, has_documents=documents is not None)
    findings = (*file.findings, *(documents.findings if documents else ()), *audit(task, file.examples))
    return Data(task, file.examples, None, documents.documents if documents else (), findings, tuple(stated))


@dataclass(frozen=True)
class Parts:
    """The examples, divided once for all strategies."""

    train: tuple[Example, ...]
    test: tuple[Example, ...]
    source: str
    """`split` or `file`."""


def divide(data: Data, seed: int, test_rows: int | None = None) -> Parts:
    """Set test rows aside (or take the client's), then keep at most `test_rows` of them.

    The training part does not depend on `test_rows`. Training rows that repeat an input of a given test file are left
    out of training: they would make the test a recital.
    """
    stratify = data.task.kind is Kind.CLASSIFICATION
    if data.test is not None:
        asked = {group_key(e.input) for e in data.test}
        train: Sequence[Example] = [e for e in data.examples if group_key(e.input) not in asked]
        test: Sequence[Example] = data.test
    else:
        whole = split(data.examples, test_size=default_test_size(len(data.examples)), seed=seed, stratify=stratify)
        train, test = whole.train, whole.test
        if test_rows is not None and test_rows < len(test):
            drawn = set(random.Random(seed).sample(sorted(e.id for e in test), test_rows))
            test = [e for e in test if e.id in drawn]
    if len(train) < 2:
        raise RequestError("--test repeats all examples: there is nothing left to learn from.")
    return Parts(tuple(train), tuple(test), "file" if data.test is not None else "split")


_UNFINGERPRINTED = {
    "output",
    "keep",
    "tolerance",
    "volume",
    "min_quality",
    "max_cost_per_1k",
    "max_latency_ms",
    "prices",
}
"""Options that change no measurement: a run may be resumed with others."""


def fingerprint(request: CompareRequest, data: Data) -> str:
    """A hash of everything that the measurements of a run depend on, contents of files included."""
    options = request.model_dump(mode="json", exclude=_UNFINGERPRINTED)
    for name in ("task", "examples", "documents", "test"):
        options[name] = None  # their contents count, not where they lie
    rows = [[e.id, e.input, e.targets] for e in data.examples]
    test = [[e.id, e.input, e.targets] for e in data.test] if data.test is not None else None
    texts = [[d.id, d.title, d.text] for d in data.documents]
    task = [data.task.description, data.task.kind, data.task.metric, data.task.labels, data.task.json_keys]
    content = json.dumps([options, task, rows, test, texts], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()


def default_output() -> Path:
    """A new folder's name for a run: `advisor-run`, then `advisor-run-2`, ..."""
    base = Path("advisor-run")
    number = 1
    while (path := base if number == 1 else Path(f"{base}-{number}")).exists():
        number += 1
    return path
