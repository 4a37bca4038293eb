"""Who may do what: keys, projects, other sites, other machines, too much."""

from __future__ import annotations

import asyncio
import html
import json
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from starlette.requests import ClientDisconnect

from api import measures
from api.keys import KeyRing
from api.limits import Gate
from api.routes import comparisons

Client = Callable[..., TestClient]
BODY = {"task": "Route.", "examples": [{"input": f"case {i}", "output": "ab"[i % 2]} for i in range(24)]}
GUARDED = (
    ("GET", "/v1/comparisons"),
    ("POST", "/v1/comparisons"),
    ("GET", "/v1/comparisons/x"),
    ("GET", "/v1/comparisons/x/events"),
    ("GET", "/v1/comparisons/x/report.json"),
    ("GET", "/v1/comparisons/x/report.html"),
    ("GET", "/v1/comparisons/x/report.md"),
    ("GET", "/v1/comparisons/x/solution.zip"),
    ("POST", "/v1/comparisons/x/cancel"),
    ("POST", "/v1/comparisons/x/decision"),
    ("POST", "/v1/comparisons/x/predict"),
    ("DELETE", "/v1/comparisons/x"),
    ("POST", "/v1/audits"),
    ("GET", "/v1/models"),
    ("GET", "/metrics"),
    ("GET", "/"),
    ("GET", "/new"),
    ("POST", "/new"),
    ("POST", "/new/look"),
    ("GET", "/comparisons/x"),
    ("GET", "/comparisons/x/state"),
    ("POST", "/comparisons/x/cancel"),
    ("POST", "/comparisons/x/delete"),
    ("POST", "/comparisons/x/try"),
)
OPEN = {"/health/live", "/health/ready", "/login", "/logout", "/openapi.json"}


def ring_of(client: TestClient) -> KeyRing:
    found: KeyRing = client.app.state.services.keys  # type: ignore[attr-defined]
    return found


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.fixture
def guarded(client_for: Client) -> TestClient:
    return client_for(require_keys=True)


def routes_of(app: Any) -> set[tuple[str, str]]:
    found = set()
    for route in app.routes:
        for method in getattr(route, "methods", None) or ():
            if method not in ("HEAD", "OPTIONS"):
                found.add((method, route.path.replace("{id}", "x")))
    return found


def test_every_route_is_guarded_or_meant_to_be_open(guarded: TestClient) -> None:
    documented = {
        (method.upper(), path.replace("{id}", "x"))
        for path, methods in guarded.get("/openapi.json").json()["paths"].items()
        for method in methods
    }
    assert {path for _, path in documented} - {path for _, path in GUARDED} <= OPEN
    assert {path for _, path in routes_of(guarded.app)} - {path for _, path in GUARDED} <= OPEN


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_without_a_key_nothing_is_done(method: str, path: str, guarded: TestClient) -> None:
    for headers in ({}, bearer("adv_" + "0" * 12 + "_" + "x" * 43), {"authorization": "Basic eDp5"}):
        answer = guarded.request(method, path, headers=headers, json={"inputs": ["x"]})
        assert answer.status_code == 401, answer.text
        assert answer.headers["www-authenticate"] == "Bearer"
    answer = guarded.request(method, path, headers={"cookie": "advisor_visit=forged"})
    assert answer.status_code == 401


@pytest.mark.parametrize(("method", "path"), [route for route in GUARDED if "/x" in route[1]])
def test_another_projects_comparison_does_not_exist(method: str, path: str, guarded: TestClient) -> None:
    mine, theirs = (bearer(ring_of(guarded).create(name, "k")) for name in ("one", "two"))
    id = guarded.post("/v1/comparisons", json=BODY, headers=mine).json()["id"]
    body: dict[str, Any] = {"data": {"text": "x"}} if path.endswith("/try") else {"json": {"inputs": ["x"]}}
    if path.endswith("/decision"):
        body = {"json": {}}
    answer = guarded.request(method, path.replace("/x", f"/{id}", 1), headers=theirs, **body)
    assert answer.status_code == 404, answer.text
    assert guarded.get(f"/v1/comparisons/{id}", headers=mine).json()["state"] == "queued"
    assert guarded.get("/v1/comparisons", headers=theirs).json()["comparisons"] == []


