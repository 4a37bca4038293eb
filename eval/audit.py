"""What in the examples could spoil a comparison, found before anything is spent."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence

from eval.contracts import Example, Kind, Task
from eval.errors import RequestError
from eval.findings import Finding
from eval.folds import group_key

FEWEST_EXAMPLES = 20
FEW_EXAMPLES = 50
RARE = 4
"""Rows; a label with fewer can hardly be both learnt and measured."""
IMBALANCE = 0.8


def audit(task: Task, examples: Sequence[Example]) -> list[Finding]:
    """All findings about readable examples, in a fixed order."""
    findings = [_few(examples), _duplicates(examples), _conflicts(examples)]
    if task.kind is Kind.CLASSIFICATION:
        findings += [_single_label(examples), _imbalance(examples), _rare_labels(examples)]
    if task.metric == "json_field_f1":
        findings.append(_invalid_json(examples))
    return [finding for finding in findings if finding is not None]


def refuse_hopeless(findings: Sequence[Finding]) -> None:
    """Raise RequestError for the first finding with which no comparison makes sense."""
    for finding in findings:
        if finding.severity == "error":
            raise RequestError(f"{finding.message} {finding.action}")


def _few(examples: Sequence[Example]) -> Finding | None:
    count = len(examples)
    if count < FEWEST_EXAMPLES:
        message = f"{count} usable examples are too few for a comparison: at least {FEWEST_EXAMPLES} are needed."
        return Finding("too_few_examples", "error", count, (), message, "Label more examples, 100 or more if you can.")
    if count < FEW_EXAMPLES:
        message = f"{count} examples can show large differences only."
        return Finding("too_few_examples", "warning", count, (), message, "Went on; intervals will be wide.")
    return None


def _duplicates(examples: Sequence[Example]) -> Finding | None:
    seen: set[tuple[str, str]] = set()
    repeated = []
    for example in examples:
        key = (group_key(example.input), example.target)
        if key in seen:
            repeated.append(example.id)
        seen.add(key)
    if not repeated:
        return None
    message = f"{len(repeated)} rows repeat an earlier row's input and output."
    return Finding(
        "duplicate_rows", "warning", len(repeated), tuple(repeated), message, "Kept; copies never straddle a split."
    )


def _conflicts(examples: Sequence[Example]) -> Finding | None:
    groups: defaultdict[str, list[Example]] = defaultdict(list)
    for example in examples:
        groups[group_key(example.input)].append(example)
    clashing = [example.id for group in groups.values() if len({e.targets for e in group}) > 1 for example in group]
    if not clashing:
        return None
    message = f"{len(clashing)} rows have the same input as another row but a different output."
    action = "Kept, on one side of the split; no strategy can be right on all of them. Check the rows."
    return Finding("conflicting_labels", "warning", len(clashing), tuple(clashing), message, action)


def _single_label(examples: Sequence[Example]) -> Finding | None:
    labels = {e.target for e in examples}
    if len(labels) > 1:
        return None
    message = f"All {len(examples)} outputs are the same label, {min(labels)!r}: there is nothing to tell apart."
    return Finding("single_label", "error", len(examples), (), message, "Add examples of the other labels.")


def _imbalance(examples: Sequence[Example]) -> Finding | None:
    label, count = Counter(e.target for e in examples).most_common(1)[0]
    if count <= IMBALANCE * len(examples) or count == len(examples):
        return None
    message = (
        f"{count} of {len(examples)} outputs are {label!r}: always answering that is right {count / len(examples):.0%} "
        "of the time."
    )
    return Finding(
        "class_imbalance", "warning", count, (), message, "Compare macro F1 or the recall of the rare labels."
    )


def _rare_labels(examples: Sequence[Example]) -> Finding | None:
    counts = Counter(e.target for e in examples)
    rare = sorted(label for label, count in counts.items() if count < RARE)
    if not rare:
        return None
    message = f"{len(rare)} of {len(counts)} labels have fewer than {RARE} examples."
    action = "Kept; what is said of these labels is little more than a guess. Label more of them."
    return Finding("rare_labels", "warning", len(rare), tuple(rare), message, action)


def _invalid_json(examples: Sequence[Example]) -> Finding | None:
    broken = [e.id for e in examples if not _is_object(e.target)]
    if not broken:
        return None
    message = f"{len(broken)} outputs are no JSON objects."
    return Finding(
        "invalid_json_output", "warning", len(broken), tuple(broken), message, "Kept; no answer to them can score."
    )


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
