"""Models behind an endpoint, against a server that answers, errs, garbles, cuts off and counts."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import inf
from pathlib import Path
from typing import Any

import pytest

from eval.contracts import NO_USAGE, Example, Kind, Task, Usage
from eval.errors import LastingFailure, ModelUnavailable, RequestError
from eval.harness import INFRASTRUCTURE, LASTING, evaluate
from eval.metrics import get_metric
from strategies.answers import AnswerFormat
from strategies.models.base import Completion, Decoding, JsonShape, Prompt, Turn
from strategies.models.caches import uncached
from strategies.models.hosted.answer_store import AnswerStore
from strategies.models.hosted.asking import FORMATS, THOUGHTS, json_schema
from strategies.models.hosted.model import ATTEMPTS, ROOM, Hosted, HostedModel, TokenPrice, _wait
from strategies.models.hosted.purse import Purse
from strategies.models.shelf import ModelShelf
from strategies.pipeline import Pipeline
from strategies.prompts import PromptTemplate
from strategies.solutions import load_solution

NAME = "openai:big"
CENT = TokenPrice(read=0.01, written=0.10)


def model_at(server: Any, **options: Any) -> HostedModel:
    return HostedModel.connect(NAME, Hosted(server.url, **options))


def ask(text: str) -> Prompt:
    return Prompt((Turn("system", "Shout."), Turn("user", text)), 1)


def texts(completions: list[Completion]) -> list[str]:
    return [completion.text for completion in completions]


# ---- answers ---------------------------------------------------------------------------------------------------------


def test_answers_come_in_the_order_of_the_prompts_with_what_the_server_counted(server: Any) -> None:
    model = model_at(server)
    found = model.generate([ask(f"row {n}") for n in range(30)], Decoding(9))
    assert texts(found) == [f"ROW {n}" for n in range(30)]
    assert found[0].usage == Usage(7, 2, 3)
    asked = server.asked[0]
    assert (asked["model"], asked["temperature"], asked["max_tokens"]) == ("big", 0, ROOM * 9)
    assert "response_format" not in asked
    assert server.keys == {"Bearer sk-secret"}
    assert model.generate([], Decoding(9)) == []


def test_no_answer_is_paid_for_twice(server: Any, tmp_path: Path) -> None:
    model = model_at(server)
    model.keep_answers(tmp_path / "answers.jsonl")
    prompts = [ask("a"), ask("b")]
    first = model.generate(prompts, Decoding(9))
    assert model.generate(prompts, Decoding(9)) == first
    again = model_at(server)
    again.keep_answers(tmp_path / "answers.jsonl")
    assert again.generate(prompts, Decoding(9)) == first
    assert server.answered == 2
    assert len({*texts(model.generate([ask("a")], Decoding(5)))}) == 1
    assert server.answered == 3, "another length is another question"
    with uncached(model):
        model.generate(prompts, Decoding(9))
    assert server.answered == 5, "what is timed is asked anew"


def test_the_tokens_of_a_while_are_those_of_each_answer_once_whether_it_is_remembered_or_not(server: Any) -> None:
    model = model_at(server)
    ask = [Prompt((Turn("user", text),)) for text in ("a", "b")]
    model.generate(ask, Decoding(8))
    once = model.taken
    assert once.output_tokens == 2 * 2
    model.generate(ask, Decoding(8))
    assert model.taken == once
    model.count_anew()
    assert model.taken == NO_USAGE
    with uncached(model):
        model.generate(ask, Decoding(8))
    assert model.taken == NO_USAGE
    model.generate(ask, Decoding(8))
    assert model.taken == once


def test_a_prompt_that_stands_twice_in_one_call_is_asked_once(server: Any) -> None:
    """Each row has the usage of an answer of its own, as one that is known has; what was paid was paid once."""
    hosted = Hosted(server.url, most_usd=10.0, prices={NAME: CENT})
    model = HostedModel.connect(NAME, hosted)
    found = model.generate([ask("a"), ask("b"), ask("a"), ask("a")], Decoding(9))
    assert texts(found) == ["A", "B", "A", "A"]
    assert [completion.usage for completion in found] == [Usage(7, 2, 3)] * 4
    assert (server.answered, model.recalled) == (2, 2)
    assert hosted.purse.spent == pytest.approx(2 * (7 * CENT.read + 2 * CENT.written))
    with uncached(model):
        model.generate([ask("a")] * 3, Decoding(9))
    assert server.answered == 5, "what is timed is asked each time"


def test_json_in_a_fence_is_taken_out_of_it_where_json_was_asked_for(server: Any) -> None:
    server.supports, model = "text", model_at(server)
    shape = JsonShape((("city", ("string",)),))
    for said in ('```json\n{"city": "Bern"}\n```', '```\n{"city": "Bern"}\n```\n', '{"city": "Bern"}'):
        server.reply = lambda body, said=said: said  # type: ignore[misc]
        assert texts(model.generate([ask(said)], Decoding(9, shape))) == ['{"city": "Bern"}']
    server.reply = lambda body: "```\ncode\n```"
    assert texts(model.generate([ask("x")], Decoding(9))) == ["```\ncode\n```"], "a text may have a fence"


def test_a_list_of_objects_is_asked_for_in_words_alone(server: Any) -> None:
    """A schema's outermost value must be an object."""
    model, shape = model_at(server), JsonShape((("city", ("string",)),), repeated=True)
    server.reply = lambda body: "none" if "response_format" in body else '```json\n[{"city": "Bern"}]\n```'
    assert texts(model.generate([ask("x")], Decoding(9, shape))) == ['[{"city": "Bern"}]']


def test_a_label_is_named_in_json_or_in_plain_words(server: Any) -> None:
    labels = ("billing", "Power cut")
    model = model_at(server)
    fenced, more = '```json\n{"label": "billing"}\n```', '{"label": "Power cut", "reason": "dark"}'
    plain = (("power cut.", 1), (" Billing\n", 0), ('"billing"', 0))
    for said, number in (('{"label": "Power cut"}', 1), (fenced, 0), (more, 1), *plain):
        server.reply = lambda body, said=said: said  # type: ignore[misc]
        (scores,) = model.score_labels([ask(said)], labels)
        assert scores.log_likelihoods == tuple(0.0 if i == number else -inf for i in range(2))
    server.reply = lambda body: "**billing**"
    (scores,) = model.score_labels([ask("bold")], labels)
    assert scores.log_likelihoods == (0.0, -inf)
    server.reply = lambda body: "I would say billing, but who knows"
    (scores,) = model.score_labels([ask("x")], labels)
    assert "none of the labels" in str(scores.error)
    assert server.asked[-1]["response_format"]["json_schema"]["schema"]["properties"]["label"]["enum"] == list(labels)


