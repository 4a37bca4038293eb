"""What is asked over HTTP is what is kept, queued, told and removed."""

from __future__ import annotations

import errno
import html
import json
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError
from sqlalchemy.exc import OperationalError

from advisor.runs import REPORT, SOLUTION
from api import asking, schemas, work
from api.access import LOCAL
from api.job import RUN, folder_of
from api.problems import Problem
from api.routes.comparisons import DECISION_SECONDS, MOST_STREAMS
from api.routes.pages import templates
from api.schemas import Inputs
from api.store import Lease, Store
from api.tables import State
from eval.contracts import Example
from eval.errors import AdvisorError, InfrastructureError, ModelUnavailable, RequestError
from strategies.answers import AnswerFormat
from strategies.baselines import Echo
from strategies.linear_classifier import LinearClassifier
from strategies.models.fake import HashingEmbedder
from strategies.models.hosted.model import Hosted, HostedModel
from strategies.pipeline import Pipeline
from strategies.prompts import PromptTemplate
from strategies.text_features import EmbeddingFeatures

Client = Callable[..., TestClient]
BODY: dict[str, Any] = {
    "task": "Route the ticket.",
    "examples": [{"input": f"case {i}", "output": "ab"[i % 2]} for i in range(24)],
    "strategies": ["majority", "tfidf_linear"],
}
CSV = b"input,output\n" + b"".join(b"case %d,%c\n" % (i, b"ab"[i % 2]) for i in range(24))


def post(client: TestClient, body: dict[str, Any] | None = None, **options: Any) -> Any:
    return client.post("/v1/comparisons", json={**BODY, **(body or {})}, **options)


def store_of(client: TestClient) -> Store:
    found: Store = client.app.state.services.store  # type: ignore[attr-defined]
    return found


def folders(client: TestClient) -> list[Path]:
    return list(client.app.state.services.settings.data.glob("projects/*/*"))  # type: ignore[attr-defined]


def leased(client: TestClient) -> Lease:
    lease = store_of(client).lease(30, 3)
    assert lease is not None
    return lease


def test_a_comparison_is_queued_with_its_options_and_files(client: TestClient) -> None:
    answer = post(client, {"volume": 5, "prices": {"machine": "mine", "hourly_usd": 2}})
    assert answer.status_code == 202
    view = answer.json()
    assert answer.headers["location"] == view["links"]["self"] == f"/v1/comparisons/{view['id']}"
    assert (view["state"], view["task"], view["options"]["volume"]) == ("queued", "Route the ticket.", 5)
    (folder,) = folders(client)
    kept = {p.name for p in (folder / "uploads").iterdir()}
    assert kept == {"task.json", "examples.jsonl", "prices.json"}
    assert json.loads((folder / "uploads" / "task.json").read_text()) == {"description": "Route the ticket."}
    assert client.get(answer.headers["location"]).json() == view


def test_a_form_with_files_asks_for_the_same(client: TestClient) -> None:
    form = {"task": json.dumps({"description": "Route.", "metric": "accuracy"}), "strategies": "majority, tfidf_linear"}
    files = [("examples", ("my tickets.csv", CSV)), ("documents", ("a.txt", b"one")), ("documents", ("b.md", b"two"))]
    answer = client.post("/v1/comparisons", data=form, files=files)
    assert answer.status_code == 202, answer.text
    view = answer.json()
    assert view["files"]["examples"]["name"] == "my tickets.csv"
    assert view["files"]["documents"]["name"] == "2 files"
    assert view["options"]["strategies"] == ["majority", "tfidf_linear"]
    (folder,) = folders(client)
    assert json.loads((folder / "uploads/task.json").read_text())["metric"] == "accuracy"


