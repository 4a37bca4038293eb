"""Work in tokens: long prompts cost more than their length, and few of them are answered at once."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from strategies.workload import Profile, Speeds, Tokens, Workload, answering, training

WRITING = Profile(
    train_rows=100,
    input_tokens=50,
    output_tokens=20,
    longest_output=60,
    label_tokens=0,
    passage_tokens=0,
    instruction_tokens=10,
)


def test_all_kinds_of_work_are_added_and_scaled() -> None:
    one = Tokens(*range(1, 1 + len(fields(Tokens))))
    assert one + one == one * 2
    assert Tokens() + one == one * 1 == one


def test_embedding_alone_is_no_work_of_a_language_model() -> None:
    embedding = Workload().embedding(50)
    assert not embedding.of_language_model
    assert Workload(fit=Tokens(trained=1)).embedding(50).of_language_model
    assert Speeds(1000, 100, 100, embedded=25).seconds(embedding.query) == 2
    assert Speeds(1000, 100, 100, embedded=25).seconds(embedding.alone) == 2


def test_a_prompt_of_twice_the_length_looks_back_four_times_as_much() -> None:
    short, long = (answering(WRITING, tokens, tuned=False) for tokens in (500, 1000))
    assert long.read == 2 * short.read
    assert long.looks_reading == 4 * short.looks_reading
    assert (long.written, long.looks_writing) == (short.written, 2 * short.looks_writing)


def test_shared_demonstrations_are_not_read_again_but_looked_back_at() -> None:
    alone, after = (answering(WRITING, 100, tuned=False, shared=shared) for shared in (0, 1000))
    assert after.read == alone.read
    assert after.read_again == alone.read_again + 1000, "by a provider they are"
    assert (after * 3).prompts == 3
    assert after.looks_reading == alone.looks_reading + 100 * 1000
    assert after.looks_writing == alone.looks_writing + alone.written * 1000


def test_of_long_prompts_fewer_are_answered_at_once_and_each_has_a_larger_share_of_the_steps() -> None:
    short, long = (answering(WRITING, tokens, tuned=False).steps for tokens in (100, 2000))
    assert long > 8 * short > 0


def test_a_tuned_model_ends_sooner() -> None:
    tuned, untuned = (answering(WRITING, 100, tuned=tuned) for tuned in (True, False))
    assert tuned.written < untuned.written
    assert tuned.steps < untuned.steps


def test_labels_are_read_and_not_written() -> None:
    work = answering(replace(WRITING, label_tokens=40), 100, tuned=False)
    assert (work.written, work.steps, work.looks_writing) == (0, 0, 0)
    assert work.read > 100


def test_training_looks_back_more_than_reading() -> None:
    assert training(200, 10).trained == 2000
    assert training(200, 10).looks_reading > 10 * answering(WRITING, 200, tuned=True).looks_reading


@pytest.mark.parametrize("tokens", [0.0, 1e6])
def test_however_long_the_prompt_one_row_is_answered(tokens: float) -> None:
    assert 0 < answering(WRITING, tokens, tuned=False).steps <= WRITING.longest_output
