"""Whether there are examples enough: in all, of each label, and of more than one label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from eval.audit.personal_data import mask
from eval.contracts import Example, Task
from eval.findings import Finding
from eval.reading.text import counted, listed

FEWEST_EXAMPLES = 20
FEW_EXAMPLES = 50
TO_LEARN = 4
"""Rows; a label with fewer can hardly be both learnt and measured."""
TO_MEASURE = 20
"""Rows; with fewer, the share of a label that is found is known to 20 points at best (Wilson's interval)."""
IMBALANCE = 0.8


def too_few_examples(examples: Sequence[Example]) -> Finding | None:
    """An error below `FEWEST_EXAMPLES`, a warning below `FEW_EXAMPLES`."""
    count = len(examples)
    if count < FEWEST_EXAMPLES:
        message = f"{count} usable examples are too few for a comparison: at least {FEWEST_EXAMPLES} are needed."
        return Finding("too_few_examples", "error", count, (), message, "Label more examples, 100 or more if you can.")
    if count < FEW_EXAMPLES:
        message = f"{count} examples can show large differences only."
        return Finding("too_few_examples", "warning", count, (), message, "Went on; intervals will be wide.")
    return None


def single_label(examples: Sequence[Example]) -> Finding | None:
    """An error: nothing can be learnt and nothing be missed."""
    labels = {e.target for e in examples}
    if len(labels) > 1:
        return None
    message = f"All {len(examples)} outputs are the same label, {named(min(labels))}: there is nothing to tell apart."
    return Finding("single_label", "error", len(examples), (), message, "Add examples of the other labels.")


def tested_on_one_label(test: Sequence[Example]) -> Finding | None:
    """A warning of the client's own test set: who always gives its one label is right."""
    labels = {e.target for e in test}
    if len(labels) != 1:
        return None
    message = f"Test set: all {len(test)} outputs are the same label, {named(min(labels))}: nothing is said of others."
    action = "Measured all the same; always answering that is right on every row. Add rows of the other labels."
    return Finding("single_label", "warning", len(test), (), message, action)


def class_imbalance(task: Task, examples: Sequence[Example]) -> Finding | None:
    """One label has more than `IMBALANCE` of the rows."""
    label, count = Counter(e.target for e in examples).most_common(1)[0]
    rest = len(examples) - count
    if count <= IMBALANCE * len(examples) or not rest:
        return None
    message = (
        f"{count} of {len(examples)} outputs are {named(label)}: always answering that is right "
        f"{count / len(examples):.1%} of the time, and finds none of the other {rest}."
    )
    if task.metric == "macro_f1":
        action = "Measured by macro F1, under which every label counts the same; read the rare labels' own recall."
    else:
        action = f'Measured by {task.metric} as asked, which hides this: take "metric": "macro_f1" in the task file.'
    return Finding("class_imbalance", "warning", count, (), message, action)


def rare_labels(examples: Sequence[Example]) -> list[Finding]:
    """Labels too rare to learn, and those too rare to measure; the rows named are the labels."""
    counts = Counter(e.target for e in examples)
    findings = []
    if rare := sorted(label for label, count in counts.items() if count < TO_LEARN):
        have = "has" if len(rare) == 1 else "have"
        message = (
            f"{len(rare)} of {len(counts)} labels {have} fewer than {TO_LEARN} examples: {_with_counts(rare, counts)}."
        )
        action = "Kept; what is said of these labels is little more than a guess. Label more of them."
        findings.append(Finding("rare_labels", "warning", len(rare), tuple(map(mask, rare)), message, action))
    if rare := [label for label in too_rare_to_measure(examples) if counts[label] >= TO_LEARN]:
        message = f"Too rare to measure how many of them are found: {_with_counts(rare, counts)}."
        action = (
            f"Kept, in training and in test; no recommendation can be sure. Label at least {TO_MEASURE} of each, "
            "better 50."
        )
        findings.append(Finding("rare_labels", "warning", len(rare), tuple(map(mask, rare)), message, action))
    return findings


def unseen_labels(task: Task, examples: Sequence[Example]) -> Finding | None:
    """Labels that the task states and that no example has."""
    given = {target for e in examples for target in e.targets}
    missing = [label for label in task.labels if label not in given]
    if not missing:
        return None
    has = "has" if len(missing) == 1 else "have"
    message = (
        f"{len(missing)} of the {len(task.labels)} labels that the task states {has} no example: "
        f"{listed([named(label) for label in missing])}. No figure is about queries of theirs."
    )
    action = "Went on; what learns labels from examples cannot give these. Add examples of them."
    return Finding("unseen_labels", "warning", len(missing), tuple(map(mask, missing)), message, action)


def unlearnt_labels(folds: Iterable[tuple[Sequence[Example], Sequence[Example]]]) -> Finding | None:
    """Test rows of which no training row has the label, in folds of (training rows, test rows)."""
    found: dict[str, str] = {}
    for train, test in folds:
        learnt = {target for e in train for target in e.targets}
        found |= {e.id: e.target for e in test if learnt.isdisjoint(e.targets)}
    if not found:
        return None
    counts = Counter(found.values())
    has = "has a label" if len(found) == 1 else "have labels"
    message = (
        f"{counted(len(found), 'test row')} {has} that no training row has: {_with_counts(sorted(counts), counts)}."
    )
    action = "Measured all the same, and what learns labels from examples cannot be right there. Add examples of them."
    return Finding("unlearnt_labels", "warning", len(found), tuple(found), message, action)


def too_rare_to_measure(examples: Sequence[Example]) -> tuple[str, ...]:
    """Return the labels with fewer than `TO_MEASURE` rows where one label has more than `IMBALANCE` of all rows.

    There, everything hangs on the rare labels. Where many labels are of like size, the rows of all of them together
    carry the comparison.
    """
    counts = Counter(e.target for e in examples)
    if not counts or max(counts.values()) <= IMBALANCE * len(examples):
        return ()
    return tuple(sorted(label for label, count in counts.items() if count < TO_MEASURE))


def named(label: str) -> str:
    """Return a label as a sentence can hold it: in quotes, cut, and without personal data."""
    text = mask(label)
    return repr(text if len(text) <= 60 else text[:59] + "…")


def _with_counts(labels: Sequence[str], counts: Counter[str]) -> str:
    return listed(f"{named(label)} ({counted(counts[label], 'row')})" for label in labels)
