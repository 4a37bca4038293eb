"""Errors as problem details (RFC 9457). What a user can cause is one sentence; what we cause is no more than an id."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from advisor.error_costs import TAGS
from advisor.faults import first_fault
from advisor.request import Options
from advisor.runs import is_full
from api.database import AWAY
from eval.errors import AdvisorError, InfrastructureError

log = structlog.get_logger("advisor.api")
MEDIA_TYPE = "application/problem+json"
FIELDS = {*Options.model_fields, "task", "examples", "documents", "test", "incumbent", "prices"}
"""Of a request. Other flags stay as they are: they are the operator's business, or the command line's alone."""
_FLAG = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]*)")


def in_fields(sentence: str, files: Iterable[Mapping[str, Any]] = ()) -> str:
    """A sentence of the command line's in the caller's words: fields for flags, and their files' names for ours."""

    def field(flag: re.Match[str]) -> str:
        name = flag[1].replace("-", "_")
        return name if name in FIELDS else flag[0]

    told = _FLAG.sub(field, sentence)
    names = {file["path"]: file["name"] for file in files if "." in file["path"]}  # a folder's is a word like others
    ours = "|".join(map(re.escape, names))
    return re.sub(rf"(?<![\w./-])(?:[\w./-]*/)?({ours})(?!\w)", lambda f: names[f[1]], told) if names else told


class ProblemDetails(BaseModel):
    """The body of every error."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    request_id: str | None = None


class Problem(Exception):
    """An answer other than the one that was asked for."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers


def answer(status: int, detail: str, request: Request | None = None, headers: Any = None) -> JSONResponse:
    """The response that tells a problem; half characters, which a sentence may quote of a file, are replaced."""
    request_id = getattr(request.state, "request_id", None) if request else None
    detail = detail.encode("utf-8", "replace").decode()
    body = ProblemDetails(title=HTTPStatus(status).phrase, status=status, detail=detail, request_id=request_id)
    return JSONResponse(body.model_dump(exclude_none=True), status, headers, MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Responses of a route for the OpenAPI document."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
        }
        for status in statuses
    }


def told(status: int, detail: str, request: Request, headers: Any = None) -> Response:
    """A problem as JSON, or as a page where a browser asks for one; who has not shown a key goes to do so."""
    path = request.url.path
    if path.startswith(("/v1/", "/health/", "/metrics")) or "text/html" not in request.headers.get("accept", ""):
        return answer(status, detail, request, headers)
    if status == 401:
        back = f"{path}?{request.url.query}" if request.url.query else path
        return RedirectResponse(
            f"/login?next={quote(back)}" if request.method == "GET" and back != "/" else "/login", 303
        )
    from api.routes.pages import show

    return show("problem.html.j2", request, status, title=HTTPStatus(status).phrase, sentence=detail)


def install(app: FastAPI) -> None:
    """Let every error of the app be answered so."""

    @app.exception_handler(Problem)
    def problem(request: Request, error: Problem) -> Response:
        return told(error.status, error.detail, request, error.headers)

    @app.exception_handler(AdvisorError)
    def refused(request: Request, error: AdvisorError) -> Response:
        named = request.app.state.services.settings.named(str(error))
        return told(503 if isinstance(error, InfrastructureError) else 422, in_fields(named), request)

    @app.exception_handler(OSError)
    def full(request: Request, error: OSError) -> Response:
        if not is_full(error):
            raise error
        return told(507, "The service's disk is full: delete comparisons, or ask whoever runs it for room.", request)

    def away(request: Request, error: SQLAlchemyError) -> Response:
        log.error("the database does not answer", request_id=request.state.request_id, exc_info=error)
        return told(503, "The database does not answer: try again soon.", request, {"retry-after": "5"})

    for kind in AWAY:
        app.exception_handler(kind)(away)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        fault = first_fault(error, TAGS)  # whose place begins with the part of the request
        return told(422, f"{replace(fault, place=fault.place[1:] or fault.place)}.", request)

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        return told(error.status_code, str(error.detail), request, error.headers)