def test_a_revoked_key_is_refused_at_once(guarded: TestClient) -> None:
    key = ring_of(guarded).create("one", "k")
    assert guarded.get("/v1/models", headers=bearer(key)).status_code == 200
    ring_of(guarded).revoke(key.split("_")[1])
    assert guarded.get("/v1/models", headers=bearer(key)).status_code == 401


def test_a_stream_of_events_ends_with_the_key_that_opened_it(
    guarded: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparisons, "KEY_POLL_SECONDS", 0.1)
    key = ring_of(guarded).create("one", "k")
    id = guarded.post("/v1/comparisons", json=BODY, headers=bearer(key)).json()["id"]
    threading.Timer(1.0, ring_of(guarded).revoke, [key.split("_")[1]]).start()
    assert "queued" in guarded.get(f"/v1/comparisons/{id}/events", headers=bearer(key)).text


def test_a_browser_signs_in_with_a_key_and_out_again(guarded: TestClient) -> None:
    page = {"accept": "text/html"}
    assert guarded.get("/", headers=page, follow_redirects=False).headers["location"] == "/login"
    assert guarded.post("/login", data={"key": "wrong"}).status_code == 401
    key = ring_of(guarded).create("one", "k")
    entered = guarded.post("/login", data={"key": key}, follow_redirects=False)
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower(), "a link from elsewhere opens"
    assert key not in cookie
    assert guarded.get("/", headers=page).status_code == 200
    guarded.post("/logout")
    assert guarded.get("/", headers=page, follow_redirects=False).status_code == 303


@pytest.mark.parametrize(
    ("asked", "landed"),
    [
        ("/comparisons/x?a=b", "/comparisons/x?a=b"),
        ("/new", "/new"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("https://evil.example", "/"),
    ],
)
def test_who_signs_in_goes_on_to_where_they_wanted_to_on_this_site(
    asked: str, landed: str, guarded: TestClient
) -> None:
    if landed != "/":
        sent = guarded.get(asked, headers={"accept": "text/html"}, follow_redirects=False).headers["location"]
        assert sent == f"/login?next={quote(asked)}"
    page = guarded.get("/login", params={"next": asked}).text
    assert f'name="next" value="{html.escape(asked)}"' in page
    form = {"key": ring_of(guarded).create("one", "k"), "next": asked}
    assert guarded.post("/login", data=form, follow_redirects=False).headers["location"] == landed


def test_an_answers_address_leads_back_to_its_comparison(client: TestClient) -> None:
    found = client.get("/comparisons/x/try", follow_redirects=False)
    assert (found.status_code, found.headers["location"]) == (303, "/comparisons/x")


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}],
)
def test_another_sites_page_can_change_nothing(headers: dict[str, str], client: TestClient) -> None:
    assert client.post("/v1/comparisons", json=BODY, headers=headers).status_code == 403
    assert client.get("/v1/comparisons").json()["comparisons"] == []
    assert client.post("/v1/comparisons", json=BODY, headers={"origin": "http://127.0.0.1"}).status_code == 202


def test_without_keys_only_names_of_this_machine_are_answered(client: TestClient) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "testserver", "", "192.168.0.1", "[::1", "::1:80"):
        answer = client.get("/v1/models", headers={"host": host})
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    for host in ("127.0.0.1:8000", "127.0.0.2", "LOCALHOST:8000", "[::1]:8000", "[::1]"):
        assert client.get("/v1/models", headers={"host": host}).status_code == 200, host


