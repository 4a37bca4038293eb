"""Rows that say the same again: exactly, nearly, or with another output."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence

from eval.contracts import Document, Example
from eval.findings import Finding
from eval.near_duplicates import group_key, near_duplicate_groups
from eval.reading.text import counted
from eval.tasks import has_fields


def duplicate_rows(examples: Sequence[Example]) -> Finding | None:
    """Rows that repeat an earlier row's input and output, whatever the case and spacing of the input."""
    repeated = _repeats((e.id, (group_key(e.input), e.target)) for e in examples)
    if not repeated:
        return None
    message = f"{_repeat(len(repeated), 'row')} an earlier row's input and output."
    action = "Kept; copies never straddle a split. Remove them if they are copied by mistake."
    return Finding("duplicate_rows", "warning", len(repeated), repeated, message, action)


def duplicate_documents(documents: Sequence[Document]) -> Finding | None:
    """Documents with the text of an earlier one."""
    repeated = _repeats((d.id, group_key(d.text)) for d in documents)
    if not repeated:
        return None
    message = f"{_repeat(len(repeated), 'document')} an earlier document's text."
    action = "Kept; retrieval shows the same text once. Remove the copies if they are copied by mistake."
    return Finding("duplicate_rows", "info", len(repeated), repeated, message, action)


def repeated_in_test(examples: Sequence[Example], test: Sequence[Example]) -> Finding | None:
    """Examples whose input is in the client's own test set as well."""
    asked = {group_key(e.input) for e in test}
    rows = tuple(e.id for e in examples if group_key(e.input) in asked)
    if not rows:
        return None
    message = f"{_repeat(len(rows), 'example')} an input of the test set."
    return Finding("duplicate_rows", "warning", len(rows), rows, message, "Left out of training.")


def shared_with_test(
    examples: Sequence[Example],
    test: Sequence[Example],
    values: tuple[Sequence[str], Sequence[str]] | None = None,
    column: str = "",
) -> list[Finding]:
    """Examples that belong together with a row of the client's own test set without repeating it.

    Both have their groups (`eval.folds.with_groups`). `values` are the cells of the client's `column` that groups rows,
    those of the examples and those of the test set.
    """
    tested, asked = {e.group for e in test} - {""}, {group_key(e.input) for e in test}
    cells, theirs = values or (("",) * len(examples), ())
    known = {cell.strip() for cell in theirs} - {""}
    left_out = [
        (e.id, cell.strip() in known)
        for e, cell in zip(examples, cells, strict=True)
        if e.group in tested and group_key(e.input) not in asked
    ]
    findings = []
    if rows := tuple(id for id, shares in left_out if shares):
        message = f'{counted(len(rows), "example")} share{"s" * (len(rows) == 1)} a "{column}" with the test set.'
        action = "Left out of training. To learn from them, leave --group-by out."
        findings.append(Finding("shared_with_test", "warning", len(rows), rows, message, action))
    if rows := tuple(id for id, shares in left_out if not shares):
        has = "has" if len(rows) == 1 else "have"
        message = f"{counted(len(rows), 'example')} {has} nearly the same input as a row of the test set"
        message += f', or share{"s" * (len(rows) == 1)} a "{column}" with one that has.' if column else "."
        action = "Left out of training, since the test would ask for little more than what was learnt."
        findings.append(Finding("shared_with_test", "warning", len(rows), rows, message, action))
    return findings


def later_rows(rows: Sequence[Example], *, grouped: bool) -> Finding | None:
    """The `rows` that are later than the first test row, and belong together with earlier ones.

    `grouped` says whether the client's own column is one of the reasons.
    """
    if not rows:
        return None
    belong = "belongs" if len(rows) == 1 else "belong"
    message = (
        f"{counted(len(rows), 'example')} of the time that is tested {belong} together with earlier ones "
        f"({_reasons(grouped)}): neither learnt from nor tested on."
    )
    action = "Left out, since what comes later is not known in time, and what is known is no test."
    if grouped:
        action += " To have them tested, leave --group-by out."
    return Finding("untested_groups", "warning", len(rows), tuple(e.id for e in rows), message, action)


def oversized_groups(rows: Sequence[Example], size: int, *, grouped: bool) -> Finding | None:
    """The `rows` of groups larger than a holdout of `size` rows."""
    if not rows:
        return None
    message = (
        f"{len(rows)} examples are in groups of more than the {size} rows that one holdout tests "
        f"({_reasons(grouped)}): they are learnt from only, and no figure is about queries like them."
    )
    action = "With more --time-budget every example is tested, in folds."
    return Finding("untested_groups", "warning", len(rows), tuple(e.id for e in rows), message, action)


def _reasons(grouped: bool) -> str:
    return "like inputs, or the same --group-by cell" if grouped else "like inputs"


def near_duplicates(examples: Sequence[Example], *, are_labels: bool) -> Finding | None:
    """Rows whose inputs are nearly the same text; `are_labels` says whether equal outputs are to be expected."""
    groups = [[examples[i] for i in group] for group in near_duplicate_groups([e.input for e in examples])]
    rows = tuple(e.id for group in groups for e in group)
    if not rows:
        return None
    message = f"{len(rows)} inputs are nearly the same as another, in {counted(len(groups), 'group')}."
    mixed = sum(map(_clashes, groups))
    if are_labels and mixed:
        message += f" In {mixed} of them the labels differ: look whether they should."
    action = "Kept; a group never straddles a split, and its rows count as one cluster in intervals."
    return Finding("near_duplicates", "info", len(rows), rows, message, action)


def conflicting_labels(examples: Sequence[Example]) -> Finding | None:
    """Rows with the same input and no answer that all of them accept."""
    groups: defaultdict[str, list[Example]] = defaultdict(list)
    for example in examples:
        groups[group_key(example.input)].append(example)
    clashing = [example.id for group in groups.values() if _clashes(group) for example in group]
    if not clashing:
        return None
    message = f"{len(clashing)} rows have the same input as another row but a different output."
    action = "Kept, on one side of the split; no strategy can be right on all of them. Check the rows."
    return Finding("conflicting_labels", "warning", len(clashing), tuple(clashing), message, action)


def _clashes(group: Sequence[Example]) -> bool:
    """Tell whether there is no answer that all rows accept."""
    return len(group) > 1 and not set.intersection(*map(_answers, group))


def _answers(example: Example) -> set[str]:
    """The accepted answers, JSON whatever the order and spacing of its keys."""
    return {
        json.dumps(json.loads(target), sort_keys=True) if has_fields(target) else target for target in example.targets
    }


def _repeats(keyed: Iterable[tuple[str, object]]) -> tuple[str, ...]:
    """The names whose key has been there before."""
    seen: set[object] = set()
    repeated = []
    for name, key in keyed:
        if key in seen:
            repeated.append(name)
        seen.add(key)
    return tuple(repeated)


def _repeat(count: int, noun: str) -> str:
    return f"{counted(count, noun)} repeat{'s' * (count == 1)}"