def test_a_label_may_be_named_as_a_number_or_a_truth_value(server: Any) -> None:
    server.supports = "json_object"  # which does not name the labels
    model = model_at(server)
    truths = [('{"label": true}', labels, 1) for labels in (("false", "true"), ("False", "True"))]
    for said, labels, number in (('{"label": 1}', ("0", "1"), 1), *truths):
        server.reply = lambda body, said=said: said  # type: ignore[misc]
        (scores,) = model.score_labels([ask(said)], labels)
        assert scores.log_likelihoods == tuple(0.0 if i == number else -inf for i in range(2))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("\u7535\u529b\u4e2d\u65ad" * 10, 70),  # what the default model's tokenizer makes of each
        ("\u0421\u0432\u0435\u0442\u0430 \u043d\u0435\u0442", 7),
        ('{"a": 1, "b": 22, "c": null, "d": "x", "e": 1.25}', 33),
    ],
)
def test_answers_have_room_in_scripts_and_forms_that_take_many_tokens(server: Any, text: str, tokens: int) -> None:
    model = model_at(server)
    model.generate([ask("x")], Decoding(*model.count_tokens([text])))
    assert server.asked[0]["max_tokens"] >= tokens


def test_a_label_that_is_only_named_has_no_confidence(server: Any) -> None:
    server.reply = lambda body: "outage"
    (answer,) = AnswerFormat(labels=("billing", "outage")).answer(model_at(server), [ask("dark")])
    assert (answer.text, answer.confidence, answer.error) == ("outage", None, None)


@pytest.mark.parametrize("status", [400, 422, 500])
def test_a_form_of_answer_that_the_server_refuses_is_not_asked_for_again(server: Any, status: int) -> None:
    """llama-cpp-python's server refuses one with the status of an error of its own."""
    shape = JsonShape((("city", ("string",)), ("guests", ("number", "null")), ("more", ("any",))))
    assert json_schema(shape)["properties"] == {
        "city": {"type": "string"}, "guests": {"type": ["number", "null"]}, "more": {},
    }  # fmt: skip
    server.supports, server.refuses_with = "json_object", status
    model = model_at(server, concurrency=1)
    assert texts(model.generate([ask("a"), ask("b")], Decoding(9, shape))) == ["A", "B"]
    forms = [body.get("response_format", {}).get("type") for body in server.asked]
    assert forms == ["json_schema", "json_object", "json_object"]
    assert server.asked[-1]["response_format"]["schema"] == json_schema(shape)
    server.supports = "text"
    assert texts(model.generate([ask("c")], Decoding(9, shape))) == ["C"]


@pytest.mark.parametrize(
    ("complaint", "error"),
    [
        ("this model's maximum context length is 10 tokens", "the prompt overflows the model's context"),
        ("filtered by Azure's content management policy", "the server's filter withheld the answer"),
    ],
)
def test_a_prompt_that_is_refused_changes_nothing_for_those_after_it(server: Any, complaint: str, error: str) -> None:
    server.complaint, server.faults = complaint, ["400"]
    model, shape = model_at(server, concurrency=1), JsonShape((("city", ("string",)),))
    refused, next_one = model.generate([ask("a"), ask("b")], Decoding(9, shape))
    assert (refused.error, next_one.text) == (error, "B")
    assert [body["response_format"]["type"] for body in server.asked] == ["json_schema", "json_schema"]


def test_a_form_counts_as_refused_only_once_another_was_answered(server: Any) -> None:
    server.complaint, server.faults = "something is wrong", ["400"] * (len(FORMATS) + 2)
    model, shape = model_at(server, concurrency=1), JsonShape((("city", ("string",)),))
    with pytest.raises(RequestError, match="something is wrong"):
        model.generate([ask("a")], Decoding(9, shape))
    model.generate([ask("b")], Decoding(9, shape))
    assert server.asked[-1]["response_format"]["type"] == "json_schema"


NO_LIMIT = "Unsupported parameter: 'max_tokens' is not supported here. Use 'max_completion_tokens' instead."
NO_TEMPERATURE = "Unsupported value: 'temperature' does not support 0 here. Only the default (1) value is supported."
NO_SYSTEM = "System role not supported"


def test_what_a_model_does_not_take_is_left_out_from_then_on(server: Any) -> None:
    server.refuses = {"max_tokens": NO_LIMIT, "temperature": NO_TEMPERATURE, "system": NO_SYSTEM}
    server.supports = "text"
    model, shape = model_at(server, concurrency=1), JsonShape((("city", ("string",)),))
    assert texts(model.generate([ask("a"), ask("b")], Decoding(9, shape))) == ["SHOUT.\n\nA", "SHOUT.\n\nB"]
    refusals = len(server.refuses) + len(FORMATS) - 1
    assert len(server.asked) == refusals + 2, "more refusals than attempts, and none is met twice"
    last = server.asked[-1]
    assert (last["max_completion_tokens"], {"max_tokens", "temperature"} & set(last)) == (ROOM * 9, set())


@pytest.mark.parametrize(
    "complaint",
    ["max_tokens must be at least 1", "temperature 0 is out of range", "the system is down: check your role"],
)
def test_a_refusal_that_names_a_field_for_another_reason_is_one_of_all_prompts(server: Any, complaint: str) -> None:
    """Though it is tried without a temperature, and without a turn of the system's."""
    server.complaint, server.faults, model = complaint, ["400"] * 3, model_at(server)
    with pytest.raises(RequestError, match=complaint):
        model.generate([ask("a")], Decoding(9))
    assert len(server.asked) == 3
    model.generate([ask("b")], Decoding(9))
    assert server.asked[-1].keys() == server.asked[0].keys()
    assert server.asked[-1]["messages"][0]["role"] == "system", "nothing was learnt"


def test_who_thinks_first_gets_the_room_for_it_and_it_is_paid(server: Any) -> None:
    server.thinks = THOUGHTS[1] + 500
    hosted = Hosted(server.url, most_usd=10_000.0, prices={NAME: CENT}, concurrency=1)
    model = HostedModel.connect(NAME, hosted)
    found = model.generate([ask("a"), ask("b")], Decoding(9))
    assert texts(found) == ["A", "B"]
    assert [body["max_tokens"] - ROOM * 9 for body in server.asked] == [*THOUGHTS, THOUGHTS[2]], "learnt once"
    assert found[0].usage == Usage(7, 2 + server.thinks, 3), "what the server counts in the total alone was written"
    assert hosted.purse.spent == pytest.approx(4 * (7 * CENT.read + (2 + server.thinks) * CENT.written))


