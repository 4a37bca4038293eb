"""Personal data: reported by row and kind, never by value, and masked where the client asks for it."""

from __future__ import annotations

import json
import re
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, TypeVar

from eval.audit.personal_forms import FINDERS, MAY_HOLD, WITHOUT_SPACES
from eval.contracts import Document, Example
from eval.findings import Finding, Severity
from eval.json_fields import parsed
from eval.reading.text import counted, unique_id

TITLES = {
    "EMAIL": "e-mail address",
    "IBAN": "IBAN",
    "CARD": "card number",
    "NATIONAL_ID": "national id",
    "PHONE": "telephone number",
    "BIRTH_DATE": "birth date",
    "ADDRESS": "postal address",
    "NAME": "name",
}
"""What a client calls the kinds."""

CONTACT = ("EMAIL", "IBAN", "PHONE", "ADDRESS", "NAME")
"""Kinds that organisations publish of themselves and of their staff."""
FEWEST_DIGITS = 7
"""Of a number that may be personal."""
PUBLISHED = 3
"""Rows; contact data that so many answers give are no slip."""
Row = TypeVar("Row", Example, Document)


@dataclass(frozen=True)
class Span:
    """One datum: `text[start:end]`."""

    start: int
    end: int
    kind: str
    """A key of `FINDERS`."""


_start_of = attrgetter("start")


def find(text: str) -> list[Span]:
    """Return the personal data in a text, in order and without overlaps.

    A name counts only beside other data: "Who was the president name Lincoln" is about nobody's account.
    """
    if not MAY_HOLD.search(text):
        return []
    found: list[Span] = []
    bare = WITHOUT_SPACES.sub("\u3001", text)
    for kind, finder in FINDERS.items():
        if kind == "NAME" and not found:
            break
        for start, end in finder(bare):
            place = bisect(found, start, key=_start_of)
            if (not place or found[place - 1].end <= start) and (place == len(found) or end <= found[place].start):
                found.insert(place, Span(start, end, kind))
    return found


def mask(text: str) -> str:
    """Return the text with each datum replaced by its kind: `[EMAIL]`, `[CARD]`, ..."""
    parts, end = [], 0
    for span in find(text):
        parts += [text[end : span.start], f"[{span.kind}]"]
        end = span.end
    return "".join([*parts, text[end:]])


def mask_examples(examples: Sequence[Example]) -> tuple[Example, ...]:
    """Return the examples with inputs and outputs masked."""
    return tuple(
        replace(e, input=mask(e.input), targets=tuple(dict.fromkeys(map(mask_answer, e.targets)))) for e in examples
    )


def mask_answer(text: str) -> str:
    """Return an answer masked; of JSON, which must stay some, a number that is masked becomes a text."""
    masked = mask(text)
    if masked == text or _parsed(text) is None or _parsed(masked) is not None:
        return masked
    return mask(json.dumps(_parsed(text, _number), ensure_ascii=False))


def _parsed(text: str, number: Callable[[str], Any] | None = None) -> Any:
    """The object or list of a JSON text, its numbers as `number` makes them; None where it is none."""
    try:
        value = parsed(text, number) if text.startswith(("{", "[")) else None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _number(digits: str) -> Any:
    return digits if len(digits) >= FEWEST_DIGITS else json.loads(digits)


def mask_documents(documents: Sequence[Document]) -> tuple[Document, ...]:
    """Return the documents with texts and titles masked."""
    return tuple(Document(d.id, mask(d.text), mask(d.title)) for d in documents)


