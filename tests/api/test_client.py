"""`advisor compare --server`: files go to the service, the report and the solution come back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from advisor.cli import Interrupted
from advisor.progress import Silent
from advisor.request import CompareRequest, make_request
from advisor.runs import default_output
from api import client as own
from api.access import LOCAL
from api.client import compare_on
from api.database import connect
from api.settings import Settings
from api.store import Store
from api.tables import State
from api.worker import Worker
from eval.errors import RequestError

WORDS = {"billing": "invoice payment refund", "outage": "power dark breaker"}
CSV = "ticket,team\n" + "".join(f"case {i}: {text},{label}\n" for i in range(20) for label, text in WORDS.items())


class Told(Silent):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.done: list[tuple[str, str, float | None]] = []
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def finished(self, strategy: str, outcome: str, quality: float | None = None) -> None:
        self.done.append((strategy, outcome, quality))


class InTheWay(Silent):
    """Takes the place of a report while the work is done."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def finished(self, strategy: str, outcome: str, quality: float | None = None) -> None:
        self.place.mkdir(exist_ok=True)


class Stopping(Silent):
    """Stops the command as soon as the comparison's address is known."""

    def say(self, text: str) -> None:
        raise KeyboardInterrupt


@pytest.fixture
def request_in(tmp_path: Path) -> Callable[..., CompareRequest]:
    (tmp_path / "tickets.csv").write_text(CSV)
    (tmp_path / "task.json").write_text('{"description": "Route the ticket.", "metric": "accuracy"}')
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.txt").write_text("Billing is about money.")
    (tmp_path / "prices.yaml").write_text("machine: ours\nhourly_usd: 0.5\n")
    return lambda **options: make_request(
        **{
            "task": str(tmp_path / "task.json"),
            "examples": str(tmp_path / "tickets.csv"),
            "documents": str(tmp_path / "documents"),
            "prices": str(tmp_path / "prices.yaml"),
            "output": tmp_path / "run",
            "input_columns": ["ticket"],
            "output_column": "team",
            "strategies": ["majority", "tfidf_linear"],
            "time_budget": 90,
            **options,
        }
    )


def test_the_work_is_done_there_and_its_fruits_come_back(
    served: tuple[str, Settings], worker: Worker, request_in: Callable[..., CompareRequest], tmp_path: Path
) -> None:
    told, request = Told(), request_in()
    for name in ("old.doc", ".DS_Store"):
        (tmp_path / "documents" / name).write_text("not read")
    report, folder = compare_on(served[0], request, told)
    assert "Left out 1 file of an unknown type: old.doc." in told.said
    assert report.task.description == "Route the ticket."
    assert report.settings.machine_hourly_usd == 0.5
    assert (report.data.examples, report.data.documents) == (40, 1)
    assert ("tfidf_linear", "ok", 1.0) in told.done
    assert any("/comparisons/" in sentence for sentence in told.said)
    assert {p.name for p in folder.iterdir()} == {"report.json", "report.html", "report.md", "solution"}
    assert str(served[1].data) not in (folder / "report.json").read_text()
    command = [sys.executable, "-m", "api", "predict", str(folder), "--input", "dark, no power"]
    answer = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    assert '"output": "outage"' in answer.stdout
    with pytest.raises(RequestError, match="holds other files already"):
        compare_on(served[0], request_in(), told)


def test_what_the_service_refuses_or_cannot_do_is_told_in_its_words(
    served: tuple[str, Settings], worker: Worker, request_in: Callable[..., CompareRequest], tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match="not offered"):
        compare_on(served[0], request_in(model=["other/model"]), Silent())
    (tmp_path / "tickets.csv").write_text("\n".join(CSV.splitlines()[:8]))
    with pytest.raises(RequestError, match="20"):
        compare_on(served[0], request_in(), Silent())


