"""What routes depend on: the services of the app, and who is calling."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials
from starlette.concurrency import run_in_threadpool

from api.helper import Helper
from api.keys import Caller, KeyRing
from api.limits import RateLimit
from api.problems import Problem
from api.settings import Settings
from api.store import Store

COOKIE = "advisor_visit"
LOCAL = "local"
"""Name of the only project, and of the only caller, where there are no keys."""


@dataclass(frozen=True)
class Services:
    """All that the app holds."""

    settings: Settings
    store: Store
    keys: KeyRing
    rates: RateLimit
    auditor: Helper
    predictor: Helper
    decider: Helper
    local_project: str | None
    """Where no keys are asked for."""
    streams: Counter[str] = field(default_factory=Counter)
    """Of events that are open, by caller."""


async def services(request: Request) -> Services:
    """The app's services."""
    found: Services = request.app.state.services
    return found


Served = Annotated[Services, Depends(services)]
_bearer = HTTPBearer(auto_error=False, description="An API key, made with `advisor keys create`.")
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="A browser's visit, begun on the page /login.")


async def caller(
    request: Request,
    served: Served,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    visit: Annotated[str | None, Depends(_cookie)],
) -> Caller:
    """Who calls. Raises Problem 401 where that cannot be told, and 429 where they call too often."""
    address = request.client.host if request.client else "unknown"
    if served.local_project is not None:
        found: Caller | None = Caller(served.local_project, LOCAL)
    elif bearer is not None:
        found = await run_in_threadpool(served.keys.caller, bearer.credentials)
    else:
        found = await run_in_threadpool(served.keys.visitor, visit) if visit else None
    served.rates.hit(found.actor if found else address)
    if found is None:
        detail = "Show an API key: `Authorization: Bearer adv_...`; `advisor keys create PROJECT` makes one."
        raise Problem(401, detail, {"www-authenticate": "Bearer"})
    request.state.actor = found.actor
    return found


Known = Annotated[Caller, Depends(caller)]
