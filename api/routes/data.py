"""Audits of data, and the models that may be named."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Event
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from advisor.report.schema import Role
from api import asking, schemas
from api.access import Known, Served, Services
from api.job import scratch_of
from api.keys import Caller
from api.problems import documented, in_fields
from api.routes.comparisons import ROWS
from eval.errors import RequestError
from strategies.models.catalogue import is_here

AUDIT_SECONDS = 120.0
GONE_POLL_SECONDS = 0.3

router = APIRouter(prefix="/v1", tags=["data"])

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/AuditBody"},
                "example": {"examples": ROWS, "estimate": False},
            },
            "multipart/form-data": {
                "schema": {"$ref": "#/components/schemas/AuditForm"},
                "example": {"examples": "@tickets.csv", "output_column": "team"},
            },
        },
    }
}


@router.post(
    "/audits",
    responses=documented(400, 401, 403, 413, 415, 422, 429, 503, 504, 507),
    openapi_extra=BODY,
)
async def audit(request: Request, caller: Known, served: Served) -> schemas.AuditView:
    """What is in the data, what spoils a comparison, and, if asked, how long one would take. Nothing is kept."""
    async with asking.body_of(request, served.settings) as body, _leaving(request) as gone:
        found = await run_in_threadpool(_audit, body, caller, served, gone)
    return schemas.AuditView.model_validate(found)


@asynccontextmanager
async def _leaving(request: Request) -> AsyncIterator[Event]:
    """An event that is set once the caller has gone: whoever chose another file does not wait for the first."""
    gone = Event()

    async def watch() -> None:
        while not await request.is_disconnected():
            await asyncio.sleep(GONE_POLL_SECONDS)
        gone.set()

    watching = asyncio.create_task(watch())
    try:
        yield gone
    finally:
        watching.cancel()


def _audit(body: asking.Body, caller: Caller, served: Services, gone: Event) -> Any:
    settings = served.settings
    asked = asking.checked(schemas.AuditOptions, asking.completed(body.options, settings))
    chosen = asked.model_dump(exclude={"task", "estimate"}, exclude_none=True)
    asking.allowed(chosen, settings)
    folder = scratch_of(settings) / uuid.uuid4().hex
    kept: list[dict[str, Any]] = []
    try:
        folder.mkdir(parents=True)
        files = asking.store_files(body, folder, settings)
        files["task"] = asking.store_task(asked.task, folder)
        kept += [stored.to_json() for stored in files.values()]
        options = {
            **chosen,
            **{role: str(folder / stored.path) for role, stored in files.items()},
            "device": settings.device,
            "max_spend": settings.max_spend,
        }
        found = served.auditor.call(
            options, settings.places, asked.estimate, settings.most_rows, settings.token_prices,
            whose=caller.project_id, seconds=AUDIT_SECONDS, gone=gone.is_set,
        )  # fmt: skip
        return {**found, "findings": [_told(finding, kept) for finding in found["findings"]]}
    except RequestError as error:
        raise RequestError(in_fields(str(error).replace(f"{folder}/", ""), kept)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _told(finding: dict[str, Any], files: list[dict[str, Any]]) -> dict[str, Any]:
    return {**finding, **{part: in_fields(finding[part], files) for part in ("message", "action")}}


@router.get("/models", responses=documented(400, 401, 429, 503))
def models(caller: Known, served: Served) -> schemas.Models:
    """The base models that may be named here."""
    settings = served.settings
    language_models = [_model(name, "language_model", where) for name, where in settings.models.items()]
    return schemas.Models(models=language_models + [_model(n, "embedder", w) for n, w in settings.embedders.items()])


def _model(name: str, role: Role, where: str) -> schemas.ModelView:
    return schemas.ModelView(name=name, role=role, available=is_here(where))
