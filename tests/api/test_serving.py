"""A kept solution speaks OpenAI's chat completions: to its own client, one query or many at a time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import openai
import pytest
import uvicorn
from fastapi.testclient import TestClient

from api.gathering import Gatherer
from api.serving import MOST_BYTES, create_serving_app
from eval.contracts import Prediction, Usage
from eval.errors import InfrastructureError, RequestError
from eval.harness import INFRASTRUCTURE
from strategies.answers import AnswerFormat
from strategies.baselines import Constant
from strategies.models.hosted.model import Hosted, HostedModel
from strategies.pipeline import Pipeline
from strategies.prompts import PromptTemplate

LOCAL = "http://127.0.0.1"


class Shouting:
    """Answers in capitals, and remembers what came together."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.batches: list[list[str]] = []
        self.seconds = seconds

    def predict(self, inputs: Sequence[str]) -> list[Prediction]:
        self.batches.append(list(inputs))
        time.sleep(self.seconds)
        if "down" in inputs:
            raise InfrastructureError("the model's server is down")
        if "expired" in inputs:
            raise RequestError("the server does not accept the key in OPENAI_API_KEY.")
        return [_shouted(text) for text in inputs]

    def save(self, folder: Path) -> None: ...


def _shouted(text: str) -> Prediction:
    errors = {"too long": "the prompt overflows the context", "busy": f"{INFRASTRUCTURE}429"}
    return Prediction(text.upper(), Usage(7, 2, 3), 0.75, ("d1",), error=errors.get(text))


def client_of(solution: Any, key: str | None = None) -> Iterator[TestClient]:
    with TestClient(create_serving_app(solution, "lora", key), base_url=LOCAL) as client:
        yield client


@pytest.fixture
def client() -> Iterator[TestClient]:
    yield from client_of(Shouting())


@pytest.fixture
def guarded() -> Iterator[TestClient]:
    yield from client_of(Shouting(), "s3cret")


def ask(client: TestClient, text: Any = "hello", **more: Any) -> Any:
    body = {"model": "any", "messages": [{"role": "user", "content": text}], **more}
    return client.post("/v1/chat/completions", json=body)


def test_the_last_message_of_the_user_is_answered(client: TestClient) -> None:
    turns = [("system", "Be nice."), ("user", "first"), ("assistant", "FIRST"), ("user", "second")]
    messages = [{"role": role, "content": content} for role, content in turns]
    said = client.post("/v1/chat/completions", json={"model": "x", "messages": messages, "temperature": 1.3}).json()
    assert said["object"] == "chat.completion"
    assert said["model"] == "lora"
    assert said["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "SECOND"},
            "finish_reason": "stop",
            "logprobs": None,
        }
    ]
    assert said["usage"] == {
        "prompt_tokens": 7,
        "completion_tokens": 2,
        "total_tokens": 9,
        "prompt_tokens_details": {"cached_tokens": 3},
    }
    assert said["advisor"] == {"confidence": 0.75, "sources": ["d1"]}


def test_a_question_is_cleaned_as_what_is_read_from_files_is(client: TestClient) -> None:
    assert ask(client, " re\u0301clame\r\n").json()["choices"][0]["message"]["content"] == "RÉCLAME"


