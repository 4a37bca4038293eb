"""What `advisor` starts: the advisor's command line and, beside it, the service's own commands."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import advisor.cli
from eval.errors import RequestError

if TYPE_CHECKING:
    from advisor.progress import Progress
    from advisor.report.schema import Report
    from advisor.request import CompareRequest
    from api.keys import KeyRing
    from api.worker import Worker

app = advisor.cli.app
keys_app = typer.Typer(help="API keys of the service.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(keys_app, name="keys")

KEYS_NEEDED = (
    "--host: without keys the service answers this machine alone (127.0.0.1): "
    "set ADVISOR_REQUIRE_KEYS=true, and make keys with `advisor keys create PROJECT`."
)
SERVE_KEY = "ADVISOR_SERVE_KEY"
SERVE_KEY_NEEDED = (
    "--host: without a key a solution is served to this machine alone (127.0.0.1): "
    f"set {SERVE_KEY} to a long random text."
)
RESTART_SECONDS = 1.0
NICE = 10
"""So much a worker stands back for the service that started it, whose answers people wait for."""


def main() -> None:
    """Run the command line."""
    advisor.cli.compare_on = _compare_on
    advisor.cli.main()


def _compare_on(server: str, request: CompareRequest, progress: Progress) -> tuple[Report, Path]:
    from api.client import compare_on

    return compare_on(server, request, progress)


@app.command()
def api(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(min=0, help="Workers to start beside it.")] = 1,
) -> None:
    """Start the service: HTTP API and pages, and a worker. Settings are ADVISOR_... variables (docs/operate.md)."""
    import uvicorn

    from api.app import create_app
    from api.limits import is_this_machine
    from api.logs import log_as_json
    from api.settings import read_settings

    settings = read_settings()
    if not settings.require_keys and not is_this_machine(host):
        raise RequestError(KEYS_NEEDED)
    listening = _listen(host, port)
    log_as_json()
    app = create_app(settings)
    stop = threading.Event()
    watchers = [threading.Thread(target=_keep_worker, args=(stop, workers)) for _ in range(workers)]
    for watcher in watchers:
        watcher.start()
    gc.freeze()  # a full collection need not pass over the libraries: that would stop every answer for half a second
    print(f"Advisor listens on {_address(host, listening)}", file=sys.stderr, flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises it again, and workers are to be ended first
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5))
    try:
        with suppress(KeyboardInterrupt):  # uvicorn raises it again after it has stopped
            server.run(sockets=[listening])
    finally:
        stop.set()
        for watcher in watchers:
            watcher.join()


def _keep_worker(stop: threading.Event, workers: int) -> None:
    """Run one of so many workers, and another one whenever it dies, until the service ends."""
    threads = str(max(1, (os.cpu_count() or 1) // workers))  # more threads than cores only wait for each other
    environment = {"OMP_NUM_THREADS": threads, **os.environ} if workers > 1 else None
    while not stop.is_set():
        read, write = os.pipe()  # the worker sees its end when this process dies, however it dies
        command = [sys.executable, "-m", "api", "worker", "--with", str(read)]
        process = subprocess.Popen(command, pass_fds=[read], env=environment)
        os.close(read)
        while process.poll() is None and not stop.wait(0.2):
            pass
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait()
        os.close(write)
        stop.wait(RESTART_SECONDS)


@app.command()
def worker(
    with_: Annotated[int | None, typer.Option("--with", hidden=True, help="End when this pipe does.")] = None,
) -> None:
    """Carry out comparisons that wait, one at a time; start several for several at a time."""
    from api.database import check_is_current
    from api.logs import log_as_json
    from api.settings import read_settings
    from api.worker import Worker

    settings = read_settings()
    check_is_current(settings)
    log_as_json()
    own = Worker(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, own.stop)
    if with_ is not None:
        os.nice(NICE)
        threading.Thread(target=_stop_with, args=(with_, own), daemon=True).start()
    own.work()


def _stop_with(pipe: int, own: Worker) -> None:
    os.read(pipe, 1)  # returns when the other end is closed
    own.stop()


@app.command()
def serve(
    run: Annotated[Path, typer.Argument(metavar="RUN_OR_SOLUTION")],
    host: Annotated[str, typer.Option(help="Address; others than this machine's need a key.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8001,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Serve the kept solution as an OpenAI-compatible endpoint. A key is taken from ADVISOR_SERVE_KEY."""
    from advisor.further import kept_solutions
    from api.limits import is_this_machine
    from strategies.models.shelf import ModelShelf
    from strategies.solutions import load_solution

    key = os.environ.get(SERVE_KEY) or None
    if key is None and not is_this_machine(host):
        raise RequestError(SERVE_KEY_NEEDED)
    listening = _listen(host, port)
    ((name, folder),) = kept_solutions(run, everything=False)
    solution = load_solution(folder, ModelShelf(device))
    import uvicorn

    from api.serving import create_serving_app

    server = uvicorn.Server(
        uvicorn.Config(
            create_serving_app(solution, name, key), log_level="warning", access_log=False, timeout_graceful_shutdown=5
        )
    )
    address = _address(host, listening)
    print(f"{name} of {run} answers at {address}/v1 (OpenAI-compatible). Ctrl-C ends it.", file=sys.stderr, flush=True)
    with suppress(KeyboardInterrupt):  # uvicorn raises it again after it has stopped
        server.run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    """A socket of this address; taken before anything is loaded or started in vain."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        why = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise RequestError(f"--host, --port: {host}:{port} cannot be listened on ({why}).") from error


def _address(host: str, listening: socket.socket) -> str:
    """As a URL, with the port that the system chose where none was named."""
    return f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"


@keys_app.command("create")
def create_key(
    project: Annotated[str, typer.Argument()], name: Annotated[str, typer.Option(help="What it is for.")] = "key"
) -> None:
    """Make a key of a project and print it: this is the only time that it is shown."""
    print(_ring().create(project, name))


@keys_app.command("list")
def list_keys() -> None:
    """All keys, without their secrets."""
    for key, project in _ring().all():
        made = datetime.fromtimestamp(key.created_at, UTC).date()
        print(f"{key.id}  {project:20} {key.name:20} made {made}{'  revoked' if key.revoked_at else ''}")


@keys_app.command("revoke")
def revoke_key(id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """End a key at once."""
    _ring().revoke(id)


def _ring() -> KeyRing:
    from api.database import connect, upgrade
    from api.keys import KeyRing
    from api.settings import read_settings

    settings = read_settings()
    upgrade(settings)
    return KeyRing(connect(settings))