def room_of(body: dict[str, Any]) -> int:
    """Tokens that an answer may take."""
    return int(body.get("max_tokens", body.get("max_completion_tokens")))


def last(body: dict[str, Any]) -> str:
    """What is asked."""
    return str(body["messages"][-1]["content"]).rpartition("\n\n")[2]


DEPRECATED = (400, "`temperature` is deprecated for this model.", None)
ALTERNATING = (400, "Conversation roles must alternate user/assistant/user/assistant/...", None)
ONLY_ONE = (400, "invalid temperature: only 1 is allowed for this model", None)


@pytest.mark.parametrize(
    ("objects", "left_out"),
    [
        (lambda body: DEPRECATED if "temperature" in body else None, {"temperature"}),
        (lambda body: ONLY_ONE if body.get("temperature") == 0 else None, {"temperature"}),
        (lambda body: ALTERNATING if body["messages"][0]["role"] == "system" else None, {"system"}),
        (
            lambda body: DEPRECATED if "temperature" in body
            else ALTERNATING if body["messages"][0]["role"] == "system" else None,
            {"temperature", "system"},
        ),
    ],
)  # fmt: skip
def test_what_is_refused_in_words_of_its_own_is_found_and_nothing_else_left_out(
    server: Any, objects: Any, left_out: set[str]
) -> None:
    server.objects, model = objects, model_at(server, concurrency=1)
    assert len(texts(model.generate([ask("a")], Decoding(9)))) == 1
    met = len(server.asked)
    assert [c.error for c in model.generate([ask("b"), ask("c")], Decoding(9))] == [None, None]
    assert len(server.asked) == met + 2, "once it is known, it is not met again"
    asked = server.asked[-1]
    assert ("temperature" not in asked) == ("temperature" in left_out)
    assert (asked["messages"][0]["role"] != "system") == ("system" in left_out)


def test_a_server_that_refuses_an_answer_that_its_thoughts_left_no_room_for_is_given_room(server: Any) -> None:
    """As OpenAI's reasoning models do."""
    told = "Could not finish the message because max_tokens or model output limit was reached. Please try again."
    server.objects = lambda body: (400, told, None) if room_of(body) < 300 else None
    model = model_at(server, concurrency=1)
    assert texts(model.generate([ask("a"), ask("b")], Decoding(9))) == ["A", "B"]
    assert [room_of(body) - ROOM * 9 for body in server.asked] == [THOUGHTS[0], THOUGHTS[1], THOUGHTS[1]]


@pytest.mark.parametrize(
    "words",
    [
        "'max_tokens' is too large: 9000. This model's maximum context length is 8192 tokens",
        "<400> InternalError.Algo.InvalidParameter: Range of max_tokens should be [1, 8192]",
    ],
)
def test_one_row_that_needs_more_thought_than_is_allowed_spoils_no_other(server: Any, words: str) -> None:
    server.objects = lambda body: (400, words, None) if room_of(body) > 8192 else None
    server.reply = lambda body: "" if last(body) == "hard" and room_of(body) < 3000 else last(body).upper()
    server.ends = lambda body: "length" if last(body) == "hard" and room_of(body) < 3000 else "stop"
    model = model_at(server, concurrency=1)
    before, hard, *after = model.generate([ask(text) for text in ("a", "hard", "b", "c")], Decoding(9))
    assert hard.error == "the model thought for 2,048 tokens and came to no answer"
    assert [c.text for c in (before, *after)] == ["A", "B", "C"]
    assert [room_of(body) - ROOM * 9 for body in server.asked[-2:]] == [THOUGHTS[1]] * 2


def test_who_never_stops_thinking_has_no_answer(server: Any) -> None:
    server.thinks = 10**6
    (found,) = model_at(server).generate([ask("a")], Decoding(9))
    assert (found.text, found.error) == ("", "the model thought for 8,192 tokens and came to no answer")
    assert len(server.asked) == len(THOUGHTS)


def test_thoughts_are_no_part_of_an_answer(server: Any) -> None:
    model = model_at(server)
    channels = "<|channel|>analysis<|message|>City? Bern.<|end|><|start|>assistant<|channel|>final<|message|>Bern"
    thoughts = ("<think>\nCity? Bern.\n</think>\n\nBern", "City? Bern.</think>Bern", "[THINK]Bern?[/THINK]Bern")
    for said in (*thoughts, channels, "Bern"):
        server.reply = lambda body, said=said: said  # type: ignore[misc]
        assert texts(model.generate([ask(said)], Decoding(9))) == ["Bern"]


def test_the_text_of_an_answer_in_parts_is_the_answer(server: Any) -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    server.reply = lambda body: [thinking, {"type": "text", "text": "Bern"}]
    model = model_at(server)
    assert texts(model.generate([ask("a")], Decoding(9))) == ["Bern"]
    server.reply = lambda body: [thinking]
    server.ends = lambda body: "length"
    assert "came to no answer" in str(model.generate([ask("b")], Decoding(9))[0].error)


def test_a_thought_whose_beginning_stands_in_the_template_gets_room_too(server: Any) -> None:
    thought = "Okay, so the customer writes about an invoice."
    server.reply = lambda body: thought if room_of(body) < 150 else f"{thought}</think>\n\nbilling"
    server.ends = lambda body: "length" if room_of(body) < 150 else "stop"
    model = model_at(server, concurrency=1)
    assert texts(model.generate([ask("a"), ask("b")], Decoding(9))) == ["billing", "billing"]
    assert [room_of(body) - ROOM * 9 for body in server.asked] == [THOUGHTS[0], THOUGHTS[1], THOUGHTS[1]]


def test_an_answer_that_is_too_long_is_cut_though_the_first_is_looked_into(server: Any) -> None:
    server.reply = lambda body: "word " * min(room_of(body), 100)
    server.ends = lambda body: "length" if room_of(body) < 100 else "stop"
    hosted = Hosted(server.url, most_usd=1000.0, prices={NAME: CENT}, concurrency=1)
    model = HostedModel.connect(NAME, hosted)
    found = model.generate([ask("a"), ask("b")], Decoding(9))
    assert [len(text.split()) for text in texts(found)] == [ROOM * 9] * 2
    assert [room_of(body) - ROOM * 9 for body in server.asked] == [THOUGHTS[0], THOUGHTS[1], THOUGHTS[0]]
    assert hosted.purse.spent == pytest.approx(3 * (7 * CENT.read + 2 * CENT.written))


def test_a_cut_answer_is_not_paid_for_again_where_more_room_is_refused(server: Any) -> None:
    server.reply, server.ends = lambda body: "word " * room_of(body), lambda body: "length"
    refusal = (400, "max_tokens is larger than allowed", None)
    server.objects = lambda body: refusal if room_of(body) > 100 else None
    (found,) = model_at(server).generate([ask("a")], Decoding(9))
    assert (len(found.text.split()), server.answered) == (ROOM * 9, 1)


