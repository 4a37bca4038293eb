"""Texts that are so much alike that their metric hardly tells a right answer from a wrong one."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

from eval.contracts import Example, Task
from eval.findings import Finding
from eval.folds import with_groups
from eval.metrics import READ_AS_FIELDS, Metric, get_metric
from eval.near_duplicates import words_of
from eval.tasks import LONGEST_TRIED, MOST_TRIED

BLIND_TO_OTHERS = 0.8
"""Of full marks. The nearest other text of ten public tasks has 0.0 to 0.4 in the median, of letters filled in 0.9."""
MOST_COMPARED = 1000
"""Examples."""


def blind_metric(task: Task, examples: Sequence[Example]) -> Finding | None:
    """Outputs of which half score as much as `BLIND_TO_OTHERS` as the answer to another example, where texts are right
    in part.

    What is right or wrong as a whole is never blind so, and of fields the report shows each one's quality.
    """
    metric = get_metric(task.metric)
    exchanged = [] if metric.binary or task.metric in READ_AS_FIELDS else sorted(_exchanged(metric, examples))
    if not exchanged:
        return None
    mark, given, place = exchanged[(len(exchanged) - 1) // 2]
    if mark < BLIND_TO_OTHERS:
        return None
    message = (
        f"{metric.title} hardly tells right answers from wrong ones here: for half of the outputs, a different one of "
        f"another example would still get {math.floor(100 * mark)} of 100 points or more ({given}'s for {place}, say)."
    )
    action = (
        "Measured by it all the same; a high figure proves little. Give the word or number that decides in a column of "
        'its own, or as a field of JSON outputs ({"verdict": "yes", "reason": "..."}), or name another "metric", such '
        "as exact_match, in the task file."
    )
    return Finding("blind_metric", "warning", len(examples), (), message, action)


def _exchanged(metric: Metric, examples: Sequence[Example]) -> Iterator[tuple[float, str, str]]:
    """What the nearest other output scores in place of the right one, and the ids of both, for some of the outputs.

    Of long texts the beginning tells; those that are the same but for case and punctuation are one. What is answered to
    nearly the same input is no wrong answer.
    """
    from rapidfuzz.distance import Indel
    from rapidfuzz.process import extractOne

    wordings: dict[str, Example] = {}
    of_group = defaultdict[str, set[str]](set)
    for example in with_groups(examples)[:: math.ceil(len(examples) / MOST_COMPARED) or 1]:
        wordings.setdefault(_wording(example.target), example)
        of_group[example.group or example.id].add(_wording(example.target))
    for wording, example in list(wordings.items())[:: math.ceil(len(wordings) / MOST_TRIED) or 1]:
        others = wordings.keys() - set(map(_wording, example.targets)) - of_group[example.group or example.id]
        if nearest := extractOne(wording, sorted(others), scorer=Indel.normalized_similarity):
            other = wordings[nearest[0]]
            accepted = [target[:LONGEST_TRIED] for target in example.targets]
            yield metric.row(other.target[:LONGEST_TRIED], accepted).score, other.id, example.id


def _wording(text: str) -> str:
    """How a text begins, without case and punctuation."""
    return " ".join(words_of(text[:LONGEST_TRIED]))
