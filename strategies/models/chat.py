"""Chats to tokens: one way of writing a chat for answering, scoring and training alike."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from eval.errors import ModelUnavailable
from strategies.models.base import Prompt, Turn

PLAIN_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] + '\n\n' }}"
    "{% elif message['role'] == 'user' %}{{ 'Input: ' + message['content'] + '\n' }}"
    "{% else %}{{ 'Answer: ' + message['content'] + eos_token + '\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Answer:' }}{% endif %}"
)
"""For models that come without a chat template."""
TODAY = datetime(2024, 7, 26)
"""What a template writes that would write the date: a prompt must be the same whenever it is asked, and a kept
solution's the one that it was measured with. Llama 3.2's own template writes this day where it cannot know today."""

THOUGHT = "<think>"

_PROBE = "§"
_CHAT = (Turn("system", "§0"), Turn("user", "§1"), Turn("assistant", "§2"), Turn("user", "§3"))
_ANSWERS = ("yes", "Größe", "7", '{"a": 1}')


class ChatFormat:
    """A tokenizer's chat template, its end-of-turn token, and text that cannot open a turn of its own.

    Where a template knows no system turn, its text opens the first turn of the user. Raises ModelUnavailable where a
    template cannot write a chat at all, or nothing ends an answer.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        tokenizer.chat_template = _dated(tokenizer.chat_template or _plain_template(tokenizer))
        marks = {number: token.content for number, token in tokenizer.added_tokens_decoder.items() if token.special}
        added = set(marks.values())
        self._special_ids = {*tokenizer.all_special_ids, *marks}  # Phi-3's <|end|> is special without a name
        self._specials = sorted(
            (t for t in {*tokenizer.all_special_tokens, *added} if len(t) > 1), key=lambda t: (-len(t), t)
        )
        self._knows_system = True
        self._knows_system = self._can_write()
        if not self._knows_system and not self._can_write():
            raise ModelUnavailable(
                f"{tokenizer.name_or_path}: its chat template cannot write a chat of user and assistant: "
                "name an instruction-tuned model with --model."
            )
        self.end_token = self._end_token()
        self._ending, opening = self._turn()
        self._opening = opening.rstrip(" ")
        self.space = opening.removeprefix(self._opening)
        """What an answer begins with: with the letters after it, it may be one token."""
        self._stands_alone = all(self._following(answer) == self._encode(answer) for answer in _ANSWERS)
        self._shared: dict[tuple[Turn, ...], list[int]] = {}

    def _can_write(self) -> bool:
        """Whether the template takes all roles, and leaves none out."""
        try:
            text = self._render(_CHAT, open_answer=True)
        except Exception:  # whatever a template raises
            return False
        return all(turn.content in text for turn in _CHAT)

    def _end_token(self) -> int:
        """First token after an assistant's answer under the template; the end-of-text token where there is none."""
        turns = (Turn("user", _PROBE), Turn("assistant", _PROBE))
        tail = self._render(turns, open_answer=False).rpartition(_PROBE)[2]
        tokens = self.tokenizer.encode(tail, add_special_tokens=False)
        if tokens and tokens[0] in self._special_ids:
            return int(tokens[0])
        if self.tokenizer.eos_token_id is None:
            raise ModelUnavailable(
                f"{self.tokenizer.name_or_path}: its tokenizer names no token that ends an answer (eos_token): "
                "name another model with --model."
            )
        return int(self.tokenizer.eos_token_id)

    def _turn(self) -> tuple[str, str]:
        """How an open prompt ends after what is asked, and how it must for an answer to follow as in a written chat."""
        ending = self._render(_CHAT[1:2], open_answer=True).rpartition(_CHAT[1].content)[2]
        _, _, written = self._render(_CHAT[1:], open_answer=True).partition(_CHAT[1].content)
        opening = written.partition(_CHAT[2].content)[0]
        return ending, opening if opening.startswith(ending) else _without_thought(ending)

    def tokens(self, prompt: Prompt) -> list[int]:
        """The whole chat, up to where the answer begins."""
        text = self._render(prompt.turns, open_answer=True)
        if text.endswith(self._ending):
            text = text[: len(text) - len(self._ending)] + self._opening
        return self._encode(text)

    def shared_length(self, prompt: Prompt, tokens: Sequence[int]) -> int:
        """How many leading tokens come from the shared turns, and so are the same for every query."""
        if not prompt.shared:
            return 0
        turns = prompt.turns[: prompt.shared]
        if turns not in self._shared:
            self._shared = {turns: self._shared_tokens(turns)}
        same = 0
        for ours, theirs in zip(self._shared[turns], tokens, strict=False):
            if ours != theirs:
                break
            same += 1
        return min(same, len(tokens) - 1)

    def _shared_tokens(self, turns: tuple[Turn, ...]) -> list[int]:
        try:
            text = self._render(turns, open_answer=False)
        except Exception:  # some templates refuse a chat without a question; then nothing is shared
            return []
        return self._encode(text)

    def answer_tokens(self, text: str) -> list[int]:
        """An answer's tokens where it follows a prompt; without the end token.

        What reads like a special token is spelt out: code may hold <filename>.
        """
        if self._stands_alone and any(special in text for special in self._specials):
            spelt = self._encode(text, split_special_tokens=True)
            if not self._special_ids.intersection(spelt):
                return spelt
        text = self._harmless(text)
        return self._encode(text) if self._stands_alone or not text else self._following(text)

    def _following(self, answer: str) -> list[int]:
        before, both = self._encode(self._opening), self._encode(self._opening + self.space + answer)
        return both[len(before) :] if both[: len(before)] == before else self._encode(self.space + answer)

    def _encode(self, text: str, **how: bool) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False, **how))

    def _render(self, turns: Sequence[Turn], *, open_answer: bool) -> str:
        written = turns if self._knows_system else without_system(turns)
        messages = [{"role": turn.role, "content": self._harmless(turn.content)} for turn in written]
        text = self.tokenizer.apply_chat_template(
            messages,
            tokenize=False,
            add_generation_prompt=open_answer,
            enable_thinking=False,  # a short answer would be cut within the thoughts of Qwen 3 or SmolLM 3
        )
        return str(text)

    def _harmless(self, text: str) -> str:
        """Client text with its special tokens spaced out, so that it cannot close its turn or open another."""
        for special in self._specials:
            if special in text:
                text = text.replace(special, f"{special[0]} {special[1:]}")
        return text


