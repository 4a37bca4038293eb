"""What in the client's data could spoil a comparison, found before anything is spent.

Every finding says what was seen, where, what was done about it and how to overrule that. Two things are done by
default: spellings of one label are counted as one, and what of documents gives an example's question and answer away
is left out. Nothing else is changed, and nothing in silence.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from eval.audit.balance import (
    class_imbalance,
    rare_labels,
    single_label,
    tested_on_one_label,
    too_few_examples,
    unseen_labels,
)
from eval.audit.blind_metric import blind_metric
from eval.audit.contents import (
    invalid_json_output,
    joined_labels,
    placeholder_outputs,
    several_outputs,
    wordless_inputs,
)
from eval.audit.injection import prompt_injection
from eval.audit.languages import language_mismatch
from eval.audit.leaks import leak_finding, leaking_documents, without_leaks
from eval.audit.lengths import Limit, long_inputs
from eval.audit.repeats import (
    conflicting_labels,
    duplicate_documents,
    duplicate_rows,
    near_duplicates,
    repeated_in_test,
)
from eval.audit.spellings import label_variants, merge_spellings, spellings
from eval.contracts import Document, Example, Kind, Task
from eval.errors import RequestError
from eval.findings import Finding, in_test, of_test

LOST = ("unparseable_rows", "empty_input", "empty_output")
"""Findings of rows that were left out, or say nothing. Warnings on how a file was read tell of rows, too."""


@dataclass(frozen=True)
class Readers:
    """What the models that will read the data can take in."""

    embedder: str = ""
    languages: Collection[str] = ()
    """Languages that the embedder was made for (ISO 639-1); empty where that is not known."""
    limits: Sequence[Limit] = ()


@dataclass(frozen=True)
class Audited:
    """The data as strategies will see them, and what was found."""

    examples: tuple[Example, ...]
    test: tuple[Example, ...]
    documents: tuple[Document, ...]
    spellings: dict[str, str]
    """Labels that were replaced, with what they were counted as."""
    findings: tuple[Finding, ...]


def audit(
    task: Task,
    examples: Sequence[Example],
    documents: Sequence[Document] = (),
    *,
    test: Sequence[Example] = (),
    accept: Collection[str] = (),
    readers: Readers = Readers(),
) -> Audited:
    """Look at readable examples, the client's own test set and the documents, and clean them.

    `accept` holds the codes for which the data are to stay as they are; findings with these codes are no warnings any
    more. Personal data are looked for separately, since they are masked before anything else sees them
    (`eval.audit.personal_data`).
    """
    every = (*examples, *marked(test))
    is_classification = task.kind is Kind.CLASSIFICATION
    variants = spellings(every, task.labels) if is_classification else {}
    merged = {} if "label_variants" in accept else variants
    cleaned, tested = merge_spellings(examples, merged), merge_spellings(test, merged)
    leaks = leaking_documents(every, documents)
    left_out = "leak_examples_documents" not in accept
    left = without_leaks(documents, leaks, every) if left_out else tuple(documents)
    findings: list[Finding | None] = [
        *_rows(task, cleaned),
        *(of_test(finding) for finding in _of_each(task, tested) if finding is not None),
        tested_on_one_label(tested) if is_classification and len({e.target for e in cleaned}) > 1 else None,
        repeated_in_test(examples, test),
        *(label_variants(every, variants, task.labels, merged=bool(merged)) if is_classification else ()),
        duplicate_documents(documents),
        leak_finding(leaks, left_out=left_out, kept={d.id for d in left}),
        *prompt_injection(every, documents),
        *language_mismatch(every, documents, languages=readers.languages, made_for=readers.embedder),
        *(long_inputs(every, limit) for limit in readers.limits),
    ]
    return Audited(
        cleaned,
        tested,
        left,
        merged,
        tuple(accepted([finding for finding in findings if finding is not None], accept)),
    )


def marked(test: Sequence[Example]) -> tuple[Example, ...]:
    """Return the rows of a test set with ids that tell them from the examples in a finding."""
    return tuple(replace(example, id=in_test(example.id)) for example in test)


def accepted(findings: Sequence[Finding], accept: Collection[str]) -> list[Finding]:
    """Return the findings; those with a code that the client accepts are no warnings any more."""
    return [
        replace(finding, severity="info", action=f"Left as it is, as --accept {finding.code} asks.")
        if finding.code in accept and finding.severity == "warning"
        else finding
        for finding in findings
    ]


def refuse_hopeless(findings: Sequence[Finding]) -> None:
    """Raise RequestError for the first finding with which no comparison makes sense, and say which rows were lost."""
    for finding in findings:
        if finding.severity == "error":
            lost = [f.said for f in findings if f.code in LOST or (f.code, f.severity) == ("column_mapping", "warning")]
            raise RequestError(" ".join([finding.message, *lost, finding.action]))


def _rows(task: Task, examples: Sequence[Example]) -> Iterator[Finding | None]:
    """What is found by looking at the examples alone, in a fixed order."""
    is_classification = task.kind is Kind.CLASSIFICATION
    yield too_few_examples(examples)
    yield duplicate_rows(examples)
    yield near_duplicates(examples, are_labels=is_classification)
    if is_classification:
        yield single_label(examples)
        yield joined_labels(examples)
        yield class_imbalance(task, examples)
        yield from rare_labels(examples)
        yield unseen_labels(task, examples)
    yield blind_metric(task, examples)
    yield from _of_each(task, examples)


def _of_each(task: Task, rows: Sequence[Example]) -> Iterator[Finding | None]:
    """What spoils rows wherever they stand, be it in the examples or in the client's own test set."""
    yield conflicting_labels(rows)
    yield wordless_inputs(rows)
    yield placeholder_outputs(rows)
    yield several_outputs(task, rows)
    yield invalid_json_output(task, rows)
