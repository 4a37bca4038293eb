"""Everything a comparison starts from, read and checked before anything is spent."""

from __future__ import annotations

from dataclasses import dataclass, replace

from advisor.files import Files, masked, read_files
from advisor.readers import readers_of
from advisor.request import CompareRequest
from eval.audit import Audited, accepted, audit, marked, refuse_hopeless
from eval.audit.personal_data import mask, mask_answer, masked_outputs, personal_data, personal_task
from eval.audit.repeats import shared_with_test
from eval.audit.spellings import merge_spellings, respelt, spellings
from eval.contracts import Document, Example, Kind, Task
from eval.findings import Finding
from eval.folds import with_groups
from eval.tasks import TaskSpec, complete, read_task
from strategies.base import NO_DOCUMENTS

ALL_LEFT_OUT = (
    "all documents were left out, since they hold questions of the examples with their answers "
    "(--accept leak_examples_documents keeps them)"
)


@dataclass(frozen=True)
class Data:
    """A task with its examples and documents, as strategies will see them."""

    task: Task
    examples: tuple[Example, ...]
    test: tuple[Example, ...] | None
    """The client's own test set, where there is one."""
    documents: tuple[Document, ...]
    findings: tuple[Finding, ...]
    stated: tuple[str, ...]
    """Sentences on what was inferred."""
    groups: tuple[str, ...] | None = None
    """The cells of `--group-by`, one for each example; an empty one groups nothing."""
    times: tuple[float, ...] | None = None
    """The cells of `--time-column`, one for each example, as numbers that grow with time."""
    incumbent: tuple[str, ...] | None = None
    """The outputs of today's system, one for each row of `test` where there is a test set, else for each example."""
    inputs: tuple[str, ...] = ()
    """The columns of the examples that make the input."""

    @property
    def no_documents(self) -> str:
        """Why there are no documents, where there are none."""
        leaked = any(finding.code == "leak_examples_documents" for finding in self.findings)
        return ALL_LEFT_OUT if leaked else NO_DOCUMENTS


def labels_of(data: Data) -> list[str] | None:
    """All labels that the client states or the rows have; None where answers are no labels."""
    if data.task.kind is not Kind.CLASSIFICATION:
        return None
    found = {target for example in (*data.examples, *(data.test or ())) for target in example.targets}
    return sorted(found | set(data.task.labels))


def read_data(request: CompareRequest) -> Data:
    """Read and audit all that a request names. Raises RequestError where it cannot be used."""
    data = audited(request)
    refuse_hopeless(data.findings)
    return data


def audited(request: CompareRequest) -> Data:
    """Task, examples and documents with everything the audit found, however hopeless."""
    spec = read_task(request.task)
    files = read_files(request, spec.description)
    rows = (*files.examples, *marked(files.test))
    personal = personal_data(rows, files.documents, redact=request.redact)
    if in_task := personal_task((spec.description, *spec.labels), redact=request.redact):
        personal.append(in_task)
    if request.redact:
        personal += filter(None, [masked_outputs(rows)])
        spec, files = _masked_task(spec), masked(files)
    merges = "label_variants" not in request.accept
    task, inferred = _complete(spec, files, merges=merges)
    found = audit(
        task,
        files.examples,
        files.documents,
        test=files.test,
        accept=request.accept,
        readers=readers_of(request),
    )
    incumbent = files.incumbent
    if incumbent is not None and merges and task.kind is Kind.CLASSIFICATION:
        incumbent = respelt(incumbent, (*found.examples, *found.test))
    examples, test = _grouped(found, files)
    shared = shared_with_test(examples, test, _cells_on_both_sides(files), request.group_by or "")
    return Data(
        task,
        examples,
        test if request.test else None,
        found.documents,
        (*files.findings, *accepted(personal, request.accept), *found.findings, *shared),
        tuple(map(mask, (*files.stated, *inferred))),
        files.groups,
        files.times,
        incumbent,
        files.inputs,
    )


def _masked_task(spec: TaskSpec) -> TaskSpec:
    """The task with personal data masked, and its labels still those of the masked rows."""
    labels = tuple(dict.fromkeys(map(mask_answer, spec.labels)))
    return replace(spec, description=mask(spec.description), name=mask(spec.name or "") or None, labels=labels)


def _complete(spec: TaskSpec, files: Files, *, merges: bool) -> tuple[Task, list[str]]:
    """The task as the examples show it once the spellings of one label are counted together."""
    examples = files.examples
    if merges:
        examples = merge_spellings(examples, spellings(examples, spec.labels))
    return complete(spec, examples, files.documents)


def _grouped(found: Audited, files: Files) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Examples and test rows with their groups, which are the same on both sides."""
    rows = (*found.examples, *found.test)
    cells = _cells_on_both_sides(files)
    grouped = with_groups(rows, None if cells is None else (*cells[0], *cells[1]))
    return grouped[: len(found.examples)], grouped[len(found.examples) :]


def _cells_on_both_sides(files: Files) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The cells of `--group-by`, of the examples and of the test rows."""
    return None if files.groups is None else (files.groups, files.test_groups or ())
