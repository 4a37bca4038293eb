"""What is refused before anything else looks at a request: too many, too large, from another site."""

from __future__ import annotations

import ipaddress
import re
import secrets
import time
from urllib.parse import urlsplit

import structlog
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from python_multipart.multipart import parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from advisor.report.wording import size
from api import measures
from api.problems import Problem, told
from api.settings import MIB, Settings

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
MOST_PARSED_BYTES = 8 * MIB
"""Of a body that is parsed as a whole: JSON, or a form without files."""
CHARSETS = (b"utf-8", b"utf8")
"""Of a body. Forms would be read in any that Python knows, punycode among them, whose time grows with their square."""
TAKE_FILES = ("/v1/comparisons", "/v1/audits", "/new", "/new/look")
METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS")
UNEXPECTED = "Something went wrong here; the service's log has more under this request id."
HUNG_UP = 499
"""In the log and the figures, of a caller who left while a body was read; as nginx has it."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


def is_this_machine(host: str) -> bool:
    """Whether a host is the machine it is said on: `localhost`, or a loopback address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def asks_this_machine(request: Request) -> bool:
    """Whether a request calls the service by a name of its own machine.

    A service without keys answers no other: a page elsewhere whose name was pointed here has another one.
    """
    try:
        return is_this_machine(urlsplit("//" + request.headers.get("host", "")).hostname or "")
    except ValueError:
        return False


class TooLarge(HTTPException):
    """The body went on beyond what is allowed."""

    def __init__(self, most: int) -> None:
        super().__init__(413, f"A request of this kind may hold at most {size(most)}.", {"connection": "close"})


class Gate:
    """ASGI middleware: gives each request an id, bounds its body, sets headers, and writes one line of log.

    What goes wrong unexpectedly is answered here: further out it would be logged with its message, which may hold a
    client's text.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        given = request.headers.get("x-request-id", "")
        request.state.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        started, status = time.perf_counter(), 0

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

        try:
            most = self._most_bytes(request)
            refusal = self._refusal(request, most)
            if refusal:
                await told(*refusal, request)(scope, receive, sending)
            else:
                await self.app(scope, _bounded(receive, most), sending)
        except ClientDisconnect:  # nobody is there to be answered, and nothing has failed
            status = status or HUNG_UP
        except Exception as error:
            log.error("failed", request_id=request.state.request_id, exc_info=error)
            if not status:
                await told(500, UNEXPECTED, request)(scope, receive, sending)
        finally:
            self._log(request, status or 500, time.perf_counter() - started)

    def _most_bytes(self, request: Request) -> int:
        """Files come as forms, and to few routes; anything else is parsed as a whole, and is small."""
        form = request.headers.get("content-type", "").lower().startswith("multipart/")
        most = self.settings.most_upload_bytes
        return most if form and request.url.path.rstrip("/") in TAKE_FILES else min(MOST_PARSED_BYTES, most)

    def _refusal(self, request: Request, most: int) -> tuple[int, str] | None:
        if not self.settings.require_keys and not asks_this_machine(request):
            return 400, "Without keys this service answers to the names of its own machine alone."
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > most:
            return 413, str(TooLarge(most).detail)
        if request.method not in ("GET", "HEAD", "OPTIONS") and is_cross_site(request):
            return 403, "This request comes from another site's page."
        _, parameters = parse_options_header(request.headers.get("content-type"))
        if parameters.get(b"charset", CHARSETS[0]).lower() not in CHARSETS:
            return 415, "Send UTF-8."
        return None

    def _log(self, request: Request, status: int, seconds: float) -> None:
        route = request.scope.get("route")
        path = getattr(route, "path", "unknown")  # the pattern, not the path: what clients write stays out of the log
        method = request.method if request.method in METHODS else "other"
        measures.requests.labels(method, path, str(status)).observe(seconds)
        log.info(
            "request", request_id=request.state.request_id, method=method, route=path, status=status,
            ms=round(seconds * 1000, 1), actor=getattr(request.state, "actor", None),
        )  # fmt: skip


def _bounded(receive: Receive, most: int) -> Receive:
    """Let the app read no more than so many bytes, whatever the request says about its length."""
    left = most

    async def receiving() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise TooLarge(most)
        return message

    return receiving


def is_cross_site(request: Request) -> bool:
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