def test_in_a_form_recalls_come_one_by_one_and_a_matrix_as_json(client: TestClient) -> None:
    matrix = {"costs": {"billing": {"outage": 3.0}}, "default": 1.0}
    files = [("examples", ("tickets.csv", CSV))]
    form = {"task": "x", "min_recall": ["billing=0.9", "a, b=0.5"], "error_cost": json.dumps(matrix)}
    options = client.post("/v1/comparisons", data=form, files=files).json()["options"]
    assert options["min_recall"] == {"billing": 0.9, "a, b": 0.5}
    assert options["error_cost"] == {**matrix, "unusable": None, "source": None}
    form = {"task": "x", "min_recall": json.dumps({"billing": 1}), "error_cost": "2.5"}
    options = client.post("/v1/comparisons", data=form, files=files).json()["options"]
    assert (options["min_recall"], options["error_cost"]) == ({"billing": 1.0}, 2.5)
    assert client.post("/v1/comparisons", data={"task": "x", "min_recall": ""}, files=files).status_code == 202
    for both in (['{"a": 0.5}', "b=0.9"], ["b=0.9", '{"a": 0.5}'], ['{"a": 0.5}', '{"b": 0.9}']):
        answer = client.post("/v1/comparisons", data={"task": "x", "min_recall": both}, files=files)
        assert (answer.status_code, answer.json()["detail"][:33]) == (422, "min_recall: send one JSON object,")


@pytest.mark.parametrize(
    ("changes", "status", "says"),
    [
        ({"examples": None}, 422, "examples"),
        ({"examples": "tickets.csv"}, 422, "examples"),
        ({"task": " "}, 422, "task"),
        ({"task": None}, 422, "task"),
        ({"model": ["/etc"]}, 422, "not offered"),
        ({"model": ["hf:evil/pickle"]}, 422, "not offered"),
        ({"model": ["http://169.254.169.254/latest"]}, 422, "not offered"),
        ({"model": ["openai:gpt-4"]}, 422, "not offered"),
        ({"embedder": "../../x.bin"}, 422, "not offered"),
        ({"strategies": ["nonsense"]}, 422, "nonsense"),
        ({"time_budget": 1e9}, 422, "time_budget"),
        ({"time_budget": -1}, 422, "time_budget"),
        ({"output": "/tmp/x"}, 422, "output"),
        ({"device": "cuda"}, 422, "device"),
        ({"prices": {"hourly_usd": "many"}}, 422, "hourly_usd"),
        ({"min_quality": 2}, 422, "min_quality"),
        ({"min_recall": {"bad": 2}}, 422, "min_recall.bad: input should be less than or equal to 1"),
        ({"min_recall": ["bad"]}, 422, "min_recall: say LABEL=RATE"),
        ({"error_cost": "/etc/passwd"}, 422, "error_cost: input should be a valid number"),
        ({"error_cost": "errors.csv"}, 422, "error_cost: input should be a valid number"),
        ({"error_cost": {"costs": {"a": {"b": -1}}}}, 422, "error_cost.costs.a.b: input should be greater than"),
        ({"error_cost": {"default": 1}}, 422, "error_cost.costs: field required"),
        ({"task": "a\ud800b"}, 422, "surrogate"),
        ({"task": "a\0b"}, 422, "null character"),
        ({"examples": [{"input": "a\0", "output": "b"}]}, 422, "null character"),
        ({"examples": [{"input": "a\\\0", "output": "b"}]}, 422, "null character"),
        ({"min_recall": {"Bad": 0.9, "Bad ": 0.5}}, 422, "min_recall: Bad is named twice"),
        ({"unknown_option": 1}, 422, "unknown_option"),
        ({"volume": 10**30}, 422, "volume"),
        ({"output_column": "x" * 3_000_000}, 422, "output_column"),
        ({"input_columns": ["x"] * 1000}, 422, "input_columns"),
    ],
)
def test_a_bad_request_is_one_sentence_that_names_the_field_and_leaves_nothing(
    changes: dict[str, Any], status: int, says: str, client: TestClient
) -> None:
    body = {name: value for name, value in {**BODY, **changes}.items() if value is not None}
    answer = client.post(
        "/v1/comparisons", content=json.dumps(body).encode(), headers={"content-type": "application/json"}
    )
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert says in problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert folders(client) == []


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"task": NaN}', "application/json", 400),
        (b"[]", "application/json", 422),
        (b"[" * 100_000, "application/json", 400),
        (b"x", "text/plain", 415),
        (b"x", "multipart/form-data; boundary=y", 400),
        (b"", "multipart/form-data", 400),
        (b"\xff\xfe", "application/json", 400),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(content: bytes, kind: str, status: int, client: TestClient) -> None:
    answer = client.post("/v1/comparisons", content=content, headers={"content-type": kind})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


