"""A kept solution behind OpenAI's chat completions, so that what speaks to a model can speak to it.

The solution brings its own prompt, demonstrations, documents and way of decoding: of a conversation the last message of
the user is its input. Nothing of what is asked or answered is logged.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Literal

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException

from advisor import __version__
from advisor.faults import first_fault
from api.gathering import Gatherer
from api.limits import asks_this_machine, is_cross_site
from eval.contracts import Prediction, Solution
from eval.errors import InfrastructureError, RequestError
from eval.harness import infrastructure_failure
from eval.reading.text import SURROGATE, clean
from strategies.models.caches import uncached
from strategies.pipeline import Pipeline

MOST_BYTES = 1_048_576
"""Of a request."""
REFUSED = ("tools", "tool_choice", "functions", "function_call", "logprobs", "top_logprobs", "stop", "audio")
"""Fields that ask for another kind of answer, unless they ask for none of it. Other fields (temperature, max_tokens,
...) change nothing: a solution decodes as it was measured."""
OTHER_PARTS = {"image_url": "a picture", "input_audio": "sound", "file": "a file"}
"""What a message may hold besides text, by its type."""


class _StreamOptions(BaseModel):
    include_usage: bool = False


class _ChatRequest(BaseModel):
    """The part of a request that is looked at."""

    model_config = ConfigDict(extra="ignore")

    messages: list[dict[str, Any]] = Field(min_length=1)
    """Of which the last counts: whatever came before changes nothing."""
    stream: bool = False
    stream_options: _StreamOptions = _StreamOptions()
    n: Literal[1, None] = None
    response_format: dict[str, Any] = {}

    @property
    def input(self) -> str:
        """What the solution is asked. Raises Refusal."""
        last = self.messages[-1]
        if last.get("role") != "user":
            raise Refusal("The last message must be the user's.", "messages")
        text = _text(last.get("content"))
        if not text.strip():
            raise Refusal("The last message holds no text.", "messages")
        if SURROGATE.search(text):
            raise Refusal("The last message holds half a character (a lone surrogate).", "messages")
        return clean(text)


def _text(content: Any) -> str:
    """All text in a message. Raises Refusal where there is something else in it."""
    parts = content if isinstance(content, list) else [{"type": "text", "text": content or ""}]
    for part in parts:
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            kind = part.get("type") if isinstance(part, dict) else None
            what = OTHER_PARTS.get(str(kind), "what is no text")
            raise Refusal(f"The last message holds {what}: a kept solution reads text alone.", "messages")
    return "".join(part["text"] for part in parts)


class Refusal(Exception):
    """An answer in OpenAI's form of an error; `field` names what is wrong with the request."""

    def __init__(self, sentence: str, field: str | None = None, status: int = 400, code: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence, self.field, self.status, self.code = sentence, field, status, code


def create_serving_app(solution: Solution, name: str, key: str | None = None) -> FastAPI:
    """Serve a solution under a name; with a key, to those alone who show it as a bearer token."""
    gatherer = Gatherer(solution)
    own = {"id": name, "object": "model", "created": int(time.time()), "owned_by": "advisor"}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        working = asyncio.create_task(gatherer.work())
        with uncached(*[solution.model] if isinstance(solution, Pipeline) else ()):  # else what is asked would pile up
            yield
        working.cancel()
        gatherer.close()

    app = FastAPI(
        title=f"Advisor: {name}",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )

    @app.exception_handler(Refusal)
    def refused(_: Request, error: Refusal) -> Response:
        kind = "invalid_request_error" if error.status < 500 else "server_error"
        told = {"message": error.sentence, "type": kind, "param": error.field, "code": error.code}
        return JSONResponse({"error": told}, error.status, {"retry-after": "1"} if error.status == 503 else None)

    @app.exception_handler(HTTPException)
    def not_here(request: Request, error: HTTPException) -> Response:
        asked = f"{request.method} {request.url.path}"
        told = f"{asked} is not served here: POST /v1/chat/completions and GET /v1/models are."
        return refused(request, Refusal(told, status=error.status_code))

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/v1/models")
    def models(request: Request) -> dict[str, Any]:
        _check_caller(request, key)
        return {"object": "list", "data": [own]}

    @app.get("/v1/models/{asked:path}")
    def model(asked: str, request: Request) -> dict[str, Any]:
        _check_caller(request, key)
        if asked != name:
            told = f"There is no such model here: the one that is served is {name}."
            raise Refusal(told, "model", 404, "model_not_found")
        return own

    @app.post("/v1/chat/completions")
    async def complete(request: Request) -> Response:
        _check_caller(request, key)
        asked = await _read(request)
        answer = await _answered(gatherer, asked.input)
        if asked.response_format.get("type") not in (None, "text") and not _is_object(answer.text):
            raise Refusal("response_format: this solution's answer is no JSON object; leave it out.", "response_format")
        head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": name}
        if asked.stream:
            chunks = _chunks(head, answer, with_usage=asked.stream_options.include_usage)
            return StreamingResponse(chunks, media_type="text/event-stream", headers={"cache-control": "no-cache"})
        return JSONResponse(_completion(head, answer))

    return app


def _check_caller(request: Request, key: str | None) -> None:
    """Raise Refusal for who has no key, or, where none is needed, for what another site's page sends here."""
    if key is not None:
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secrets.compare_digest(shown.encode(), key.encode()):
            raise Refusal("Show the key as a bearer token.", status=401, code="invalid_api_key")
        return
    if not asks_this_machine(request) or is_cross_site(request):
        raise Refusal("Without a key this solution answers its own machine alone.", status=403)


async def _read(request: Request) -> _ChatRequest:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise Refusal(f"A request may hold at most {MOST_BYTES} bytes.", status=413)
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal("The request is not JSON.") from error
    if not isinstance(values, dict):
        raise Refusal("The request is not a JSON object.")
    for field in REFUSED:
        if values.get(field) not in (None, False, 0, [], "none"):
            raise Refusal(f"{field}: a kept solution answers in the one way it was measured in; leave it out.", field)
    try:
        return _ChatRequest.model_validate({name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        fault = first_fault(error)
        raise Refusal(f"{fault}.", str(fault.place[0])) from error


async def _answered(gatherer: Gatherer, text: str) -> Prediction:
    """The answer. Raises Refusal where there is none that could be used."""
    try:
        answer = await gatherer.ask(text)
    except (InfrastructureError, RequestError) as error:  # a hosted model's server may refuse its key, or the model
        raise Refusal(str(error), status=503, code="unavailable") from error
    if answer.error is not None:
        failure = infrastructure_failure(answer.error)
        if failure:
            raise Refusal(str(failure), status=503, code="unavailable")
        raise Refusal(f"This cannot be answered: {answer.error}.", "messages", code="unanswerable")
    return answer


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _completion(head: dict[str, Any], answer: Prediction) -> dict[str, Any]:
    message = {"role": "assistant", "content": answer.text}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return {**head, "object": "chat.completion", "choices": [choice], "usage": _usage(answer), "advisor": _more(answer)}


def _chunks(head: dict[str, Any], answer: Prediction, *, with_usage: bool) -> Iterator[str]:
    """The answer as server-sent events; it is there as a whole before the first is sent."""
    deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}, {"content": answer.text}, {}]
    for delta, reason in zip(deltas, (None, None, "stop"), strict=True):
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        more = {"advisor": _more(answer)} if reason else {}
        yield _event({**head, "object": "chat.completion.chunk", "choices": [choice], **more})
    if with_usage:
        yield _event({**head, "object": "chat.completion.chunk", "choices": [], "usage": _usage(answer)})
    yield "data: [DONE]\n\n"


def _event(values: dict[str, Any]) -> str:
    return f"data: {json.dumps(values)}\n\n"


def _usage(answer: Prediction) -> dict[str, Any]:
    read, written = answer.usage.input_tokens, answer.usage.output_tokens
    cached = {"cached_tokens": answer.usage.cached_tokens}
    total = {"total_tokens": read + written, "prompt_tokens_details": cached}
    return {"prompt_tokens": read, "completion_tokens": written, **total}


def _more(answer: Prediction) -> dict[str, Any]:
    """What OpenAI's form has no place for: the label's probability, and what the answer rests on."""
    confidence = {} if answer.confidence is None else {"confidence": round(answer.confidence, 6)}
    return {**confidence, **({"sources": list(answer.sources)} if answer.sources else {})}
