"""One comparison, carried out in a process of its own. What it learns goes to the store at once."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from advisor.progress import Forecast
from advisor.request import CompareRequest, make_request
from advisor.runs import RunFolder, is_full
from api.database import AWAY, connect
from api.helper import die_with
from api.logs import log_as_json
from api.problems import in_fields
from api.settings import GIB, Settings
from api.store import Lease, LeaseLost, Store
from api.tables import Comparison, State
from api.work import check_rows, models_of, uncounted
from eval.errors import FolderBusy, RequestError

EVERY_SECONDS = 0.5
"""At most so often the same phase is told again."""
BUSY_SECONDS = 2.0
LEAST_FREE_BYTES = GIB
"""Of the data folder's disk, or a twentieth of a small one: with less nothing is begun."""
NO_FAULT = os.EX_TEMPFAIL
"""Exit status of an attempt that ended for want of the database or of room, which is no fault of the comparison."""
UPLOADS, RUN = "uploads", "run"
UNFINISHED = "."
"""What the name of a comparison's folder begins with while its files arrive."""

log = structlog.get_logger("advisor.worker")


def folder_of(settings: Settings, project_id: str, id: str) -> Path:
    """Everything that is kept of a comparison besides its row."""
    return settings.data / "projects" / project_id / id


def scratch_of(settings: Settings) -> Path:
    """Where audits keep files while they look at them."""
    return settings.data / "scratch"


def request_of(row: Comparison, settings: Settings) -> CompareRequest:
    """The comparison that a row asks for, as seen from its folder."""
    files = {role: f"{UPLOADS}/{stored['path']}" for role, stored in row.files.items()}
    withdrawn = [name for name in row.options["model"] if name not in settings.models]
    if withdrawn or row.options["embedder"] not in settings.embedders:
        raise RequestError("A model that this comparison names is not offered here any more: ask for it anew.")
    own = {"output": Path(RUN), "device": settings.device, "max_spend": settings.max_spend}
    return make_request(**row.options, **files, **own)


def carry_out(settings: Settings, lease: Lease, parent: Connection) -> None:
    """Run a leased comparison to its end; the target of a process. Finished strategies of earlier attempts stand."""
    from advisor.cli import quieten_libraries
    from advisor.comparison import run

    die_with(parent)
    quieten_libraries()
    log_as_json()
    store = Store(connect(settings))
    words = log.bind(comparison=lease.id, attempt=lease.attempt)
    try:
        row = store.request_of(lease)
        files = list(row.files.values())
        try:
            request = request_of(row, settings)
            enter(folder_of(settings, lease.project_id, lease.id))
            check_rows(request, settings.most_rows)
            if RunFolder(Path(RUN)).began_otherwise():  # before an upgrade
                RunFolder(Path(RUN)).begin_anew()
                words.info("begun anew")
            shelf, prices = models_of(request, settings.places, settings.token_prices)
            if reason := uncounted(shelf, request):
                raise RequestError(reason)
            report, _ = run(request, StoredProgress(store, lease, files), shelf, prices, travels=True)
        except (LeaseLost, SQLAlchemyError):
            raise
        except FolderBusy:  # an attempt whose lease has ended has not noticed yet
            time.sleep(BUSY_SECONDS)
            raise
        except Exception as error:
            if is_full(error):
                words.error("the disk is full", exc_info=error)
                time.sleep(BUSY_SECONDS)
                os._exit(NO_FAULT if lacks_room(settings) else 1)
            if isinstance(error, RequestError):
                words.info("refused")
                reason = in_fields(settings.named(str(error)), files)
            else:
                words.error("failed", exc_info=error)
                reason = f"An internal error ({type(error).__name__}): the worker's log has more."
            store.end(lease, State.FAILED, reason)
        else:
            told = {"strategy", "verdict", "headline", "keeps_incumbent", "falls_short"}
            advice = json.loads(report.recommendation.model_dump_json(include=told))
            store.end(lease, State.SUCCEEDED, recommendation=advice)
            words.info("succeeded", strategy=advice["strategy"])
    except (LeaseLost, FolderBusy, SQLAlchemyError) as error:
        # another attempt will be made, by whoever has the lease then
        words.warning("given up", error=type(error).__name__)
        os._exit(NO_FAULT if isinstance(error, AWAY) else 1)


def lacks_room(settings: Settings) -> bool:
    """Whether the disk has no room for any comparison.

    Where it has, and one finds it full all the same (its own files, a quota, another disk), so will its next attempt.
    """
    disk = shutil.disk_usage(settings.data)
    return disk.free < min(LEAST_FREE_BYTES, disk.total / 20)


def enter(folder: Path) -> None:
    """Work in a comparison's folder, so that no sentence names folders of the service's."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise RequestError("The files of this comparison are gone: ask for it anew.") from error


class StoredProgress:
    """Implements `advisor.progress.Progress`: what is told becomes events.

    Between fits it raises what the store raises, which ends the attempt. Within one, how far it is may stay untold: a
    strategy is not to fail for that.
    """

    def __init__(self, store: Store, lease: Lease, files: Sequence[Mapping[str, Any]]) -> None:
        self._store, self._lease, self._files = store, lease, files
        self._forecast = Forecast()
        self._last = ("", "")
        self._at = 0.0

    def say(self, text: str) -> None:
        self._store.tell(self._lease, "said", {"text": in_fields(text, self._files)})

    def planned(self, seconds: dict[str, float], after: float) -> None:
        self._forecast.plan(seconds, after)
        data = {"seconds": seconds, "after": after}
        self._store.tell(self._lease, "planned", data, seconds_left=self._forecast.whole, progress=0.0)

    def phase(self, strategy: str, phase: str, done: int, total: int) -> None:
        self._forecast.at(strategy)
        now = time.monotonic()
        if (strategy, phase) == self._last and now < self._at + EVERY_SECONDS:
            return
        self._last, self._at = (strategy, phase), now
        data: dict[str, Any] = {"strategy": strategy, "phase": phase, "done": done, "total": total}
        shown = {"phase": f"{strategy}: {phase}", "progress": self._forecast.share, "seconds_left": self._forecast.left}
        with suppress(SQLAlchemyError, LeaseLost):
            self._store.tell(self._lease, "phase", {**data, **_rounded(shown)}, **shown)

    def finished(self, strategy: str, outcome: str, quality: float | None = None) -> None:
        self._forecast.done(strategy)
        self._store.strategy_done(self._lease, strategy, {"outcome": outcome, "quality": quality})


def _rounded(shown: dict[str, Any]) -> dict[str, Any]:
    left = shown["seconds_left"]
    return {"progress": round(shown["progress"], 3), "seconds_left": None if left is None else round(left, 1)}