@pytest.mark.parametrize("field", ["time_budget", "min_quality", "max_latency_ms", "error_cost", "tolerance"])
def test_numbers_are_finite(field: str, client: TestClient) -> None:
    for number in ("1e999", "-1e999"):
        content = json.dumps(BODY)[:-1] + f', "{field}": {number}}}'
        answer = client.post("/v1/comparisons", content=content, headers={"content-type": "application/json"})
        assert (answer.status_code, field in answer.json()["detail"]) == (422, True)
    assert (
        client.post(
            "/v1/comparisons", data={"task": "x", field: "inf"}, files=[("examples", ("a.csv", CSV))]
        ).status_code
        == 422
    )


def test_the_text_of_an_escape_is_no_null_character(client: TestClient) -> None:
    rows = [{"input": r"Write \u0000 and \\u0000 for the null.", "output": "x"}]
    assert post(client, {"examples": rows, "task": r"Explain \u0000."}).status_code == 202


def test_what_is_nested_too_deeply_is_refused(client: TestClient) -> None:
    """How deep Python reads and writes JSON hangs on how deep the call itself is."""
    for depth in (*range(960, 1000), 5000):
        nested = "[" * depth + "1" + "]" * depth
        for field, value in (("examples", '[{"input": DEEP, "output": "b"}]'), ("prices", "DEEP")):
            body = json.dumps({**BODY, field: "DEEP"}).replace('"DEEP"', value.replace("DEEP", nested))
            answer = client.post("/v1/comparisons", content=body, headers={"content-type": "application/json"})
            assert answer.status_code < 500, (field, depth, answer.text)


def test_what_is_not_named_is_what_the_operator_allows(client_for: Client) -> None:
    client = client_for(
        models={"ours": "/models/ours", "other": "/models/other"}, embedders={"mine": "/models/mine"}, most_seconds=90
    )
    options = post(client).json()["options"]
    assert (options["model"], options["embedder"], options["time_budget"]) == (["ours"], "mine", 90)
    assert client.post("/v1/audits", json={"examples": BODY["examples"]}).status_code == 200


@pytest.mark.parametrize(
    ("place", "name", "error", "status"),
    [
        (asking, "store_task", OSError(errno.ENOSPC, "full"), 507),
        (Store, "submit", OperationalError("INSERT", {}, Exception("full")), 503),
    ],
)
def test_what_fails_for_want_of_room_or_of_a_database_leaves_nothing(
    place: Any, name: str, error: Exception, status: int, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, name, failing_with(error))
    answer = post(client)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert ("retry-after" in answer.headers) == (status == 503)
    assert folders(client) == []


