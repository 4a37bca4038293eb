"""The client that carries calls to a server. Imported where it is used: it brings the whole of `openai`."""

from __future__ import annotations

import json
import time
from contextlib import closing
from typing import Any

import openai

NEVER_SENT = ("ConnectError", "ConnectTimeout", "LocalProtocolError")
"""Causes of a failure before anything was sent, by name: which library calls go through hangs on openai's version."""
NO_STATUS = 500
"""Of an error in the body of a success that has no status of its own: it may pass."""


class Client(openai.DefaultHttpxClient):
    """Ends a call when its time is up though something comes all the while: servers send white space while a prompt
    waits. Goes to no other address than the one that was named. Gives an error its status where a server that had
    already begun to answer sends it in the body of a success (OpenRouter)."""

    def __init__(self) -> None:
        super().__init__(follow_redirects=False)

    def send(self, request: Any, **how: Any) -> Any:
        end = time.monotonic() + request.extensions["timeout"]["read"]
        parts = list[bytes]()
        with closing(super().send(request, **{**how, "stream": True})) as response:
            for part in response.iter_raw():
                if time.monotonic() > end:
                    raise openai.APITimeoutError(request=request)
                parts.append(part)
        whole = type(response)(response.status_code, headers=response.headers, content=b"".join(parts), request=request)
        if whole.is_success:
            whole.status_code = _status_inside(whole.content) or whole.status_code
        return whole


def _status_inside(body: bytes) -> int | None:
    """Of an error that stands in place of an answer."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    error = said.get("error") if isinstance(said, dict) and not said.get("choices") else None
    if not error:
        return None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code < 600 else NO_STATUS
