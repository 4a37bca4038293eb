"""How servers that speak chat completions want to be asked: it differs with the server and with the model.

Some take no schema, newer models of OpenAI's no `max_tokens` and no temperature, some chat templates no system turn,
and models that think before they answer need room for that. What a model wants is learnt from what it refuses, so that
nothing has to be known of it beforehand.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from strategies.models.base import JsonShape, Turn
from strategies.models.chat import without_system

FORMATS = ("json_schema", "json_object with schema", "json_object", "text")
"""Ways of asking for a form of answer, the strictest first."""
THOUGHTS = (0, 2_048, 8_192)
"""Tokens that a model may think for before it answers; they count as written, and are paid for."""
_THOUGHT = re.compile(r"\A.*?</think>", re.DOTALL)

Kind = Literal[
    "key", "too large", "filtered", "invalid JSON", "unfinished", "too long",
    "form", "max_tokens", "temperature", "system", "room", "unknown",
]  # fmt: skip
"""What a refusal is about."""
_REFUSES = "(?=.*(unsupported|not support|unexpected|unrecognized))"
_FAULTY, _ANY = (400, 404, 422), range(400, 600)
_REFUSALS: tuple[tuple[Kind, Collection[int], str], ...] = (
    ("key", (401,), ""),
    ("too large", (413,), ""),
    ("invalid JSON", _FAULTY, "json_validate_failed"),
    ("form", _ANY, "response_format"),  # llama-cpp-python calls it an error of its own
    (
        "filtered", (400, 403, 422),
        "content_filter|content management policy|invalid_prompt|data_?inspection_?failed|content exists risk|"
        "moderation|flagged",
    ),
    ("unfinished", (400,), "output limit was reached"),
    ("max_tokens", _FAULTY, _REFUSES + r".*\bmax_tokens\b"),
    ("temperature", _FAULTY, _REFUSES + r".*\btemperature\b"),
    ("system", _FAULTY, _REFUSES + r".*(\bsystem\b.{0,9}\brole\b|\brole\b.{0,30}\bsystem\b)"),
    ("too long", (400, 422), "context|too long"),
    ("room", (400, 422), r"max_(completion_)?tokens|(completion|output) tokens"),
)  # fmt: skip
"""Statuses and words by which a refusal is known, the first that fits. Where none does, its cause is looked for."""


def kind_of(status: int, said: str) -> Kind:
    """What a refusal is about that the server gives in such words, its own name for the error among them."""
    for kind, statuses, words in _REFUSALS:
        if status in statuses and re.search(words, said, re.IGNORECASE | re.DOTALL):
            return kind
    return "unknown"


@dataclass(frozen=True)
class Manner:
    """How a model is asked. Each step leads away from what is best to what a server or model can do."""

    form: int = 0
    """Of `FORMATS`."""
    without: frozenset[str] = frozenset()
    """Of `max_tokens` (for which `max_completion_tokens` stands then), `temperature` and `system`."""

    def is_nearer_than(self, other: Manner) -> bool:
        """Whether it is less far from what is best."""
        return self != other and self.form <= other.form and self.without <= other.without

    def lacking(self, name: str) -> Manner:
        """Without that too."""
        return replace(self, without=self.without | {name})

    def request(self, turns: Sequence[Turn], most_tokens: int, schema: dict[str, Any] | None) -> dict[str, Any]:
        """The fields of a request, but for the model's name. A `schema` is one of JSON Schema."""
        turns = without_system(turns) if "system" in self.without else turns
        limit = "max_completion_tokens" if "max_tokens" in self.without else "max_tokens"
        fields: dict[str, Any] = {"messages": messages(turns), limit: most_tokens}
        if "temperature" not in self.without:
            fields["temperature"] = 0
        return fields | _format_field(self.form, schema)


