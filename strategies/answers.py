"""How a solution's answers are made: one of the labels, a quotation, a JSON object, or text of limited length.

What is inferred (labels, keys, length, that answers are quotations) is inferred from the examples a strategy is fitted
on, never from others.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from eval.contracts import Example, Kind, Prediction, Task
from eval.metrics import Metric
from eval.reading.text import clean
from eval.tasks import are_json_objects, are_of_one_json_form, has_objects, is_json_object
from strategies.models.base import Completion, Decoding, JsonShape, LabelScores, LanguageModel, Prompt
from strategies.models.engine.json_grammar import shape_of, whole
from strategies.models.engine.label_trie import MOST_TRIE_NODES
from strategies.quotation import Quotations, quotations

MARGIN, MOST_MARGIN = 1.1, 1.5
"""Room for an answer, in the longest training answer, and at the most in one that is longer than nearly all: an untuned
model may well write as much as there is room for."""
LONGEST_SHARE = 2
"""Of the context, one part in so many is the most that an answer may take."""
_FENCED = re.compile(r"```[\w+#.-]*\n(?P<own>((?!\n```).)*)\n```", re.DOTALL)


@dataclass(frozen=True)
class AnswerFormat:
    """How answers are written, for every strategy alike."""

    labels: tuple[str, ...] = ()
    """Where given, the answer is the label with the highest log-likelihood, summed over its tokens and the end."""
    handicaps: tuple[float, ...] = ()
    """Subtracted from the labels' log-likelihoods before the best is taken (see `strategies.calibration`)."""
    json_shape: JsonShape | None = None
    quotations: Quotations | None = None
    """Where given, the answer is the likeliest of these in the context that is shown, if there is one."""
    likeliest: bool = False
    """Whether the likeliest answer of all is looked for where answers are written as text (see `Decoding`)."""
    max_new_tokens: int = 64
    fenced: bool = False
    """Whether an answer may stand in a Markdown fence as a whole, as a training answer does; else it is taken out."""

    @classmethod
    def infer(cls, task: Task, train: Sequence[Example], model: LanguageModel) -> AnswerFormat:
        """The format of a task, from the client's statement where there is one, else from the training examples."""
        if task.kind is Kind.CLASSIFICATION:
            labels = labels_of(task, train)
            longest = max(model.count_tokens(labels), default=0) + 1  # and its end
            return cls(labels=labels, max_new_tokens=max(cls.max_new_tokens, longest))
        plain = cls(json_shape=json_shape_of(task, train), fenced=any(unfenced(e.target) != e.target for e in train))
        lengths = model.count_tokens([e.target for e in as_written(train, plain)])
        room = math.ceil(min(MARGIN * max(lengths), MOST_MARGIN * float(np.quantile(lengths, 0.98)))) + 2
        return replace(plain, max_new_tokens=min(room, model.context_tokens // LONGEST_SHARE))

    @property
    def is_text(self) -> bool:
        """Whether answers have no form: neither labels nor JSON."""
        return not self.labels and self.json_shape is None

    @property
    def room(self) -> int:
        """Tokens that an answer may take in the context, or that are weighed at once."""
        weighed = self.labels or self.quotations is not None
        return max(self.max_new_tokens, MOST_TRIE_NODES) if weighed else self.max_new_tokens

    def searching(self, metric: Metric) -> AnswerFormat:
        """The same, but the likeliest text is looked for where it is right or wrong as a whole."""
        return replace(self, likeliest=self.is_text and metric.binary)

    def quoting(
        self, model: LanguageModel, train: Sequence[Example], shown: Callable[[Sequence[str]], Sequence[str]]
    ) -> AnswerFormat:
        """The same with quotations, where training answers are some of what is `shown` with their questions."""
        if not (self.is_text and model.weighs_labels):
            return self
        return replace(self, quotations=quotations(train, shown))

    def answer(
        self,
        model: LanguageModel,
        prompts: Sequence[Prompt],
        contexts: Sequence[str] | None = None,
        pooled: Callable[[Sequence[LabelScores]], Sequence[LabelScores]] | None = None,
    ) -> list[Prediction]:
        """Answer each prompt in this format.

        `contexts` are the passages shown in each; `pooled` adds another opinion of the labels to the model's.
        """
        if self.quotations is not None and contexts is not None:
            return self._quoted(model, prompts, [self.quotations.choices(shown) for shown in contexts])
        if self.labels:
            every = bool(self.handicaps)
            found = model.score_labels(prompts, self.labels, every=every)
            return [_chosen(scores, self.labels, self.handicaps) for scores in (pooled(found) if pooled else found)]
        decoding = Decoding(self.max_new_tokens, self.json_shape, self.likeliest)
        own = [_written(completion) for completion in model.generate(prompts, decoding)]
        return own if self.fenced else [replace(answer, text=unfenced(answer.text)) for answer in own]

    def written(self) -> AnswerFormat:
        """The same without any search: answers are written token by token, which is quicker."""
        return replace(self, quotations=None, likeliest=False)

    def _quoted(
        self, model: LanguageModel, prompts: Sequence[Prompt], choices: Sequence[Sequence[str]]
    ) -> list[Prediction]:
        """The likeliest of each prompt's choices; written where it has none."""
        some = [place for place, own in enumerate(choices) if own]
        none = [place for place, own in enumerate(choices) if not own]
        scores = model.weigh_choices([prompts[i] for i in some], [choices[i] for i in some])
        found = {i: _chosen(own, choices[i]) for i, own in zip(some, scores, strict=True)}
        unquoted = replace(self, quotations=None)
        found |= zip(none, unquoted.answer(model, [prompts[i] for i in none]), strict=True)
        return [found[i] for i in range(len(prompts))]

    def to_json(self) -> dict[str, Any]:
        """Plain values for a manifest."""
        choice = "highest log-likelihood over the label's tokens and the end token, less its handicap"
        return {**asdict(self), "label_choice": choice}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> AnswerFormat:
        """Inverse of `to_json`."""
        return _FORMAT.validate_python(values)


_FORMAT: TypeAdapter[AnswerFormat] = TypeAdapter(AnswerFormat)


def _chosen(scores: LabelScores, labels: Sequence[str], handicaps: Sequence[float] = ()) -> Prediction:
    if scores.error is not None:
        return Prediction("", scores.usage, error=scores.error)
    values = np.asarray(scores.log_likelihoods) - (np.asarray(handicaps) if handicaps else 0.0)
    best = int(values.argmax())
    weighed = len(values) == 1 or bool(np.isfinite(values).all())  # a hosted model names one and weighs none
    confidence = float(1.0 / np.exp(values - values[best]).sum()) if weighed else None
    return Prediction(labels[best], scores.usage, confidence=confidence)


def _written(completion: Completion) -> Prediction:
    return Prediction(
        clean(completion.text),
        completion.usage,
        error=completion.error,
        first_token_seconds=completion.first_token_seconds,
    )


def unfenced(text: str) -> str:
    """The text without the Markdown fence that it stands in as a whole, if it does: chat models like to fence code."""
    found = _FENCED.fullmatch(text)
    return clean(found["own"]) if found else text


def labels_of(task: Task, train: Sequence[Example]) -> tuple[str, ...]:
    """The labels a classifier may answer with: those that the client states, and those of the training examples."""
    return (*task.labels, *sorted({e.target for e in train} - set(task.labels)))


def json_shape_of(task: Task, train: Sequence[Example]) -> JsonShape | None:
    """The shape of JSON answers, where the training answers are JSON objects or lists of them; None for plain text."""
    targets = [e.target for e in train]
    if task.kind is not Kind.EXTRACTION or not are_of_one_json_form(targets):  # the grammar has one form alone
        return None
    if are_json_objects(targets):
        return shape_of([json.loads(target) for target in targets if is_json_object(target)], task.json_keys)
    lists = [json.loads(target) for target in targets if has_objects(target)]
    return replace(shape_of([item for items in lists for item in items], task.json_keys), repeated=True)


def canonical(answer: str, answer_format: AnswerFormat) -> str:
    """A training answer in the style that decoding writes, so that models learn, and are shown, what they must use."""
    if answer_format.json_shape is None:
        return answer
    places = {key: place for place, (key, _) in enumerate(answer_format.json_shape.keys)}

    def in_order(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return dict(sorted(value.items(), key=lambda pair: places.get(whole(pair[0]), len(places))))

    try:
        value = json.loads(answer, parse_int=_Number, parse_float=_Number)
        written = _dumped(list(map(in_order, value)) if isinstance(value, list) else in_order(value))
    except (ValueError, RecursionError):
        return answer
    return clean(written)  # half a character may stand escaped in a row that reads well


class _Number(str):
    """A number as it is written: 1E5 and 1e-05 are other answers than 100000.0 and 0.00001."""


def _dumped(value: Any) -> str:
    """As `json.dumps` lays it out, which would write numbers anew."""
    if isinstance(value, _Number):
        return value
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_dumped(key)}: {_dumped(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_dumped, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def as_written(examples: Sequence[Example], answer_format: AnswerFormat) -> list[Example]:
    """The examples as prompts show them: a model that reads another layout than it must write goes wrong.

    Without those whose answer cannot be written: broken JSON, or other text among JSON answers.
    """
    written = [e for e in examples if _can_be_written(e.target, answer_format.json_shape)]
    return [replace(e, targets=(canonical(e.target, answer_format), *e.targets[1:])) for e in written]


def _can_be_written(answer: str, shape: JsonShape | None) -> bool:
    if shape is None:
        return True
    return has_objects(answer) and is_json_object(answer) != shape.repeated
