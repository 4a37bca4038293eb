"""Comparisons: asked for, watched, read, decided again, used, removed."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from advisor.report.html import CONTENT_SECURITY_POLICY
from advisor.report.schema import Report
from advisor.runs import REPORT, SOLUTION
from api import asking, schemas
from api.access import Known, Served, Services
from api.archives import zipped
from api.job import RUN, folder_of
from api.keys import Caller
from api.problems import Problem, documented
from api.store import ID
from api.submitting import submit
from api.tables import ENDED, Action, Comparison, State
from eval.errors import RequestError

EVENT_POLL_SECONDS = 0.3
KEY_POLL_SECONDS = 5.0
"""So long a stream of events outlives the key that opened it."""
MOST_STREAMS = 100
"""Of events, that one caller may have open: each looks into the database several times a second."""
WAIT_POLL_SECONDS = 0.2
LONGEST_WAIT = 3600.0
PREDICT_SECONDS = DECISION_SECONDS = 120.0
MOST_LETTERS, MOST_IN_ALL = 100_000, 1_000_000
"""Of an input, and of all in one call."""
READS = (400, 401, 404, 422, 429, 503)
CHANGES = (*READS, 403, 413)
_KEY = re.compile(r"[\x21-\x7e]{1,200}")

router = APIRouter(prefix="/v1/comparisons", tags=["comparisons"])

EXAMPLE = {"task": "Route each ticket to the team that handles it.", "volume": 20000, "min_quality": 0.8}
ROWS = [
    {"input": "My card was swallowed.", "output": "cards"},
    {"input": "Am I insured abroad?", "output": "insurance"},
]
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/ComparisonBody"},
                "example": {**EXAMPLE, "examples": ROWS, "time_budget": 600},
            },
            "multipart/form-data": {
                "schema": {"$ref": "#/components/schemas/ComparisonForm"},
                "example": {**EXAMPLE, "examples": "@tickets.csv", "documents": ["@handbook.zip"]},
            },
        },
    }
}


def _body(form: type[BaseModel]) -> dict[str, Any]:
    """Of a route that reads such a JSON body by `asking.json_body`, for the OpenAPI document."""
    schema = {"$ref": f"#/components/schemas/{form.__name__}"}
    return {"requestBody": {"required": True, "content": {asking.JSON: {"schema": schema}}}}


@router.post(
    "",
    status_code=202,
    response_model=schemas.ComparisonView,
    responses={
        **documented(409, 415, 507, *CHANGES),
        200: {"model": Report, "description": "With `wait`, where it ended in time: the finished report."},
    },
    openapi_extra=BODY,
)
async def create(
    request: Request,
    caller: Known,
    served: Served,
    wait: Annotated[
        float, Query(ge=0, le=LONGEST_WAIT, description="Seconds to wait for the report in this very call.")
    ] = 0,
    idempotency_key: Annotated[
        str | None, Header(description="Ask again with the same, and nothing is done twice.")
    ] = None,
) -> Response:
    """Ask for a comparison. 202 with its address, or with `wait` and in time 200 with the report.

    With `wait`, one that has failed or was cancelled is 409 and the reason.
    """
    if idempotency_key is not None and not _KEY.fullmatch(idempotency_key):
        raise Problem(422, "Idempotency-Key: 1 to 200 visible ASCII characters.")
    async with asking.body_of(request, served.settings) as body:
        row = await run_in_threadpool(submit, body, caller, served, request.state.request_id, idempotency_key)
    if wait:
        row = await _ended(served, row, wait, request)
    return _report_or_view(served, row) if wait else _view(row, 202)


async def _ended(served: Services, row: Comparison, seconds: float, request: Request) -> Comparison:
    """The comparison once it has ended, or as it is when the time is up or nobody waits any more."""
    end = time.monotonic() + seconds
    while row.state not in ENDED and time.monotonic() < end and not await request.is_disconnected():
        await asyncio.sleep(WAIT_POLL_SECONDS)
        row = await run_in_threadpool(served.store.find, row.project_id, row.id)
    return row


def _report_or_view(served: Services, row: Comparison) -> Response:
    """The report, or the view of what goes on. Raises Problem 409 where there will be no report."""
    if row.state in (State.FAILED, State.CANCELLED):
        how = f"failed: {row.reason}" if row.state == State.FAILED else "was cancelled."
        raise Problem(409, f"This comparison {how}", {"location": schemas.ComparisonView.of(row).links["self"]})
    if row.state == State.SUCCEEDED:
        return FileResponse(_run_file(served, row, REPORT), media_type="application/json")
    return _view(row, 202)


def _view(row: Comparison, status: int = 200) -> JSONResponse:
    view = schemas.ComparisonView.of(row)
    return JSONResponse(view.model_dump(mode="json"), status, {"location": view.links["self"]})


@router.get("", responses=documented(*READS))
def listing(
    caller: Known,
    served: Served,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=200, description="The `next` of the page before.")] = None,
    state: State | None = None,
) -> schemas.Page:
    """The project's comparisons, the newest first."""
    rows = served.store.page(caller.project_id, limit + 1, state, _decoded(cursor) if cursor else None)
    more = _encoded(rows[limit - 1]) if len(rows) > limit else None
    return schemas.Page(comparisons=[schemas.ComparisonView.of(row) for row in rows[:limit]], next=more)


