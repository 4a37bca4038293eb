"""What tuning a model has done to it besides the task: what it forgot, and how steadily it answers.

Forgetting is measured as in Luo et al. 2023 (arXiv 2308.08747): general questions and the perplexity of ordinary text,
before and after. The form of an answer is shown before each question, or what tuning teaches of form would count as
knowledge. Steadiness is the share of answers that stay the same when a question is asked again in other company,
or with other case, punctuation or a slip of the pen.
"""

from __future__ import annotations

import math
import random
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eval.contracts import Solution
from eval.metrics import collapse
from strategies.models.base import LanguageModel, Prompt, Turn
from strategies.pipeline import Pipeline
from strategies.probe import QUESTIONS, REQUEST, SHOWN, TEXTS

MOST_INPUTS = 12
"""Asked again, in each way, where there is time."""


@dataclass(frozen=True)
class General:
    """A model on what has nothing to do with the task."""

    questions: float
    """Share of `strategies.probe.QUESTIONS` answered rightly, the form of an answer being shown."""
    perplexity: float
    """Of `strategies.probe.TEXTS`, per token."""


@dataclass(frozen=True)
class Steadiness:
    """Shares of answers that stayed the same."""

    repeated: float
    reworded: float
    inputs: int


@dataclass(frozen=True)
class SideEffects:
    """Of one tuned solution."""

    before: General
    after: General
    steadiness: Steadiness


def side_effects(solution: Pipeline, inputs: Sequence[str], seed: int, most: int = MOST_INPUTS) -> SideEffects:
    """Ask the base and the tuned model the same things; `inputs` are questions of the task, `most` are asked again."""
    model = solution.model
    model.use_adapter(None)
    before = general(model)
    model.use_adapter(solution.adapter)
    after = general(model)
    return SideEffects(before, after, steadiness(solution, inputs, seed, most))


def general(model: LanguageModel) -> General:
    """The model as it answers now."""
    shown = tuple(turn for asked, told in SHOWN for turn in (Turn("user", asked), Turn("assistant", told)))
    prompts = [Prompt((*shown, Turn("user", question.text)), shared=len(shown)) for question in QUESTIONS]
    scores = model.weigh_choices(prompts, [question.answers for question in QUESTIONS])
    right = sum(own.log_likelihoods[0] == max(own.log_likelihoods) for own in scores)
    asked = Prompt((Turn("user", REQUEST),))
    likelihoods = [model.score_labels([asked], [text])[0].log_likelihoods[0] for text in TEXTS]
    tokens = sum(model.count_tokens(TEXTS)) + len(TEXTS)
    return General(right / len(QUESTIONS), math.exp(-sum(likelihoods) / tokens))


def steadiness(solution: Solution, inputs: Sequence[str], seed: int, most: int = MOST_INPUTS) -> Steadiness:
    """Answers to some inputs, together and one by one, and as somebody else would have typed them."""
    rng = random.Random(seed)
    asked = list(inputs) if len(inputs) <= most else rng.sample(list(inputs), most)
    answers = _said(solution, asked)
    alone = [_said(solution, [text])[0] for text in asked]
    pairs = [(text, change(text, rng), own) for change in CHANGES for text, own in zip(asked, answers, strict=True)]
    changed = [(new, own) for text, new, own in pairs if new != text]  # other case changes nothing in many scripts
    reworded = _said(solution, [new for new, _ in changed])
    return Steadiness(_shared(answers, alone), _shared([own for _, own in changed], reworded), len(asked))


def _shared(some: Sequence[str], others: Sequence[str]) -> float:
    return sum(a == b for a, b in zip(some, others, strict=True)) / max(1, len(some))


def _said(solution: Solution, asked: Sequence[str]) -> list[str]:
    return [collapse(answer.text).casefold() for answer in solution.predict(asked)]


def _other_case(text: str, rng: random.Random) -> str:
    return text.lower() if text != text.lower() else text[:1].upper() + text[1:]


def _other_end(text: str, rng: random.Random) -> str:
    bare = text.rstrip()
    return bare[:-1] if bare.endswith((".", "?", "!")) else bare + "."


def _slip(text: str, rng: random.Random) -> str:
    """Two neighbouring letters within a word, that are not the same, have changed places."""
    places = [i for i in range(1, len(text) - 2) if all(map(_in_word, text[i - 1 : i + 2])) and text[i] != text[i + 1]]
    if not places:
        return text
    at = rng.choice(places)
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def _in_word(sign: str) -> bool:
    """Whether it is a letter, or a mark of one, as many vowels are in the scripts of India."""
    return sign.isalpha() or unicodedata.category(sign).startswith("M")


CHANGES: tuple[Callable[[str, random.Random], str], ...] = (_other_case, _other_end, _slip)
