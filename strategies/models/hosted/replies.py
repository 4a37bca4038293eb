"""What comes back from a server that speaks chat completions: an answer, a thought, a label, the tokens it counts."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from eval.contracts import NO_USAGE, Usage
from eval.reading.text import clean
from strategies.models.base import Completion, LabelScores

FILTERED = "the server's filter withheld the answer"
REFUSED = "the model refused to answer"
CUT = ("length", "model_length")
"""Reasons for which an answer ended where its room did; the other is Mistral's, of a context that is full."""
BROKEN_OFF = ("error", "abort", "insufficient_system_resource")
"""Reasons for which an answer ended that make it none: of OpenRouter and vLLM, SGLang, DeepSeek."""
THOUGHT_BEGINS = ("<think>", "[THINK]", "<|channel|>")
"""Marks that a server may leave: of most models, Magistral, gpt-oss (whose answer stands in a channel of its own)."""
_THOUGHT = re.compile(r"\A.*?(</think>|\[/THINK\]|<\|channel\|>final<\|message\|>)", re.DOTALL)
_FENCE = re.compile(r"^\s*```(?:json)?\s*|\s*```\s*$")


class BrokenOff(ValueError):
    """The server ended an answer before its end."""


class NoAnswer(ValueError):
    """Something else than an answer came back, such as a web page."""


@dataclass(frozen=True)
class Reply:
    """What came back."""

    completion: Completion
    said: str
    """All that was written, thoughts among it as far as they are shown."""
    is_cut: bool
    """Whether it ended where its room did."""

    @property
    def is_thought(self) -> bool:
        """Whether it is cut, and holds nothing but a thought, or nothing at all."""
        begun = self.said.lstrip().startswith(THOUGHT_BEGINS)
        return self.is_cut and (not self.said or (begun and not self.thinks))

    @property
    def thinks(self) -> bool:
        """Whether a thought ends in it. Its beginning may stand in the template, where nobody sees it."""
        return _THOUGHT.match(self.said) is not None


def read(answer: Any) -> Reply:
    """Raises BrokenOff, NoAnswer, and what comes of an answer that cannot be read."""
    if isinstance(answer, str):
        raise NoAnswer(f"a text instead, {answer.strip()[:60]!r}: most servers' addresses end in /v1")
    choice, usage = answer.choices[0], _usage(answer.usage)
    ended, said = str(choice.finish_reason), _text(choice.message.content)
    if ended in BROKEN_OFF:
        raise BrokenOff(f"it was broken off: {ended}")
    is_cut = ended in CUT
    completion = Completion(clean(_THOUGHT.sub("", said, count=1)), usage)
    if ended.startswith("content_filter"):
        completion = Completion("", usage, error=FILTERED)
    elif not said and not is_cut and getattr(choice.message, "refusal", None):
        completion = Completion("", usage, error=REFUSED)
    return Reply(completion, said, is_cut)


def _text(content: Any) -> str:
    """What a message says, without parts of it that are no text: some servers give thoughts as a part of their own."""
    parts = content if isinstance(content, list) else [{"type": "text", "text": content or ""}]
    return "".join(str(part["text"]) for part in parts if part.get("type") == "text")


def _usage(said: Any) -> Usage:
    """As the server counts. Some leave thoughts out of what was written, but not out of the total."""
    read, written, total = (getattr(said, f"{what}_tokens", None) for what in ("prompt", "completion", "total"))
    if read is None or written is None:
        return NO_USAGE
    details = getattr(said, "prompt_tokens_details", None)
    cached = getattr(details, "cached_tokens", None)
    return Usage(int(read), max(int(written), int(total or 0) - int(read)), int(cached or 0))


def unfenced(text: str) -> str:
    """JSON without the fence of a code block around it."""
    return _FENCE.sub("", text)


def chosen(completion: Completion, labels: Sequence[str]) -> LabelScores:
    """The label that an answer names, in JSON or in plain words."""
    if completion.error is not None:
        return LabelScores((), completion.usage, completion.error)
    said = _label_in(completion.text)
    plain = {_bare(label): number for number, label in reversed(list(enumerate(labels)))}
    number = labels.index(said) if said in labels else plain.get(_bare(said))
    if number is None:
        return LabelScores((), completion.usage, f"the answer is none of the labels: {said[:80]!r}")
    return LabelScores(tuple(0.0 if i == number else -inf for i in range(len(labels))), completion.usage)


def _bare(label: str) -> str:
    return label.strip(" .*\"'`\n").casefold()


def _label_in(text: str) -> str:
    try:
        value = json.loads(unfenced(text))
    except (ValueError, RecursionError):
        return text
    if isinstance(value, dict):
        value = value.get("label", next(iter(value.values())) if len(value) == 1 else None)
        if isinstance(value, bool | int | float):  # a label such as 1 or true, where the form could not name the labels
            return json.dumps(value)
    return value if isinstance(value, str) else text