def test_too_many_requests_are_refused_for_a_while(client_for: Client) -> None:
    client = client_for(requests_per_minute=5, require_keys=True)
    key, other = (bearer(ring_of(client).create("one", name)) for name in "ab")
    assert [client.get("/v1/models", headers=key).status_code for _ in range(7)] == [200] * 5 + [429] * 2
    refused = client.get("/v1/models", headers=key)
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert client.get("/v1/models", headers=other).status_code == 200
    assert [client.get("/v1/models").status_code for _ in range(7)] == [401] * 5 + [429] * 2


def test_a_body_that_says_that_it_is_too_large_is_refused_unread(client_for: Client) -> None:
    client = client_for(most_upload_bytes=10_000)
    answer = client.post("/v1/comparisons", content=b"{" + b" " * 20_000, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


def test_an_endless_body_is_cut_off(client_for: Client) -> None:
    client = client_for(most_upload_bytes=100_000)
    for kind in ("application/json", "multipart/form-data; boundary=x"):
        endless = (b" " * 10_000 for _ in range(10_000))
        answer = client.post("/v1/comparisons", content=endless, headers={"content-type": kind})
        assert answer.status_code == 413, answer.text
    assert client.get("/health/live").status_code == 200


def test_json_is_bounded_more_tightly_than_files_and_before_any_key_is_asked_for(guarded: TestClient) -> None:
    content = b'{"inputs": ["' + b"x" * 9_000_000 + b'"]}'
    for path in ("/v1/comparisons", "/v1/comparisons/x/predict", "/login"):
        answer = guarded.post(path, content=content, headers={"content-type": "application/json"})
        assert answer.status_code == 413, path
    for path in ("/login", "/comparisons/x/try", "/v1/comparisons/x/predict"):
        form = guarded.post(path, files=[("x", ("x", b"x" * 9_000_000))])
        assert (form.status_code, "at most 8.4 MB" in form.json()["detail"]) == (413, True), path
    assert guarded.post("/new", files=[("x", ("x", b"x" * 9_000_000))]).status_code == 401
    for path, kind, status in (
        ("/login", "application/x-www-form-urlencoded", 413),
        ("/v1/comparisons/x/predict", "application/json", 401),  # unread
    ):
        endless = (b" " * 100_000 for _ in range(1000))
        answer = guarded.post(path, content=endless, headers={"content-type": kind})
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


@pytest.mark.parametrize("charset", ["punycode", "Undefined", '"idna"', "utf-16"])
def test_a_form_is_read_as_utf_8_alone(charset: str, guarded: TestClient) -> None:
    """Punycode is decoded in time that grows with the square of its length, and before any key is asked for."""
    content = b'--x\r\ncontent-disposition: form-data; name="key"\r\n\r\n' + b"a" * 300_000 + b"\r\n--x--\r\n"
    kind = "multipart/form-data; boundary=x; charset="
    started = time.perf_counter()
    answer = guarded.post("/login", content=content, headers={"content-type": kind + charset})
    assert answer.status_code == 415
    assert time.perf_counter() - started < 2
    for usual in ("utf-8", '"UTF-8"', "utf8"):
        assert guarded.post("/login", content=content, headers={"content-type": kind + usual}).status_code == 401


def test_who_shows_no_key_has_nothing_parsed(guarded: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []
    monkeypatch.setattr(json, "loads", lambda *_, **__: parsed.append(1))
    for path in ("/v1/comparisons", "/v1/audits", "/v1/comparisons/x/predict", "/v1/comparisons/x/decision"):
        answer = guarded.post(path, content=b"{}", headers={"content-type": "application/json"})
        assert (answer.status_code, parsed) == (401, []), path


def test_what_goes_wrong_unexpectedly_is_an_id_and_its_message_is_nowhere(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from api.logs import log_as_json
    from api.store import Store

    def broken(*_: Any, **__: Any) -> Any:
        raise ValueError("SECRET of a client")

    log_as_json()
    monkeypatch.setattr(Store, "find", broken)
    answer = client.get("/v1/comparisons/abc")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    said = capsys.readouterr()
    assert '"error": "ValueError"' in said.err
    assert "SECRET" not in answer.text + said.err + said.out


def test_libraries_log_in_the_same_form_without_what_they_put_into_it(capsys: pytest.CaptureFixture[str]) -> None:
    import logging

    from api.logs import log_as_json

    log_as_json()
    try:
        raise ValueError("SECRET one")
    except ValueError:
        logging.getLogger("some.library").exception("failed at %s", "SECRET two")
    (line,) = capsys.readouterr().err.splitlines()
    assert '"event": "failed at %s"' in line
    assert "SECRET" not in line


def test_invented_methods_are_one_in_the_figures(client: TestClient) -> None:
    for number in range(3):
        client.request(f"METH{number}", "/v1/models")
    assert "METH" not in client.get("/metrics").text


def test_every_answer_carries_the_headers_that_protect_it(client: TestClient) -> None:
    for path in ("/", "/new", "/v1/models", "/v1/comparisons/x", "/nowhere", "/static/pages.css"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-request-id"]


def test_a_request_id_that_could_forge_a_log_line_is_replaced(client: TestClient) -> None:
    assert client.get("/health/live", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert (
        client.get("/health/live", headers={"x-request-id": 'x" level="error'}).headers["x-request-id"]
        != 'x" level="error'
    )


def test_the_log_holds_ids_and_no_texts_or_keys(client_for: Client, capsys: pytest.CaptureFixture[str]) -> None:
    from api.logs import log_as_json

    log_as_json()
    client = client_for(require_keys=True)
    key = ring_of(client).create("one", "k")
    client.post("/v1/comparisons", json={**BODY, "task": "SECRET TASK"}, headers=bearer(key))
    client.get("/v1/comparisons/SECRET%0A%7B%7D?q=SECRET", headers=bearer(key))
    client.get("/SECRET")
    log = capsys.readouterr().err
    assert log.count('"event": "request"') == 3
    assert key.split("_")[1] in log
    assert "SECRET" not in log
    assert key.split("_", 2)[2] not in log


def test_a_service_that_was_never_used_is_ready(client_for: Client, database_url: str) -> None:
    assert client_for(database_url=database_url).get("/health/ready").status_code == 200


def test_health_says_whether_workers_are_alive(client: TestClient) -> None:
    ready = client.get("/health/ready").json()
    assert ready.pop("free_bytes") > 0
    assert ready == {"status": "ok", "workers": 0}
    client.app.state.services.store.seen("w")  # type: ignore[attr-defined]
    assert client.get("/health/ready").json()["workers"] == 1
    assert 'advisor_comparisons{state="queued"} 0.0' in client.get("/metrics").text


def test_the_data_folder_is_its_owners_alone(client: TestClient) -> None:
    assert client.app.state.services.settings.data.stat().st_mode & 0o777 == 0o700  # type: ignore[attr-defined]


def test_warnings_are_logged_by_kind_and_place_alone(capsys: pytest.CaptureFixture[str]) -> None:
    import warnings

    from api.logs import log_as_json

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        log_as_json()
        warnings.warn("a client's cell", stacklevel=1)
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["kind"] == "UserWarning"
    assert __file__ in json.loads(line)["place"]
    assert "cell" not in line


def test_who_hangs_up_during_an_upload_is_no_error(client: TestClient) -> None:
    app = client.app.state.services  # type: ignore[attr-defined]

    async def gone(*_: Any) -> None:
        raise ClientDisconnect

    said: list[dict[str, Any]] = []

    async def sent(message: Any) -> None:
        said.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/v1/comparisons", "headers": [(b"host", b"127.0.0.1")],
        "query_string": b"", "state": {},
    }  # fmt: skip
    counted = measures.requests.labels("POST", "unknown", "499")
    before = counted._sum.get()
    asyncio.run(Gate(gone, app.settings)(scope, gone, sent))  # type: ignore[arg-type]
    assert not said
    assert counted._sum.get() > before
