"""Comparisons carried out for real, in processes of their own, by workers that are killed, stopped and bounded."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError

from advisor.runs import ANSWERS
from api import job
from api import worker as worker_module
from api.database import upgrade
from api.job import NO_FAULT, StoredProgress
from api.settings import Settings
from api.store import Lease, LeaseLost, Store
from api.worker import Worker

STRATEGIES = ["majority", "nearest_copy", "tfidf_linear"]
WORDS = {"billing": "invoice payment refund", "outage": "power dark breaker"}
EXAMPLES = [{"input": f"case {i}: {text}", "output": label} for i in range(20) for label, text in WORDS.items()]
BODY: dict[str, Any] = {"task": "Route the ticket.", "examples": EXAMPLES, "strategies": STRATEGIES, "time_budget": 120}
LONG = {**BODY, "strategies": [*STRATEGIES, "lora"], "time_budget": 600, "examples": EXAMPLES * 3}
"""Takes long enough to be caught in the middle."""


@pytest.fixture(scope="module")
def models(tiny_model_folder: Path, tiny_embedder_folder: Path) -> dict[str, Any]:
    return {
        "models": {"smollm2-135m-instruct": str(tiny_model_folder)},
        "embedders": {"all-minilm-l6-v2": str(tiny_embedder_folder)},
        "device": "cpu",
    }


@pytest.fixture
def service(client_for: Callable[..., TestClient], models: dict[str, Any]) -> Callable[..., TestClient]:
    return lambda **changes: client_for(**models, **changes)


def settings_of(client: TestClient) -> Settings:
    found: Settings = client.app.state.services.settings  # type: ignore[attr-defined]
    return found


@pytest.fixture
def worker_on() -> Iterator[Callable[[TestClient], Worker]]:
    """A worker beside the client, in a thread, until the end of the test."""
    running: list[tuple[Worker, threading.Thread]] = []

    def start(client: TestClient) -> Worker:
        worker = Worker(settings_of(client))
        thread = threading.Thread(target=worker.work, daemon=True)
        thread.start()
        running.append((worker, thread))
        return worker

    yield start
    for worker, thread in running:
        worker.stop()
        thread.join(30)
        assert not thread.is_alive()


def start_worker(settings: Settings, **options: Any) -> subprocess.Popen[bytes]:
    """A worker in a process of its own."""
    environment = {
        **os.environ,
        "ADVISOR_DATA": str(settings.data),
        "ADVISOR_MODELS": json.dumps(settings.models),
        "ADVISOR_EMBEDDERS": json.dumps(settings.embedders),
        "ADVISOR_LEASE_SECONDS": str(settings.lease_seconds),
        "ADVISOR_DEVICE": "cpu",
    }
    return subprocess.Popen([sys.executable, "-m", "api", "worker"], env=environment, **options)


def until(
    client: TestClient, id: str, wanted: Callable[[dict[str, Any]], bool], seconds: float = 120
) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        view: dict[str, Any] = client.get(f"/v1/comparisons/{id}").json()
        if wanted(view):
            return view
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {view}")


def has_ended(view: dict[str, Any]) -> bool:
    return view["state"] in ("succeeded", "failed", "cancelled")


def submit(client: TestClient, body: dict[str, Any] = BODY) -> str:
    answer = client.post("/v1/comparisons", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def test_from_request_to_report_decision_solution_and_answer(
    service: Any, worker_on: Any, tiny_model_folder: Path
) -> None:
    client = service()
    worker_on(client)
    answer = client.post("/v1/comparisons?wait=120", json=BODY)
    assert answer.status_code == 200, answer.text
    report = answer.json()
    (view,) = client.get("/v1/comparisons").json()["comparisons"]
    assert (view["state"], view["progress"], view["attempts"]) == ("succeeded", 1.0, 1)
    assert set(view["strategies"]) == set(STRATEGIES)
    assert view["strategies"]["tfidf_linear"] == {"outcome": "ok", "quality": 1.0}
    told = ("strategy", "verdict", "headline", "keeps_incumbent", "falls_short")
    assert view["recommendation"] == {name: report["recommendation"][name] for name in told}
    links = view["links"]
    assert client.get(links["json"]).json() == report
    assert [model["name"] for model in report["environment"]["models"]] == ["all-minilm-l6-v2"], "those that were used"
    assert str(tiny_model_folder.parent) not in answer.text, "where the server keeps its models is nobody's business"
    assert "<html" in client.get(links["html"]).text
    assert client.get(links["md"]).text.startswith("#")

    def decided(**change: Any) -> Any:
        return client.post(f"{links['self']}/decision", json=change).json()

    assert decided() == report
    dear = decided(prices={"hourly_usd": 1000}, volume=5)
    assert (dear["settings"]["machine_hourly_usd"], dear["settings"]["volume"]) == (1000, 5)
    for before, after in zip(report["strategies"], dear["strategies"], strict=True):
        assert after["quality"] == before["quality"]
        assert after["cost"] is None or after["cost"]["per_1k_usd"] >= before["cost"]["per_1k_usd"]
    assert report["artefact"]["how_to_use"] == "advisor predict solution --input 'TEXT'"
    other = decided(error_cost=1e-9, volume=1)
    assert other["recommendation"]["strategy"] != report["recommendation"]["strategy"]
    assert str(settings_of(client).data) not in json.dumps(other), "nor where it keeps runs"
    none = decided(max_latency_ms=1e-9)
    assert (none["recommendation"]["strategy"], none["recommendation"]["verdict"]) == (None, "none_feasible")

    archive = zipfile.ZipFile(BytesIO(client.get(links["solution"]).content))
    assert "solution/solution.json" in archive.namelist()
    said = client.post(links["predict"], json={"inputs": ["case 99: dark breaker", "", "the invoice payment"]}).json()
    assert [a["output"] for a in said["answers"]] == ["outage", "", "billing"]
    assert [a["error"] for a in said["answers"]] == [None, "the input is empty", None]
    tried = client.post(f"/comparisons/{view['id']}/try", data={"text": "no <b>power</b>, dark"})
    assert "outage" in tried.text
    assert "<b>power" not in tried.text

    kinds = [
        line.removeprefix("event: ") for line in client.get(links["events"]).text.splitlines() if "event: " in line
    ]
    assert kinds[0] == "state"
    assert {"said", "planned", "strategy"} <= set(kinds)
    assert "phase" not in kinds, "how far it was, twice a second, is forgotten when it ends"


def test_what_the_data_lack_is_said_without_the_services_folders(service: Any, worker_on: Any) -> None:
    client = service()
    worker_on(client)
    id = submit(client, {**BODY, "examples": EXAMPLES[:6]})
    view = until(client, id, has_ended)
    assert view["state"] == "failed"
    assert "20" in view["reason"]
    assert str(settings_of(client).data) not in json.dumps(view)


def test_a_failure_names_fields_and_the_callers_file(service: Any, worker_on: Any) -> None:
    client = service()
    worker_on(client)
    unknown = "a,b\n" + "".join(f"{i},{i}\n" for i in range(24))
    sent = [("examples", ("my tickets.csv", unknown))]
    id = client.post("/v1/comparisons", data={"task": "Route."}, files=sent).json()["id"]
    reason = until(client, id, has_ended)["reason"]
    assert "my tickets.csv has the columns" in reason
    assert "name them with input_columns and output_column" in reason


def test_tables_of_too_many_rows_are_refused_in_audits_and_comparisons(service: Any, worker_on: Any) -> None:
    client = service(most_rows=30)
    worker_on(client)
    assert "at most 30 rows" in until(client, submit(client), has_ended)["reason"]
    answer = client.post("/v1/audits", json={"examples": EXAMPLES})
    assert (answer.status_code, "at most 30 rows" in answer.json()["detail"]) == (422, True)
    assert client.post("/v1/audits", json={"examples": EXAMPLES[:30]}).json()["examples"] == 30


def test_what_cannot_be_carried_out_any_more_fails_with_a_sentence(service: Any, worker_on: Any) -> None:
    client = service()
    gone, fine = submit(client), submit(client)
    shutil.rmtree(next(settings_of(client).data.glob(f"projects/*/{gone}")))
    worker_on(client)
    assert "files of this comparison are gone" in until(client, gone, has_ended)["reason"]
    assert until(client, fine, has_ended)["state"] == "succeeded"


def test_what_was_under_way_before_an_upgrade_is_begun_anew(service: Any, worker_on: Any) -> None:
    client = service()
    id = submit(client)
    run = next(settings_of(client).data.glob(f"projects/*/{id}")) / "run"
    (run / "finished" / "majority").mkdir(parents=True)
    (run / ANSWERS).mkdir()
    (run / ANSWERS / "model.jsonl").write_text('{"usd": 1.0}\n')
    (run / "plan.json").write_text('{"fingerprint": "of an earlier version"}')
    worker_on(client)
    assert until(client, id, has_ended)["state"] == "succeeded"
    assert (run / ANSWERS / "model.jsonl").exists(), "it counts in the cap of what may be spent"


def test_a_folder_that_an_earlier_attempt_still_holds_is_waited_for(service: Any, worker_on: Any) -> None:
    client = service()
    id = submit(client)
    run = next(settings_of(client).data.glob(f"projects/*/{id}")) / "run"
    run.mkdir()
    with (run / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        worker_on(client)
        until(client, id, lambda view: view["attempts"] == 2)
    assert until(client, id, has_ended)["state"] == "succeeded"


def test_the_log_of_a_comparison_holds_its_id_and_no_text(service: Any, tmp_path: Path) -> None:
    client = service()
    secret = [{**row, "input": f"SECRET {row['input']}"} for row in EXAMPLES]
    ids = [submit(client, {**BODY, "task": "SECRET task.", "examples": rows}) for rows in (secret, secret[:4])]
    with (tmp_path / "log").open("w") as log:
        process = start_worker(settings_of(client), stderr=log, stdout=log)
        for id in ids:
            until(client, id, has_ended)
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    text = (tmp_path / "log").read_text()
    ended = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert {line["comparison"] for line in ended if line["event"] in ("succeeded", "refused")} == set(ids)
    assert "SECRET" not in text


def test_cancelled_within_seconds(service: Any, worker_on: Any) -> None:
    client = service()
    worker_on(client)
    id = submit(client, LONG)
    until(client, id, lambda view: view["phase"].startswith("lora"))
    begun = time.monotonic()
    client.post(f"/v1/comparisons/{id}/cancel")
    view = until(client, id, has_ended, 10)
    assert view["state"] == "cancelled"
    assert time.monotonic() - begun < 5


def test_deleted_while_it_runs_leaves_nothing(service: Any, worker_on: Any) -> None:
    client = service()
    worker_on(client)
    id = submit(client, LONG)
    until(client, id, lambda view: view["strategies"])
    client.delete(f"/v1/comparisons/{id}")
    time.sleep(3)
    assert not list(settings_of(client).data.glob(f"projects/*/{id}"))


def test_a_worker_that_is_stopped_gives_its_comparison_back(service: Any) -> None:
    client = service()
    worker = Worker(settings_of(client))
    thread = threading.Thread(target=worker.work, daemon=True)
    thread.start()
    id = submit(client, LONG)
    until(client, id, lambda view: view["strategies"])
    worker.stop()
    thread.join(20)
    assert client.get(f"/v1/comparisons/{id}").json()["state"] == "queued"


def test_a_worker_outlives_a_database_that_does_not_answer(
    service: Any, worker_on: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = service()
    failures = iter([True, True])
    plain = Store.lease

    def failing(self: Store, *arguments: Any) -> Any:
        if next(failures, False):
            raise OperationalError("SELECT", {}, Exception("gone"))
        return plain(self, *arguments)

    monkeypatch.setattr(Store, "lease", failing)
    monkeypatch.setattr(worker_module, "DATABASE_SECONDS", 0.1)
    worker_on(client)
    assert until(client, submit(client), has_ended)["state"] == "succeeded"


def test_a_comparison_outlives_a_database_that_does_not_answer_for_a_while(
    service: Any, worker_on: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = service()
    failures = iter([True, True, True])
    plain = Store.is_wanted

    def failing(self: Store, lease: Lease) -> bool:
        if next(failures, False):
            raise OperationalError("SELECT", {}, Exception("gone"))
        return plain(self, lease)

    monkeypatch.setattr(Store, "is_wanted", failing)
    worker_on(client)
    view = until(client, submit(client), has_ended)
    assert (view["state"], view["attempts"]) == ("succeeded", 1)


def test_a_lease_that_could_not_be_renewed_is_renewed_as_soon_as_the_database_answers(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = service()
    submit(client)
    worker = Worker(settings_of(client))
    lease = worker.store.lease(30, 3)
    assert lease is not None
    alive, answers = iter([True] * 3), iter([False, True, True])
    renewed: list[bool] = []

    def renew(*_: Any) -> bool:
        renewed.append(next(answers))
        if not renewed[-1]:
            raise OperationalError("UPDATE", {}, Exception("gone"))
        return False

    monkeypatch.setattr(worker.store, "renew", renew)
    process = SimpleNamespace(is_alive=lambda: next(alive, False), join=lambda *_: None, pid=os.getpid(), exitcode=1)
    worker._watch(process, lease)
    assert renewed == [False, True]


def test_attempts_that_the_database_ends_do_not_count(
    service: Any, worker_on: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = service(lease_seconds=0.6, most_attempts=1)
    plain = Store.is_wanted

    def failing(self: Store, lease: Lease) -> bool:
        if lease.attempt < 3:
            raise OperationalError("SELECT", {}, Exception("gone"))
        return plain(self, lease)

    monkeypatch.setattr(Store, "is_wanted", failing)
    monkeypatch.setattr(worker_module, "DATABASE_SECONDS", 0.1)
    worker_on(client)
    view = until(client, submit(client), has_ended)
    assert (view["state"], view["attempts"]) == ("succeeded", 3)


def test_how_far_a_fit_is_may_stay_untold_but_what_is_done_may_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails within a fit would be taken for the strategy's own failure."""
    gone = OperationalError("UPDATE", {}, Exception("gone"))
    store = SimpleNamespace(tell=raising(gone), strategy_done=raising(gone))
    progress = StoredProgress(store, Lease("a", "p", "t", 1), [])  # type: ignore[arg-type]
    progress.phase("lora", "fitting", 0, 1)
    with pytest.raises(OperationalError):
        progress.finished("lora", "ok")
    store.tell = raising(LeaseLost())
    progress.phase("lora", "answering", 0, 1)
    with pytest.raises(LeaseLost):
        progress.say("A sentence between two fits.")


