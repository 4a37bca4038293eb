"""How a question is put to a language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from eval.contracts import Example, Kind, Task
from eval.reading.text import count_words
from eval.tasks import are_lists_of_texts
from strategies.answers import AnswerFormat, as_written
from strategies.models.base import LanguageModel, Prompt, Turn
from strategies.retrieval.chunks import Passage
from strategies.retrieval.index import Pair

DESCRIPTION_LETTERS = 100
"""Of an example that describes a label."""
CUT = " [...]"
"""Stands where a text was cut off."""
CROWDED_OUT, MOST_MEASURED = 0.05, 200
"""Share of the inputs that a list of labels or keys may leave no room for, and about how many inputs tell."""
SHORTEST_PASSAGE = 200
"""Letters; a passage that would have to be cut shorter to fit is left out."""


@dataclass(frozen=True)
class Demonstration:
    """A worked example shown to the model."""

    question: str
    """The whole user turn, passages included."""
    answer: str


@dataclass(frozen=True)
class PromptTemplate:
    """The part of a prompt that is the same for every query."""

    instruction: str
    demonstrations: tuple[Demonstration, ...] = ()

    def prompt(self, text: str, passages: Sequence[Passage] = (), nearest: Sequence[Pair] = ()) -> Prompt:
        """The chat for one input. `nearest` are shown farthest first, so that the most similar stands last."""
        fixed = [Turn("system", self.instruction)]
        for shown in self.demonstrations:
            fixed += [Turn("user", shown.question), Turn("assistant", shown.answer)]
        own = []
        for pair in reversed(nearest):
            own += [Turn("user", pair.input), Turn("assistant", pair.answer)]
        return Prompt((*fixed, *own, Turn("user", question(text, passages))), shared=len(fixed))

    def shows(self, text: str) -> bool:
        """Whether an input stands in it, as a demonstration or, its beginning at least, as what describes a label."""
        whole = "\n".join((self.instruction, *(shown.question for shown in self.demonstrations)))
        return text in whole or shortened(text, DESCRIPTION_LETTERS) in whole

    def within(self, model: LanguageModel) -> PromptTemplate:
        """The same with as many of the demonstrations, from the first on, as fit into a quarter of the context.

        Half of it stays free for inputs and answers, however long the instruction is.
        """
        fitting, instructed = self, model.prompt_tokens(replace(self, demonstrations=()).prompt(""))
        most = min(instructed + model.context_tokens // 4, model.context_tokens // 2)
        while fitting.demonstrations and model.prompt_tokens(fitting.prompt("")) > most:
            fitting = replace(fitting, demonstrations=fitting.demonstrations[:-1])
        return fitting

    def is_short_for(self, model: LanguageModel) -> bool:
        """Whether it takes no more than a quarter of the context."""
        return model.prompt_tokens(self.prompt("")) <= model.context_tokens // 4

    def to_json(self) -> dict[str, Any]:
        """Plain values for a manifest."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> PromptTemplate:
        """Inverse of `to_json`."""
        return cls(values["instruction"], tuple(Demonstration(**shown) for shown in values["demonstrations"]))


def question(text: str, passages: Sequence[Passage] = ()) -> str:
    """The user turn: passages first, then the input."""
    if not passages:
        return text
    return f"Context:\n{in_prompt(passages)}\n\nQuestion: {text}"


def in_prompt(passages: Sequence[Passage]) -> str:
    """Passages as a prompt holds them."""
    return "\n\n".join(passage.shown for passage in passages)


def instruction(
    task: Task,
    answers: AnswerFormat,
    train: Sequence[Example],
    *,
    with_context: bool = False,
    described: bool = False,
    listed: bool = True,
) -> str:
    """The task sentence, with what an untuned model must be told about the form of the answer.

    `described`: each label with a training example of it, JSON with one answer. Without `listed` neither labels nor
    keys are named.
    """
    parts = [task.description]
    if with_context:
        parts.append("Use the context given with the question.")
    form = _json_form(answers, train)
    if answers.labels and not listed:
        parts.append("Answer with one label.")
    elif answers.labels:
        typical = _typical_inputs(train) if described else {}
        labels = [f"{label} (such as: {typical[label]})" if label in typical else label for label in answers.labels]
        parts.append("Answer with exactly one of these labels:\n" + "\n".join(labels))
    elif form:
        keys = [key for key, _ in answers.json_shape.keys] if answers.json_shape and listed else []
        parts.append(f"Answer with {form}." + (f" Possible keys: {', '.join(keys)}" if keys else ""))
        if described:
            parts.append(f"For example: {_of_middle_length(as_written(train, answers)).target}")
    else:
        parts.append(_length_hint(task, train))
    return "\n".join(parts)


