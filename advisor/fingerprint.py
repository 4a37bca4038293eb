"""What the measurements of a run depend on, and what parts one request from another that has its run in the folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from advisor.flags import flag_of

if TYPE_CHECKING:
    from advisor.data import Data
    from advisor.request import CompareRequest

MEASURED_BY = 9
"""Counted up whenever something is measured or kept otherwise than before: what an earlier version began is not gone on
with, since its fits and those to come would not be of one kind."""
HASHED = "sha256:"
"""Begins the values that are kept as a hash: texts of a client's, and what may hold a secret."""

CONTENTS = {
    "task": "the task has changed",
    "examples": "the examples have changed",
    "test": "the test rows have changed",
    "documents": "the documents have changed",
    "incumbent": "the outputs of today's system have changed",
}
DERIVED = {
    "reading": "the kind of the task, its metric or its labels have changed",
    "groups": "the cells of --group-by have changed",
    "times": "the cells of --time-column have changed",
}
"""These follow from others, and are told where nothing else has changed."""
_UNFINGERPRINTED = {
    "output",
    "keep",
    "tolerance",
    "volume",
    "hosting",
    "min_replicas",
    "peak_qps",
    "max_spend",
    "min_quality",
    "max_cost_per_1k",
    "max_latency_ms",
    "min_recall",
    "error_cost",
    "prices",
}
"""Options that change no measurement: a run may be resumed with others."""
_OURS = ("strategies", "accept", "device")
"""Options whose values are names of this program's."""


def fingerprint(parts: Mapping[str, Any]) -> str:
    """A hash of everything that the measurements of a run depend on, which are these parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def parts_of(request: CompareRequest, data: Data) -> dict[str, Any]:
    """What the measurements of a run depend on, by which a request can be told what parts it from an earlier one.

    Of files their contents count, not where they lie. Only switches, numbers and names that are ours stand there as
    they are: nothing of the client's is to be read here.
    """
    options = request.model_dump(mode="json", exclude={*_UNFINGERPRINTED, *CONTENTS})
    rows, test = (
        [[e.id, e.input, e.targets] for e in examples] if examples is not None else None
        for examples in (data.examples, data.test)
    )
    task = data.task
    contents = {
        "task": task.description,
        "examples": rows,
        "test": test,
        "documents": [[d.id, d.title, d.text] for d in data.documents],
        "incumbent": data.incumbent,
        "reading": [task.kind, task.metric, task.labels, task.json_keys],
        "groups": data.groups,
        "times": data.times,
    }
    options["measured_by"] = MEASURED_BY
    plain = {name for name, value in options.items() if isinstance(value, int | float) or name in _OURS}
    return {
        **{name: value if name in plain else _hashed(value) for name, value in options.items()},
        **{name: _hashed(value) for name, value in contents.items()},
    }


def _hashed(value: object) -> str:
    content = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return HASHED + hashlib.sha256(content.encode()).hexdigest()[:16]


def what_differs(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The parts that differ, in words; of parts that only one of the two has nothing is known."""
    if then.get("measured_by") != now.get("measured_by"):
        return ["an earlier version of Advisor began it, which measured otherwise"]
    changed = [name for name in now if name in then and then[name] != now[name]]
    told = [_told(name, then[name], now[name]) for name in changed if name not in DERIVED]
    return told or [DERIVED[name] for name in changed]


def _told(name: str, then: Any, now: Any) -> str:
    if name in CONTENTS:
        return CONTENTS[name]
    flag = flag_of(name)
    if any(str(value).startswith(HASHED) for value in (then, now)):
        return f"{flag} differs"
    return f"{flag} differs ({_value(then)} then, {_value(now)} now)"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "given" if value else "not given"
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
