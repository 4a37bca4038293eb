"""How a question is put to a model, and how a prompt is made to fit."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from eval.contracts import Example, Kind, Task
from strategies.answers import AnswerFormat
from strategies.models.base import JsonShape, Prompt
from strategies.models.fake import HashingEmbedder, ScriptedModel
from strategies.pipeline import DocumentRetriever, ExampleRetriever, Pipeline
from strategies.prompts import Demonstration, PromptTemplate, instruction, question, shortened, within_context
from strategies.retrieval.chunks import MOST_WORDS, Passage
from strategies.retrieval.index import ExampleIndex, Pair, PassageIndex

TEMPLATE = PromptTemplate("Do it.", (Demonstration("q1", "a1"), Demonstration("q2", "a2")))
BARE = replace(TEMPLATE, demonstrations=())
NEAREST = [Pair("1", "nearest", "A"), Pair("2", "second", "B"), Pair("3", "third", "C")]
PASSAGES = [Passage("d1", "Title", "word " * 60), Passage("d2", "", "other " * 60)]


def contents(prompt: Prompt) -> list[tuple[str, str]]:
    return [(turn.role, turn.content) for turn in prompt.turns]


def rows(*targets: str) -> list[Example]:
    return [Example(str(i), "in", (target,)) for i, target in enumerate(targets)]


def test_instruction_and_demonstrations_are_shared_and_the_question_is_last() -> None:
    prompt = TEMPLATE.prompt("mine")
    fixed = [("system", "Do it."), ("user", "q1"), ("assistant", "a1"), ("user", "q2"), ("assistant", "a2")]
    assert contents(prompt) == [*fixed, ("user", "mine")]
    assert prompt.shared == 5


def test_the_most_similar_example_stands_next_to_the_question() -> None:
    prompt = TEMPLATE.prompt("mine", nearest=NEAREST)
    assert [text for _, text in contents(prompt)][5:] == ["third", "C", "second", "B", "nearest", "A", "mine"]
    assert prompt.shared == 5, "what depends on the query is not shared"


def test_passages_stand_before_the_question_in_its_turn() -> None:
    shown = question("Why?", [Passage("a", "Pay", "Monthly."), Passage("b", "", "By card.")])
    assert shown == "Context:\nPay: Monthly.\n\nBy card.\n\nQuestion: Why?"
    assert question("Why?") == "Why?"
    assert contents(TEMPLATE.prompt("Why?", [Passage("b", "", "By card.")]))[-1] == (
        "user", "Context:\nBy card.\n\nQuestion: Why?",
    )  # fmt: skip


def test_a_template_survives_its_file() -> None:
    assert PromptTemplate.from_json(json.loads(json.dumps(TEMPLATE.to_json()))) == TEMPLATE


def test_as_many_demonstrations_are_shown_as_fit_into_a_quarter_of_the_context() -> None:
    model = ScriptedModel(lambda prompt: "", context_tokens=80)
    shown = tuple(Demonstration(f"question {i} of six words", "answer") for i in range(20))
    fitting = PromptTemplate("Do it.", shown).within(model)
    assert 0 < len(fitting.demonstrations) < 20
    assert fitting.demonstrations == shown[: len(fitting.demonstrations)], "the first are the best chosen"
    assert 15 < model.prompt_tokens(fitting.prompt("")) - model.prompt_tokens(PromptTemplate("Do it.").prompt("")) <= 20
    too_long = PromptTemplate("Do it.", (Demonstration("word " * 100, "answer"),))
    assert too_long.within(model).demonstrations == ()


def test_a_long_instruction_takes_no_room_from_the_demonstrations_but_half_of_the_context_stays_free() -> None:
    model = ScriptedModel(lambda prompt: "", context_tokens=80)
    shown = tuple(Demonstration(f"question {i}", "answer") for i in range(20))

    def fitting(words: int) -> PromptTemplate:
        return PromptTemplate("word " * words, shown).within(model)

    assert len(fitting(words=15).demonstrations) == len(fitting(words=1).demonstrations) > 0
    assert 0 < len(fitting(words=30).demonstrations) < len(fitting(words=15).demonstrations)
    assert model.prompt_tokens(fitting(words=30).prompt("")) <= 40
    assert fitting(words=60).demonstrations == ()


def test_the_instruction_says_what_form_the_answer_has() -> None:
    sort = Task("Sort it.", Kind.CLASSIFICATION, "accuracy")
    assert instruction(sort, AnswerFormat(labels=("a", "b")), rows("a", "b")) == (
        "Sort it.\nAnswer with exactly one of these labels:\na\nb"
    )
    shape = JsonShape((("city", ("string",)), ("guests", ("number",))))
    extract = Task("Read it.", Kind.EXTRACTION, "json_field_f1")
    assert instruction(extract, AnswerFormat(json_shape=shape), rows("{}")) == (
        "Read it.\nAnswer with one JSON object. Possible keys: city, guests"
    )
    several = AnswerFormat(json_shape=replace(shape, repeated=True))
    assert instruction(extract, several, rows("[]")) == (
        "Read it.\nAnswer with a JSON list of objects. Possible keys: city, guests"
    )


def test_the_instruction_says_that_answers_are_lists_of_texts() -> None:
    tag, train = Task("List it.", Kind.EXTRACTION, "json_field_f1"), rows('["egg"]', "[]", '["milk", "egg"]')
    assert instruction(tag, AnswerFormat(), train) == "List it.\nAnswer with a JSON list of texts."
    assert instruction(tag, AnswerFormat(), train, described=True) == (
        'List it.\nAnswer with a JSON list of texts.\nFor example: ["egg"]'
    )
    assert "JSON" not in instruction(tag, AnswerFormat(), rows("egg", "milk", "[3]"))


@pytest.mark.parametrize(
    ("kind", "target", "hint"),
    [
        (Kind.QA, "1874", "Answer with the answer alone, in about 1 word, without a sentence."),
        (Kind.QA, "two words", "Answer with the answer alone, in about 2 words, without a sentence."),
        (Kind.QA, "word " * 30, "Give the answer alone, in about 30 words."),
        (Kind.GENERATION, "two words", "Give the answer alone, in about 2 words."),
        (Kind.GENERATION, "\u505c\u7535" * 20, "Give the answer alone, in about 20 words."),
    ],
)
def test_the_instruction_says_how_long_answers_usually_are(kind: Kind, target: str, hint: str) -> None:
    text = instruction(Task("Do it.", kind, "token_f1"), AnswerFormat(), rows(target, target, "x " * 99))
    assert text == f"Do it.\n{hint}"


def test_context_is_announced_where_there_is_some() -> None:
    text = instruction(Task("Do it.", Kind.QA, "token_f1"), AnswerFormat(), rows("x"), with_context=True)
    assert text.startswith("Do it.\nUse the context given with the question.\n")


def fitted(context: int, passages: list[Passage], nearest: list[Pair]) -> Prompt:
    model = ScriptedModel(lambda prompt: "", context_tokens=context)
    return within_context(model, TEMPLATE, "mine", passages, nearest, room=10).prompt


def test_a_prompt_that_fits_is_left_alone() -> None:
    assert fitted(500, PASSAGES, NEAREST) == TEMPLATE.prompt("mine", PASSAGES, NEAREST)


def test_the_least_similar_examples_go_first() -> None:
    whole = TEMPLATE.prompt("mine", PASSAGES, NEAREST)
    tokens = ScriptedModel(lambda prompt: "").prompt_tokens(whole) + 10
    assert fitted(tokens, PASSAGES, NEAREST) == whole
    assert fitted(tokens - 1, PASSAGES, NEAREST) == TEMPLATE.prompt("mine", PASSAGES, NEAREST[:1])


def test_then_demonstrations_before_anything_that_was_found() -> None:
    tokens = ScriptedModel(lambda prompt: "").prompt_tokens(TEMPLATE.prompt("mine", PASSAGES)) + 10
    assert fitted(tokens, PASSAGES, NEAREST) == TEMPLATE.prompt("mine", PASSAGES)
    fewer = replace(TEMPLATE, demonstrations=TEMPLATE.demonstrations[:1])
    assert fitted(tokens - 1, PASSAGES, NEAREST) == fewer.prompt("mine", PASSAGES)
    assert fitted(tokens - 3, PASSAGES, NEAREST) == BARE.prompt("mine", PASSAGES)
    assert fitted(15, [], []) == fewer.prompt("mine")


def test_then_the_last_passages_and_their_tails() -> None:
    assert fitted(100, PASSAGES, NEAREST) == BARE.prompt("mine", PASSAGES[:1])
    shorter = fitted(55, PASSAGES, NEAREST)
    assert PASSAGES[0].text[:150] in shorter.turns[-1].content
    assert PASSAGES[0].text not in shorter.turns[-1].content


def test_a_question_that_can_never_fit_is_still_asked_so_that_the_model_can_say_so() -> None:
    assert fitted(5, PASSAGES, NEAREST) == BARE.prompt("mine")
    assert fitted(5, [], []) == BARE.prompt("mine")


def pipeline(context: int) -> Pipeline:
    embedder = HashingEmbedder()
    examples = [Example(pair.id, pair.input, (pair.answer,)) for pair in NEAREST]
    return Pipeline(
        ScriptedModel(lambda prompt: "yes", context_tokens=context),
        TEMPLATE,
        AnswerFormat(max_new_tokens=10),
        embedder,
        DocumentRetriever(PassageIndex.build(PASSAGES, embedder), 2, MOST_WORDS, 0.0),
        ExampleRetriever(ExampleIndex.build(examples, embedder), 3),
    )


def test_sources_name_what_was_retrieved_documents_first() -> None:
    (answer,) = pipeline(4000).predict(["second other"])
    assert answer.sources[:2] == ("d2", "d1")
    assert answer.sources[2] == "2"
    assert sorted(answer.sources[2:]) == ["1", "2", "3"]


def test_sources_name_only_what_the_model_was_shown() -> None:
    (answer,) = pipeline(100).predict(["second other"])
    assert answer.sources == ("d2",)


def test_an_input_that_is_too_long_is_an_error_and_the_others_are_answered() -> None:
    answers = pipeline(4000).predict(["short", "long " * 5000])
    assert [a.error is None for a in answers] == [True, False]


def test_a_prompt_tells_which_inputs_it_shows() -> None:
    long = "a rather long complaint " * 20
    train = [Example("1", long, ("angry",)), Example("2", "thanks", ("glad",)), Example("3", "so so", ("glad",))]
    task = Task("Sort.", Kind.CLASSIFICATION, "accuracy")
    described = instruction(task, AnswerFormat(labels=("angry", "glad")), train, described=True)
    template = PromptTemplate(described, (Demonstration(question("so so"), "glad"),))
    assert [template.shows(e.input) for e in train] == [True, True, True]
    assert not template.shows("another complaint")
    assert not PromptTemplate("Sort.").shows(long)


def test_a_long_text_is_cut_between_words_where_one_ends_near_the_end() -> None:
    assert shortened("short\n text ", 10) == "short text"
    assert shortened("a rather long complaint", 20) == "a rather long [...]"
    assert shortened("see https://example.org/a/very/long/address", 30) == "see https://example.org/ [...]"


def test_what_describes_a_label_is_cut_in_scripts_without_spaces_too() -> None:
    lost, bill = "我的银行卡被机器吞掉了，" * 12, "请帮我核实这笔交易，" * 12
    train = [Example("1", lost, ("吞卡",)), Example("2", bill, ("账单",))]
    task = Task("选择标签", Kind.CLASSIFICATION, "accuracy")
    template = PromptTemplate(instruction(task, AnswerFormat(labels=("吞卡", "账单")), train, described=True))
    assert f"吞卡 (such as: {lost[:90]}" in template.instruction
    assert template.shows(lost)
    assert not template.shows("另外一个完全不同的问题" * 12)
    assert not PromptTemplate("Sort these [...]").shows("另外一个完全不同的问题" * 12)
