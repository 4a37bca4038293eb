"""What every language-model backend promises, whatever is behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from strategies.models.base import Completion, Decoding, LanguageModel, Prompt, Turn
from strategies.models.fake import HashingEmbedder, ScriptedModel
from strategies.models.transformers_lm import TransformersModel

LABELS = ("billing", "outage", "billing dispute")
Make = Callable[[TransformersModel], LanguageModel]


def scripted(tiny: TransformersModel) -> LanguageModel:
    return ScriptedModel(lambda prompt: "outage" if "power" in prompt.turns[-1].content else "billing", "scripted")


def transformers(tiny: TransformersModel) -> LanguageModel:
    return tiny


BACKENDS: dict[str, Make] = {"scripted": scripted, "transformers": transformers}


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, exact_model: TransformersModel) -> LanguageModel:
    return BACKENDS[request.param](exact_model)


def ask(text: str, shared: int = 1) -> Prompt:
    return Prompt((Turn("system", "Answer with one label."), Turn("user", text)), shared)


PROMPTS = [ask("No power."), ask("Why is invoice 7 so high? " * 4), ask("power " * 9), ask("x", 0)]


def timeless(completions: list[Completion]) -> list[Completion]:
    return [replace(c, first_token_seconds=None) for c in completions]


def test_answers_come_in_the_order_of_the_prompts(backend: LanguageModel) -> None:
    there, back = backend.generate(PROMPTS, Decoding(6)), backend.generate(PROMPTS[::-1], Decoding(6))
    assert [c.text for c in there] == [c.text for c in back][::-1]
    assert [c.usage.input_tokens for c in there] == [backend.prompt_tokens(p) for p in PROMPTS]


def test_no_prompts_give_no_answers(backend: LanguageModel) -> None:
    assert backend.generate([], Decoding(6)) == []
    assert backend.score_labels([], LABELS) == []
    assert backend.count_tokens([]) == []


def test_equal_calls_give_equal_answers(backend: LanguageModel) -> None:
    assert timeless(backend.generate(PROMPTS, Decoding(6))) == timeless(backend.generate(PROMPTS, Decoding(6)))
    assert backend.score_labels(PROMPTS, LABELS) == backend.score_labels(PROMPTS, LABELS)


def test_tokens_are_counted(backend: LanguageModel) -> None:
    for prompt, answer in zip(PROMPTS, backend.generate(PROMPTS, Decoding(6)), strict=True):
        assert answer.usage.input_tokens == backend.prompt_tokens(prompt) > 0
        assert 0 <= answer.usage.output_tokens <= 6
        assert 0 <= answer.usage.cached_tokens < answer.usage.input_tokens
    for prompt, scores in zip(PROMPTS, backend.score_labels(PROMPTS, LABELS), strict=True):
        assert scores.usage.input_tokens >= backend.prompt_tokens(prompt)
        assert scores.usage.output_tokens == 0
    assert backend.count_tokens(["a longer text than the other", "short"])[0] > backend.count_tokens(["short"])[0] > 0


def test_answers_are_cut_at_the_limit(backend: LanguageModel) -> None:
    assert all(c.usage.output_tokens <= 1 for c in backend.generate(PROMPTS, Decoding(1)))


def test_every_label_has_a_likelihood_in_the_order_given(backend: LanguageModel) -> None:
    scores, mirrored = backend.score_labels(PROMPTS, LABELS), backend.score_labels(PROMPTS, LABELS[::-1])
    for one, other in zip(scores, mirrored, strict=True):
        assert one.error is None
        assert len(one.log_likelihoods) == len(LABELS)
        assert max(one.log_likelihoods) <= 0
        assert one.log_likelihoods == pytest.approx(other.log_likelihoods[::-1], abs=2e-3)


def test_one_label_alone_can_be_weighed(backend: LanguageModel) -> None:
    assert all(len(s.log_likelihoods) == 1 for s in backend.score_labels(PROMPTS, LABELS[:1]))


def test_a_prompt_that_overflows_is_an_unusable_answer_and_no_crash(backend: LanguageModel) -> None:
    prompts = [PROMPTS[0], ask("word " * 5000), PROMPTS[1]]
    answers = backend.generate(prompts, Decoding(6))
    assert [c.error is None for c in answers] == [True, False, True]
    assert "context" in str(answers[1].error)
    assert answers[1].text == ""
    assert answers[1].usage.output_tokens == 0


def test_a_prompt_that_overflows_has_no_likelihoods(backend: LanguageModel) -> None:
    scores = backend.score_labels([PROMPTS[0], ask("word " * 5000), PROMPTS[1]], LABELS)
    assert [s.error is None for s in scores] == [True, False, True]
    assert "context" in str(scores[1].error)


def test_base_weights_are_always_at_hand(backend: LanguageModel) -> None:
    before = backend.score_labels(PROMPTS, LABELS)
    backend.use_adapter(None)
    assert backend.score_labels(PROMPTS, LABELS) == before


def test_the_identity_names_the_weights(backend: LanguageModel) -> None:
    assert backend.identity.name
    assert len(backend.identity.sha256) == 64
    assert backend.context_tokens > 0


def test_the_scripted_model_remembers_what_it_was_shown() -> None:
    model = ScriptedModel(lambda prompt: "outage")
    model.generate(PROMPTS[:1], Decoding(3))
    model.score_labels(PROMPTS[1:], LABELS)
    assert model.seen == PROMPTS


def test_the_hashing_embedder_gives_unit_vectors_for_any_text() -> None:
    vectors = HashingEmbedder().encode(["a b", "", "B a"])
    assert (vectors**2).sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert (vectors[0] == vectors[2]).all()
    assert HashingEmbedder().encode([]).shape == (0, 256)
