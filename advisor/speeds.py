"""What a plan is made from: the task in figures, and the speeds of this machine, which are measured once."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from advisor.economics import is_hosted
from eval.contracts import Document, Example, Task
from eval.harness import infrastructure_failure
from eval.metrics import get_metric
from strategies.answers import AnswerFormat, canonical
from strategies.models.base import Decoding, Embedder, LanguageModel, Prompt, Turn
from strategies.models.caches import uncached
from strategies.models.engine.label_trie import LabelTrie
from strategies.quotation import look_like_quotations
from strategies.retrieval.chunks import cut_documents
from strategies.retrieval.contexts import PASSAGE_WORDS
from strategies.workload import Profile, Speeds

SHORT, MIDDLE, LONG = 6, 15, 30
"""Sentences of the prompts that speeds are measured with: about 130, 300 and 600 tokens."""
FEW, MANY = 8, 32
"""Rows of them."""
PAID_ROWS = 4
PAID_CALLS = 1 + 2 * PAID_ROWS
"""Of a hosted model, to measure its speeds."""
STEPS = 16
SAMPLED_LENGTHS, SAMPLED_TEXTS = 4, 8
"""How long embedding takes is measured on so many passages of each of so many lengths."""


def profile_of(
    task: Task, train: Sequence[Example], documents: Sequence[Document], model: LanguageModel, answers: AnswerFormat
) -> Profile:
    """A task in figures, from its training part."""
    inputs = model.count_tokens([e.input for e in train])
    outputs = model.count_tokens([canonical(e.target, answers) for e in train])
    passages = model.count_tokens([p.shown for p in cut_documents(documents)[:200]]) if documents else []
    trie = LabelTrie.build([[hash(w) for w in _pieces(label)] for label in answers.labels])
    return Profile(
        train_rows=len(train),
        input_tokens=sum(inputs) / len(train) + 8,  # what the chat template adds
        output_tokens=sum(outputs) / len(train),
        longest_output=answers.max_new_tokens,
        label_tokens=len(trie.tokens),
        passage_tokens=sum(passages) / len(passages) if passages else 0.0,
        instruction_tokens=model.count_tokens([task.description])[0] + 8,
        context_tokens=model.context_tokens,
        json=answers.json_shape is not None,
        labels=len(answers.labels),
        parameters=model.identity.parameters,
        right_or_wrong=answers.searching(get_metric(task.metric)).likeliest,
        quotes=answers.is_text and model.weighs_labels and look_like_quotations(train, documents),
    )


def _pieces(label: str) -> list[str]:
    """About the tokens of a label: four characters each."""
    return [label[i : i + 4] for i in range(0, len(label), 4)]


def measure_speeds(model: LanguageModel, train_pass: Callable[[LanguageModel], float] | None = None) -> Speeds:
    """Time a little reading, writing and training; about ten seconds on two cores. Hosted models are asked anew.

    Raises InfrastructureError where a server answers nothing, and what the model raises.
    """
    if is_hosted(model.identity.name):
        return _hosted_speeds(model)
    batches = ((2, SHORT), (FEW, SHORT), (MANY, SHORT), (FEW, LONG))  # the first warms up
    with uncached(model):
        _, short, many, long = (_time_batch(model, rows, sentences) for rows, sentences in batches)
    read = many.tokens / max(many.reading, 1e-9)
    a_row = max(many.step - short.step, 1e-6) / (MANY - FEW)
    length = long.tokens / FEW
    looks_reading = long.tokens * length / 2
    return Speeds(
        read,
        1 / a_row,
        train_pass(model) if train_pass else math.inf,
        step=max(0.0, short.step - FEW * a_row),
        look_reading=max(0.0, long.reading - long.tokens / read) / max(1.0, looks_reading),
        look_writing=max(0.0, long.step - short.step) / max(1.0, long.tokens),
    )


def _hosted_speeds(model: LanguageModel) -> Speeds:
    """Of another's machine, by `PAID_CALLS` calls, the first of which opens the connection and finds the manners.

    Most of a call's time does not go with the length of its prompt: those of middling length stand for all.
    """
    with uncached(model):
        model.generate(_prompts(model, 1, MIDDLE), Decoding(1))
        timed = _time_batch(model, PAID_ROWS, MIDDLE)
    return Speeds(timed.tokens / max(timed.reading, 1e-9), PAID_ROWS / max(timed.step, 1e-9), math.inf)


@dataclass(frozen=True)
class _Batch:
    """Prompts that were answered together."""

    tokens: int
    reading: float
    """Seconds."""
    step: float
    """Seconds that a further token for every row took."""


def _time_batch(model: LanguageModel, rows: int, sentences: int) -> _Batch:
    """Let so many rows of about so many sentences be read and continued a little.

    Raises InfrastructureError where none is: how long that takes says nothing.
    """
    prompts = _prompts(model, rows, sentences)
    tokens = sum(model.prompt_tokens(prompt) for prompt in prompts)
    start = time.perf_counter()
    answers = model.generate(prompts, Decoding(STEPS))
    seconds = time.perf_counter() - start
    failures = [infrastructure_failure(answer.error) for answer in answers]
    if failures[0] is not None and all(failures):
        raise failures[0]
    reading = max(answer.first_token_seconds or 0.0 for answer in answers)
    if any(answer.first_token_seconds is None for answer in answers):  # servers do not tell
        reading = min(seconds, _timed(partial(model.generate, prompts, Decoding(1))))
    steps = max(answer.usage.output_tokens for answer in answers) - 1
    return _Batch(tokens, reading, (seconds - reading) / max(1, steps))


def _prompts(model: LanguageModel, rows: int, sentences: int) -> list[Prompt]:
    text = "The quick brown fox jumps over the lazy dog while the careful clerk counts every parcel twice. "
    system = Turn("system", "Answer the question in a few words.")
    fitting = max(1, min(sentences, model.context_tokens // 2 // (2 * len(text.split()))))
    return [Prompt((system, Turn("user", f"{i}. {text * fitting}")), 1) for i in range(rows)]


def training_speed(model: LanguageModel) -> float:
    """Packed training tokens a second; infinite where the model cannot be trained, so that no time is planned."""
    from strategies.models.transformers_lm import TransformersModel
    from strategies.training.lora import LoraSettings, train_lora

    if not isinstance(model, TransformersModel):
        return math.inf
    system = Turn("system", "Answer the question in a few words.")
    question = Turn("user", "Where is the parcel that I sent last week, who signed for it, and when? " * 2)
    answer = "It is at the depot in Hill Street, and was signed for by Mr Smith on Monday."
    pairs = [(Prompt((system, question), 1), answer)] * 32
    steps: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        settings = LoraSettings(epochs=1)
        log = train_lora(
            model,
            pairs,
            settings,
            Path(folder),
            lambda: 0.0,
            on_step=lambda done, total: steps.append(time.perf_counter()),
        )
    return log.tokens * (len(steps) - 1) / len(steps) / (steps[-1] - steps[0])  # the first step warms up


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def index_seconds(documents: Sequence[Document], embedder: Embedder) -> float:
    """How long embedding the documents will take, in passages of every size that strategies ask for."""
    return embedding_seconds([p.shown for words in PASSAGE_WORDS for p in cut_documents(documents, words)], embedder)


def embedding_seconds(all_texts: Sequence[str], embedder: Embedder) -> float:
    """How long embedding each of these texts once will take.

    A sample is embedded, in batches of like length as the whole will be.
    """
    texts = sorted(dict.fromkeys(all_texts), key=len)
    if not texts:
        return 0.0
    middles = [len(texts) * (2 * part + 1) // (2 * SAMPLED_LENGTHS) for part in range(SAMPLED_LENGTHS)]
    sample = [texts[max(0, middle - SAMPLED_TEXTS // 2) :][:SAMPLED_TEXTS] for middle in middles]
    embedder.encode(sample[0][:2])
    seconds = sum(_timed(partial(embedder.encode, batch)) for batch in sample)
    return seconds * len(texts) / sum(map(len, sample))
