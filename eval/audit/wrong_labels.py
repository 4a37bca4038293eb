"""Labels that are likely wrong, by confident learning."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from eval.audit.balance import named
from eval.contracts import Example
from eval.findings import Finding
from eval.reading.text import counted, listed
from eval.statistics import wilson

CONFIDENT = 0.5
"""Probability of the other label from which on it is believed."""
TIMES = 5
"""So many times more likely than the label given must it be."""
OUTNUMBERED = 10
"""A label that another one outnumbers so many times is contradicted for its rarity alone, and is not judged."""


def likely_wrong_labels(
    examples: Sequence[Example], probabilities: npt.NDArray[np.float64], labels: Sequence[str]
) -> Finding | None:
    """Report the rows whose label a classifier that was not fitted on them confidently contradicts, worst first.

    `probabilities` has the shape examples × labels and comes from cross-fitting. Passed over are rows with NaN, which
    were not predicted, rows whose target is not among the labels, and rows of a label that is far outnumbered. None is
    reported where the classifier is not surely right more often than the commonest label is: it cannot judge. The
    method is confident learning (Northcutt, Jiang and Chuang 2021) as in cleanlab, with both of its pruning rules
    agreeing.
    """
    from cleanlab.filter import find_label_issues

    number = {label: i for i, label in enumerate(labels)}
    known = [i for i, e in enumerate(examples) if e.target in number and not np.isnan(probabilities[i]).any()]
    if len(labels) < 2 or len({examples[i].target for i in known}) < 2:
        return None
    given = np.array([number[examples[i].target] for i in known])
    counts = np.bincount(given, minlength=len(labels))
    right = sum(labels[int(probabilities[i].argmax())] in examples[i].targets for i in known)
    if wilson(right, len(known))[0] <= counts.max() / len(known):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of labels with too few rows to be judged
        issues = find_label_issues(given, probabilities[known], return_indices_ranked_by="self_confidence", n_jobs=1)
    rows = []
    for example, likelihoods in ((examples[known[i]], probabilities[known[i]]) for i in issues):
        best = int(likelihoods.argmax())
        outnumbered = counts[number[example.target]] * OUTNUMBERED <= counts.max()
        sure = not outnumbered and likelihoods[best] >= max(CONFIDENT, TIMES * likelihoods[number[example.target]])
        if sure and labels[best] not in example.targets:
            rows.append((example, labels[best]))
    if not rows:
        return None
    likelier = listed(f"{e.id} ({named(e.target)}, rather {named(label)})" for e, label in rows)
    message = f"{counted(len(rows), 'label')} {'is' if len(rows) == 1 else 'are'} likely wrong: {likelier}."
    action = "Kept. Look at these rows first if you have time to check some."
    return Finding("likely_wrong_labels", "info", len(rows), tuple(e.id for e, _ in rows), message, action)