def impersonal_ids(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return examples or documents with ids that can be shown: one that is personal data becomes `row-N`."""
    taken = {row.id for row in rows}
    return tuple(
        replace(row, id=unique_id("", number, taken)) if find(row.id) else row for number, row in enumerate(rows, 1)
    )


def mask_finding(finding: Finding) -> Finding:
    """Return a finding whose rows and sentences repeat no personal data of ids, cells or file names."""
    rows = tuple(map(mask, finding.rows))
    return replace(finding, rows=rows, message=mask(finding.message), action=mask(finding.action))


def personal_data(
    examples: Sequence[Example], documents: Sequence[Document] = (), *, redact: bool = False
) -> list[Finding]:
    """Report the rows and the documents with personal data, taken unmasked; `redact` says whether they are masked.

    Contact data that documents hold or several answers repeat are the client's own to publish: a help desk's number
    is nobody's secret.
    """
    texts = _found({document.id: (document.title, document.text) for document in documents})
    inputs = _found({example.id: (example.input,) for example in examples})
    answers = _found({example.id: example.targets for example in examples})
    repeated = Counter(datum for found in answers.values() for datum in found)
    known = {datum for datum, count in repeated.items() if count >= PUBLISHED}.union(*texts.values())
    published = set() if redact else {datum for datum in known if datum[0] in CONTACT}
    rows = {name: (inputs[name] | answers[name]) - published for name in inputs}
    reports = [_report(rows, "row", redact), _report(texts, "document", redact)]
    return [finding for finding in reports if finding is not None]


def masked_outputs(examples: Sequence[Example]) -> Finding | None:
    """Report the rows, taken unmasked, whose outputs masking changes: what is measured is then of other answers."""
    rows = tuple(e.id for e in examples if any(mask_answer(target) != target for target in e.targets))
    if not rows:
        return None
    message = (
        f"{counted(len(rows), 'output')} with personal data {'is' if len(rows) == 1 else 'are'} masked: there the "
        "figures are of answers such as [EMAIL], and the kept solution gives these, never the data themselves."
    )
    action = "As --redact asks. Where the data are the very answers that are wanted, leave it out."
    return Finding("masked_outputs", "warning", len(rows), rows, message, action)


def personal_task(texts: Sequence[str], *, redact: bool = False) -> Finding | None:
    """Report personal data in the task's sentence and labels, which every prompt repeats, taken unmasked."""
    found = {span.kind for text in texts for span in find(text)}
    if not found:
        return None
    message = f"The task seems to hold personal data ({', '.join(TITLES[kind] for kind in TITLES if kind in found)})."
    severity: Severity = "info" if redact or found <= set(CONTACT) else "warning"
    return Finding("personal_data", severity, 1, (), message, _action(redact, "task"))


Data = frozenset[tuple[str, str]]
"""Kinds with the letters and figures of what was found."""


def _found(texts: Mapping[str, Sequence[str]]) -> dict[str, Data]:
    return {
        name: frozenset((s.kind, re.sub(r"\W", "", text[s.start : s.end])) for text in parts for s in find(text))
        for name, parts in texts.items()
    }


def _report(texts: dict[str, Data], noun: str, redact: bool) -> Finding | None:
    kinds = {name: {kind for kind, _ in found} for name, found in texts.items()}
    rows = tuple(name for name, found in kinds.items() if found)
    if not rows:
        return None
    counts = Counter(kind for found in kinds.values() for kind in found)
    by_kind = ", ".join(f"{TITLES[kind]} {counts[kind]}" for kind in TITLES if counts[kind])
    verb = "seems" if len(rows) == 1 else "seem"
    message = f"{counted(len(rows), noun)} {verb} to hold personal data ({noun}s by kind: {by_kind})."
    harmless = redact or (noun == "document" and set(counts) <= set(CONTACT))
    severity: Severity = "info" if harmless else "warning"
    return Finding("personal_data", severity, len(rows), rows, message, _action(redact, noun))


def _action(redact: bool, noun: str) -> str:
    if redact:
        return "Masked before anything else saw them, as --redact asks; names and descriptions are not recognised."
    if noun == "document":
        return "Kept: answers may quote them, which is right for contact data that you publish. --redact masks them."
    return (
        "Kept: fine-tuning would bake them into the weights, and prompts, logs and reports would repeat them. "
        "--redact masks them."
    )