@dataclass
class Negotiation:
    """How one prompt is asked: first as its model is known to want it, then as its refusals say."""

    manner: Manner
    thought: int
    """Of `THOUGHTS`."""
    parts: tuple[bool, bool]
    """Whether it has a schema, and a turn of the system's."""
    _most: int = len(THOUGHTS) - 1
    """The largest thought that was not refused."""
    _said: str = ""
    """The last refusal of unknown cause, since which these are tried."""
    _steps: Iterator[Manner] = field(default_factory=lambda: iter(()))

    @property
    def has_further_form(self) -> bool:
        """Whether there is a less strict form of answer to ask for."""
        return self.parts[0] and self.manner.form < len(FORMATS) - 1

    def thinks_more(self) -> bool:
        """Take more room to think; whether there is any."""
        if self.thought >= self._most:
            return False
        self.thought += 1
        return True

    def thinks_less(self) -> bool:
        """Take less room to think from now on, since so much is refused; whether there was any."""
        if not self.thought:
            return False
        self.thought = self._most = self.thought - 1
        return True

    def goes_on(self, kind: Kind, status: int, said: str) -> bool:
        """Take the next manner to try after a refusal; whether there is one.

        Where the cause is unknown, one thing after the other is left out. One that leaves the words of the refusal as
        they were is not at fault, and put back.
        """
        if kind in ("max_tokens", "temperature", "system") and kind not in self.manner.without:
            self.manner, self._said = self.manner.lacking(kind), ""
            return True
        if kind == "form" and self.has_further_form:
            self.manner, self._said = replace(self.manner, form=self.manner.form + 1), ""
            return True
        if status not in _FAULTY:
            return False
        if said != self._said:
            self._said, self._steps = said, self._further(self.manner, status)
        further = next(self._steps, None)
        self.manner = further or self.manner
        return further is not None

    def _further(self, manner: Manner, status: int) -> Iterator[Manner]:
        """All manners that are one thing away from this one."""
        with_schema, with_system = self.parts
        names = ("temperature", "system") if with_system else ("temperature",)
        if status != 404:  # that says that there is no such model, or none for such requests
            yield from (manner.lacking(name) for name in names if name not in manner.without)
        if with_schema:
            yield from (replace(manner, form=form) for form in range(manner.form + 1, len(FORMATS)))


def messages(turns: Sequence[Turn]) -> list[dict[str, str]]:
    """A chat as a request has it."""
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def _format_field(form: int, schema: dict[str, Any] | None) -> dict[str, Any]:
    if schema is None or FORMATS[form] == "text":
        return {}
    if FORMATS[form] == "json_object":
        return {"response_format": {"type": "json_object"}}
    if FORMATS[form] == "json_object with schema":  # llama-cpp-python and some providers; others pass the schema over
        return {"response_format": {"type": "json_object", "schema": schema}}
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}}


def text_of(content: Any) -> str:
    """What a message says, without parts of it that are no text: some servers give thoughts as a part of their own."""
    parts = content if isinstance(content, list) else [{"type": "text", "text": content or ""}]
    return "".join(str(part["text"]) for part in parts if part.get("type") == "text")


def holds_thought(said: str) -> bool:
    """Whether a thought ends in what was said. Its beginning may stand in the template, where nobody sees it."""
    return _THOUGHT.match(said) is not None


def is_unfinished_thought(said: str) -> bool:
    """Whether what was cut off says nothing but a thought, or nothing at all."""
    return not said or (said.lstrip().startswith("<think>") and not holds_thought(said))


def without_thought(said: str) -> str:
    """An answer without what a server leaves before it of the model's thinking."""
    return _THOUGHT.sub("", said, count=1)


_TYPES = frozenset({"string", "number", "boolean", "null"})
"""Kinds of value that JSON Schema has a type of the same name for."""


def json_schema(shape: JsonShape) -> dict[str, Any]:
    """The JSON Schema of a shape."""
    properties = {}
    for key, kinds in shape.keys:
        types = [kind for kind in kinds if kind in _TYPES]
        properties[key] = {} if "any" in kinds or not types else {"type": types[0] if len(types) == 1 else types}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def label_schema(labels: Sequence[str]) -> dict[str, Any]:
    """The JSON Schema of an answer that names one of some labels."""
    return {
        "type": "object", "properties": {"label": {"type": "string", "enum": list(labels)}}, "required": ["label"],
        "additionalProperties": False,
    }  # fmt: skip
