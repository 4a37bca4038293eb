"""How much work a strategy is, in tokens: the currency in which a time budget is planned."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass, replace

from strategies.models.engine.batching import MOST_ROWS, MOST_TOKENS

LABEL_COST = 2.0
"""A label's token in tokens of a prompt: all its logits are needed."""
DEMONSTRATION_FRAME = 10
"""Tokens that the chat template puts around the answer of a demonstration."""
CLASSIFIED = 1e6
"""Tokens times labels that a classifier on words and characters learns from in a second: not measured on the machine
at hand, but right to about a factor of two on a busy core of an Intel Xeon (`strategies.linear`)."""
SEARCHED, SEARCHED_HALF_TUNED, SEARCHED_TUNED = 192, 128, 64
"""Nodes that a search among many labels reads (see `strategies.models.engine.label_search`), by a model that is not
tuned, on average over the epochs of tuning, and when tuned: 190, 105 and 30 with the 77 labels it was measured with."""
SEARCHED_QUOTATIONS = 120
"""In nodes, what a search among the quotations of about 120 words takes a tuned model, planned generously: 25 are read,
but few in a pass."""
LIKELIEST = 1.3
"""What looking for the likeliest text takes a tuned model, in texts written greedily: 1.15 where it was measured."""
LAST_ROW = 1.5
"""The longest answer of a batch, in answers of ordinary length: so long the batch goes on."""
LOOKS_TRAINING = 3.0
"""Looking back while training, backward pass included, in looking back while reading."""


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
    context_tokens: int = 1_000_000
    """The longest prompt and answer that the model takes."""
    json: bool = False
    """Whether answers are JSON objects."""
    labels: int = 0
    """How many there are to choose from; 0 where answers are written."""
    parameters: int | None = None
    """Of the model; None where that is not known."""
    quotes: bool = False
    """Whether answers look like quotations from the documents."""
    right_or_wrong: bool = False
    """Whether answers are texts that are right or wrong as a whole."""

    @property
    def example_tokens(self) -> float:
        """Of a demonstration."""
        return self.input_tokens + self.output_tokens + DEMONSTRATION_FRAME

    def shared_tokens(self, demonstrations: int) -> float:
        """Of as many fixed demonstrations as there are, or as fit (see `PromptTemplate.within`)."""
        return min(demonstrations * self.example_tokens, self.context_tokens / 4)

    def searched(self, nodes: int) -> Profile:
        """The same where labels are searched, not weighed one and all, and that takes so many nodes of their tree."""
        return replace(self, label_tokens=min(self.label_tokens, nodes))

    def own_tokens(self, demonstrations: int) -> float:
        """Of an input with demonstrations of its own, as many as fit."""
        room = self.context_tokens - self.longest_output
        return max(self.input_tokens, min(self.input_tokens + demonstrations * self.example_tokens, room))


@dataclass(frozen=True)
class Tokens:
    """Tokens by what is done with them. Adds with `+`, scales with `*`."""

    read: float = 0.0
    written: float = 0.0
    trained: float = 0.0
    steps: float = 0.0
    """Passes of the network in which a whole batch writes one token a row."""
    looks_reading: float = 0.0
    """How many tokens the tokens that are read, or trained on, look back at, added up."""
    looks_writing: float = 0.0
    """The same of the tokens that are written."""
    embedded: float = 0.0
    """Tokens of the language model, in texts that the embedder reads."""
    classified: float = 0.0
    """Tokens of the language model times labels, in texts that a linear classifier learns from."""
    prompts: float = 0.0
    """How many are answered."""
    read_again: float = 0.0
    """Tokens that prompts share with others, and that a provider counts each time."""

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(*(own + others for own, others in zip(astuple(self), astuple(other), strict=True)))

    def __mul__(self, times: float) -> Tokens:
        return Tokens(*(own * times for own in astuple(self)))


@dataclass(frozen=True)
class Speeds:
    """Of one language model on this machine."""

    read: float
    """Tokens a second, of short prompts."""
    written: float
    """Tokens a second that a further row of a batch writes."""
    trained: float
    step: float = 0.0
    """Seconds that writing a token takes a batch, however many rows it has."""
    look_reading: float = 0.0
    """Seconds of looking back at one token."""
    look_writing: float = 0.0
    embedded: float = math.inf
    """Tokens a second, of inputs that the embedder reads."""

    def seconds(self, tokens: Tokens) -> float:
        """How long so much work takes."""
        fluent = tokens.read / self.read + tokens.written / self.written + tokens.trained / self.trained
        looks = tokens.looks_reading * self.look_reading + tokens.looks_writing * self.look_writing
        others = tokens.embedded / self.embedded + tokens.classified / CLASSIFIED
        return fluent + tokens.steps * self.step + looks + others


@dataclass(frozen=True)
class Workload:
    """Work of one strategy."""

    fit: Tokens = Tokens()
    query: Tokens = Tokens()
    """One of many that are answered together."""

    search: Tokens = Tokens()
    """The most that choosing among configurations takes; what it may take is another matter (`Allowance`)."""
    search_step: Tokens = Tokens()
    """What choosing does as a whole or not at all: one more training."""
    atop: Tokens = Tokens()
    """What is done in the place of `fit` where the strategy that this one builds on is fitted already."""

    @property
    def alone(self) -> Tokens:
        """A query that is answered by itself: each token that it writes takes a step."""
        return replace(self.query, steps=self.query.written)

    @property
    def of_language_model(self) -> bool:
        """Whether there is any."""
        all_work = (self.fit, self.query, self.search)
        return any(replace(work, embedded=0.0, classified=0.0) != Tokens() for work in all_work)

    def embedding(self, tokens: float) -> Workload:
        """The same where queries of so many tokens are embedded too."""
        return replace(self, query=self.query + Tokens(embedded=tokens))


def answering(profile: Profile, own_prompt: float, *, tuned: bool, shared: float = 0.0) -> Tokens:
    """One query whose prompt has `own_prompt` tokens of its own, after `shared` ones that are the same for all.

    A tuned model stops when its answer ends; an untuned one is planned halfway to the cut.
    """
    looks = own_prompt * (own_prompt / 2 + shared)
    again = shared + profile.instruction_tokens + profile.label_tokens  # which are told
    reading = Tokens(read=own_prompt, looks_reading=looks, prompts=1, read_again=again)
    if profile.label_tokens:
        looks = profile.label_tokens * (own_prompt + shared)
        return reading + Tokens(read=LABEL_COST * profile.label_tokens, looks_reading=looks)
    written = profile.output_tokens if tuned else (profile.output_tokens + profile.longest_output) / 2
    rows = min(MOST_ROWS, max(1.0, MOST_TOKENS / (own_prompt + profile.longest_output)))
    steps = min(LAST_ROW * profile.output_tokens, profile.longest_output) if tuned else profile.longest_output
    return reading + Tokens(written=written, steps=steps / rows, looks_writing=written * (own_prompt + shared))


def training(a_row: float, rows: float) -> Tokens:
    """One pass over so many rows of so many tokens each."""
    return Tokens(trained=a_row * rows, looks_reading=LOOKS_TRAINING * rows * a_row**2 / 2)
