"""The app: services, routes, limits, errors, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from advisor import __version__
from api import problems, schemas, work
from api.access import LOCAL, Services
from api.database import connect, upgrade
from api.helper import Helper
from api.keys import KeyRing
from api.limits import Gate, RateLimit
from api.routes import comparisons, data, health, pages
from api.settings import Settings, make_folder
from api.store import Store

STATIC = Path(__file__).parent / "pages" / "static"
TOO_MANY_ROWS = "this comparison has too many test rows to be decided again here"
FORMS = (
    schemas.ComparisonBody, schemas.ComparisonForm, schemas.AuditBody, schemas.AuditForm, schemas.Inputs,
    schemas.Change, problems.ProblemDetails,
)  # fmt: skip


def create_app(settings: Settings) -> FastAPI:
    """The service. Its database is brought up to date first."""
    make_folder(settings)
    upgrade(settings)
    engine = connect(settings)
    store = Store(engine)
    services = Services(
        settings=settings,
        store=store,
        keys=KeyRing(engine),
        rates=RateLimit(settings.requests_per_minute),
        auditor=Helper(work.audit, settings.most_memory_bytes),
        predictor=Helper(work.predict, settings.most_memory_bytes),
        decider=Helper(work.decide, settings.most_memory_bytes, TOO_MANY_ROWS),
        local_project=None if settings.require_keys else store.project(LOCAL),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        services.auditor.close()
        services.predictor.close()
        services.decider.close()
        engine.dispose()

    app = FastAPI(
        title="Advisor", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        description="Prompt, retrieval or fine-tuning? Answered by experiment, on your examples.",
    )  # fmt: skip
    app.state.services = services
    problems.install(app)
    for router in (comparisons.router, data.router, health.router, pages.router):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(Gate, settings=settings)
    _describe(app)
    return app


def _describe(app: FastAPI) -> None:
    """Add the bodies that routes read by themselves to the OpenAPI document."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            known = document.setdefault("components", {}).setdefault("schemas", {})
            for form in FORMS:
                own = form.model_json_schema(ref_template="#/components/schemas/{model}")
                known |= own.pop("$defs", {})
                known[form.__name__] = own
        return app.openapi_schema or {}

    app.openapi = described  # type: ignore[method-assign]