def test_answers_of_a_hosted_model_are_not_remembered(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be asked for months."""
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    model = HostedModel.connect("openai:big", Hosted())
    for client in client_of(Pipeline(model, PromptTemplate("Shout."), AnswerFormat())):
        for _ in range(2):
            assert ask(client, "a").json()["choices"][0]["message"]["content"] == "A"
    assert [body["messages"][-1]["content"] for body in server.asked] == ["a", "a"]


def test_earlier_messages_change_nothing_whatever_is_in_them(client: TestClient) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    earlier = [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "found"},
        {"role": "function", "name": "look", "content": None},
    ]
    last = {"role": "user", "content": "second", "name": "me"}
    answer = client.post("/v1/chat/completions", json={"messages": [*earlier, last]})
    assert answer.json()["choices"][0]["message"]["content"] == "SECOND"


@pytest.mark.parametrize(
    ("kind", "named"), [("image_url", "a picture"), ("input_audio", "sound"), ("file", "a file"), (["x"], "no text")]
)
def test_what_is_no_text_in_the_last_message_is_refused_by_name(client: TestClient, kind: Any, named: str) -> None:
    refused = ask(client, [{"type": "text", "text": "What is this?"}, {"type": kind}])
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "messages")
    assert named in refused.json()["error"]["message"]
    assert "reads text alone" in refused.json()["error"]["message"]


def test_one_model_is_known_and_others_are_refused_as_openai_does(client: TestClient, guarded: TestClient) -> None:
    assert client.get("/v1/models/lora").json() == client.get("/v1/models").json()["data"][0]
    for name in ("gpt-4", "org/model"):
        refused = client.get(f"/v1/models/{name}")
        error = refused.json()["error"]
        assert (refused.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
        assert "lora" in error["message"]
    assert guarded.get("/v1/models/lora").status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/v1/embeddings", 404), ("GET", "/v1/chat/completions", 405)]
)
def test_what_is_not_served_is_refused_in_openais_form(client: TestClient, method: str, path: str, status: int) -> None:
    refused = client.request(method, path)
    error = refused.json()["error"]
    assert (refused.status_code, error["type"]) == (status, "invalid_request_error")
    assert error["message"].startswith(f"{method} {path} is not served here: POST /v1/chat/completions")


def test_text_parts_are_one_text(client: TestClient) -> None:
    parts = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]
    assert ask(client, parts).json()["choices"][0]["message"]["content"] == "ONE TWO"


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"n": 2}, "n"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"stop": "\n"}, "stop"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": "  "}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": ["hello"]}, "messages"),
        ({"messages": [{"role": "user", "content": None}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages"),
        ({"messages": [{"role": "user", "content": []}]}, "messages"),
    ],
)
def test_what_cannot_be_done_is_refused_by_its_field(client: TestClient, more: dict[str, Any], field: str) -> None:
    refused = ask(client, **more)
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", field)
    assert error["message"]


def test_fields_that_are_null_or_ask_for_nothing_are_accepted(client: TestClient) -> None:
    assert ask(client, n=1, tools=None, stop=None, stream=None, tool_choice="none", max_tokens=5).status_code == 200
    assert ask(client, response_format={"type": "text"}, logprobs=False).status_code == 200
    assert ask(client, '{"A": 1}', response_format={"type": "json_object"}).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(client: TestClient, body: bytes) -> None:
    assert client.post("/v1/chat/completions", content=body).status_code == 400


def test_half_a_character_is_refused(client: TestClient) -> None:
    body = b'{"model": "any", "messages": [{"role": "user", "content": "a \\ud83d"}]}'
    refused = client.post("/v1/chat/completions", content=body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "messages")


def test_a_body_that_is_too_large_is_refused(client: TestClient) -> None:
    assert ask(client, "a" * (MOST_BYTES + 1)).status_code == 413


def test_what_cannot_be_answered_is_an_error_not_an_answer(client: TestClient) -> None:
    long, busy, down = ask(client, "too long"), ask(client, "busy"), ask(client, "down")
    assert (long.status_code, long.json()["error"]["code"]) == (400, "unanswerable")
    assert long.json()["error"]["message"] == "This cannot be answered: the prompt overflows the context."
    assert (busy.status_code, busy.json()["error"]["message"]) == (503, "429")
    assert (down.status_code, down.json()["error"]["type"]) == (503, "server_error")
    expired = ask(client, "expired")
    assert (expired.status_code, expired.json()["error"]["code"]) == (503, "unavailable")
    assert "does not accept the key" in expired.json()["error"]["message"]


def test_a_stream_has_the_answer_and_ends(client: TestClient) -> None:
    events = ask(client, stream=True, stream_options={"include_usage": True}).text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    text = "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])
    assert text == "HELLO"
    assert chunks[-1]["usage"]["total_tokens"] == 9
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_an_error_in_a_stream_has_its_status(client: TestClient) -> None:
    assert ask(client, "too long", stream=True).status_code == 400


def test_a_key_is_needed_where_there_is_one(guarded: TestClient) -> None:
    wrong = ("Bearer wrong", "Bearer ключ".encode(), "s3cret")
    for shown in ({}, *({"authorization": one} for one in wrong)):
        refused = guarded.get("/v1/models", headers=shown)  # type: ignore[arg-type]
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
        assert guarded.post("/v1/chat/completions", headers=shown).status_code == 401  # type: ignore[arg-type]
    listed = guarded.get("/v1/models", headers={"authorization": "bearer s3cret", "host": "advisor.example"})
    assert [model["id"] for model in listed.json()["data"]] == ["lora"]


def test_without_a_key_other_sites_and_names_are_refused(client: TestClient) -> None:
    assert client.get("/v1/models", headers={"host": "rebound.example"}).status_code == 403
    assert client.get("/v1/models", headers={"origin": "https://elsewhere.example"}).status_code == 403
    assert client.get("/v1/models", headers={"host": "localhost:8001"}).status_code == 200
    assert client.get("/health", headers={"host": "probe.example"}).json() == {"status": "ok"}


# ---- together --------------------------------------------------------------------------------------------------------


def gathered(solution: Any, texts: Sequence[str], most: int = 32) -> list[Any]:
    async def all_at_once() -> list[Any]:
        gatherer = Gatherer(solution, most)
        working = asyncio.create_task(gatherer.work())
        found = await asyncio.gather(*(gatherer.ask(text) for text in texts), return_exceptions=True)
        working.cancel()
        gatherer.close()
        return found

    return asyncio.run(all_at_once())


def test_queries_that_arrive_together_share_a_call_and_get_their_own_answers() -> None:
    solution = Shouting()
    texts = [f"text {i}" for i in range(10)]
    assert [p.text for p in gathered(solution, texts, most=8)] == [text.upper() for text in texts]
    assert [len(batch) for batch in solution.batches] == [8, 2]


def test_a_query_that_fails_fails_alone() -> None:
    first, down, last = gathered(Shouting(), ["a", "down", "b"])
    assert (first.text, last.text) == ("A", "B")
    assert isinstance(down, InfrastructureError)


def test_who_comes_when_too_many_wait_is_told_at_once() -> None:
    async def crowded() -> list[Any]:
        gatherer = Gatherer(Shouting(), most_waiting=2)
        asked = [asyncio.create_task(gatherer.ask(text)) for text in "abc"]
        await asyncio.sleep(0)
        working = asyncio.create_task(gatherer.work())
        found = await asyncio.gather(*asked, return_exceptions=True)
        working.cancel()
        gatherer.close()
        return found

    first, second, third = asyncio.run(crowded())
    assert (first.text, second.text) == ("A", "B")
    assert isinstance(third, InfrastructureError)
    assert "2 queries wait already" in str(third)


def test_who_has_gone_is_not_answered() -> None:
    solution = Shouting(seconds=0.05)

    async def leaving() -> str:
        gatherer = Gatherer(solution)
        working = asyncio.create_task(gatherer.work())
        busy = asyncio.create_task(gatherer.ask("first"))
        await asyncio.sleep(0.02)
        gone = asyncio.create_task(gatherer.ask("second"))
        await asyncio.sleep(0)
        gone.cancel()
        await busy
        text = (await gatherer.ask("third")).text
        working.cancel()
        gatherer.close()
        return text

    assert asyncio.run(leaving()) == "THIRD"
    assert solution.batches == [["first"], ["third"]]


# ---- a real server ---------------------------------------------------------------------------------------------------


@pytest.fixture
def address() -> Iterator[str]:
    app = create_serving_app(Shouting(), "lora")
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"{LOCAL}:{port}/v1"
    server.should_exit = True
    thread.join()


def test_the_openai_client_gets_answers_streams_and_errors(address: str) -> None:
    with openai.OpenAI(base_url=address, api_key="none", max_retries=0) as client:
        messages: Any = [{"role": "user", "content": "hello"}]
        assert [model.id for model in client.models.list()] == ["lora"]
        whole = client.chat.completions.create(model="lora", messages=messages)
        assert whole.choices[0].message.content == "HELLO"
        assert whole.usage is not None
        assert whole.usage.total_tokens == 9
        stream = client.chat.completions.create(model="lora", messages=messages, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "HELLO"
        with pytest.raises(openai.BadRequestError, match="n: "):
            client.chat.completions.create(model="lora", messages=messages, n=3)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    Constant("always this").save(tmp_path / "solution")
    return tmp_path / "solution"


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "api", "serve", *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})


def test_the_command_serves_a_kept_solution_until_it_is_stopped(kept: Path) -> None:
    process = start(str(kept), "--port", "0")
    assert process.stderr is not None
    try:
        said = process.stderr.readline()
        address = next(word for word in said.split() if word.startswith("http://"))
        with openai.OpenAI(base_url=address, api_key="none") as client:
            answer = client.chat.completions.create(model="x", messages=[{"role": "user", "content": "hello"}])
        assert answer.choices[0].message.content == "always this"
    finally:
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=20)[1]
    assert process.returncode in (0, 130)
    assert "Traceback" not in rest


def test_what_cannot_be_served_is_refused_in_a_sentence(kept: Path, tmp_path: Path) -> None:
    with_port = start(str(kept), "--host", "0.0.0.0")
    empty = start(str(tmp_path / "nothing"), "--port", "0")
    for process, words in ((with_port, "set ADVISOR_SERVE_KEY"), (empty, "holds neither a run")):
        said = process.communicate(timeout=60)[1]
        assert process.returncode == 2
        assert words in said
        assert len(said.strip().splitlines()) == 1