@pytest.mark.parametrize("thought", ["<think>hm", "[THINK]hm", "<|channel|>analysis<|message|>hm"])
def test_what_filled_the_context_is_cut_too(server: Any, thought: str) -> None:
    server.reply = lambda body: thought
    server.ends = lambda body: "model_length"
    assert "came to no answer" in str(model_at(server).generate([ask("a")], Decoding(9))[0].error)


def test_answers_that_are_timed_are_cut_on_purpose_and_not_looked_into(server: Any) -> None:
    server.reply, server.ends = lambda body: "word " * room_of(body), lambda body: "length"
    model = model_at(server, concurrency=1)
    with uncached(model):
        model.generate([ask("a")], Decoding(1))
    assert [room_of(body) for body in server.asked] == [ROOM]
    model.generate([ask("a")], Decoding(1))
    assert len(server.asked) == 3, "the first that is not timed is"


def test_labels_are_held_to_the_schema_where_the_server_can(server: Any) -> None:
    """OpenAI, Azure, Mistral and Groq do so under `strict` alone."""

    def objects(body: dict[str, Any]) -> Any:
        strict = body["response_format"].get("json_schema", {}).get("strict")
        return (400, "strict is not supported with this model", None) if strict else None

    model, labels = model_at(server, concurrency=1), ("A", "B")
    model.score_labels([ask("a")], labels)
    assert server.asked[-1]["response_format"]["json_schema"]["strict"] is True
    server.objects = objects
    model = model_at(server, concurrency=1)
    model.score_labels([ask("a"), ask("b")], labels)
    assert [body["response_format"]["type"] for body in server.asked[1:]] == ["json_schema"] * 3
    assert ["strict" in body["response_format"]["json_schema"] for body in server.asked[1:]] == [True, False, False]
    model.generate([ask("a")], Decoding(9, JsonShape((("city", ("string",)),))))
    assert "strict" not in server.asked[-1]["response_format"]["json_schema"], "keys may be left out there"


def test_half_a_character_in_an_answer_is_none(server: Any, tmp_path: Path) -> None:
    server.reply = lambda body: "ok \ud83d"
    model = model_at(server)
    model.keep_answers(tmp_path / "answers.jsonl")
    assert texts(model.generate([ask("a")], Decoding(9))) == ["ok \ufffd"]


# ---- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["429", "500", "503", "cut", "garbled", "empty"])
def test_a_failure_that_passes_is_tried_again(server: Any, fault: str) -> None:
    server.faults = [fault] * (ATTEMPTS - 1)
    (found,) = (model := model_at(server)).generate([ask("a")], Decoding(9))
    assert (found.text, found.usage.repeated) == ("A", True)
    assert (len(server.asked), server.answered) == (ATTEMPTS, 1)
    assert not model.generate([ask("b")], Decoding(9))[0].usage.repeated


@pytest.mark.parametrize(("status", "may_be_paid"), [("500", False), ("503", False), ("504", True), ("524", True)])
def test_what_a_gateway_no_longer_waited_for_counts(server: Any, status: str, may_be_paid: bool) -> None:
    """The model behind it writes on, and is paid for it."""
    hosted = Hosted(server.url, most_usd=10.0, prices={NAME: CENT})
    (model := HostedModel.connect(NAME, hosted)).generate([ask("a")], Decoding(9))
    once = hosted.purse.spent
    server.faults = [status]
    model.generate([ask("b")], Decoding(9))
    assert (hosted.purse.spent > 2 * once) == may_be_paid


@pytest.mark.parametrize(
    ("said", "least", "most"),
    [
        ("3", 3, 3), ("", 0.3, 1), ("soon", 0.3, 1), ("-1", 0.3, 1), ("3600", 0.3, 1),
        ("0", 0.3, 1), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.3, 1),
    ],
)  # fmt: skip
def test_a_server_may_say_when_to_ask_again_at_the_earliest(said: str, least: float, most: float) -> None:
    assert least <= _wait(0, {"retry-after": said}) <= most
    assert _wait(4, {"retry-after": said}) > 5, "without a pause all attempts are over before the failure is"


def test_a_server_may_say_it_as_a_date() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 25 < _wait(0, {"retry-after": soon}) <= 30


def test_a_failure_that_stays_leaves_its_row_unscored_and_the_others_are_answered(server: Any) -> None:
    server.faults = ["500"] * ATTEMPTS
    model = model_at(server, concurrency=1)
    found = model.generate([ask("a"), ask("b")], Decoding(9))
    assert str(found[0].error).startswith(f"{INFRASTRUCTURE}the server answered 500")
    assert found[1].text == "B"
    server.faults = ["500"] * 100
    task = Task("Shout.", Kind.GENERATION, "exact_match")
    solution = Pipeline(model, PromptTemplate(task.description), AnswerFormat(max_new_tokens=9))
    outcome = evaluate(solution, [Example("1", "c", ("C",))], get_metric("exact_match"), retry_waits=()).outcomes[0]
    assert outcome.score is None
    server.faults = []
    assert evaluate(solution, [Example("1", "c", ("C",))], get_metric("exact_match")).scores == [1.0]


def test_a_server_that_fails_for_long_is_asked_once_a_row_until_it_answers(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strategies.models.hosted.model.PATIENCE_SECONDS", 0.0)
    model = model_at(server, concurrency=1)
    server.faults = ["503"] * 2
    found = model.generate([ask("a"), ask("b"), ask("c")], Decoding(9))
    assert [completion.error for completion in found] == [
        f"{INFRASTRUCTURE}the server answered 503, each time it was asked"
    ] * 2 + [None]
    monkeypatch.setattr("strategies.models.hosted.model.PATIENCE_SECONDS", 300.0)
    server.faults = ["503"] * (ATTEMPTS - 1)
    assert texts(model.generate([ask("d")], Decoding(9))) == ["D"]


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        ("429", "insufficient_quota", "(429, insufficient_quota)"),
        ("429", "billing_not_active", "(429, billing_not_active)"),
        ("402", None, "(402)"),
    ],
)
def test_an_account_without_credit_is_told_at_once_and_what_was_answered_is_kept(
    server: Any, tmp_path: Path, status: str, code: str | None, told: str
) -> None:
    server.faults, server.code = ["", status, status], code
    server.complaint = "You exceeded your current quota, please check your plan and billing details."
    model = model_at(server, concurrency=1)
    model.keep_answers(tmp_path / "answers.jsonl")
    answered, *refused = model.generate([ask("a"), ask("b"), ask("c")], Decoding(9))
    assert answered.text == "A"
    used_up = f"openai:big: the server says that the account's credit is used up {told}"
    assert {c.error for c in refused} == {f"{LASTING}{used_up}: add credit with the provider, then ask again"}
    assert len(server.asked) == 3
    again = model_at(server, concurrency=1)
    again.keep_answers(tmp_path / "answers.jsonl")
    assert texts(again.generate([ask("a"), ask("b")], Decoding(9))) == ["A", "B"]
    assert server.answered == 2


