"""What a server means by refusing a call, or by failing: told from its status, its words and its names for errors."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Literal

from eval.errors import first_line
from strategies.models.hosted.replies import FILTERED, BrokenOff, NoAnswer

Kind = Literal[
    "key", "too large", "filtered", "invalid JSON", "unfinished", "too long",
    "strict", "form", "max_tokens", "temperature", "system", "room", "unknown",
]  # fmt: skip
"""What a refusal is about."""
FAULTY = (400, 404, 422)
_REFUSES = "(?=.*(unsupported|not support|unexpected|unrecognized))"
_ANY = range(400, 600)
_REFUSALS: tuple[tuple[Kind, Collection[int], str], ...] = (
    ("key", (401,), ""),
    ("too large", (413,), ""),
    ("invalid JSON", FAULTY, "json_validate_failed"),
    ("strict", FAULTY, r"\bstrict\b"),
    ("form", _ANY, "response_format"),  # llama-cpp-python calls it an error of its own
    (
        "filtered", (400, 403, 422),
        "content_filter|content management policy|invalid_prompt|data_?inspection_?failed|content exists risk|"
        "moderation|flagged",
    ),
    ("unfinished", (400,), "output limit was reached"),
    ("max_tokens", FAULTY, _REFUSES + r".*\bmax_tokens\b"),
    ("temperature", FAULTY, _REFUSES + r".*\btemperature\b"),
    ("system", FAULTY, _REFUSES + r".*(\bsystem\b.{0,9}\brole\b|\brole\b.{0,30}\bsystem\b)"),
    ("too long", (400, 422), "(context|prompt|model)[ _](length|window|size|limit)|too long|input token count"),
    ("room", (400, 422), r"max_(completion_)?tokens|(completion|output) tokens"),
)  # fmt: skip
"""Statuses and words by which a refusal is known, the first that fits. Where none does, its cause is looked for."""
FAULTS: dict[Kind, str] = {
    "filtered": FILTERED,
    "invalid JSON": "the model wrote no valid JSON",
    "too long": "the prompt overflows the model's context",
    "too large": "the prompt is larger than the server takes",
}
"""What is wrong with one prompt alone, by what its refusal is about."""
PAYMENT_REQUIRED = 402
PASSING = (408, 409, 429)
"""Statuses below 500 of failures that pass."""
GATEWAY_TIMED_OUT = (504, 524)
"""The gateway no longer waits, the model behind it may write on. 524 is Cloudflare's."""
OUT_OF_CREDIT = ("insufficient_quota", "billing_", "Arrearage")
"""How a server's name begins for what only a payment mends."""


def kind_of(error: Any) -> Kind:
    """What a refusal, an `openai.APIStatusError`, is about."""
    names = (str(getattr(error, name, None) or "") for name in ("code", "param"))
    told = " ".join([words_of(error), *names])
    for kind, statuses, words in _REFUSALS:
        if error.status_code in statuses and re.search(words, told, re.IGNORECASE | re.DOTALL):
            return kind
    return "unknown"


def passes(error: Any) -> bool:
    """Whether a failure passes, so that the same is asked again."""
    return error.status_code in PASSING or error.status_code >= 500


def words_of(error: Any) -> str:
    """The server's own words."""
    return _words(error.body) or str(error.body or error.message)


def _words(body: Any) -> str:
    """The message in what a server says of an error, without what it repeats of the request (as FastAPI does)."""
    if isinstance(body, list):
        return "; ".join(filter(None, map(_words, body)))
    if not isinstance(body, dict):
        return str(body or "")
    told = next(filter(None, (_words(body.get(name)) for name in ("message", "msg", "error", "detail"))), "")
    place = body.get("loc")
    return f"{'.'.join(map(str, place))}: {told}" if told and isinstance(place, list) else told


def why(error: Exception) -> str:
    """What came in place of an answer."""
    if isinstance(error, BrokenOff | NoAnswer):
        return str(error)
    name, cause = type(error).__name__, error.__cause__
    return f"{name}: {first_line(cause)}" if cause else name


def may_be_paid(error: Exception) -> bool:
    """Whether the server may have worked for a call that failed: it was cut off, too late or garbled."""
    from strategies.models.hosted.wire import NEVER_SENT

    if hasattr(error, "status_code"):
        return error.status_code in GATEWAY_TIMED_OUT or kind_of(error) == "unfinished"
    return not isinstance(error, NoAnswer) and type(error.__cause__).__name__ not in NEVER_SENT


def is_out_of_credit(error: Any) -> bool:
    """Whether only a payment mends it."""
    in_words = error.status_code == 400 and "credit balance is too low" in words_of(error)
    return error.status_code == PAYMENT_REQUIRED or bool(credit_code(error)) or in_words


def credit_code(error: Any) -> str:
    """The server's name for an account without credit; empty where it is another failure.

    Its words do not count: some call a limit on the rate a quota too.
    """
    names = (str(getattr(error, name, "")) for name in ("code", "type"))
    return next((name for name in names if name.startswith(OUT_OF_CREDIT)), "")
