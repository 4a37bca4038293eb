"""What cells hold: invalid JSON, placeholders, bare punctuation; lists, which can be meant in two ways."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence

from eval.audit.balance import named
from eval.contracts import Example, Kind, Task
from eval.findings import Finding, Severity
from eval.reading.text import counted
from eval.tasks import MOSTLY, NEARLY_ALL, are_of_one_json_form, has_objects, is_list_of_texts

PLACEHOLDERS = frozenset(("n/a", "#n/a", "nan", "null", "#ref!", "#value!", "#name?", "#div/0!", "tbd"))
SEPARATORS = (";", "|", ",", "+", "/")
NO_NUMBER = re.compile(r"\b(?:NaN|Infinity)\b")
"""What Python writes for numbers that JSON does not have."""
FEWEST_JOINED = 2
"""Labels; a single one may just be called so."""
AROUND = " \n[]'\""
"""What stands around labels where a cell holds a list of them, as Python or JSON writes it."""
AS_OBJECTS = 'objects such as {"labels": ["a", "b"]} (which language models can answer with, classifiers cannot)'
SELDOM = 0.05
"""A placeholder that is more frequent is an answer of its own: "null" may be meant."""


def invalid_json_output(task: Task, examples: Sequence[Example]) -> Finding | None:
    """Outputs that are no JSON objects, nor lists of objects or texts, where these are asked for or meant by braces."""
    targets = [e.target for e in examples]
    fits, one, several = has_objects, "object", "objects"
    if sum(map(is_list_of_texts, targets)) > sum(map(has_objects, targets)):  # no answer is written as either
        fits, one, several = is_list_of_texts, "list of texts", "lists of texts"
    broken = [e for e in examples if not fits(e.target)]
    braced = sum(e.target.startswith(("{", "[{")) and e.target.endswith(("}", "}]")) for e in examples)
    is_json = task.metric == "json_field_f1"
    if len(broken) <= (1 - MOSTLY) * len(examples):
        are_meant = task.kind is Kind.EXTRACTION
    else:
        are_meant = braced >= NEARLY_ALL * len(examples)  # written by Python, say, and so taken for text
    if not broken or not (is_json or are_meant):
        return None
    message = (
        f"{counted(len(broken), 'output')} {f'is no JSON {one}' if len(broken) == 1 else f'are no JSON {several}'}."
    )
    if any(NO_NUMBER.search(e.target) for e in broken):
        message += " JSON has no NaN and no Infinity: write null."
    action = "Kept as text; repair them if JSON is meant."
    if is_json:
        action = "Kept; no answer can score on what is no JSON at all. Give these the form of the others."
    if task.kind is Kind.EXTRACTION and are_of_one_json_form(targets):
        action += " They are tested, but neither learnt from nor shown in prompts."
    return Finding("invalid_json_output", "warning", len(broken), tuple(e.id for e in broken), message, action)


def placeholder_outputs(examples: Sequence[Example]) -> Finding | None:
    """Outputs such as "n/a" and "#REF!" that stand for none, as long as they are seldom."""
    rows = tuple(e.id for e in examples if _stands_for_none(e.target))
    if not rows or len(rows) > SELDOM * len(examples):
        return None
    message = f"{counted(len(rows), 'output')} {'looks' if len(rows) == 1 else 'look'} like a placeholder for none."
    action = "Kept as an answer like any other; leave these cells empty if there is none."
    return Finding("empty_output", "warning", len(rows), rows, message, action)


def wordless_inputs(examples: Sequence[Example]) -> Finding | None:
    """Inputs of punctuation and invisible characters only."""
    rows = tuple(e.id for e in examples if not _says_something(e.input))
    if not rows:
        return None
    message = f"{counted(len(rows), 'input')} {'has' if len(rows) == 1 else 'have'} no word, figure or symbol."
    return Finding(
        "empty_input", "warning", len(rows), rows, message, "Kept; remove these rows if nobody would send them."
    )


def several_outputs(task: Task, examples: Sequence[Example]) -> Finding | None:
    """Outputs that are lists: as labels, more often all of what is right than alternatives."""
    rows = tuple(e.id for e in examples if len(e.targets) > 1)
    if not rows:
        return None
    lists = "output is a list" if len(rows) == 1 else "outputs are lists"
    message = f"{len(rows)} {lists} of several: an answer counts as right if it is any one of them."
    action = f'If all are wanted, write them as one output: "a, b", or {AS_OBJECTS}.'
    severity: Severity = "warning" if task.kind is Kind.CLASSIFICATION else "info"
    return Finding("column_mapping", severity, len(rows), rows, message, action)


def joined_labels(examples: Sequence[Example]) -> Finding | None:
    """Cells that hold several labels: a list of them, or "billing; urgent" whose parts stand in other labels as well.

    Where most rows with the separator are such, the others have rare labels; else they are names with such a sign.
    """
    rows_of = Counter(e.target for e in examples)
    for separator in SEPARATORS:
        parts = {label: set(_parts(label, separator)) for label in rows_of}
        shared = Counter(part for own in parts.values() for part in own)
        joined = {label for label, own in parts.items() if len(own) > 1}
        clear = {label for label in joined if _is_listed(label) or all(shared[part] > 1 for part in parts[label])}
        marked = sum(rows_of[label] for label in rows_of if separator in label)
        if len(clear) >= FEWEST_JOINED and sum(rows_of[label] for label in clear) > marked / 2:
            rows = tuple(e.id for e in examples if e.target in joined)
            message = (
                f"{counted(len(rows), 'output')} {'joins' if len(rows) == 1 else 'join'} several labels, such as "
                f"{named(min(clear))}: each combination counts as a label of its own, and an answer with one part "
                f"wrong as wrong.{_reordered(joined, separator)}"
            )
            action = f"Kept. To have each part counted, write {AS_OBJECTS}."
            return Finding("column_mapping", "warning", len(rows), rows, message, action)
    return None


def _parts(label: str, separator: str) -> list[str]:
    """What stands between separators, without the signs of a list."""
    parts = (part.strip(AROUND).casefold() for part in label.split(separator))
    return [part for part in parts if part]


def _is_listed(label: str) -> bool:
    return label.startswith("[") and label.endswith("]")


def _reordered(joined: Collection[str], separator: str) -> str:
    """How many combinations are another's in another order; empty where none is."""
    alike = Counter(tuple(sorted(_parts(label, separator))) for label in joined)
    count = sum(alike[same] for same in alike if alike[same] > 1)
    if not count:
        return ""
    return f" {count} of {len(joined)} combinations differ from another in order alone, which counts as wrong too."


def _stands_for_none(output: str) -> bool:
    """Tell whether an output is a placeholder; an empty list or object is an answer."""
    return output.casefold() in PLACEHOLDERS or not (_says_something(output) or output in ("[]", "{}"))


def _says_something(text: str) -> bool:
    return any(unicodedata.category(c)[0] in "LNS" for c in text)