def test_a_limit_on_the_rate_that_is_called_a_quota_passes(server: Any) -> None:
    server.faults, server.code = ["429"], "rate_limit_exceeded"
    server.complaint = "You exceeded your current quota, please check your plan and billing details."
    assert texts(model_at(server).generate([ask("a")], Decoding(9))) == ["A"]


def test_under_many_faults_no_answer_is_lost_counted_twice_or_given_to_another_row(server: Any) -> None:
    kinds = ["429", "", "cut", "500", "", "garbled", "empty", ""]
    server.faults = [kinds[n % len(kinds)] for n in range(120)]
    model = model_at(server)
    prompts = [ask(f"row {n}") for n in range(80)]
    for _ in range(3):  # as the harness does; a row may meet six faults in a row
        found = model.generate(prompts, Decoding(9))
        assert all(c.text == f"ROW {n}" or str(c.error).startswith(INFRASTRUCTURE) for n, c in enumerate(found))
    assert texts(found) == [f"ROW {n}" for n in range(80)]
    assert server.answered == 80
    assert len(server.asked) == 80 + sum(1 for n in range(120) if kinds[n % len(kinds)])


def test_a_prompt_too_long_is_an_answers_error_and_a_wrong_key_ends_the_strategy(server: Any) -> None:
    model = model_at(server, concurrency=1)
    server.faults = ["400"]
    assert model.generate([ask("a")], Decoding(9))[0].error == "the prompt overflows the model's context"
    server.faults = ["401"]
    with pytest.raises(RequestError, match="does not accept the key in OPENAI_API_KEY") as refused:
        model.generate([ask("b")], Decoding(9))
    assert "sk-secret" not in str(refused.value)
    server.faults = ["404"]
    with pytest.raises(RequestError, match="refuses the request"):
        model.generate([ask("c")], Decoding(9 // ROOM))


@pytest.mark.parametrize(
    ("status", "words", "code", "error"),
    [
        (400, "Invalid prompt: your prompt was flagged by our usage policy", "invalid_prompt", "filter withheld"),
        (400, "Input data may contain inappropriate content.", "data_inspection_failed", "filter withheld"),
        (400, "Content Exists Risk", "invalid_request_error", "filter withheld"),
        (403, "Your input was flagged: requires moderation", "403", "filter withheld"),
        (413, "Request too large for model: Limit 6000, Requested 6294", "rate_limit_exceeded", "larger than the serv"),
        (400, "Failed to generate JSON.", "json_validate_failed", "wrote no valid JSON"),
        (400, "No way.", None, "the server refuses this prompt (400: No way.)"),
    ],
)
def test_what_is_wrong_with_one_prompt_is_that_rows_error(
    server: Any, status: int, words: str, code: str | None, error: str
) -> None:
    server.objects = lambda body: (status, words, code) if last(body) == "row 3" else None
    model, shape = model_at(server, concurrency=1), JsonShape((("city", ("string",)),))
    found = model.generate([ask(f"row {n}") for n in range(6)], Decoding(9, shape))
    assert [c.text for n, c in enumerate(found) if n != 3] == [f"ROW {n}" for n in range(6) if n != 3]
    assert error in str(found[3].error)
    assert server.asked[-1]["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize(
    "words", ["You have reached your specified API usage limits.", "The organization has been disabled.", "Key expired"]
)  # fmt: skip
def test_no_prompt_is_blamed_once_others_are_refused_as_well(server: Any, tmp_path: Path, words: str) -> None:
    """Accounts are closed with status 400 too."""
    model = model_at(server, concurrency=1)
    model.keep_answers(tmp_path / "answers.jsonl")
    assert texts(model.generate([ask("a")], Decoding(9))) == ["A"]
    server.objects = lambda body: (400, words, None)
    found = model.generate([ask(text) for text in "bcdefgh"], Decoding(9))
    assert {str(c.error).startswith(f"{LASTING}{NAME}: the server refuses now") for c in found} == {True}
    assert f"(400: {words})" in str(found[0].error)
    assert len(server.asked) == 1 + 4 + 6, "without this and that, then what was answered; after that it is known"
    server.objects = lambda body: None
    again = model_at(server)
    again.keep_answers(tmp_path / "answers.jsonl")
    assert texts(again.generate([ask(text) for text in "abc"], Decoding(9))) == ["A", "B", "C"]


def test_whether_a_prompt_is_to_blame_may_not_come_out(server: Any) -> None:
    model = model_at(server, concurrency=1)
    model.generate([ask("a")], Decoding(9))
    server.objects = lambda body: (400, "No.", None) if last(body) == "b" else (503, "Busy.", None)
    assert str(model.generate([ask("b")], Decoding(9))[0].error).startswith(INFRASTRUCTURE)
    server.objects = lambda body: (400, "No.", None) if last(body) == "b" else None
    assert "refuses this prompt" in str(model.generate([ask("b")], Decoding(9))[0].error)


def test_what_a_refusal_repeats_of_the_request_says_nothing(server: Any) -> None:
    """FastAPI repeats all of it."""

    def missing(body: dict[str, Any]) -> tuple[int, str, dict[str, str]]:
        fault = {"type": "missing", "loc": ["body", "user"], "msg": "Field required", "input": body}
        return 422, json.dumps({"detail": [fault]}), {}

    server.instead = missing
    with pytest.raises(RequestError, match=r"refuses the request \(422: body\.user: Field required\)"):
        model_at(server).generate([ask("What does the context length say? Is it too long?")], Decoding(9))


@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is 8192 tokens", "the request exceeds the available context size",
        "prompt is too long: 200001 tokens > 200000 maximum", "This model's maximum prompt length is 131072",
        "The input token count (9) exceeds the maximum number of tokens allowed (8).",
        "The prompt (total length 5000) is longer than the maximum model length of 4096",
    ],
)  # fmt: skip
def test_a_prompt_that_is_too_long_is_known_by_the_words_of_many_servers(server: Any, words: str) -> None:
    server.objects = lambda body: (400, words, None)
    assert model_at(server).generate([ask("a")], Decoding(9))[0].error == "the prompt overflows the model's context"