def raising(error: Exception) -> Callable[..., None]:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "free", "status"),
    [
        (OSError(errno.ENOSPC, "full"), 0, NO_FAULT),
        (OSError(errno.ENOSPC, "full"), 10**11, 1),  # of another disk, which would be full again and again
        (OperationalError("UPDATE", {}, Exception("gone")), 10**11, NO_FAULT),
        (LeaseLost(), 10**11, 1),
    ],
)
def test_an_attempt_says_whether_it_ended_by_its_comparisons_fault(
    error: Exception, free: int, status: int, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = service()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=10**12, used=0, free=free))
    id = submit(client)
    lease = client.app.state.services.store.lease(600, 3)
    monkeypatch.setattr("advisor.comparison.run", raising(error))
    monkeypatch.setattr(job, "die_with", lambda parent: None)
    monkeypatch.setattr(job, "BUSY_SECONDS", 0.0)
    monkeypatch.setattr(job, "enter", lambda folder: monkeypatch.chdir(folder))
    monkeypatch.setattr(job.os, "_exit", raising_status)
    with pytest.raises(SystemExit) as ended:
        job.carry_out(settings_of(client), lease, None)  # type: ignore[arg-type]
    assert ended.value.code == status
    assert client.get(f"/v1/comparisons/{id}").json()["state"] == "running", "as the worker finds it"


