"""Whether the service works, and what Prometheus reads."""

from __future__ import annotations

import os
import shutil

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy.exc import SQLAlchemyError

from api import measures, schemas
from api.access import Known, Served
from api.problems import Problem, documented

router = APIRouter(tags=["health"])


@router.get("/health/live", responses=documented(400))
async def live() -> schemas.Health:
    """The process answers, though all its threads wait for the database."""
    return schemas.Health()


@router.get("/health/ready", responses=documented(400, 503))
def ready(served: Served) -> schemas.Health:
    """The database answers and the data folder can be written; how much room it has is told."""
    try:
        workers = served.store.workers()
    except SQLAlchemyError as error:
        raise Problem(503, "The database does not answer.") from error
    if not os.access(served.settings.data, os.W_OK):
        raise Problem(503, "The data folder cannot be written.")
    free = shutil.disk_usage(served.settings.data).free  # told, but no reason to be kept from callers, who may delete
    return schemas.Health(workers=workers, free_bytes=free)


@router.get(
    "/metrics",
    response_class=Response,
    responses={**documented(400, 401, 429, 503), 200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(caller: Known, served: Served) -> Response:
    """Figures for Prometheus, over all projects; any valid key reads them."""
    content = measures.text(served.store.counts(), served.store.workers())
    return Response(content, media_type=CONTENT_TYPE_LATEST)
