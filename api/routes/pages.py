"""The pages: server-rendered, with a little script where something moves. They do what people need of the API."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from advisor.report import wording
from advisor.report.html import templates_in
from advisor.request import Options
from api import asking, schemas
from api.access import COOKIE, Known, Served, Services
from api.keys import VISIT_SECONDS, Caller
from api.problems import Problem, in_fields
from api.routes import comparisons, data
from api.submitting import submit
from api.tables import ENDED, State
from eval.errors import AdvisorError
from strategies.registry import STRATEGIES

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent.parent / "pages" / "templates"
ON_A_PAGE = 50
_OUR_PATH = re.compile(r"/(?![/\\])[\x21-\x7e]*")
"""A path of this site's: with two slashes, or what browsers take for them, it would be another's address."""

router = APIRouter(include_in_schema=False)


@cache
def templates() -> Environment:
    """Those of the pages, with what they say things by."""
    found = templates_in(TEMPLATES)
    found.filters |= {"legible": wording.legible, "duration": wording.duration, "title": wording.strategy_title}
    found.filters["advised"] = advised
    found.globals |= {"words": wording}
    return found


def advised(advice: schemas.Advice) -> str:
    """A recommendation in a few words: the strategy where one is recommended, and else what is said instead."""
    if advice.strategy and advice.keeps_incumbent:
        return "Keep today's system"
    if not advice.strategy or advice.verdict == "insufficient_evidence":
        return wording.verdict_title(advice.verdict, advice.keeps_incumbent, advice.falls_short)
    return "None is good enough" if advice.falls_short else wording.strategy_title(advice.strategy)


def show(name: str, request: Request, status: int = 200, **values: Any) -> HTMLResponse:
    """A page, or a part of one."""
    served: Services = request.app.state.services
    common = {"signed_in": getattr(request.state, "actor", None) and served.local_project is None}
    page = templates().get_template(name).render(**common, **values)
    return HTMLResponse(page.encode("utf-8", "replace"), status)


@router.get("/")
def listing(request: Request, caller: Known, served: Served, cursor: str | None = None) -> Response:
    """The project's comparisons."""
    page = comparisons.listing(caller, served, limit=ON_A_PAGE, cursor=cursor)
    return show("list.html.j2", request, page=page, workers=served.store.workers())


@router.get("/new")
def new(request: Request, caller: Known, served: Served) -> Response:
    """The form."""
    settings = served.settings
    names = {name: wording.strategy_title(name) for name in STRATEGIES}
    return show("new.html.j2", request, settings=settings, strategies=names, defaults=Options())


@router.post("/new/look")
async def look(request: Request, caller: Known, served: Served) -> Response:
    """What was read of the chosen files, as a part of the page."""
    try:
        found = await data.audit(request, caller, served)
    except (Problem, AdvisorError) as error:
        return show("refusal.html.j2", request, sentence=in_fields(str(error)))
    return show("look.html.j2", request, found=found)


@router.post("/new")
async def create(request: Request, caller: Known, served: Served) -> Response:
    """Ask for a comparison, and go to its page."""
    async with asking.body_of(request, served.settings) as body:
        row = await run_in_threadpool(submit, body, caller, served, request.state.request_id)
    return RedirectResponse(f"/comparisons/{row.id}", 303)


@router.get("/comparisons/{id}")
def comparison(id: str, request: Request, caller: Known, served: Served) -> Response:
    """One comparison, live while it runs."""
    return show("comparison.html.j2", request, **_state(id, caller, served))


@router.get("/comparisons/{id}/state")
def state(id: str, request: Request, caller: Known, served: Served) -> Response:
    """The part of the page that changes."""
    return show("state.html.j2", request, **_state(id, caller, served))


def _state(id: str, caller: Caller, served: Services) -> dict[str, Any]:
    row = served.store.find(caller.project_id, id)
    events, _ = served.store.events(caller.project_id, id, kinds=("said", "planned"))
    said = [event.data["text"] for event in events if event.kind == "said"]
    plans: list[dict[str, float]] = [event.data["seconds"] for event in events if event.kind == "planned"]
    return {
        "view": schemas.ComparisonView.of(row),
        "events": row.events,
        "said": said,
        "planned": [name for name in (plans[-1] if plans else {}) if name not in row.strategies],
        "ended": row.state in ENDED,
        "has_solution": row.state == State.SUCCEEDED and bool(row.recommendation and row.recommendation["strategy"]),
        "workers": served.store.workers(),
    }


@router.post("/comparisons/{id}/cancel")
def cancel(id: str, request: Request, caller: Known, served: Served) -> Response:
    """End it."""
    comparisons.cancel(id, request, caller, served)
    return RedirectResponse(f"/comparisons/{id}", 303)


@router.post("/comparisons/{id}/delete")
def delete(id: str, request: Request, caller: Known, served: Served) -> Response:
    """Remove every trace of it."""
    comparisons.delete(id, request, caller, served)
    return RedirectResponse("/", 303)


@router.get("/comparisons/{id}/try")
def tried(id: str, caller: Known) -> Response:
    """Where a browser that shows an answer comes back to."""
    return RedirectResponse(f"/comparisons/{id}", 303)


@router.post("/comparisons/{id}/try")
def attempt(id: str, request: Request, caller: Known, served: Served, text: Annotated[str, Form()]) -> Response:
    """The kept solution's answer to a text."""
    (answer,) = comparisons.answers(served, caller, id, [text])
    return show("comparison.html.j2", request, tried=answer, **_state(id, caller, served))


@router.get("/login")
def login(request: Request, next: str = "/") -> Response:
    """Where a browser shows its key, to go on to where it wanted to."""
    return show("login.html.j2", request, refused=False, next=next)


@router.post("/login")
async def enter(
    request: Request, served: Served, key: Annotated[str, Form()], next: Annotated[str, Form()] = "/"
) -> Response:
    """Begin a visit, if the key is one."""
    served.rates.hit(f"login {request.client.host if request.client else ''}")
    caller = await run_in_threadpool(served.keys.caller, key.strip())
    if caller is None:
        return show("login.html.j2", request, 401, refused=True, next=next)
    token = await run_in_threadpool(served.keys.visit, caller.actor)
    await run_in_threadpool(
        served.keys.note, caller.actor, "visit.begin", caller.actor, caller.project_id, request.state.request_id
    )
    found = RedirectResponse(next if _OUR_PATH.fullmatch(next) else "/", 303)
    secure = request.url.scheme == "https"
    # lax, so that links from elsewhere open: what changes anything is no link, and refused from another site's page
    found.set_cookie(COOKIE, token, max_age=int(VISIT_SECONDS), httponly=True, samesite="lax", secure=secure)
    return found


@router.post("/logout")
def leave(request: Request, served: Served) -> Response:
    """End the visit."""
    if COOKIE in request.cookies:
        served.keys.leave(request.cookies[COOKIE])
    found = RedirectResponse("/login", 303)
    found.delete_cookie(COOKIE)
    return found
