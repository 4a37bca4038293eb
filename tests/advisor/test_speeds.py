"""The task in figures, and how quick this machine is."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import pytest

from advisor import speeds as measuring
from advisor.speeds import PAID_CALLS, index_seconds, measure_speeds, profile_of, training_speed
from eval.contracts import Document, Example, Kind, Task, Usage
from eval.errors import InfrastructureError
from eval.harness import INFRASTRUCTURE
from strategies.answers import AnswerFormat
from strategies.models.base import Completion, Decoding, ModelIdentity, Prompt
from strategies.models.caches import Bypassable
from strategies.models.fake import HashingEmbedder, ScriptedModel
from strategies.workload import Tokens


def test_a_profile_describes_the_training_part() -> None:
    model = ScriptedModel(lambda prompt: "")
    task = Task("Sort the tickets.", Kind.CLASSIFICATION, "accuracy")
    train = [Example(str(i), "three words here", ("billing" if i % 2 else "bills",)) for i in range(10)]
    answers = AnswerFormat.infer(task, train, model)
    profile = profile_of(task, train, [Document("d", "four words of text")], model, answers)
    assert (profile.train_rows, profile.input_tokens, profile.output_tokens) == (10, 11, 1)
    assert profile.label_tokens > 0
    assert profile.passage_tokens >= 4
    assert profile_of(task, train, [], model, answers).passage_tokens == 0


def test_speeds_are_positive_and_what_cannot_be_trained_takes_no_training_time() -> None:
    speeds = measure_speeds(ScriptedModel(lambda prompt: "a " * 30), training_speed)
    assert speeds.read > 0
    assert speeds.written > 0
    assert speeds.trained == math.inf
    assert speeds.seconds(Tokens(trained=1e9)) == 0


def test_speeds_tell_apart_what_a_step_a_row_and_looking_back_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model whose seconds are known: measured on a clock that it moves itself."""
    now = 0.0

    class Timed(ScriptedModel):
        def generate(self, prompts: Sequence[Prompt], decoding: Decoding) -> list[Completion]:
            nonlocal now
            tokens = [self.prompt_tokens(prompt) for prompt in prompts]
            reading = sum(1e-3 * n + 1e-6 * n * n / 2 for n in tokens)
            steps = decoding.max_new_tokens - 1
            now += reading + steps * (0.03 + sum(2e-3 + 1e-5 * (n - 110) for n in tokens))
            return [Completion("a", Usage(n, decoding.max_new_tokens), None, reading) for n in tokens]

    monkeypatch.setattr(measuring.time, "perf_counter", lambda: now)
    speeds = measure_speeds(Timed(lambda prompt: ""))
    assert speeds.read == pytest.approx(1000, rel=0.1)
    assert speeds.written == pytest.approx(500, rel=0.1)
    assert speeds.step == pytest.approx(0.03, rel=0.2)
    assert speeds.look_reading == pytest.approx(1e-6, rel=0.5)
    assert speeds.look_writing == pytest.approx(1e-5, rel=0.3)


def test_writing_takes_time_where_no_server_says_when_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does a model that remembers its answers answer from memory."""
    now = 0.0

    class Hosted(Bypassable, ScriptedModel):
        def generate(self, prompts: Sequence[Prompt], decoding: Decoding) -> list[Completion]:
            nonlocal now
            assert self._bypassed
            now += sum(0.1 + 0.02 * (decoding.max_new_tokens - 1) for _ in prompts)
            return [Completion("a", Usage(self.prompt_tokens(p), decoding.max_new_tokens)) for p in prompts]

    monkeypatch.setattr(measuring.time, "perf_counter", lambda: now)
    assert measure_speeds(Hosted(lambda prompt: "")).written == pytest.approx(1 / 0.02)


def test_a_hosted_model_is_timed_by_a_handful_of_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes half a second, and 20 ms for each further token; all that come together are answered at once."""
    now, calls = 0.0, 0

    class Hosted(Bypassable, ScriptedModel):
        identity = ModelIdentity("openai:big", "")

        def generate(self, prompts: Sequence[Prompt], decoding: Decoding) -> list[Completion]:
            nonlocal now, calls
            assert self._bypassed
            now, calls = now + 0.5 + 0.02 * (decoding.max_new_tokens - 1), calls + len(prompts)
            return [Completion("a", Usage(self.prompt_tokens(p), decoding.max_new_tokens)) for p in prompts]

    monkeypatch.setattr(measuring.time, "perf_counter", lambda: now)
    speeds = measure_speeds(Hosted(lambda prompt: ""), training_speed)
    assert calls == PAID_CALLS == 9
    assert speeds.seconds(Tokens(read=300)) == pytest.approx(0.5 / 4, rel=0.2)
    assert speeds.seconds(Tokens(written=10)) == pytest.approx(0.2 / 4)
    assert (speeds.trained, speeds.step, speeds.look_reading) == (math.inf, 0, 0)


def test_a_server_that_answers_nothing_has_no_speed() -> None:
    class Silent(ScriptedModel):
        def generate(self, prompts: Sequence[Prompt], decoding: Decoding) -> list[Completion]:
            return [Completion("", error=f"{INFRASTRUCTURE}nobody is there") for _ in prompts]

    with pytest.raises(InfrastructureError, match="nobody is there"):
        measure_speeds(Silent(lambda prompt: ""))


def test_indexing_time_is_measured_on_a_sample() -> None:
    assert index_seconds([], HashingEmbedder()) == 0
    assert index_seconds([Document(str(i), "some words " * 20) for i in range(50)], HashingEmbedder()) > 0


def test_indexing_time_counts_every_size_of_passage() -> None:
    class Slow(HashingEmbedder):
        def encode(self, texts: Sequence[str]) -> Any:
            time.sleep(0.002 * len(texts))
            return super().encode(texts)

    def sentence(*numbers: int) -> str:
        return f"{numbers} " + " ".join(["word"] * 37) + " end. "

    documents = [Document(str(i), "".join(sentence(i, j) for j in range(4))) for i in range(10)]
    # one passage of 160 words each, four of 60
    assert 0.002 * (10 + 40) < index_seconds(documents, Slow()) < 0.004 * (10 + 40)
    short = [Document(str(i), sentence(i)) for i in range(30)]  # one and the same text in either size
    assert index_seconds(short, Slow()) < 0.002 * 2 * 30


def test_indexing_time_is_measured_among_texts_of_like_length_as_it_is_spent() -> None:
    """A network pads a batch to its longest text: a sample of mixed lengths would seem to take much longer."""

    class Padding(HashingEmbedder):
        def encode(self, texts: Sequence[str]) -> Any:
            time.sleep(2e-6 * len(texts) * max(map(len, texts)))
            return super().encode(texts)

    documents = [Document(str(i), f"{i} " + "word " * (10 if i % 8 else 110)) for i in range(200)]
    padded = 2e-6 * sum(len(d.text) for d in documents)
    assert index_seconds(documents, Padding()) < 4 * padded, "each of 200 as long as the longest: 6 times as long"
