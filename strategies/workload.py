"""How much work a strategy is, in tokens: the currency in which a time budget is planned."""

from __future__ import annotations

from dataclasses import dataclass

LABEL_COST = 2.0
"""A label's token in tokens of a prompt: all its logits are needed, and it looks at all of the prompt."""


@dataclass(frozen=True)
class Profile:
    """A task in figures. Averages over the training part; nothing here comes from test targets."""

    train_rows: int
    input_tokens: float
    output_tokens: float
    """Of a training answer."""
    longest_output: int
    """Tokens after which an answer is cut; an untuned model may well write as many."""
    label_tokens: int
    """Nodes of the label tree; 0 where answers are written rather than chosen."""
    passage_tokens: float
    """Of a passage of the documents; 0 without documents."""
    instruction_tokens: int


@dataclass(frozen=True)
class Tokens:
    """Tokens by what is done with them. Adds with `+`, scales with `*`."""

    read: float = 0.0
    written: float = 0.0
    trained: float = 0.0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(self.read + other.read, self.written + other.written, self.trained + other.trained)

    def __mul__(self, times: float) -> Tokens:
        return Tokens(self.read * times, self.written * times, self.trained * times)


@dataclass(frozen=True)
class Workload:
    """Work of one strategy."""

    fit: Tokens = Tokens()
    query: Tokens = Tokens()


def answering(profile: Profile, own_prompt: float, *, tuned: bool) -> Tokens:
    """One query whose prompt has `own_prompt` tokens that no other query shares.

    A tuned model stops when its answer ends; an untuned one is planned halfway to the cut.
    """
    if profile.label_tokens:
        return Tokens(read=own_prompt + LABEL_COST * profile.label_tokens)
    written = profile.output_tokens if tuned else (profile.output_tokens + profile.longest_output) / 2
    return Tokens(read=own_prompt, written=written)
