"""Work on clients' data that must not happen in the server's process: bounded in time and memory, and killed beyond."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Generator, Sequence
from multiprocessing.connection import Connection
from typing import Any

import psutil

from api.logs import log_as_json
from api.problems import Problem
from api.turns import Turns
from eval.errors import AdvisorError

POLL_SECONDS = 0.05
MEMORY_POLL_SECONDS = 0.25
START_SECONDS = 300.0
"""After which a process is given up that takes no work yet."""
MOST_CALLS, MOST_OF_ONE = 10, 4
"""At work or waiting, in all and of one project; each holds one of the server's 40 threads, and there are 3 helpers."""
GONE = "Nobody waits for this any more."
READY = "ready"
SO_FAR = "so far"
"""What a result is called that may be followed by a better one."""
PRELOADED = ["advisor.comparison", "advisor.further", "advisor.auditing", "strategies.models.transformers_lm", "peft"]

processes = multiprocessing.get_context("forkserver")
"""Children begin with the heavy libraries imported once, and with nothing of the parent's memory."""
processes.set_forkserver_preload(PRELOADED)


def die_with(parent: Connection) -> None:
    """End this process as soon as the one that holds the other end of the pipe is gone, even if it was killed."""

    def watch() -> None:
        try:
            parent.recv()
        except (EOFError, OSError):
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class Helper:
    """A child process that answers one call at a time; the next call begins another where the last was killed.

    `remedy`: what to do where the work is too much, as the end of a sentence.
    """

    def __init__(self, work: Callable[..., Any], most_memory_bytes: int, remedy: str = "send less at a time") -> None:
        self._work, self._most_memory, self._remedy = work, most_memory_bytes, remedy
        self._turns = Turns(MOST_CALLS, MOST_OF_ONE)
        self._process: Any = None
        self._pipe: Any = None
        self._life: Any = None

    def call(self, *arguments: Any, whose: str, seconds: float, gone: Callable[[], bool] = lambda: False) -> Any:
        """The work's result; of a generator the last one, or where it was cut off, the last that was there by then.

        `whose`: the project that asks. `seconds`: for the work, from when the process is there, and as long for its
        turn to come. `gone`: whether nobody waits for the result any more, which ends the work.

        Raises what it raised if that was an AdvisorError, and Problem where it was cut off without any result.
        """
        with self._turns.turn(whose, seconds, gone):
            if gone():
                raise Problem(503, GONE)
            outcome, value = self._asked(arguments, seconds, gone)
        if outcome == "error":
            raise value
        if outcome == "failed":
            raise RuntimeError(value)
        return value

    def _asked(self, arguments: tuple[Any, ...], seconds: float, gone: Callable[[], bool]) -> tuple[str, Any]:
        try:
            if self._process is None or not self._process.is_alive():
                self._start()
            self._pipe.send(arguments)
            return self._outcome(time.monotonic() + seconds, gone)
        except (EOFError, OSError) as error:
            self.close()
            raise Problem(503, "The process that worked on this was ended: try again.") from error

    def _start(self) -> None:
        """Begin a process, and wait until it takes work: libraries may take a busy machine long to load."""
        self.close()
        (ours, theirs), (life, end) = processes.Pipe(), processes.Pipe()
        process = processes.Process(target=_serve, args=(theirs, end, self._work), daemon=True)
        process.start()
        theirs.close()
        end.close()
        self._process, self._pipe, self._life = process, ours, life
        if not ours.poll(START_SECONDS):
            raise TimeoutError
        ours.recv()

    def _outcome(self, end: float, gone: Callable[[], bool]) -> tuple[str, Any]:
        so_far: tuple[str, Any] | None = None
        while True:
            try:
                self._wait(end, gone)
            except Problem:
                if so_far is None:
                    raise
                return so_far
            found: tuple[str, Any] = self._pipe.recv()
            if found[0] != SO_FAR:
                return found
            so_far = found

    def _wait(self, end: float, gone: Callable[[], bool]) -> None:
        """Until there is something to receive. Raises Problem where the process was ended before."""
        next_look = 0.0
        while not self._pipe.poll(POLL_SECONDS):
            now = time.monotonic()
            if now > end:
                self.close()
                raise Problem(504, f"This took too long and was ended: {self._remedy}.")
            if gone():
                self.close()
                raise Problem(503, GONE)
            if now > next_look:
                next_look = now + MEMORY_POLL_SECONDS
                if memory_of(self._process.pid) > self._most_memory:
                    self.close()
                    raise Problem(413, f"This needs more memory than is allowed: {self._remedy}.")

    def close(self) -> None:
        """Kill the process; the next call starts another."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._life.close()
        self._process = None


def _serve(pipe: Connection, life: Connection, work: Callable[..., Any]) -> None:
    from advisor.cli import quieten_libraries

    die_with(life)
    quieten_libraries()
    log_as_json()
    pipe.send(READY)
    while True:
        try:
            arguments: Sequence[Any] = pipe.recv()
        except EOFError:
            return
        try:
            answer: tuple[str, Any] = "done", _last(work(*arguments), pipe)
        except AdvisorError as error:
            answer = "error", error
        except Exception as error:
            answer = "failed", type(error).__name__
        pipe.send(answer)


def _last(result: Any, pipe: Connection) -> Any:
    """The result; of a generator the last one, after each was sent as it came."""
    if not isinstance(result, Generator):
        return result
    last = None
    for last in result:
        pipe.send((SO_FAR, last))
    return last


def memory_of(pid: int) -> int:
    """Bytes in the memory of a process; 0 where it has just ended."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