def raising_status(status: int) -> None:
    raise SystemExit(status)


def test_nothing_is_begun_while_the_disk_is_full(service: Any, worker_on: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = service()
    left = [0]
    disk = SimpleNamespace(total=10**12, used=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(**vars(disk), free=left[0]))
    worker_on(client)
    id = submit(client)
    time.sleep(2)
    assert client.get(f"/v1/comparisons/{id}").json()["attempts"] == 0
    left[0] = 10**11
    assert until(client, id, has_ended)["state"] == "succeeded"


def test_nothing_is_begun_while_the_data_folder_is_away(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = service()
    id = submit(client)
    worker = Worker(settings_of(client))
    monkeypatch.setattr(shutil, "disk_usage", raising(FileNotFoundError(errno.ENOENT, "No such file or directory")))
    worker._one()
    assert client.get(f"/v1/comparisons/{id}").json()["attempts"] == 0


def test_a_worker_that_stops_while_the_database_is_away_ends_quietly(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(settings_of(service()))
    worker.stop()
    monkeypatch.setattr(Store, "gone", raising(OperationalError("DELETE", {}, Exception("gone"))))
    worker.work()


def test_what_needs_too_much_memory_fails_and_says_so(service: Any, worker_on: Any) -> None:
    client = service(most_memory_bytes=2**20)
    worker_on(client)
    view = until(client, submit(client), has_ended)
    assert (view["state"], "memory" in view["reason"]) == ("failed", True)


def test_killed_at_any_moment_it_goes_on_and_repeats_no_finished_strategy(service: Any, tmp_path: Path) -> None:
    """The worker is killed three times; the last one ends it, with the decision of an undisturbed run."""
    client = service(lease_seconds=1.0)
    settings = settings_of(client)
    id = submit(client, {**BODY, "strategies": [*STRATEGIES, "few_shot"]})
    (folder,) = settings.data.glob(f"projects/*/{id}")
    times: dict[str, float] = {}
    for number in range(4):
        process = start_worker(settings)
        done = number
        if number < 3:
            until(client, id, lambda view, done=done: len(view["strategies"]) > done or has_ended(view))  # type: ignore[misc]
            process.send_signal(signal.SIGKILL)
        else:
            view = until(client, id, has_ended)
            process.send_signal(signal.SIGTERM)
        process.wait(30)
        time.sleep(1.5)  # the job's own process must notice, and the lease must end
        for record in (folder / "run" / "finished").rglob("*.json"):
            seen = times.setdefault(str(record), record.stat().st_mtime)
            assert record.stat().st_mtime == seen, f"{record} was made again"
    assert view["state"] == "succeeded", view
    assert view["attempts"] >= 2
    report = client.get(f"/v1/comparisons/{id}/report.json").json()
    assert report["recommendation"]["strategy"] == view["recommendation"]["strategy"]


def test_old_comparisons_and_what_was_left_of_others_are_removed(service: Any) -> None:
    client = service(keep_days=1e-9)
    id, removed = submit(client), submit(client)
    client.post(f"/v1/comparisons/{id}/cancel")
    (folder,) = settings_of(client).data.glob(f"projects/*/{id}")
    client.app.state.services.store.delete(folder.parent.name, removed)
    (folder.parent.parent / ".DS_Store").write_text("no folder")
    audit, arriving = settings_of(client).data / "scratch" / "old", folder.parent / ".old"
    for old in (audit, arriving, folder.parent / "young", folder.parent / ".young"):
        old.mkdir(parents=True)
    for old in (audit, arriving, folder.parent / removed):
        os.utime(old, (0, 0))
    time.sleep(0.01)
    Worker(settings_of(client)).tidy()
    assert {p.name for p in folder.parent.iterdir()} == {"young", ".young"}
    assert not audit.exists()
    assert client.get(f"/v1/comparisons/{id}").status_code == 404


def test_a_worker_that_is_given_another_database_removes_nobodys_files(service: Any, tmp_path: Path) -> None:
    client = service()
    id = submit(client)
    (folder,) = settings_of(client).data.glob(f"projects/*/{id}")
    os.utime(folder, (0, 0))
    other = settings_of(client).model_copy(update={"database_url": f"sqlite:///{tmp_path / 'other.db'}"})
    upgrade(other)
    Worker(other).tidy()
    Worker(settings_of(client)).tidy()
    assert (folder / "uploads" / "examples.jsonl").exists()
