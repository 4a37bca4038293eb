"""All that lies in the files of a request, read once, with ids and groups that can be shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from advisor.columns import column_values, impersonal_groups, times_of
from advisor.incumbent import read_incumbent
from advisor.request import CompareRequest
from eval.audit.personal_data import impersonal_ids, mask, mask_answer, mask_documents, mask_examples, mask_finding
from eval.contracts import Document, Example
from eval.errors import RequestError
from eval.findings import Finding, of_test
from eval.reading.documents import DocumentFile, read_documents
from eval.reading.examples import ExampleFile, read_examples
from eval.reading.text import counted


@dataclass(frozen=True)
class Files:
    """Examples, test rows and documents, and what columns and files say about them."""

    examples: tuple[Example, ...]
    test: tuple[Example, ...]
    """Empty where there is no `--test`."""
    documents: tuple[Document, ...]
    groups: tuple[str, ...] | None
    """Parallel to `examples`."""
    test_groups: tuple[str, ...] | None
    """Parallel to `test`."""
    times: tuple[float, ...] | None
    """Parallel to `examples`."""
    incumbent: tuple[str, ...] | None
    """Parallel to `test` where there are test rows, else to `examples`."""
    findings: tuple[Finding, ...]
    stated: tuple[str, ...]
    """Sentences on how the files were read."""
    inputs: tuple[str, ...] = ()
    """The columns of the examples that make the input."""


def read_files(request: CompareRequest, task: str) -> Files:
    """Read every file that a request names, whose task's sentence is `task`.

    Raises RequestError where one cannot be used; it repeats no personal data, which a first row without names may hold.
    """
    try:
        return _read(request, task)
    except RequestError as error:
        raise RequestError(mask(str(error))) from error


def _read(request: CompareRequest, task: str) -> Files:
    file = _examples(request, request.examples, task)
    further = _examples(request, request.test) if request.test else ExampleFile((), (), {})
    documents = read_documents(request.documents) if request.documents else DocumentFile((), ())
    stated = []
    groups = test_groups = times = incumbent = None
    if request.group_by:
        groups = column_values(file, request.group_by, "--group-by")
        test_groups = column_values(further, request.group_by, "--group-by with --test") if request.test else None
        groups, test_groups = impersonal_groups(groups, test_groups)
        stated.append(_grouped(groups, request.group_by))
    if request.time_column:
        cells = column_values(file, request.time_column, "--time-column")
        times = times_of(cells, file.lines, request.time_column)
        first, last = cells[times.index(min(times))], cells[times.index(max(times))]
        stated.append(f'Ordered the examples in time by "{request.time_column}", from {first} to {last}.')
    if request.incumbent:
        incumbent, sentence = read_incumbent(
            request, further if request.test else file, file.examples if request.test else ()
        )
        stated.append(sentence)
    findings = (*file.findings, *documents.findings, *map(of_test, further.findings))
    return Files(
        impersonal_ids(file.examples),
        impersonal_ids(further.examples),
        impersonal_ids(documents.documents),
        groups,
        test_groups,
        times,
        incumbent,
        tuple(map(mask_finding, findings)),
        tuple(stated),
        file.inputs,
    )


def _grouped(groups: Sequence[str], column: str) -> str:
    """How many groups there are, and how many examples have none."""
    named = [group.strip() for group in groups if group.strip()]
    lacking = len(groups) - len(named)
    has = "has an empty cell and is on its own" if lacking == 1 else "have an empty cell and are on their own"
    said = f'Grouped {len(groups)} examples by "{column}" ({counted(len(set(named)), "group")})'
    return f"{said}; {lacking} {has}." if lacking else f"{said}."


def masked(files: Files) -> Files:
    """Return the files with personal data masked in all that strategies and reports see."""
    return replace(
        files,
        examples=mask_examples(files.examples),
        test=mask_examples(files.test),
        documents=mask_documents(files.documents),
        incumbent=_each_masked(files.incumbent),
    )


def _each_masked(texts: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if texts is None else tuple(map(mask_answer, texts))


def _examples(request: CompareRequest, source: str, task: str = "") -> ExampleFile:
    return read_examples(source, input_columns=request.input_columns, output_column=request.output_column, task=task)