def _json_form(answers: AnswerFormat, train: Sequence[Example]) -> str:
    """What JSON answers are, in words; empty where they are text. Of lists of texts no grammar tells the model."""
    if answers.json_shape is not None:
        return "a JSON list of objects" if answers.json_shape.repeated else "one JSON object"
    return "a JSON list of texts" if are_lists_of_texts([e.target for e in train]) else ""


def leaves_room(model: LanguageModel, words: str, fewer: str, answers: AnswerFormat, train: Sequence[Example]) -> bool:
    """Whether nearly all the inputs that fit the context after `fewer` words of instruction do so after these too."""
    inputs = model.count_tokens([e.input for e in train[:: max(1, len(train) // MOST_MEASURED)]])
    left, most = (
        model.context_tokens - answers.room - model.prompt_tokens(PromptTemplate(told).prompt(""))
        for told in (words, fewer)
    )
    fitting = [tokens for tokens in inputs if tokens <= most]
    return sum(tokens > left for tokens in fitting) <= CROWDED_OUT * len(fitting)


def _typical_inputs(train: Sequence[Example]) -> dict[str, str]:
    """Of each label, the beginning of an input of ordinary length."""
    rows: dict[str, list[Example]] = {}
    for example in train:
        rows.setdefault(example.target, []).append(example)
    return {label: shortened(_of_middle_length(own, "input").input, DESCRIPTION_LETTERS) for label, own in rows.items()}


def shortened(text: str, most: int) -> str:
    """The beginning of a text, in one line of at most so many letters; cut between words, where one ends near by."""
    line = " ".join(text.split())
    if len(line) <= most:
        return line
    room = most - len(CUT)
    between = line.rfind(" ", room // 2, room + 1)
    return line[: between if between > 0 else room] + CUT


def _of_middle_length(rows: Sequence[Example], part: Literal["input", "target"] = "target") -> Example:
    return sorted(rows, key=lambda e: (len(getattr(e, part)), e.id))[len(rows) // 2]


def _length_hint(task: Task, train: Sequence[Example]) -> str:
    words = sorted(count_words(e.target) for e in train)
    usual = words[len(words) // 2]
    if task.kind is Kind.QA and usual <= 10:
        return (
            f"Answer with the answer alone, in about {usual} {'word' if usual == 1 else 'words'}, without a sentence."
        )
    return f"Give the answer alone, in about {usual} words."


@dataclass(frozen=True)
class Fitted:
    """A prompt that fits, and what of the retrieved is in it."""

    prompt: Prompt
    passages: Sequence[Passage]
    nearest: Sequence[Pair]

    @property
    def sources(self) -> tuple[str, ...]:
        """Ids of what is in it."""
        return (*(p.document_id for p in self.passages), *(pair.id for pair in self.nearest))

    @property
    def context(self) -> str:
        """The passages as they are shown."""
        return in_prompt(self.passages)


def within_context(
    model: LanguageModel,
    template: PromptTemplate,
    text: str,
    passages: Sequence[Passage],
    nearest: Sequence[Pair],
    room: int,
) -> Fitted:
    """The longest prompt that fits: the least similar examples go first, then the last demonstrations, which show a
    form and no facts, then the last passages, then their tails.

    What is left may still be too long (a very long input); the model then says so in its answer's error.
    """
    prompt = template.prompt(text, passages, nearest)
    while model.prompt_tokens(prompt) + room > model.context_tokens:
        if nearest:
            nearest = nearest[: len(nearest) // 2]
        elif template.demonstrations:
            template = replace(template, demonstrations=template.demonstrations[: len(template.demonstrations) // 2])
        elif len(passages) > 1:
            passages = passages[:-1]
        elif passages and len(passages[0].text) > SHORTEST_PASSAGE:
            passages = [replace(passages[0], text=passages[0].text[: len(passages[0].text) // 2])]
        elif passages:
            passages = []
        else:
            break
        prompt = template.prompt(text, passages, nearest)
    return Fitted(prompt, passages, nearest)
