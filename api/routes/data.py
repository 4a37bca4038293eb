"""Audits of data, and the models that may be named."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from api import asking, schemas
from api.access import Known, Served
from api.problems import documented
from api.routes.comparisons import ROWS
from eval.errors import RequestError
from strategies.models.catalogue import is_fetched

AUDIT_SECONDS = 120.0

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
    responses=documented(400, 401, 403, 413, 415, 422, 429, 503, 504),
    openapi_extra=BODY,
)
async def audit(request: Request, caller: Known, served: Served) -> schemas.AuditView:
    """What is in the data, what spoils a comparison, and, if asked, how long one would take. Nothing is kept."""
    folder = Path(tempfile.mkdtemp(prefix="advisor-audit-"))
    try:
        async with asking.body_of(request, served.settings) as body:
            asked = asking.checked(schemas.AuditOptions, body.options)
            files = await asking.kept_files(body, folder, served.settings)
        files["task"] = asking.store_task(asked.task, folder)
        options = {
            **asked.model_dump(exclude={"task", "estimate"}, exclude_none=True),
            **{role: str(folder / stored.path) for role, stored in files.items()},
            "model": list(served.settings.models.values())[:1],
            "embedder": next(iter(served.settings.embedders.values())),
            "device": served.settings.device,
        }
        found = await run_in_threadpool(served.auditor.call, options, asked.estimate, seconds=AUDIT_SECONDS)
    except RequestError as error:
        raise RequestError(str(error).replace(f"{folder}/", "")) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return schemas.AuditView.model_validate(found)


@router.get("/models", responses=documented(401, 429))
def models(caller: Known, served: Served) -> schemas.Models:
    """The base models that may be named here."""
    settings = served.settings
    language_models = [_model(name, "language_model", where) for name, where in settings.models.items()]
    return schemas.Models(models=language_models + [_model(n, "embedder", w) for n, w in settings.embedders.items()])


def _model(name: str, role: schemas.Role, where: str) -> schemas.ModelView:
    return schemas.ModelView(name=name, role=role, available=Path(where).is_dir() or is_fetched(where))