@pytest.mark.parametrize(
    ("code", "error", "asked"),
    [
        (402, "credit is used up (402)", 1), (403, "filter withheld", 1), (502, "the server answered 502", ATTEMPTS),
        (None, "the server answered 500", ATTEMPTS),
    ],
)  # fmt: skip
def test_an_error_in_the_body_of_a_success_is_one(server: Any, code: int | None, error: str, asked: int) -> None:
    """OpenRouter's, once the provider behind it had begun."""
    told = json.dumps({"error": {"code": code, "message": "Your input was flagged"}})
    server.instead = lambda body: (200, told, {})
    hosted = Hosted(server.url, most_usd=100.0, prices={NAME: CENT})
    (found,) = HostedModel.connect(NAME, hosted).generate([ask("a")], Decoding(9))
    assert error in str(found.error)
    assert (len(server.asked), hosted.purse.spent) == (asked, 0.0)


def test_a_page_in_place_of_an_answer_is_told_and_not_paid_for(server: Any) -> None:
    server.instead = lambda body: (200, "<html>Open WebUI</html>", {"content-type": "text/html"})
    hosted = Hosted(server.url, most_usd=100.0, prices={NAME: CENT})
    (found,) = HostedModel.connect(NAME, hosted).generate([ask("a")], Decoding(9))
    assert "'<html>Open WebUI</html>': most servers' addresses end in /v1" in str(found.error)
    assert hosted.purse.spent == 0.0


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_prompts_go_to_no_other_address_than_the_one_that_is_named(server: Any, status: int) -> None:
    server.instead = lambda body: (status, "", {"location": server.url + "/elsewhere"})
    with pytest.raises(RequestError, match=f"sends requests on to {server.url}/elsewhere, and prompts go nowhere but"):
        model_at(server).generate([ask("a")], Decoding(9))
    assert len(server.asked) == 1


def test_a_prompt_for_which_another_form_is_taken_changes_nothing_for_the_others(server: Any) -> None:
    def objects(body: dict[str, Any]) -> Any:
        strict = body.get("response_format", {}).get("type") == "json_schema"
        return (400, "The grammar is too complex.", None) if strict and last(body) == "row 3" else None

    server.objects, server.supports = objects, "json_schema"
    model, shape = model_at(server, concurrency=4), JsonShape((("city", ("string",)),))
    assert texts(model.generate([ask(f"row {n}") for n in range(40)], Decoding(9, shape))) == [
        f"ROW {n}" for n in range(40)
    ]
    model.generate([ask("last")], Decoding(9, shape))
    assert server.asked[-1]["response_format"]["type"] == "json_schema"


def test_a_model_that_one_has_no_access_to_is_told_in_the_servers_words(server: Any) -> None:
    words = "Project `proj_x` does not have access to model `big`"
    server.objects = lambda body: (403, words, "model_not_found")
    with pytest.raises(RequestError, match=words):
        model_at(server).generate([ask("a")], Decoding(9))


@pytest.mark.parametrize(("code", "words"), [("Arrearage", "Access denied."), (None, "Your credit balance is too low")])
def test_credit_that_is_used_up_may_be_a_bad_request(server: Any, code: str | None, words: str) -> None:
    model = model_at(server, concurrency=1)
    assert texts(model.generate([ask("a")], Decoding(9))) == ["A"]
    server.objects = lambda body: (400, words, code)
    assert str(model.generate([ask("b")], Decoding(9))[0].error).startswith(LASTING)


@pytest.mark.parametrize("reason", ["error", "abort", "insufficient_system_resource"])
def test_an_answer_that_the_server_broke_off_is_none_and_not_remembered(
    server: Any, tmp_path: Path, reason: str
) -> None:
    server.ends, model = lambda body: reason, model_at(server)
    model.keep_answers(tmp_path / "answers.jsonl")
    error = str(model.generate([ask("a")], Decoding(9))[0].error)
    assert error.startswith(INFRASTRUCTURE)
    assert f"broken off: {reason}" in error
    assert len(server.asked) == ATTEMPTS
    server.ends = lambda body: "eos"
    again = model_at(server)
    again.keep_answers(tmp_path / "answers.jsonl")
    assert texts(again.generate([ask("a")], Decoding(9))) == ["A"]