def _plain_template(tokenizer: Any) -> str:
    """`PLAIN_TEMPLATE`, after the token that the tokenizer begins every text with, if it does."""
    begins = tokenizer.bos_token_id is not None and tokenizer("x").input_ids[:1] == [tokenizer.bos_token_id]
    return "{{ bos_token }}" + PLAIN_TEMPLATE if begins else PLAIN_TEMPLATE


def _without_thought(ending: str) -> str:
    """What an open prompt ends with, where that opens a thought (DeepSeek-R1, Qwen3-Thinking) with an empty one closed.

    Else answers would be written, and labels weighed, inside the thought.
    """
    before, opened, thought = ending.rpartition(THOUGHT)
    return f"{before}{opened}\n\n</think>\n\n" if opened and "</think>" not in thought else ending


def _dated(template: str | dict[str, str]) -> str | dict[str, str]:
    """A chat template, or several by their names, where what asks for today's date gets `TODAY`."""
    if not isinstance(template, str):
        return {name: str(_dated(one)) for name, one in template.items()}
    return re.sub(r"strftime_now\(\s*(['\"])(.*?)\1\s*\)", lambda asked: json.dumps(TODAY.strftime(asked[2])), template)


def without_system(turns: Sequence[Turn]) -> list[Turn]:
    """The same chat where what the system says opens the first turn of the user."""
    if not turns or turns[0].role != "system":
        return list(turns)
    said, *others = turns
    if others and others[0].role == "user":
        return [Turn("user", f"{said.content}\n\n{others[0].content}"), *others[1:]]
    return [Turn("user", said.content), *others]
