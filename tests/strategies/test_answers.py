"""How answers are written is inferred from the examples fitted on, or stated by the client."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from eval.contracts import Example, Kind, Task, Usage
from eval.metrics import get_metric
from strategies.answers import LONGEST_SHARE, AnswerFormat, as_written, canonical, json_shape_of, labels_of
from strategies.models.base import Completion, Decoding, JsonShape, LabelScores, Prompt, Turn
from strategies.models.fake import ScriptedModel
from strategies.quotation import Quotations

PROMPT = Prompt((Turn("user", "Where is the light?"),))
SORTING = Task("Sort.", Kind.CLASSIFICATION, "accuracy")
WRITING = Task("Write.", Kind.GENERATION, "rougeL")
BOOKING = Task("Extract.", Kind.EXTRACTION, "json_field_f1")
MODEL = ScriptedModel(lambda prompt: "outage and more words than fit")


def rows(*targets: str) -> list[Example]:
    return [Example(str(i), f"text {i}", (target, "also accepted")) for i, target in enumerate(targets)]


class Weighing(ScriptedModel):
    """Gives every prompt the same likelihoods."""

    def __init__(self, *values: float, error: str | None = None) -> None:
        super().__init__(lambda prompt: "")
        self.values, self.error = values, error

    def score_labels(
        self, prompts: Sequence[Prompt], labels: Sequence[str], *, every: bool = False
    ) -> list[LabelScores]:
        return [LabelScores(() if self.error else self.values, Usage(7), self.error) for _ in prompts]


def test_labels_are_the_preferred_answers_of_the_examples_in_a_fixed_order() -> None:
    assert labels_of(SORTING, rows("b", "a", "b")) == labels_of(SORTING, rows("a", "b")) == ("a", "b")
    assert AnswerFormat.infer(SORTING, rows("b", "a"), MODEL).labels == ("a", "b")


def test_a_long_label_has_room_in_the_context() -> None:
    """All of it is weighed, and a prompt that leaves too little room is answered by an error."""
    assert AnswerFormat.infer(SORTING, rows("a", "word " * 100), MODEL).room > 100
    assert AnswerFormat.infer(SORTING, rows("a", "b"), MODEL) == AnswerFormat(labels=("a", "b"))


def test_labels_that_the_client_states_are_kept_as_they_are_and_further_ones_follow() -> None:
    assert labels_of(replace(SORTING, labels=("z", "a")), rows("a")) == ("z", "a")
    assert labels_of(replace(SORTING, labels=("z", "a")), rows("a", "c", "b")) == ("z", "a", "b", "c")


def test_the_likeliest_label_is_answered_with_its_share_as_confidence() -> None:
    answers = AnswerFormat(labels=("a", "b", "c"))
    (found,) = answers.answer(Weighing(math.log(0.1), math.log(0.3), math.log(0.1)), [PROMPT])
    assert (found.text, found.usage, found.error) == ("b", Usage(7), None)
    assert found.confidence == pytest.approx(0.6)


def test_what_a_model_writes_is_cleaned_as_what_is_read_from_files_is() -> None:
    (found,) = AnswerFormat().answer(ScriptedModel(lambda prompt: " re\u0301clame\r\n"), [PROMPT])
    assert found.text == "réclame"


def test_equally_likely_labels_give_the_first() -> None:
    assert AnswerFormat(labels=("b", "a")).answer(Weighing(-1.0, -1.0), [PROMPT])[0].text == "b"


def test_very_unlikely_labels_overflow_nothing() -> None:
    (found,) = AnswerFormat(labels=("a", "b")).answer(Weighing(-5000.0, -4000.0), [PROMPT])
    assert (found.text, found.confidence) == ("b", 1.0)


def test_an_overflow_is_an_unusable_answer() -> None:
    (found,) = AnswerFormat(labels=("a",)).answer(Weighing(error="overflows the context"), [PROMPT])
    assert (found.text, found.error, found.usage, found.confidence) == ("", "overflows the context", Usage(7), None)


def test_answers_may_be_a_little_longer_than_the_longest_example_unless_that_is_far_longer_than_the_others() -> None:
    longest = AnswerFormat.infer(WRITING, rows(*["word " * 20] * 99, "word " * 27), MODEL)
    assert longest.max_new_tokens == 32
    short = AnswerFormat.infer(WRITING, rows(*["one two"] * 99, "word " * 40), MODEL)
    assert 2 < short.max_new_tokens < 10
    longer = AnswerFormat.infer(WRITING, rows(*["word " * 20] * 10), MODEL)
    assert longer.max_new_tokens == 24
    long = AnswerFormat.infer(WRITING, rows("word " * 9000), MODEL)
    assert long.max_new_tokens == MODEL.context_tokens // LONGEST_SHARE
    assert (longer.labels, longer.json_shape) == ((), None)


def test_written_answers_are_cut_and_carry_what_the_model_said() -> None:
    (found,) = AnswerFormat(max_new_tokens=2).answer(MODEL, [PROMPT])
    assert (found.text, found.usage.output_tokens, found.confidence) == ("outage and", 2, None)


class Saying(ScriptedModel):
    """Writes the same, line breaks and all."""

    def __init__(self, text: str) -> None:
        super().__init__(lambda prompt: text)

    def generate(self, prompts: Sequence[Prompt], decoding: Decoding) -> list[Completion]:
        return [Completion(self.reply(prompt)) for prompt in prompts]


def decodings(answers: AnswerFormat) -> list[Decoding]:
    """How a model is asked to write for this format."""
    asked: list[Decoding] = []

    class Recording(ScriptedModel):
        def generate(self, prompts: Sequence[Prompt], decoding: Decoding) -> list[Completion]:
            asked.append(decoding)
            return [Completion("{}") for _ in prompts]

    answers.answer(Recording(lambda prompt: ""), [PROMPT])
    return asked


def test_the_shape_of_json_is_asked_for_when_decoding() -> None:
    shape = JsonShape((("a", ("number",)),))
    assert decodings(AnswerFormat(json_shape=shape, max_new_tokens=9)) == [Decoding(9, shape)]


def test_json_shapes_need_nearly_all_answers_to_be_objects() -> None:
    objects = [json.dumps({"a": i}) for i in range(19)]
    assert json_shape_of(BOOKING, rows(*objects, "none")) == JsonShape((("a", ("number",)),))
    assert json_shape_of(BOOKING, rows(*objects, "none", "[1]")) is None
    assert json_shape_of(WRITING, rows(*objects)) is None


def test_lists_with_lone_objects_among_them_have_no_grammar() -> None:
    assert json_shape_of(BOOKING, rows('[{"a": 1}]', '[{"a": 2}]', '{"a": 3}')) is None


def test_lists_of_objects_have_the_shape_of_their_objects() -> None:
    lists = ['[{"a": 1}, {"a": 2, "b": "x"}]', "[]", '[{"b": null}]']
    shape = json_shape_of(BOOKING, rows(*lists))
    assert shape == JsonShape((("a", ("number",)), ("b", ("null", "string"))), repeated=True)
    assert json_shape_of(BOOKING, rows("[1]", "[2, 3]")) is None


def test_json_keys_that_the_client_states_may_be_written() -> None:
    shape = json_shape_of(replace(BOOKING, json_keys=("a", "b")), rows('{"a": 1}'))
    assert shape is not None
    assert dict(shape.keys) == {"a": ("number",), "b": ("string",)}


@pytest.mark.parametrize(
    ("metric", "answers", "searched"),
    [
        ("exact_match", AnswerFormat(), True),
        ("token_f1", AnswerFormat(), False),
        ("accuracy", AnswerFormat(labels=("a", "b")), False),
        ("exact_match", AnswerFormat(json_shape=JsonShape((("a", ("number",)),))), False),
    ],
)
def test_the_likeliest_text_is_looked_for_where_it_is_right_or_wrong_as_a_whole(
    metric: str, answers: AnswerFormat, searched: bool
) -> None:
    assert answers.searching(get_metric(metric)).likeliest is searched
    assert not answers.searching(get_metric(metric)).written().likeliest


def test_that_the_likeliest_text_is_looked_for_is_said_when_decoding() -> None:
    assert decodings(AnswerFormat(likeliest=True, max_new_tokens=9)) == [Decoding(9, likeliest=True)]


def test_an_answer_is_taken_out_of_its_fence_unless_training_answers_have_one() -> None:
    query = "SELECT name\nFROM course"
    model = ScriptedModel(lambda prompt: "")
    bare, fenced = (AnswerFormat.infer(BOOKING, rows(query, own), model) for own in ("x", f"```sql\n{query}\n```"))
    two = f"```sql\n{query}\n```\nor\n```sql\n{query}\n```"
    for said, code in ((f"```sql\n{query}\n```", query), (f"```\n{query}\n```\n", query), (two, two), ("``x``",) * 2):
        texts = [own.answer(Saying(said), [PROMPT])[0].text for own in (bare, fenced)]
        assert texts == [code, said.strip()]


FORMATS = [
    AnswerFormat(likeliest=True, max_new_tokens=9),
    AnswerFormat(labels=("a", "ü b")),
    AnswerFormat(max_new_tokens=9),
    AnswerFormat(quotations=Quotations(3, ("not said",)), max_new_tokens=9),
    AnswerFormat(json_shape=JsonShape((("a", ("number", "null")), ('"', ("any",)))), max_new_tokens=3),
    AnswerFormat(json_shape=JsonShape((("a", ("number",)),))),
    AnswerFormat(json_shape=JsonShape(())),
    AnswerFormat(max_new_tokens=9, fenced=True),
    AnswerFormat(json_shape=JsonShape((("a", ("number",)),), repeated=True)),
]


@pytest.mark.parametrize("answers", FORMATS)
def test_a_format_survives_its_manifest(answers: AnswerFormat) -> None:
    values: dict[str, Any] = json.loads(json.dumps(answers.to_json()))
    assert AnswerFormat.from_json(values) == answers


def test_training_answers_are_written_as_decoding_writes_them() -> None:
    answers = AnswerFormat(json_shape=JsonShape((("a", ("string",)),)))
    assert canonical('{"a":"\\u00fc",\n"b":[1,2]}', answers) == '{"a": "ü", "b": [1, 2]}'
    assert canonical("no json", answers) == "no json"
    assert canonical('{"a":1}', AnswerFormat()) == '{"a":1}'
    assert canonical('{"c": 3, "b": {"y": 1, "x": 2}, "a": ""}', answers) == '{"a": "", "c": 3, "b": {"y": 1, "x": 2}}'
    assert canonical('[{"c": 3, "a": "x"}, 1]', answers) == '[{"a": "x", "c": 3}, 1]'
    assert canonical('{"a": "\\ud83d"}', answers) == '{"a": "\ufffd"}', "half a character is no text for a tokenizer"


@pytest.mark.parametrize(
    "number", ["0.00001", "1e-7", "1E5", "1.50", "123456789.123456789012", "20000000000000000.0", "-0", "9" * 5000]
)
def test_numbers_are_taught_as_they_are_written(number: str) -> None:
    """Written otherwise they are other answers to the metric."""
    answers = AnswerFormat(json_shape=JsonShape((("dose", ("number",)),)))
    target = f'{{"dose":{number},"more":[{number}, true, null, {{}}]}}'
    assert canonical(target, answers) == f'{{"dose": {number}, "more": [{number}, true, null, {{}}]}}'
    assert get_metric("json_field_f1").row(canonical(target, answers), [target]).score == 1.0


def test_what_cannot_be_written_is_not_shown() -> None:
    given = rows('{"a":1}', '{"a": 2', "none", "[]", '[{"a": 3}]')
    shown = as_written(given, AnswerFormat(json_shape=JsonShape((("a", ("number",)),))))
    assert [e.targets for e in shown] == [('{"a": 1}', "also accepted")]
    lists = as_written(given, AnswerFormat(json_shape=JsonShape((("a", ("number",)),), repeated=True)))
    assert [e.target for e in lists] == ["[]", '[{"a": 3}]']
    assert as_written(given, AnswerFormat()) == given, "text may be anything"


def test_json_answers_have_room_as_they_are_written_whatever_way_the_examples_are() -> None:
    compact = [json.dumps(dict.fromkeys("abcdef", n), separators=(",", ":")) for n in range(20)]
    found = AnswerFormat.infer(BOOKING, rows(*compact), MODEL)
    assert found.max_new_tokens >= max(MODEL.count_tokens([canonical(text, found) for text in compact])) == 12