def _encoded(row: Comparison) -> str:
    return base64.urlsafe_b64encode(json.dumps([row.created_at, row.id]).encode()).decode()


def _decoded(cursor: str) -> tuple[float, str]:
    try:
        at, id = json.loads(base64.urlsafe_b64decode(cursor))
        if not ID.fullmatch(id):
            raise ValueError
        return float(at), id
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise Problem(422, "cursor: give the `next` of another page, unchanged.") from error


@router.get("/{id}", responses=documented(*READS))
def read(id: str, caller: Known, served: Served) -> schemas.ComparisonView:
    """A comparison: its state, how far it is, what is done, what was recommended."""
    return schemas.ComparisonView.of(served.store.find(caller.project_id, id))


@router.get(
    "/{id}/events",
    response_class=EventSourceResponse,
    responses={
        **documented(*READS),
        200: {"description": "Server-sent events.", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
    },
)
async def events(
    id: str,
    caller: Known,
    served: Served,
    last_event_id: Annotated[str | None, Header(description="Go on after the event of that number.")] = None,
    after: Annotated[int, Query(ge=0, lt=2**53, description="The same for a first request, which has no header.")] = 0,
) -> EventSourceResponse:
    """What happens, as it happens: `state`, `said`, `planned`, `phase`, `strategy`. Ends with the comparison."""
    after = max(after, _number(last_event_id))
    await run_in_threadpool(served.store.find, caller.project_id, id)
    if served.streams[caller.actor] >= MOST_STREAMS:
        raise Problem(429, f"At most {MOST_STREAMS} streams of events may be open: end one.")
    return EventSourceResponse(_stream(served, caller, id, after))


def _number(text: str | None) -> int:
    if text is None or text == "":
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise Problem(422, "Last-Event-ID: the number of an event.")
    return int(text)


async def _stream(served: Services, caller: Caller, id: str, after: int) -> AsyncIterator[ServerSentEvent]:
    served.streams[caller.actor] += 1
    try:
        async for event in _events(served, caller, id, after):
            yield event
    finally:
        served.streams[caller.actor] -= 1


async def _events(served: Services, caller: Caller, id: str, after: int) -> AsyncIterator[ServerSentEvent]:
    checked = time.monotonic()
    while True:
        if served.local_project is None and time.monotonic() > checked + KEY_POLL_SECONDS:
            checked = time.monotonic()
            if await run_in_threadpool(served.keys.is_revoked, caller.actor):
                return
        try:
            found, more = await run_in_threadpool(served.store.events, caller.project_id, id, after)
        except Problem:  # deleted meanwhile
            return
        for event in found:
            after = event.number
            data = json.dumps({"at": schemas.moment(event.at).isoformat(), **event.data})
            yield ServerSentEvent(data, event=event.kind, id=str(event.number))
        if not more:
            return
        await asyncio.sleep(EVENT_POLL_SECONDS)


@router.get(
    "/{id}/report.json", responses={**documented(409, *READS), 200: {"model": Report}}, response_class=FileResponse
)
def report_json(id: str, caller: Known, served: Served) -> FileResponse:
    """The report as data."""
    return FileResponse(_run_file(served, _own(served, caller, id), REPORT), media_type="application/json")


@router.get(
    "/{id}/report.html",
    responses={**documented(409, *READS), 200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
    response_class=FileResponse,
)
def report_html(id: str, caller: Known, served: Served) -> FileResponse:
    """The report to read: one page that loads nothing, and runs nothing but its own script, apart from this site."""
    file = _run_file(served, _own(served, caller, id), "report.html")
    policy = f"{CONTENT_SECURITY_POLICY}; sandbox allow-scripts; frame-ancestors 'none'; base-uri 'none'"
    return FileResponse(file, media_type="text/html", headers={"content-security-policy": policy})


@router.get(
    "/{id}/report.md",
    responses={**documented(409, *READS), 200: {"content": {"text/markdown": {"schema": {"type": "string"}}}}},
    response_class=FileResponse,
)
def report_md(id: str, caller: Known, served: Served) -> FileResponse:
    """The report as text."""
    return FileResponse(_run_file(served, _own(served, caller, id), "report.md"), media_type="text/markdown")


@router.get(
    "/{id}/solution.zip",
    responses={**documented(409, 507, *READS), 200: {"content": {"application/zip": {}}}},
    response_class=FileResponse,
)
def solution(id: str, request: Request, caller: Known, served: Served) -> FileResponse:
    """The kept solution: unpacked, it works with `advisor predict` and `advisor evaluate`."""
    row = _own(served, caller, id)
    archive = zipped(_run_file(served, row, SOLUTION), _folder(served, row) / "solution.zip")
    served.keys.note(caller.actor, "solution.read", row.id, caller.project_id, request.state.request_id)
    return FileResponse(archive, media_type="application/zip", filename=f"solution-{row.id[:8]}.zip")


@router.post("/{id}/cancel", status_code=202, responses=documented(*CHANGES))
def cancel(id: str, request: Request, caller: Known, served: Served) -> schemas.ComparisonView:
    """End it within seconds. What has ended already stays as it is."""
    action = _action(served, caller, request, "comparison.cancel", id)
    row = served.store.cancel(caller.project_id, id, action)
    return schemas.ComparisonView.of(row)


@router.delete("/{id}", responses=documented(*CHANGES))
def delete(id: str, request: Request, caller: Known, served: Served) -> schemas.Deleted:
    """Remove every trace of it, whatever its state."""
    folder = _folder(served, _own(served, caller, id))
    shutil.rmtree(folder, ignore_errors=True)  # first: on a full disk a database cannot be changed before
    served.store.delete(caller.project_id, id, _action(served, caller, request, "comparison.delete", id))
    return schemas.Deleted(id=id)


@router.post(
    "/{id}/decision",
    response_model=Report,
    responses=documented(409, 415, 504, *CHANGES),
    openapi_extra=_body(schemas.Change),
)
def decision(
    id: str, change: Annotated[schemas.Change, asking.json_body(schemas.Change)], caller: Known, served: Served
) -> Response:
    """The report with the decision made again, for another volume, other prices or limits. Nothing is kept of it."""
    run = _run_file(served, _own(served, caller, id), REPORT).parent
    prices = change.prices.prices("given with the request") if change.prices else None
    content = served.decider.call(
        str(run), change.model_dump(exclude={"prices"}, exclude_none=True), prices,
        whose=caller.project_id, seconds=DECISION_SECONDS,
    )  # fmt: skip
    return Response(content, media_type="application/json")


@router.post("/{id}/predict", responses=documented(409, 415, 504, *CHANGES), openapi_extra=_body(schemas.Inputs))
def predict(
    id: str, asked: Annotated[schemas.Inputs, asking.json_body(schemas.Inputs)], caller: Known, served: Served
) -> schemas.Answers:
    """Answers of the kept solution."""
    return schemas.Answers(answers=answers(served, caller, id, asked.inputs))


def answers(served: Services, caller: Caller, id: str, inputs: list[str]) -> list[schemas.Answer]:
    """Answers of a comparison's kept solution, made in the helper's process."""
    most = served.settings.most_inputs
    if len(inputs) > most or sum(map(len, inputs)) > MOST_IN_ALL or max(map(len, inputs)) > MOST_LETTERS:
        each = f"of at most {MOST_LETTERS} characters each and {MOST_IN_ALL} together"
        raise Problem(413, f"inputs: at most {most} texts, {each}.")
    run = _run_file(served, _own(served, caller, id), SOLUTION).parent
    try:
        found = served.predictor.call(
            str(run), inputs, served.settings.places, served.settings.device,
            whose=caller.project_id, seconds=PREDICT_SECONDS,
        )  # fmt: skip
    except RequestError as error:  # the texts are not at fault, but the solution, or a model that it works with
        raise Problem(409, served.settings.named(str(error).replace(f"{run}/", ""))) from error
    return [schemas.Answer.model_validate(answer) for answer in found]


def _own(served: Services, caller: Caller, id: str) -> Comparison:
    return served.store.find(caller.project_id, id)


def _run_file(served: Services, row: Comparison, name: str) -> Path:
    """A file or folder of a comparison that succeeded. Raises Problem 409 for the others."""
    if row.state != State.SUCCEEDED:
        raise Problem(409, f"This comparison has no report: it is {row.state}.")
    path = _folder(served, row) / RUN / name
    if not path.exists():
        raise Problem(409, "Nothing was recommended, so that no solution was kept." if name == SOLUTION else "Gone.")
    return path


def _folder(served: Services, row: Comparison) -> Path:
    return folder_of(served.settings, row.project_id, row.id)


def _action(served: Services, caller: Caller, request: Request, action: str, id: str) -> Action:
    return served.keys.action(caller.actor, action, id, caller.project_id, request.state.request_id)