def failing_with(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def test_files_are_removed_though_the_database_cannot_be_changed(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = post(client).json()["id"]
    monkeypatch.setattr(Store, "delete", failing_with(OperationalError("DELETE", {}, Exception("full"))))
    assert client.delete(f"/v1/comparisons/{id}").status_code == 503
    assert folders(client) == []


def test_the_solution_is_packed_once_and_goes_with_the_comparison(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = post(client).json()["id"]
    store_of(client).end(leased(client), State.SUCCEEDED)
    (folder,) = folders(client)
    (folder / RUN / "solution").mkdir(parents=True)
    (folder / RUN / "solution" / "a.bin").write_bytes(b"x" * 1000)
    with monkeypatch.context() as full:
        full.setattr(zipfile.ZipFile, "write", failing_with(OSError(errno.ENOSPC, "full")))
        assert client.get(f"/v1/comparisons/{id}/solution.zip").status_code == 507
        assert {p.name for p in folder.iterdir()} == {"uploads", RUN}
    whole = client.get(f"/v1/comparisons/{id}/solution.zip")
    assert whole.status_code == 200
    assert client.get(f"/v1/comparisons/{id}/solution.zip", headers={"range": "bytes=99999999-"}).status_code == 416
    assert (
        client.get(f"/v1/comparisons/{id}/solution.zip", headers={"range": "bytes=0-9"}).content == whole.content[:10]
    )
    client.delete(f"/v1/comparisons/{id}")
    assert not folder.exists()


def test_a_sentence_is_never_taken_for_a_path(client: TestClient, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"description": "secret"}')
    assert post(client, {"task": str(secret)}).status_code == 202
    (folder,) = folders(client)
    assert json.loads((folder / "uploads/task.json").read_text()) == {"description": str(secret)}


def test_asking_twice_with_one_key_is_asking_once(client: TestClient) -> None:
    key = {"idempotency-key": "order-1"}
    first, second = post(client, headers=key), post(client, headers=key)
    assert first.json()["id"] == second.json()["id"]
    assert len(folders(client)) == 1
    assert post(client, {"volume": 7}, headers=key).status_code == 409
    assert post(client, headers={"idempotency-key": "a b"}).status_code == 422


def test_asking_again_is_asking_once_though_the_operators_first_model_is_another_now(client_for: Client) -> None:
    key, own = {"idempotency-key": "order-1"}, {"ours": "/models/ours"}
    first = post(client_for(models=own), headers=key).json()["id"]
    assert post(client_for(models={"newer": "/models/newer", **own}), headers=key).json()["id"] == first


def test_files_of_a_request_that_was_taken_for_refused_come_with_its_repetition(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, key = store_of(client), {"idempotency-key": "order-1"}
    submit = store.submit

    def unheard(*arguments: Any) -> Any:
        submit(*arguments)
        raise OperationalError("", {}, Exception("the connection was lost"))

    with monkeypatch.context() as lost:
        lost.setattr(store, "submit", unheard)
        lost.setattr(store, "known", failing_with(OperationalError("SELECT", {}, Exception("gone"))))
        assert post(client, headers=key).status_code == 503
    assert folders(client) == []
    again = post(client, headers=key)
    assert (again.status_code, [folder.name for folder in folders(client)]) == (202, [again.json()["id"]])


def test_waiting_gives_the_view_when_the_time_is_up(client: TestClient) -> None:
    answer = client.post("/v1/comparisons?wait=0.3", json=BODY)
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")


@pytest.mark.parametrize(
    ("state", "reason", "says"),
    [
        (State.FAILED, "Send 20 examples.", "This comparison failed: Send 20 examples."),
        (State.CANCELLED, None, "This comparison was cancelled."),
    ],
)
def test_waiting_for_what_ends_without_a_report_is_a_problem_that_says_why(
    state: State, reason: str | None, says: str, client: TestClient
) -> None:
    once = {"idempotency-key": "order-1"}
    id = post(client, headers=once).json()["id"]
    store_of(client).end(leased(client), state, reason)
    answer = client.post("/v1/comparisons?wait=5", json=BODY, headers=once)
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
    assert (answer.json()["detail"], answer.headers["location"]) == (says, f"/v1/comparisons/{id}")
    assert post(client, headers=once).json()["state"] == state


def test_pages_follow_each_other(client: TestClient) -> None:
    ids = [post(client).json()["id"] for _ in range(5)]
    seen, cursor = [], None
    for _ in range(3):
        page = client.get("/v1/comparisons", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        seen += [view["id"] for view in page["comparisons"]]
        cursor = page["next"]
    assert (seen, cursor) == (ids[::-1], None)
    assert client.get("/v1/comparisons?state=failed").json()["comparisons"] == []
    assert client.get("/v1/comparisons?state=' OR 1=1").status_code == 422
    assert client.get("/v1/comparisons?cursor=nonsense").status_code == 422
    assert client.get("/v1/comparisons?limit=0").status_code == 422


def events_of(client: TestClient, id: str, after: str | None = None) -> list[tuple[str, str, dict[str, Any]]]:
    headers = {"last-event-id": after} if after else {}
    text = client.get(f"/v1/comparisons/{id}/events", headers=headers).text
    found = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
        if "data" in fields:
            found.append((fields["id"], fields["event"], json.loads(fields["data"])))
    return found


def test_events_stream_to_the_end_and_resume_without_a_gap(client: TestClient) -> None:
    id = post(client).json()["id"]
    lease = leased(client)
    for number in range(5):
        store_of(client).tell(lease, "said", {"text": f"line {number}\n\ndata: forged"})
    store_of(client).end(lease, State.FAILED, "because")
    whole = events_of(client, id)
    assert [number for number, _, _ in whole] == [str(n) for n in range(1, 9)]
    assert whole[-1][1:] == ("state", {"at": whole[-1][2]["at"], "state": "failed", "reason": "because"})
    assert events_of(client, id, "3") == whole[3:]
    assert client.get(f"/v1/comparisons/{id}/events", headers={"last-event-id": "x"}).status_code == 422


def test_a_caller_has_so_many_streams_of_events_open_and_no_more(client: TestClient) -> None:
    id, streams = post(client).json()["id"], client.app.state.services.streams  # type: ignore[attr-defined]
    client.post(f"/v1/comparisons/{id}/cancel")
    streams[LOCAL] = MOST_STREAMS
    assert client.get(f"/v1/comparisons/{id}/events").status_code == 429
    streams[LOCAL] = MOST_STREAMS - 1
    assert client.get(f"/v1/comparisons/{id}/events").status_code == 200
    assert streams[LOCAL] == MOST_STREAMS - 1, "one that has ended counts no more"


def test_reports_come_with_a_comparison_that_succeeded_alone(client: TestClient) -> None:
    id = post(client).json()["id"]
    for name in ("report.json", "report.html", "report.md", "solution.zip"):
        answer = client.get(f"/v1/comparisons/{id}/{name}")
        assert (answer.status_code, "queued" in answer.json()["detail"]) == (409, True)
    assert client.post(f"/v1/comparisons/{id}/decision", json={}).status_code == 409
    assert client.post(f"/v1/comparisons/{id}/predict", json={"inputs": ["x"]}).status_code == 409
    said, form = b'{"inputs": ["a \\ud83d"]}', {"content-type": "application/json"}
    half = client.post(f"/v1/comparisons/{id}/predict", content=said, headers=form)
    assert (half.status_code, "half a character" in half.json()["detail"]) == (422, True)


def test_texts_to_answer_are_refused_at_the_first_that_is_none(client: TestClient) -> None:
    with pytest.raises(ValidationError) as told:
        Inputs.model_validate({"inputs": [0] * 1000})
    assert len(told.value.errors()) == 1
    answer = client.post("/v1/comparisons/x/predict", json={"inputs": ["a", 0, 0]})
    assert (answer.status_code, answer.json()["detail"]) == (422, "inputs.1: input should be a valid string.")
    for path in ("predict", "decision"):
        for body, kind, status in ((b"x", "text/plain", 415), (b"{", asking.JSON, 400), (b"[]", asking.JSON, 422)):
            answer = client.post(f"/v1/comparisons/x/{path}", content=body, headers={"content-type": kind})
            assert answer.status_code == status, path


def test_the_html_report_is_shown_under_a_policy_that_lets_it_run_its_own_script_alone(client: TestClient) -> None:
    id = post(client).json()["id"]
    store_of(client).end(leased(client), State.SUCCEEDED)
    (folder,) = folders(client)
    (folder / RUN).mkdir()
    (folder / RUN / "report.html").write_text("<h1>Report</h1>")
    answer = client.get(f"/v1/comparisons/{id}/report.html")
    assert answer.text == "<h1>Report</h1>"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox allow-scripts;" in policy
    assert "script-src 'sha256-" in policy
    assert "allow-same-origin" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("advice", "shown"),
    [
        ({"strategy": "majority", "verdict": "clear"}, "Always the same answer"),
        ({"strategy": "majority", "verdict": "tie", "keeps_incumbent": True}, "Keep today's system"),
        ({"strategy": "majority", "verdict": "clear", "falls_short": True}, "None is good enough"),
        ({"strategy": "majority", "verdict": "insufficient_evidence", "falls_short": True}, "Not enough evidence"),
        ({"strategy": None, "verdict": "none_feasible", "keeps_incumbent": True}, "No strategy meets the limits"),
    ],
)
def test_the_list_names_a_strategy_only_where_it_is_recommended(
    advice: dict[str, Any], shown: str, client: TestClient
) -> None:
    post(client)
    store_of(client).end(leased(client), State.SUCCEEDED, recommendation={"headline": "", **advice})
    cell = client.get("/").text.split("<td>")[2].split("</td>")[0]
    assert html.unescape(cell) == shown


def test_cancelling_and_deleting(client: TestClient) -> None:
    id = post(client).json()["id"]
    assert client.post(f"/v1/comparisons/{id}/cancel").json()["state"] == "cancelled"
    gone = client.delete(f"/v1/comparisons/{id}").json()
    assert (gone["id"], gone["deleted"]) == (id, True)
    assert "audit log" in gone["kept"]
    assert folders(client) == []
    assert client.get(f"/v1/comparisons/{id}").status_code == 404
    assert client.delete(f"/v1/comparisons/{id}").status_code == 404


def test_too_many_waiting_are_refused_and_leave_nothing(client_for: Client) -> None:
    client = client_for(most_waiting=1)
    assert [post(client).status_code for _ in range(3)] == [202, 429, 429]
    assert len(folders(client)) == 1


class Recording:
    """In a helper's place: remembers what it is asked."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}

    def call(
        self, options: dict[str, Any], places: Any, estimate: bool, most_rows: int, tokens: Any, **how: Any
    ) -> Any:
        self.options = options
        steps = list(work.audit(options, places, False, most_rows))
        return {**steps[0], "no_plan": "Too long."}

    def close(self) -> None:
        pass


def test_a_decision_is_made_again_in_a_helper_and_for_so_long_at_the_most(client: TestClient) -> None:
    """What is asked of the helper; what it answers is in `test_worker`."""

    class Deciding:
        def call(self, *asked: Any, whose: str, seconds: float) -> bytes:
            self.asked, self.bounds = asked, (whose, seconds)
            raise Problem(504, "This took too long and was ended.")

        def close(self) -> None:
            pass

    id = post(client).json()["id"]
    lease = leased(client)
    store_of(client).end(lease, State.SUCCEEDED)
    services = client.app.state.services  # type: ignore[attr-defined]
    run = folder_of(services.settings, services.local_project, id) / RUN
    run.mkdir(parents=True)
    (run / REPORT).touch()
    services.decider.close()
    deciding = Deciding()
    object.__setattr__(services, "decider", deciding)
    change = {"volume": 5, "prices": {"hourly_usd": 2}}
    assert client.post(f"/v1/comparisons/{id}/decision", json=change).status_code == 504
    told, changes, prices = deciding.asked
    assert (told, changes, prices.hourly_usd) == (str(run), {"volume": 5}, 2)
    assert deciding.bounds == (services.local_project, DECISION_SECONDS)


def test_an_audit_takes_what_a_comparison_would_be_planned_with(client_for: Client) -> None:
    client = client_for(models={"ours": "/models/ours", "other": "/models/other"}, embedders={"mine": "/models/mine"})
    auditor = Recording()
    object.__setattr__(client.app.state.services, "auditor", auditor)  # type: ignore[attr-defined]
    examples = [{"input": f"case {i}", "output": "ab"[i % 2], "who": i // 2, "day": i} for i in range(24)]
    chosen = {"strategies": ["majority"], "model": ["other"], "group_by": "who", "time_column": "day"}
    body = {"examples": examples, "input_columns": ["input"], "output_column": "output", "estimate": True, **chosen}
    answer = client.post("/v1/audits", json=body)
    assert answer.status_code == 200, answer.text
    assert {name: auditor.options[name] for name in chosen} == chosen
    assert (answer.json()["plan"], answer.json()["no_plan"]) == (None, "Too long.")
    page = client.post("/new/look", data={"group_by": "who"}, files=[("examples", ("a.csv", CSV))])
    assert "who" in page.text  # there is no such column
    for wrong in (
        {"model": ["/etc"]},
        {"model": None},
        {"embedder": "x"},
        {"time_budget": 1e9},
        {"strategies": ["nonsense"]},
    ):
        assert client.post("/v1/audits", json={**body, **wrong}).status_code == 422


def test_the_first_answer_of_an_audit_is_there_before_the_plan(
    tmp_path: Path, tiny_model_folder: Path, tiny_embedder_folder: Path
) -> None:
    (tmp_path / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in BODY["examples"]))
    options = {"task": "Route.", "examples": str(tmp_path / "examples.jsonl"), "strategies": ["majority"]}
    places = {"smollm2-135m-instruct": str(tiny_model_folder), "all-minilm-l6-v2": str(tiny_embedder_folder)}
    first, last = work.audit(options, places, True, 100)
    assert (first["plan"], "in time" in first["no_plan"]) == (None, True)
    assert (last["plan"]["predicted_seconds"] > 0, last["no_plan"], last["plan"]["over_budget"]) == (True, None, None)
    *_, last = work.audit({**options, "strategies": ["zero_shot"], "time_budget": 0.01}, places, True, 100)
    assert last["plan"]["over_budget"].startswith("No plan fits the time budget")
    page = html.unescape(templates().get_template("look.html.j2").render(found=schemas.AuditView.model_validate(last)))
    assert last["plan"]["over_budget"] in page
    assert all(cut in page for cut in last["plan"]["cuts"])


def test_what_an_audit_says_names_fields_and_the_callers_file(client: TestClient) -> None:
    unknown = b"a,b\n" + b"".join(b"%d,%d\n" % (i, i) for i in range(24))
    refused = client.post("/v1/audits", files=[("examples", ("my tickets.csv", unknown))]).json()["detail"]
    assert "my tickets.csv has the columns" in refused
    assert "name them with input_columns and output_column" in refused
    personal = CSV.replace(b"case 1,", b"case of jane.doe@example.org,")
    found = client.post("/v1/audits", files=[("examples", ("my tickets.csv", personal))]).json()["findings"]
    actions = " ".join(finding["action"] for finding in found)
    assert ("redact" in actions, "--" in actions) == (True, False)
    wrong = client.post("/v1/comparisons", json={**BODY, "strategies": ["x"]}).json()["detail"]
    assert wrong.startswith("strategies: there is no strategy 'x'")


def test_a_text_to_try_is_cleaned_as_what_is_read_from_files_is(tmp_path: Path) -> None:
    Echo().save(tmp_path)
    answer, *empty = work.predict(str(tmp_path), [" re\u0301clame\r\n", "", "   "], {}, "cpu")
    assert answer["output"] == "réclame"
    assert empty == [{"input": "", "output": "", "error": "the input is empty"}] * 2


def test_a_solution_gets_the_models_that_are_still_offered_and_no_other(tmp_path: Path) -> None:
    rows = [Example(str(i), f"case {i}", ("ab"[i % 2],)) for i in range(8)]
    LinearClassifier.fit_texts(EmbeddingFeatures(HashingEmbedder()), rows).save(tmp_path)
    with pytest.raises(RequestError, match=r"works with hashing, which is not offered here any more"):
        work.predict(str(tmp_path), ["case 1"], {"other": "/models/other"}, "cpu")


def test_a_hosted_solution_is_asked_each_text_once_a_call_and_anew_in_the_next(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server's process lives long: what it remembered of clients' texts would stay in it."""
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    model = HostedModel.connect("openai:big", Hosted())
    Pipeline(model, PromptTemplate("Shout."), AnswerFormat()).save(tmp_path)
    ask = partial(work.predict, str(tmp_path), ["a", "b", "a"], {"openai:big": "openai:big"}, "cpu")
    assert [answer["output"] for answer in ask()] == ["A", "B", "A"]
    ask()
    assert sorted(body["messages"][-1]["content"] for body in server.asked) == ["a", "a", "b", "b"]
    server.faults = ["401"] * 2
    with pytest.raises(InfrastructureError, match="does not accept the key"):
        ask()


@pytest.mark.parametrize(("kind", "status"), [(RequestError, 409), (ModelUnavailable, 409), (InfrastructureError, 503)])
def test_why_a_solution_cannot_answer_is_told_without_folders_and_blames_no_caller(
    kind: type[AdvisorError], status: int, client_for: Client
) -> None:
    client = client_for(models={"ours": "/models/private", "other": "/models/private-2"})
    id = post(client, {"model": ["ours"]}).json()["id"]
    store_of(client).end(leased(client), State.SUCCEEDED)
    services = client.app.state.services  # type: ignore[attr-defined]
    run = folder_of(services.settings, services.local_project, id) / RUN
    (run / SOLUTION).mkdir(parents=True)

    class Predicting:
        def call(self, *asked: Any, **_: Any) -> None:
            raise kind(f"{asked[0]}/solution/solution.json needs /models/private-2 or /models/private/config.json.")

        def close(self) -> None:
            pass

    services.predictor.close()
    object.__setattr__(services, "predictor", Predicting())
    answer = client.post(f"/v1/comparisons/{id}/predict", json={"inputs": ["x"]})
    detail = answer.json()["detail"]
    assert answer.status_code == status
    assert detail.endswith("solution/solution.json needs other or ours/config.json.")
    assert "/models" not in detail
    assert status == 503 or detail.startswith("solution/"), detail


def test_a_list_without_rows_is_none(client: TestClient) -> None:
    refused = post(client, {"examples": []})
    assert (refused.status_code, refused.json()["detail"][:9]) == (422, "examples:")
    id = post(client, {"documents": [], "test": [], "incumbent": []}).json()["id"]
    assert set(client.get(f"/v1/comparisons/{id}").json()["files"]) == {"examples", "task"}


def test_a_form_without_a_strategy_is_refused_as_json_is(client: TestClient) -> None:
    form = client.post("/v1/comparisons", data={"task": "Route.", "strategies": ""}, files={"examples": ("a.csv", CSV)})
    assert (form.status_code, form.json()["detail"]) == (422, post(client, {"strategies": []}).json()["detail"])
    others = {"task": "Route.", "strategies": ["", "majority"], "model": "", "accept": "", "input_columns": ""}
    answer = client.post("/v1/comparisons", data=others, files={"examples": ("a.csv", CSV)})
    assert (answer.status_code, answer.json()["options"]["strategies"]) == (202, ["majority"])


def test_what_nobody_could_fetch_is_not_kept(client: TestClient) -> None:
    answer = post(client, {"keep": "all"})
    assert (answer.status_code, answer.json()["detail"][:6]) == (422, "keep: ")
    assert post(client, {"keep": "winner"}).status_code == 202


def test_the_whole_limit_of_a_prediction_is_told(client: TestClient) -> None:
    answer = client.post("/v1/comparisons/abc/predict", json={"inputs": ["x" * 60_000] * 20})
    assert (answer.status_code, "1000000 together" in answer.json()["detail"]) == (413, True)
