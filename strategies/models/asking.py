"""How servers that speak chat completions want to be asked: it differs with the server and with the model.

Some take no schema, newer models of OpenAI's no `max_tokens` and no temperature, some chat templates no system turn,
and models that think before they answer need room for that. What a model wants is learnt from what it refuses, so that
nothing has to be known of it beforehand.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from strategies.models.base import JsonShape, Turn
from strategies.models.chat import without_system

FORMATS = ("json_schema", "json_object with schema", "json_object", "text")
"""Ways of asking for a form of answer, the strictest first."""
THOUGHTS = (0, 2_048, 8_192)
"""Tokens that a model may think for before it answers; they count as written, and are paid for."""

_UNSUPPORTED_STATUS = (400, 404, 422)
_REFUSES = re.compile(r"unsupported|not support|unexpected|unrecognized", re.IGNORECASE)
_NAMES = {
    "max_tokens": re.compile(r"\bmax_tokens\b"),
    "temperature": re.compile(r"\btemperature\b"),
    "system": re.compile(r"\bsystem\b.{0,9}\brole\b|\brole\b.{0,30}\bsystem\b", re.IGNORECASE),
}
"""What can be done without, and how a refusal names it."""
_THOUGHT = re.compile(r"\A.*?</think>", re.DOTALL)


@dataclass(frozen=True)
class Manner:
    """How a model is asked. Each step leads away from what is best to what a server or model can do."""

    form: int = 0
    """Of `FORMATS`."""
    without: frozenset[str] = frozenset()
    """Of `max_tokens` (for which `max_completion_tokens` stands then), `temperature` and `system`."""
    thought: int = 0
    """Of `THOUGHTS`."""

    def __or__(self, other: Manner) -> Manner:
        """What is far enough for both."""
        return Manner(max(self.form, other.form), self.without | other.without, max(self.thought, other.thought))

    def most_tokens(self, answer: int) -> int:
        """So much may be written where an answer has at most so many tokens."""
        return answer + THOUGHTS[self.thought]

    def request(self, turns: Sequence[Turn], answer_tokens: int, schema: dict[str, Any] | None) -> dict[str, Any]:
        """The fields of a request, but for the model's name. A `schema` is one of JSON Schema."""
        turns = without_system(turns) if "system" in self.without else turns
        limit = "max_completion_tokens" if "max_tokens" in self.without else "max_tokens"
        fields: dict[str, Any] = {
            "messages": messages(turns),
            limit: self.most_tokens(answer_tokens),
        }
        if "temperature" not in self.without:
            fields["temperature"] = 0
        return fields | _format_field(self.form, schema)

    def after_refusal(self, status: int, said: str, *, with_schema: bool) -> Manner | None:
        """The next manner to try after a refusal in such words; None where the manner is not at fault."""
        if status < 500 and _REFUSES.search(said):
            for name, named in _NAMES.items():
                if name not in self.without and named.search(said):
                    return replace(self, without=self.without | {name})
        is_of_form = status in _UNSUPPORTED_STATUS or "response_format" in said  # some call it an error of their own
        if with_schema and is_of_form and self.form < len(FORMATS) - 1:
            return replace(self, form=self.form + 1)
        return None

    def with_more_thought(self) -> Manner | None:
        """With more room to think; None where there was the most."""
        return replace(self, thought=self.thought + 1) if self.thought < len(THOUGHTS) - 1 else None


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


def is_unfinished_thought(choice: Any) -> bool:
    """Whether a choice of a completion ended before an answer began, since all its room went into thinking."""
    said = choice.message.content or ""
    return choice.finish_reason == "length" and (
        not said or (said.lstrip().startswith("<think>") and "</think>" not in said)
    )


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
