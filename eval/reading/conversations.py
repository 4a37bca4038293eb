"""Conversations: lists of turns, in the forms of OpenAI's, TRL's and ShareGPT's files; and turns of several parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eval.reading.text import as_text, conjoined, counted

Turn = dict[str, Any]
USERS, ASSISTANTS, SYSTEMS = ("user", "human"), ("assistant", "gpt", "model"), ("system", "developer")
CALLS = ("tool_calls", "function_call")
"""What a turn holds besides its text, or instead, where the assistant calls a function."""
MEDIA = (
    *("image", "audio", "video", "document", "file", "image_url", "audio_url", "video_url"),
    *("input_image", "input_audio", "input_file"),
)
"""What the parts of a message that are no text are called."""
PARTS = ("text", "input_text", "output_text", *MEDIA)
"""What the parts of a message are called; a list of other objects with a type is none."""


def turns_of(value: object) -> list[Turn]:
    """Return the turns of a cell; none where it holds no conversation."""
    is_conversation = isinstance(value, list) and all(isinstance(turn, dict) and _role(turn) for turn in value)
    return value if is_conversation and isinstance(value, list) else []


def is_answered(turns: Sequence[Turn]) -> bool:
    """Tell whether the assistant has the last word."""
    return bool(turns) and _role(turns[-1]) in ASSISTANTS


def before_reply(turns: Sequence[Turn]) -> Sequence[Turn]:
    """Return what was said before the last assistant turn, or all where there is none."""
    place = _last_reply(turns)
    return turns if place is None else turns[:place]


def reply_of(turns: Sequence[Turn]) -> str:
    """Return the text of the last assistant turn; empty where there is none."""
    place = _last_reply(turns)
    return "" if place is None else _said(turns[place])


def unread_turns(conversations: Sequence[Sequence[Turn]], *, answered: bool) -> str:
    """Return a sentence on the turns that are not read; empty where there are none.

    System turns are a prompt, of which a solution brings its own; where conversations are `answered`, what follows
    their last reply is no part of the question.
    """
    follows = [_last_reply(turns) is not None and not is_answered(turns) for turns in conversations]
    unread = {
        "system turns": sum(any(_role(turn) in SYSTEMS for turn in turns) for turns in conversations),
        "calls of functions": sum(any(turn.get(c) for turn in turns for c in CALLS) for turns in conversations),
        "what follows the last assistant turn": sum(follows) if answered else 0,
    }
    told = [f"{what} (in {counted(count, 'row')})" for what, count in unread.items() if count]
    return f" Not read of conversations: {conjoined(told)}." if told else ""


def transcript(turns: Sequence[Turn]) -> str:
    """What was said, system turns aside: a user's words as they are, a dialogue as lines of `- role: text`.

    Lines of `role: text`, without the dash, are how an input forges turns (`eval.audit.injection`).
    """
    said = [(_speaker(turn), _said(turn)) for turn in turns if _role(turn) not in SYSTEMS]
    said = [(speaker, text) for speaker, text in said if text]
    if all(speaker == "user" for speaker, _ in said):
        return "\n".join(text for _, text in said)
    return "\n".join(f"- {speaker}: {text}" for speaker, text in said)


def is_message(value: object) -> bool:
    """Tell whether a cell holds the parts of one message: `[{"type": "text", "text": "..."}, ...]`."""
    parts = value if isinstance(value, list) else []
    return bool(parts) and all(isinstance(part, dict) and part.get("type") in PARTS for part in parts)


def text_of(content: object) -> str:
    """Return a message's text; of several parts, those that are text."""
    if not isinstance(content, list):
        return as_text(content)
    return "\n".join(filter(None, (as_text(_part(part)) for part in content)))


def holds_more_than_text(value: object) -> bool:
    """Tell whether a message, or what is read of a conversation, has pictures, sound or files in it."""
    read = [turn for turn in turns_of(value) if _role(turn) not in SYSTEMS]
    contents = [value] if is_message(value) else [_content(turn) for turn in read]
    return any(_is_media(part) for content in contents if isinstance(content, list) for part in content)


def _is_media(part: object) -> bool:
    return isinstance(part, dict) and part.get("type") in MEDIA and _part(part) is None


def _part(part: object) -> str | None:
    """The text of a message's part; None where it is another thing."""
    text = part.get("text") if isinstance(part, dict) else part
    return text if isinstance(text, str) else None


def _last_reply(turns: Sequence[Turn]) -> int | None:
    return next((place for place in reversed(range(len(turns))) if _role(turns[place]) in ASSISTANTS), None)


def _role(turn: Turn) -> str:
    role = turn.get("role", turn.get("from"))
    return role if isinstance(role, str) and any(name in turn for name in ("content", "value", *CALLS)) else ""


def _speaker(turn: Turn) -> str:
    """Who speaks, under one name for all files."""
    role = _role(turn)
    return "user" if role in USERS else "assistant" if role in ASSISTANTS else role


def _content(turn: Turn) -> object:
    return turn.get("content", turn.get("value"))


def _said(turn: Turn) -> str:
    return text_of(_content(turn))
