"""How servers that speak chat completions want to be asked: it differs with the server and with the model.

Some take no schema, newer models of OpenAI's no `max_tokens` and no temperature, some chat templates no system turn,
and models that think before they answer need room for that. What a model wants is learnt from what it refuses, so that
nothing has to be known of it beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from strategies.models.base import JsonShape, Turn
from strategies.models.chat import without_system
from strategies.models.hosted.refusals import FAULTY, Kind

FORMATS = ("json_schema", "json_object with schema", "json_object", "text")
"""Ways of asking for a form of answer, the strictest first."""
THOUGHTS = (0, 2_048, 8_192)
"""Tokens that a model may think for before it answers; they count as written, and are paid for."""


@dataclass(frozen=True)
class Manner:
    """How a model is asked. Each step leads away from what is best to what a server or model can do."""

    form: int = 0
    """Of `FORMATS`."""
    without: frozenset[str] = frozenset()
    """Of `max_tokens` (for which `max_completion_tokens` stands then), `temperature`, `system` and `strict`."""

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
        return fields | _format_field(self.form, schema, strict="strict" not in self.without)


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
        if kind in ("max_tokens", "temperature", "system", "strict") and kind not in self.manner.without:
            self.manner, self._said = self.manner.lacking(kind), ""
            return True
        if kind in ("strict", "form") and self.has_further_form:
            self.manner, self._said = replace(self.manner, form=self.manner.form + 1), ""
            return True
        if status not in FAULTY:
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


def _format_field(form: int, schema: dict[str, Any] | None, *, strict: bool) -> dict[str, Any]:
    if schema is None or FORMATS[form] == "text":
        return {}
    if FORMATS[form] == "json_object":
        return {"response_format": {"type": "json_object"}}
    if FORMATS[form] == "json_object with schema":  # llama-cpp-python and some providers; others pass the schema over
        return {"response_format": {"type": "json_object", "schema": schema}}
    answer: dict[str, Any] = {"name": "answer", "schema": schema}
    if strict and schema.get("required") == list(schema["properties"]):  # OpenAI's condition
        answer["strict"] = True  # without it, a schema is but a wish there
    return {"response_format": {"type": "json_schema", "json_schema": answer}}


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