def test_a_server_that_is_not_there_is_given_up_soon_and_the_cause_is_told(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strategies.models.hosted.model.PATIENCE_WITH_NOBODY", 0.0)
    model = HostedModel.connect(NAME, Hosted("http://127.0.0.1:9/v1"))
    (found,) = model.generate([ask("a")], Decoding(9))
    assert "APIConnectionError: " in str(found.error)
    assert "refused" in str(found.error)
    server.faults, there = ["503"] * 2, model_at(server)
    assert texts(there.generate([ask("a")], Decoding(9))) == ["A"], "one that says something is there"


def test_what_takes_too_long_is_asked_once_more_and_the_room_counts(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strategies.models.hosted.model.TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr("strategies.models.hosted.model.SLOWEST_WRITING", 1e6)
    at_once = server.reply
    server.reply = lambda body: time.sleep(0.3) or at_once(body)
    assert "APITimeoutError" in str(model_at(server).generate([ask("a")], Decoding(9))[0].error)
    monkeypatch.setattr("strategies.models.hosted.model.PATIENCE_WITH_NOBODY", 300.0)
    before = len(server.asked)
    model_at(server).generate([ask("a")], Decoding(9))
    assert len(server.asked) == before + 2
    monkeypatch.setattr("strategies.models.hosted.model.SLOWEST_WRITING", 18 / 10)
    assert texts(model_at(server).generate([ask("a")], Decoding(9))) == ["A"]


def test_what_waits_for_others_at_the_server_is_asked_again_beside_fewer(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that takes one prompt at a time, as those on a client's own machine do."""
    monkeypatch.setattr("strategies.models.hosted.model.TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr("strategies.models.hosted.model.SLOWEST_WRITING", 1e6)
    slot, at_once = threading.Lock(), server.reply

    def reply(body: dict[str, Any]) -> Any:
        with slot:
            time.sleep(0.1)
            return at_once(body)

    server.reply, model = reply, model_at(server)
    found = model.generate([ask(f"row {n}") for n in range(16)], Decoding(9))
    assert texts(found) == [f"ROW {n}" for n in range(16)]


def test_time_is_up_though_something_comes_all_the_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some servers send white space while a prompt waits; what it took too long to answer is not asked again."""
    monkeypatch.setattr("strategies.models.hosted.model.TIMEOUT_SECONDS", 0.3)
    monkeypatch.setattr("strategies.models.hosted.model.SLOWEST_WRITING", 1e6)
    calls = list[float]()

    class Waiting(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            calls.append(time.monotonic())
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                for _ in range(40):
                    self.wfile.write(b"\n")
                    time.sleep(0.05)

    with ThreadingHTTPServer(("127.0.0.1", 0), Waiting) as waiting:
        threading.Thread(target=waiting.serve_forever, daemon=True).start()
        model = HostedModel.connect(NAME, Hosted(f"http://127.0.0.1:{waiting.server_address[1]}/v1"))
        (found,) = model.generate([ask("a")], Decoding(9))
        took = time.monotonic() - calls[0]
        waiting.shutdown()
    assert f"{LASTING}no answer that can be read came back (APITimeoutError)" in str(found.error)
    assert (len(calls), took < 1.5) == (2, True)


# ---- money -----------------------------------------------------------------------------------------------------------


def test_the_cap_is_kept_before_each_call(server: Any) -> None:
    """A call costs 0.27 USD, and can cost 10 × 0.10 for what is written and 0.01 a byte read: about 1.30.

    So a seventh call is made, with 1.62 spent, and none after it, however many are under way at once.
    """
    model = model_at(server, most_usd=3.0, prices={NAME: CENT}, concurrency=4)
    found = model.generate([ask(f"row {n}") for n in range(40)], Decoding(10 // ROOM))
    answered = [completion for completion in found if completion.error is None]
    assert len(answered) == server.answered == 7
    assert {str(c.error) for c in found if c.error} == {
        f"{LASTING}the spending cap of 3 USD is reached: raise --max-spend (of a service, ADVISOR_MAX_SPEND)"
    }


def test_what_an_earlier_attempt_has_paid_counts(server: Any, tmp_path: Path) -> None:
    for number in range(2):
        model = model_at(server, most_usd=1.5, prices={NAME: CENT})
        model.keep_answers(tmp_path / "answers.jsonl")
        found = model.generate([ask("first"), ask(f"further {number}" * 9)], Decoding(8 // ROOM))
        assert found[0].text == "FIRST"
    assert server.answered == 1, "for the second there was never enough left"


def test_calls_that_were_timed_or_never_came_back_are_counted_by_the_next_attempt(server: Any, tmp_path: Path) -> None:
    """A call costs 0.27 USD; one that is cut off counts as all that was set aside for it."""
    spent = []
    for faults in ([], ["cut"], []):
        server.faults = list(faults)
        hosted = Hosted(server.url, most_usd=100.0, prices={NAME: CENT}, concurrency=1)
        model = HostedModel.connect(NAME, hosted)
        model.keep_answers(tmp_path / "answers.jsonl")
        before = hosted.purse.spent
        assert before == pytest.approx(spent[-1] if spent else 0.0)
        model.generate([ask("a")], Decoding(8 // ROOM))
        with uncached(model):
            model.generate([ask("a")], Decoding(8 // ROOM))
        spent.append(hosted.purse.spent)
    cut_off = 8 * 0.10 + 0.01 * (len("Shout.a") + 2 * 8)
    assert spent == pytest.approx([2 * 0.27, 3 * 0.27 + cut_off, 4 * 0.27 + cut_off])


def test_calls_under_way_when_a_process_is_killed_are_counted_by_the_next_attempt(server: Any, tmp_path: Path) -> None:
    noted, answers = list[float](), tmp_path / "answers.jsonl"
    at_once = server.reply
    server.reply = lambda body: noted.append(AnswerStore().keep_in(answers)) or at_once(body)
    hosted = Hosted(server.url, most_usd=100.0, prices={NAME: CENT})
    model = HostedModel.connect(NAME, hosted)
    model.keep_answers(answers)
    model.generate([ask("a")], Decoding(8 // ROOM))
    assert noted == [pytest.approx(8 * 0.10 + 0.01 * (len("Shout.a") + 2 * 8))]
    assert AnswerStore().keep_in(answers) == pytest.approx(0.27) == hosted.purse.spent


def test_a_call_that_cannot_be_noted_keeps_no_other_waiting(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(usd: float) -> None:
        raise OSError("No space left on device")

    hosted = Hosted(server.url, most_usd=2.0, prices={NAME: CENT})
    model = HostedModel.connect(NAME, hosted)
    monkeypatch.setattr(model.answers, "pay", disk_full)
    with pytest.raises(OSError, match="No space left"):
        model.generate([ask("a")], Decoding(8 // ROOM))
    said = list[str]()

    def ask_for_more() -> None:
        with suppress(LastingFailure):
            hosted.purse.reserve(2.0)
        said.append("told")

    waiting = threading.Thread(target=ask_for_more, daemon=True)
    waiting.start()
    waiting.join(5)
    assert said == ["told"]


def test_calls_that_were_never_sent_cost_nothing(tmp_path: Path) -> None:
    hosted = Hosted("http://127.0.0.1:9/v1", most_usd=100.0, prices={NAME: CENT})
    model = HostedModel.connect(NAME, hosted)
    model.keep_answers(tmp_path / "answers.jsonl")
    assert "refused" in str(model.generate([ask("a")], Decoding(9))[0].error)
    assert hosted.purse.spent == 0.0 == AnswerStore().keep_in(tmp_path / "answers.jsonl")


def test_calls_that_may_have_been_paid_for_count() -> None:
    purse = Purse(1.0)
    purse.reserve(0.4)
    assert purse.spent == pytest.approx(0.4)
    purse.settle(0.4, 0.2)
    assert purse.spent == pytest.approx(0.2)
    purse.reserve(0.2)
    purse.settle(0.2, 0.2)
    assert purse.spent == pytest.approx(0.4)
    purse.reserve(0.6)
    purse.settle(0.6, 0.0)
    assert purse.spent == pytest.approx(0.4)
    with pytest.raises(LastingFailure, match="the spending cap of 1 USD is reached"):
        purse.reserve(0.61)


def test_a_call_waits_for_what_those_under_way_may_give_back() -> None:
    """Refused at once, a row would be lost though there is enough for it."""
    purse, spent = Purse(1.0), list[float]()
    purse.reserve(0.7)
    waiting = threading.Thread(target=lambda: (purse.reserve(0.6), spent.append(purse.spent)), daemon=True)
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    purse.settle(0.7, 0.3)
    waiting.join(5)
    assert spent == [pytest.approx(0.9)]


def test_who_waits_in_vain_is_told_so() -> None:
    purse, said = Purse(1.0), list[str]()

    def ask_for_more() -> None:
        try:
            purse.reserve(0.6)
        except LastingFailure as failure:
            said.append(str(failure))

    purse.reserve(0.7)
    waiting = threading.Thread(target=ask_for_more, daemon=True)
    waiting.start()
    purse.settle(0.7, 0.7)
    waiting.join(5)
    assert said == ["the spending cap of 1 USD is reached: raise --max-spend (of a service, ADVISOR_MAX_SPEND)"]


def test_where_the_server_does_not_count_all_that_was_set_aside_counts(server: Any) -> None:
    server.counts = False
    hosted = Hosted(server.url, most_usd=100.0, prices={NAME: CENT})
    HostedModel.connect(NAME, hosted).generate([ask("a")], Decoding(8 // ROOM))
    assert hosted.purse.spent == pytest.approx(8 * 0.10 + 0.01 * (len("Shout.a") + 2 * 8))


@pytest.mark.parametrize("said", [None, {}, {"prompt_tokens": None, "completion_tokens": 2}])
def test_tokens_that_the_server_does_not_count_are_estimated(server: Any, said: Any) -> None:
    server.counts, server.usage = said is not None, said or {"total_tokens": None}
    model = model_at(server)
    (found,) = model.generate([ask("a")], Decoding(9))
    assert (found.text, len(server.asked)) == ("A", 1)
    assert found.usage == Usage(model.prompt_tokens(ask("a")), 1, estimated=True)
    assert (Usage(1, 1) + found.usage).estimated


def test_the_cap_is_on_what_all_hosted_models_cost_together(server: Any, tmp_path: Path) -> None:
    """Either model alone could answer for about 0.27 USD a call."""
    prices = {NAME: CENT, "openai:other": CENT}

    def shelf() -> ModelShelf:
        made = ModelShelf(hosted=Hosted(server.url, most_usd=2.0, prices=prices, concurrency=1))
        made.keep_answers(tmp_path / "answers")
        return made

    first = shelf()
    for name in prices:
        first.language_model(name).generate([ask(f"row {n}") for n in range(20)], Decoding(8 // ROOM))
    assert 2 <= server.answered <= 2.0 / 0.27
    paid = server.answered
    again = shelf()
    for name in prices:
        again.language_model(name)
    assert again.hosted.purse.spent == pytest.approx(0.27 * paid), "each is counted once, at its own price"


def test_without_a_key_or_a_price_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ModelUnavailable, match="set OPENAI_API_KEY, or name a server of your own with OPENAI_BASE_URL"):
        ModelShelf().require(NAME)
    ModelShelf(hosted=Hosted("http://127.0.0.1:1/v1")).require(NAME)
    with pytest.raises(RequestError, match="--max-spend: the token prices of openai:big are not known"):
        ModelShelf(hosted=Hosted("http://127.0.0.1:1/v1", most_usd=1.0)).require(NAME)


@pytest.mark.parametrize("key", ["sk-secret\n", " sk-secret "])
def test_white_space_around_a_key_is_no_part_of_it(server: Any, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    assert texts(model_at(server).generate([ask("a")], Decoding(9))) == ["A"]
    assert server.keys == {"Bearer sk-secret"}


@pytest.mark.parametrize("key", ["sk-sec\nret", "sk-sec\u2026ret"])
def test_what_cannot_be_a_key_is_refused_without_showing_it(
    server: Any, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(RequestError, match="OPENAI_API_KEY holds what no key does") as refused:
        ModelShelf(hosted=Hosted(server.url)).require(NAME)
    assert "sec" not in str(refused.value)


def test_a_key_that_a_server_repeats_is_not_shown(server: Any) -> None:
    server.objects = lambda body: (403, "Virtual Key expected. Received=sk-secret, expected to start with gw-.", None)
    with pytest.raises(RequestError, match=r"Received=\(the key\), expected"):
        model_at(server).generate([ask("a")], Decoding(9))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:80a/v1", "http://127.0.0.1:99999/v1", "http:///v1", "http://me:se/cret@127.0.0.1:9/v1"]
)
def test_an_address_that_is_none_is_refused_without_showing_a_password(url: str) -> None:
    with pytest.raises(RequestError, match=r"--endpoint: .* is no address of a server") as refused:
        ModelShelf(hosted=Hosted(url)).require(NAME)
    assert "se/" not in str(refused.value)


@pytest.mark.parametrize(("url", "named"), [("127.0.0.1:9/v1", "--endpoint"), (None, "OPENAI_BASE_URL")])
def test_an_address_without_its_scheme_is_refused(url: str | None, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "localhost:11434")
    with pytest.raises(RequestError, match=f"{named}: .* begin it with http:// or https://"):
        ModelShelf(hosted=Hosted(url)).require(NAME)


def test_an_empty_variable_names_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    model = HostedModel.connect(NAME, Hosted())
    assert "https://api.openai.com/v1" in model._endpoint
    assert not model.identity.own_server


def test_a_kept_solution_is_not_asked_of_a_provider_that_nobody_chose(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Pipeline(model_at(server), PromptTemplate("Shout."), AnswerFormat()).save(tmp_path)
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and b"127.0.0.1" in p.read_bytes()]
    with pytest.raises(ModelUnavailable, match="at a server of your own: set OPENAI_BASE_URL to where that is"):
        load_solution(tmp_path, ModelShelf("cpu"))
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    assert load_solution(tmp_path, ModelShelf("cpu")).predict(["a"])[0].text == "A"


def test_a_solution_of_the_provider_itself_asks_it_again(server: Any, tmp_path: Path) -> None:
    Pipeline(HostedModel.connect(NAME, Hosted()), PromptTemplate("Shout."), AnswerFormat()).save(tmp_path)
    loaded = load_solution(tmp_path, ModelShelf("cpu"))
    assert isinstance(loaded, Pipeline)
    assert not loaded.model.identity.own_server


def test_the_key_is_written_nowhere(server: Any, tmp_path: Path) -> None:
    model = model_at(server)
    model.keep_answers(tmp_path / "answers.jsonl")
    Pipeline(model, PromptTemplate("Shout."), AnswerFormat()).predict(["a"])
    Pipeline(model, PromptTemplate("Shout."), AnswerFormat()).save(tmp_path / "solution")
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and b"sk-secret" in p.read_bytes()]


def test_a_line_that_was_cut_off_is_passed_over_and_spoils_no_other(tmp_path: Path) -> None:
    file, store = tmp_path / "answers.jsonl", AnswerStore()
    store.keep_in(file)
    store.pay(0.25)
    store.put("a", Completion("A", Usage(1, 2, 3)))
    with file.open("ab") as half:
        half.write('{"key": "b", "text": "ü'.encode()[:-1])
    second = AnswerStore()
    assert second.keep_in(file) == 0.25
    second.put("c", Completion("C", Usage(4, 5)))
    third = AnswerStore()
    third.keep_in(file)
    assert (third.get("a"), third.get("b"), third.get("c")) == (
        Completion("A", Usage(1, 2, 3)), None, Completion("C", Usage(4, 5)),
    )  # fmt: skip
