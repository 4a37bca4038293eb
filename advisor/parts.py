"""The rows that strategies learn from and the rows that they are measured on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

from advisor.data import Data
from advisor.planning import FOLDS, Sizes
from advisor.report.schema import Source
from eval.audit import accepted, marked
from eval.audit.balance import unlearnt_labels
from eval.audit.repeats import later_rows, oversized_groups
from eval.contracts import Example, Kind
from eval.errors import RequestError
from eval.findings import Finding
from eval.folds import Split, default_test_size, fewer, k_folds, latest, split
from eval.near_duplicates import group_key

FEWEST_TO_LEARN = 2
"""Examples beside a given test set."""


def source_of(data: Data) -> Source:
    """Where this request's test rows come from."""
    if data.test is not None:
        return "file"
    return "latest" if data.times is not None else "split"


def sizes_of(data: Data, seed: int) -> Sizes:
    """How many rows there are to divide, for planning. Raises RequestError where they cannot be divided."""
    (whole,) = divide(data, seed, folds=1)
    return Sizes(
        examples=len(data.examples),
        holdout_train=len(whole.train),
        holdout_test=len(whole.test),
        fixed_test=data.test is not None,
        folds=[folds for folds in FOLDS if source_of(data) == "split" and _crossable(data, seed, folds)],
    )


def _crossable(data: Data, seed: int, folds: int) -> bool:
    """Whether there are enough groups for so many folds; a client's `--group-by` may leave a handful."""
    try:
        return bool(divide(data, seed, folds=folds))
    except RequestError:
        return False


def divide(data: Data, seed: int, *, folds: int, test_rows: int | None = None) -> tuple[Split, ...]:
    """The folds, once for all strategies: every example is a test row of one of them, or, with one fold, some are.

    With one fold, at most `test_rows` of the test rows are kept, drawn by label; the training part does not depend on
    that.
    """
    stratify = data.task.kind is Kind.CLASSIFICATION
    if folds > 1:
        return k_folds(data.examples, folds=folds, seed=seed, stratify=stratify)
    whole = _holdout(data, seed)
    if data.test is None and test_rows is not None and test_rows < len(whole.test):
        whole = Split(whole.train, fewer(whole.test, size=test_rows, seed=seed, stratify=stratify))
    return (whole,)


def with_division(data: Data, folds: Sequence[Split], accept: Collection[str]) -> Data:
    """The data with what their division brought to light: labels that no one can learn, groups that are not tested."""
    found = [finding for finding in (_unlearnt(data, folds), _untested(data, folds)) if finding]
    return replace(data, findings=(*data.findings, *accepted(found, accept)))


def _unlearnt(data: Data, folds: Sequence[Split]) -> Finding | None:
    """Where test rows that were not drawn by label have labels that no training row has."""
    is_drawn_by_label = source_of(data) == "split" and data.groups is None
    if data.task.kind is not Kind.CLASSIFICATION or is_drawn_by_label:
        return None
    given = data.test is not None
    return unlearnt_labels((fold.train, marked(fold.test) if given else fold.test) for fold in folds)


def _untested(data: Data, folds: Sequence[Split]) -> Finding | None:
    """Where one holdout of the examples cannot test rows because of what they belong together with."""
    train, grouped = folds[0].train, data.groups is not None
    if len(folds) > 1 or data.test is not None:
        return None
    sizes = Counter(e.group for e in data.examples if e.group)
    if data.times is None:
        size = default_test_size(len(data.examples))
        if any(sizes[e.group] > size for e in folds[0].test):  # all are larger, and the test is one of them
            return None
        return oversized_groups([e for e in train if sizes[e.group] > size], size, grouped=grouped)
    learnt, known = {e.id for e in train}, {e.group for e in train} - {""}
    return later_rows([e for e in data.examples if e.group in known and e.id not in learnt], grouped=grouped)


def _holdout(data: Data, seed: int) -> Split:
    size = default_test_size(len(data.examples))
    if data.test is not None:
        return _given(data, data.test)
    if data.times is not None:
        return latest(data.examples, data.times, test_size=size)
    stratify = data.task.kind is Kind.CLASSIFICATION
    return split(data.examples, test_size=size, seed=seed, stratify=stratify)


def _given(data: Data, test: tuple[Example, ...]) -> Split:
    """Training rows that belong together with a test row are left out: they would make the test a recital."""
    asked = {e.group for e in test} - {""}
    train = tuple(e for e in data.examples if e.group not in asked)
    if len(train) < FEWEST_TO_LEARN:
        raise RequestError(_nothing_left(data, test))
    return Split(train, test)


def _nothing_left(data: Data, test: Sequence[Example]) -> str:
    """Why there is nothing to learn from beside a given test set, and what to do."""
    asked = {group_key(e.input) for e in test}
    repeat = sum(group_key(e.input) in asked for e in data.examples)
    if data.groups is not None and len(data.examples) - repeat >= FEWEST_TO_LEARN:
        return (
            "--group-by with --test: all examples share their group with a row of the test set, so that there is "
            "nothing left to learn from: give a test set of other groups, or leave --group-by out."
        )
    return "--test repeats all examples: there is nothing left to learn from."
