"""What is refused before anything else looks at a request: too many, too large, from another site."""

from __future__ import annotations

import re
import secrets
import time

import structlog
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import measures
from api.problems import Problem, answer
from api.settings import Settings

log = structlog.get_logger("advisor.api")
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "content-security-policy": PAGE_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class TooLarge(Exception):
    """The body went on beyond what is allowed."""


class Gate:
    """ASGI middleware: gives each request an id, bounds its body, sets headers, and writes one line of log."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        given = request.headers.get("x-request-id", "")
        request.state.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        started, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                there = {name for name, _ in message["headers"]}
                extra = {**HEADERS, "x-request-id": request.state.request_id}
                message["headers"] = [
                    *message["headers"],
                    *((k.encode(), v.encode()) for k, v in extra.items() if k.encode() not in there),
                ]
            await send(message)

        refusal = self._refusal(request)
        try:
            if refusal:
                await answer(*refusal, request)(scope, receive, sending)
            else:
                await self._bounded(scope, receive, sending, request)
        finally:
            self._log(request, status, time.perf_counter() - started)

    async def _bounded(self, scope: Scope, receive: Receive, send: Send, request: Request) -> None:
        """Let the app read no more than the settings allow, whatever the request says about its length."""
        left, begun = self.settings.most_upload_bytes, False

        async def receiving() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise TooLarge
            return message

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receiving, sending)
        except TooLarge:
            if not begun:
                await answer(413, self._too_large(), request, {"connection": "close"})(scope, receive, send)

    def _refusal(self, request: Request) -> tuple[int, str] | None:
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self.settings.most_upload_bytes:
            return 413, self._too_large()
        if request.method not in ("GET", "HEAD", "OPTIONS") and _is_cross_site(request):
            return 403, "This request comes from another site's page."
        return None

    def _too_large(self) -> str:
        return f"A request may hold at most {self.settings.most_upload_bytes} bytes, files included."

    def _log(self, request: Request, status: int, seconds: float) -> None:
        route = request.scope.get("route")
        path = getattr(route, "path", "unknown")  # the pattern, not the path: what clients write stays out of the log
        measures.requests.labels(request.method if route else "other", path, str(status)).observe(seconds)
        log.info(
            "request", request_id=request.state.request_id, method=request.method, route=path, status=status,
            ms=round(seconds * 1000, 1), actor=getattr(request.state, "actor", None),
        )  # fmt: skip


def _is_cross_site(request: Request) -> bool:
    """Whether a browser says that another site's page makes it send this."""
    origin = request.headers.get("origin")
    if origin is not None:
        return origin.split("://")[-1] != request.headers.get("host")
    return request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


class RateLimit:
    """Requests a minute of one key or address, in this process."""

    def __init__(self, per_minute: int) -> None:
        self._item = RateLimitItemPerMinute(per_minute)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def hit(self, who: str) -> None:
        """Count a request. Raises Problem 429."""
        if not self._limiter.hit(self._item, who):
            again = max(1, round(self._limiter.get_window_stats(self._item, who).reset_time - time.time()))
            raise Problem(429, f"Too many requests: try again in {again} seconds.", {"retry-after": str(again)})
