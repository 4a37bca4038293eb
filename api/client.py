"""A comparison on a service elsewhere, asked for from the command line: files go there, the report comes back."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from advisor.cli import Interrupted
from advisor.economics import read_price_file
from advisor.progress import Progress
from advisor.report.schema import Report
from advisor.request import CompareRequest
from advisor.runs import RunFolder, default_output
from api.tables import ENDED, State
from eval.errors import RequestError
from eval.reading.documents import walk
from eval.reading.files import EXTRACTORS
from eval.reading.text import counted, listed
from eval.tasks import read_task

FILES = ("examples", "test", "incumbent")
NOT_SENT = {"task", "documents", "prices", "output", "device", "endpoint", "max_spend", *FILES}
KEY = "ADVISOR_KEY"
HINTS = {401: f" (${KEY} holds it)", 409: " (another --output is another comparison)"}
"""What the service cannot know of the command line, by status."""
RETRY_SECONDS = 2.0
PATIENCE_SECONDS = 120.0
"""So long a service that does not answer is asked again."""

Sent = tuple[str, tuple[str, bytes]]
"""What a file is for, its name, and what is in it."""


def compare_on(server: str, request: CompareRequest, progress: Progress) -> tuple[Report, Path]:
    """Let a service carry out a request, tell its progress, and write what it gives to the output folder.

    The key is taken from $ADVISOR_KEY. Raises RequestError with the service's own sentence where it refuses.
    """
    _check_url(server)
    _refuse_unfit(request)
    files, fields = list(_files(request)), _fields(request)
    folder = _made(request.output or default_output(_holds_something))
    key = _key()
    headers = {"authorization": f"Bearer {key}"} if key else {}
    page = server = server.rstrip("/")
    try:
        with httpx.Client(base_url=server, headers=headers, timeout=60) as client:
            id = _asked_once(client, files, fields, folder)
            page = f"{server}/comparisons/{id}"
            progress.say(page)
            for sentence in _unsent(request):
                progress.say(sentence)
            _follow(client, id, progress)
            view = _answer(client, "GET", f"/v1/comparisons/{id}").json()
            if view["state"] != State.SUCCEEDED:
                raise RequestError(view["reason"] or f"The comparison was {view['state']}.")
            return _fetch(client, view, folder), folder
    except OSError as error:
        raise RequestError(
            f"--output: the folder {folder} cannot be written ({error.strerror}); the report is at {page}."
        ) from error
    except KeyboardInterrupt as stopped:
        raise Interrupted(
            f"interrupted, here alone: the comparison goes on at {page}, where it can be cancelled. "
            "The same command takes it up again."
        ) from stopped


def _asked_once(client: httpx.Client, files: list[Sent], fields: dict[str, str], folder: Path) -> str:
    """The id of the comparison that these files, options and folder stand for.

    Asking again finds the same one, unless it failed or was cancelled.
    """
    parts = [str(folder.absolute()), fields, [(role, name, _sha256(content)) for role, (name, content) in files]]
    once = _sha256(json.dumps(parts, sort_keys=True).encode())
    while True:
        sent = {"files": files, "data": fields, "headers": {"idempotency-key": once}}
        view = _answer(client, "POST", "/v1/comparisons", **sent).json()
        if view["state"] not in (State.FAILED, State.CANCELLED):
            return str(view["id"])
        once = _sha256(f"{once} {view['id']}".encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _key() -> str | None:
    """Raises RequestError where it cannot be one: headers hold ASCII alone."""
    key = os.environ.get(KEY)
    if key and not (key.isascii() and key.isprintable()):
        raise RequestError(f"${KEY}: there are signs in it that no key of a service has: copy it again.")
    return key


def _check_url(server: str) -> None:
    try:
        url = httpx.URL(server)
        usable = url.scheme in ("http", "https") and bool(url.host)
    except httpx.InvalidURL:
        usable = False
    if not usable:
        raise RequestError(f"--server: {server!r} is no address of a service, such as http://127.0.0.1:8000.")


def _holds_something(path: Path) -> bool:
    """An empty folder is one that an interrupted command has left, and takes up again."""
    return path.exists() and not (path.is_dir() and not any(path.iterdir()))


def _made(folder: Path) -> Path:
    """The output folder, empty. Raises RequestError where it cannot be: better now than when the work is done."""
    try:
        RunFolder(folder).refuse_others("")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(
            f"--output: the folder {folder} cannot be written ({error.strerror}): name another."
        ) from error
    return folder


def _refuse_unfit(request: CompareRequest) -> None:
    """Raise RequestError for options that mean nothing there: before anything is sent."""
    if request.endpoint is not None:
        raise RequestError(
            "--endpoint: which servers a service asks is up to its operator (OPENAI_BASE_URL, ADVISOR_MODELS there): "
            "leave it out with --server, or compare on this machine."
        )
    if request.max_spend is not None:
        raise RequestError(
            "--max-spend: what a comparison may spend on a service is up to its operator (ADVISOR_MAX_SPEND there): "
            "leave it out with --server, or compare on this machine."
        )
    if request.keep == "all":
        raise RequestError(
            "--keep all: of a service the recommended solution alone comes back: "
            "leave it out with --server, or compare on this machine."
        )


def _fields(request: CompareRequest) -> dict[str, str]:
    """Options as form fields."""
    options = json.loads(request.model_dump_json(exclude=NOT_SENT, exclude_unset=True))
    fields = {"task": _task(request.task)}
    if request.prices:
        fields["prices"] = read_price_file(request.prices).model_dump_json()
    for name, value in options.items():
        fields[name] = _field(value)
    return fields


def _field(value: Any) -> str:
    """A list with commas, an object as JSON."""
    if isinstance(value, dict):
        return json.dumps(value)
    return ",".join(value) if isinstance(value, list) else str(value)


def _task(task: str) -> str:
    """The task's fields as JSON, read as they are for a comparison on this machine."""
    return json.dumps({name: value for name, value in asdict(read_task(task)).items() if value})