@pytest.mark.parametrize("option", [{"endpoint": "http://127.0.0.1:8/v1"}, {"max_spend": 2.0}])
def test_what_is_the_operators_business_is_refused_before_anything_is_sent(
    option: dict[str, Any], request_in: Callable[..., CompareRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own.httpx, "Client", None)
    with pytest.raises(RequestError, match=r"is up to its operator .* leave it out with --server, or compare on this"):
        compare_on("http://127.0.0.1:9", request_in(**option), Silent())


@pytest.mark.parametrize("server", ["http://[::1", "http://x:port", "127.0.0.1:8000", "ftp://x", "http://"])
def test_a_server_that_is_no_url_is_one_sentence(server: str, request_in: Callable[..., CompareRequest]) -> None:
    with pytest.raises(RequestError, match=r"--server: .* such as http://127\.0\.0\.1:8000"):
        compare_on(server, request_in(), Silent())


def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_sent(
    request_in: Callable[..., CompareRequest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own.httpx, "Client", None)
    for output in (tmp_path / "tickets.csv", tmp_path / "tickets.csv" / "x", tmp_path / ("n" * 300)):
        with pytest.raises(RequestError, match="--output: the folder"):
            compare_on("http://127.0.0.1:9", request_in(output=output), Silent())


def test_links_out_of_the_folder_of_documents_are_not_sent_but_named(
    request_in: Callable[..., CompareRequest], tmp_path: Path
) -> None:
    (tmp_path / "documents" / "b.txt").symlink_to(tmp_path / "tickets.csv")
    (tmp_path / "documents" / "c.md").mkdir()
    request = request_in()
    assert [name for role, (name, _) in own._files(request) if role == "documents"] == ["a.txt"]
    told = "Left out 1 file that cannot be opened: b.txt (link out of the folder, not followed)."
    assert list(own._unsent(request)) == [told]


def test_without_an_output_a_new_folder_is_made_or_an_empty_one_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_output(own._holds_something) == Path("advisor-run")
    (tmp_path / "advisor-run").mkdir()
    assert default_output(own._holds_something) == Path("advisor-run")
    (tmp_path / "advisor-run" / "report.json").write_text("{}")
    assert default_output(own._holds_something) == Path("advisor-run-2")


def test_a_task_is_read_as_it_is_read_here(request_in: Callable[..., CompareRequest], tmp_path: Path) -> None:
    long = "Route the ticket to a team. " * 20
    assert json.loads(own._fields(request_in(task=long))["task"]) == {"description": long.strip()}
    (tmp_path / "task.yaml").write_text("description: Route.\nlabels: [billing, outage]\nowner: me\n")
    task = json.loads(own._fields(request_in(task=str(tmp_path / "task.yaml")))["task"])
    assert task == {"description": "Route.", "labels": ["billing", "outage"]}


@pytest.mark.parametrize(
    ("option", "content", "says"),
    [
        ("task", "description: Route.\nname: 2024-05-01\n", '"name" in the task file'),
        ("prices", "hourly_usd: 1\nmachine: 2024-05-01\n", "machine: input should be a valid string"),
        ("prices", "hourly_usd: 2024-05-01\n", "must give hourly_usd"),
        ("prices", "a: [", "cannot be read as YAML"),
    ],
)
def test_a_file_of_fields_is_refused_in_the_words_used_here(
    option: str, content: str, says: str, request_in: Callable[..., CompareRequest], tmp_path: Path
) -> None:
    (tmp_path / "fields.yaml").write_text(content)
    with pytest.raises(RequestError, match=says):
        compare_on("http://127.0.0.1:9", request_in(**{option: str(tmp_path / "fields.yaml")}), Silent())


def test_keeping_all_solutions_is_refused_since_one_comes_back(
    request_in: Callable[..., CompareRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own.httpx, "Client", None)
    with pytest.raises(RequestError, match=r"--keep all: .* leave it out with --server, or compare on this machine"):
        compare_on("http://127.0.0.1:9", request_in(keep="all"), Silent())


def test_an_interrupted_command_says_where_it_goes_on_and_takes_it_up_again(
    served: tuple[str, Settings], request_in: Callable[..., CompareRequest], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "api", "compare", "--task", "Route the ticket.", "--strategies", "majority"]
    command += ["--examples", "tickets.csv", "--input-columns", "ticket", "--output-column", "team"]
    request_in()
    store = Store(connect(served[1]))
    project = store.project(LOCAL)
    for _ in range(2):
        process = subprocess.Popen(
            [*command, "--server", served[0]],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            # what is started in the background of a shell, as the tests may be, is not to be interrupted otherwise
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        assert process.stdout is not None
        page = next(line for line in process.stdout if "/comparisons/" in line).strip()
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
        assert (process.returncode, page) == (130, f"{served[0]}/comparisons/{store.page(project, 9)[0].id}")
        assert f"goes on at {page}, where it can be cancelled" in said
        assert "Finished strategies are kept" not in said
    assert len(store.page(project, 9)) == 1


def test_what_failed_or_has_another_output_is_asked_for_anew(
    served: tuple[str, Settings], request_in: Callable[..., CompareRequest], tmp_path: Path
) -> None:
    store = Store(connect(served[1]))

    def ids() -> list[str]:
        return [row.id for row in store.page(store.project(LOCAL), 9)]

    def interrupted(**options: Any) -> str:
        with pytest.raises(Interrupted):
            compare_on(served[0], request_in(**options), Stopping())
        return ids()[0]

    first = interrupted()
    assert (interrupted(), len(ids())) == (first, 1)
    for state in (State.FAILED, State.CANCELLED):
        before, lease = ids(), store.lease(30, 3)
        assert lease is not None
        store.end(lease, state, "because")
        again = interrupted()
        assert (again in before, interrupted(), len(ids())) == (False, again, len(before) + 1)
    assert interrupted(output=tmp_path / "other") not in (first, again)
    assert len(ids()) == 4


def test_a_matrix_and_recalls_are_sent_as_objects(request_in: Callable[..., CompareRequest], tmp_path: Path) -> None:
    (tmp_path / "errors.csv").write_text(",billing,outage\nbilling,,3\n(default),1\n")
    fields = own._fields(request_in(error_cost=str(tmp_path / "errors.csv"), min_recall=["billing=0.9"]))
    assert json.loads(fields["min_recall"]) == {"billing": 0.9}
    assert json.loads(fields["error_cost"])["costs"] == {"billing": {"outage": 3.0}}


def test_a_service_that_is_not_there_is_one_sentence(request_in: Callable[..., CompareRequest]) -> None:
    with pytest.raises(RequestError, match="does not answer"):
        compare_on("http://127.0.0.1:9", request_in(), Silent())


def test_the_key_comes_from_the_environment(
    client_for: Callable[..., TestClient], request_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded = client_for(require_keys=True)
    monkeypatch.setattr(own.httpx, "Client", lambda **options: _Through(guarded, options["headers"]))
    with pytest.raises(RequestError, match="ADVISOR_KEY"):
        compare_on("http://testserver", request_in(), Silent())
    monkeypatch.setenv("ADVISOR_KEY", guarded.app.state.services.keys.create("one", "k"))  # type: ignore[attr-defined]
    monkeypatch.setattr(own, "_follow", lambda *_: None)
    with pytest.raises(RequestError, match="queued"):
        compare_on("http://testserver", request_in(), Silent())


@pytest.mark.parametrize("key", ["adv_schl\u00fcssel", "adv_a\nb"])
def test_a_key_that_can_be_none_is_one_sentence(request_in: Any, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("ADVISOR_KEY", key)
    with pytest.raises(RequestError, match=r"\$ADVISOR_KEY: there are signs in it that no key"):
        compare_on("http://127.0.0.1:9", request_in(), Silent())


def test_a_folder_that_can_no_longer_be_written_is_told_with_where_the_report_is(
    served: tuple[str, Settings], worker: Worker, request_in: Callable[..., CompareRequest], tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match=r"run cannot be written \(.*\); the report is at http.*/comparisons/"):
        compare_on(served[0], request_in(), InTheWay(tmp_path / "run" / "report.html"))


class _Through:
    """A client that asks the app directly."""

    def __init__(self, client: TestClient, headers: dict[str, str]) -> None:
        self.client, self.headers, self.base_url = client, headers, "http://testserver"

    def __enter__(self) -> _Through:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def request(self, method: str, path: str, **options: Any) -> Any:
        headers = {**self.headers, **options.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **options)


def test_a_folder_without_documents_that_can_be_read_is_refused(
    request_in: Callable[..., CompareRequest], tmp_path: Path
) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "faq.csv").write_text("text\nBilling is about money.\n")
    with pytest.raises(RequestError, match=r"--documents: .*none holds none of .txt"):
        compare_on("http://127.0.0.1:9", request_in(documents=str(tmp_path / "none")), Told())