def _files(request: CompareRequest) -> Iterator[Sent]:
    for role in FILES:
        name = getattr(request, role)
        if name:
            yield role, _read(Path(name), role)
    if request.documents:
        path = Path(request.documents)
        texts = _in_folder(path).sent if path.is_dir() else [path]
        if not texts:
            raise RequestError(f"--documents: {path} holds none of {', '.join(EXTRACTORS)} that can be read.")
        for file in texts:
            yield "documents", _read(file, "documents")


@dataclass(frozen=True)
class _Folder:
    """What a folder of documents holds. What is not sent the service does not see, and so cannot name as unread."""

    sent: list[Path]
    unknown: list[str]
    """Of no type that is read."""
    refused: list[str]
    """With the reason why they are not opened: as on this machine, links that lead out of the folder are not."""


def _in_folder(folder: Path) -> _Folder:
    found = _Folder([], [], [])
    for path, problem in walk(folder):
        within = path.relative_to(folder)
        if path.suffix.lower() in EXTRACTORS and not problem:
            found.sent.append(path)
        elif problem:
            found.refused.append(f"{within.as_posix()} ({problem})")
        else:
            found.unknown.append(within.as_posix())
    return found


def _unsent(request: CompareRequest) -> Iterator[str]:
    """Sentences on what is not sent of the documents."""
    if not request.documents or not Path(request.documents).is_dir():
        return
    found = _in_folder(Path(request.documents))
    for names, what in ((found.unknown, "of an unknown type"), (found.refused, "that cannot be opened")):
        if names:
            yield f"Left out {counted(len(names), 'file')} {what}: {listed(names)}."


def _read(path: Path, role: str) -> tuple[str, bytes]:
    try:
        return path.name, path.read_bytes()
    except OSError as error:
        raise RequestError(f"--{role}: the file {path} cannot be read ({error.strerror}).") from error


def _answer(client: httpx.Client, method: str, path: str, **options: Any) -> httpx.Response:
    try:
        answer = client.request(method, path, **options)
    except httpx.HTTPError as error:
        raise RequestError(f"--server: {client.base_url} does not answer ({type(error).__name__}).") from error
    if answer.is_success:
        return answer
    raise _refused(answer)


def _refused(answer: httpx.Response) -> RequestError:
    """The service's own sentence."""
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = f"status {answer.status_code}"
    return RequestError(f"--server: {detail}{HINTS.get(answer.status_code, '')}")


def _follow(client: httpx.Client, id: str, progress: Progress) -> None:
    """Tell what happens until the comparison has ended; a broken connection is taken up where it broke."""
    last, patient_until = "0", time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with client.stream("GET", f"/v1/comparisons/{id}/events", headers={"last-event-id": last}) as stream:
                if stream.is_client_error:
                    stream.read()
                    raise _refused(stream)
                if stream.is_success:
                    patient_until = time.monotonic() + PATIENCE_SECONDS
                    for number, kind, data in _events(stream.iter_lines()):
                        last = number
                        _tell(progress, kind, data)
                        if kind == "state" and data["state"] in ENDED:
                            return
                        patient_until = time.monotonic() + PATIENCE_SECONDS
        except httpx.HTTPError:
            pass  # asked again below, for a while
        if time.monotonic() > patient_until:
            raise RequestError(f"--server: {client.base_url} does not answer any more; {id} may go on there.")
        time.sleep(RETRY_SECONDS)


def _events(lines: Iterator[str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif "data" in fields:
            yield fields["id"], fields["event"], json.loads(fields["data"])
            fields = {}


def _tell(progress: Progress, kind: str, data: dict[str, Any]) -> None:
    if kind == "said":
        progress.say(data["text"])
    elif kind == "planned":
        progress.planned(data["seconds"], data.get("after", 0.0))
    elif kind == "phase":
        progress.phase(data["strategy"], data["phase"], data["done"], data["total"])
    elif kind == "strategy":
        progress.finished(data["strategy"], data["outcome"], data["quality"])


def _fetch(client: httpx.Client, view: dict[str, Any], folder: Path) -> Report:
    """Write the reports and the solution as a run of this machine's would have."""
    import io
    import zipfile

    reports = ("report.html", "report.md", "report.json")
    found = {name: _answer(client, "GET", f"{view['links']['self']}/{name}").content for name in reports}
    packed = _answer(client, "GET", view["links"]["solution"]).content if "solution" in view["links"] else None
    for name, content in found.items():  # once all of it is here: who is interrupted before finds the folder empty
        (folder / name).write_bytes(content)
    if packed is not None:
        zipfile.ZipFile(io.BytesIO(packed)).extractall(folder)  # takes no member out of the folder
    return Report.model_validate_json((folder / "report.json").read_bytes())
