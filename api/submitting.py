"""From a request's body to a comparison in the queue: its files are kept first, and stay only if it is queued."""

from __future__ import annotations

import json
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from api import asking, schemas
from api.access import Services
from api.job import UNFINISHED, UPLOADS, folder_of
from api.keys import Caller
from api.settings import Settings
from api.store import Asked
from api.tables import Comparison

OPTIONS_IN_FILES = {"task", "prices"}


def submit(
    body: asking.Body, caller: Caller, served: Services, request_id: str | None, idempotency_key: str | None = None
) -> Comparison:
    """Keep the files and queue the comparison; nothing stays behind where that is refused."""
    id = uuid.uuid4().hex
    folder = folder_of(served.settings, caller.project_id, id)
    asked = _kept(body, folder, served.settings, idempotency_key)
    action = served.keys.action(caller.actor, "comparison.create", id, caller.project_id, request_id)
    try:
        row, new = served.store.submit(caller.project_id, id, asked, served.settings.most_waiting, action)
    except Exception:
        queued: set[str] = set()
        with suppress(SQLAlchemyError):
            queued = served.store.known([id])  # it may be there all the same, where its end was not heard of
        if not queued:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    if not new:
        own = folder_of(served.settings, row.project_id, row.id)
        if own.exists():
            shutil.rmtree(folder, ignore_errors=True)
        else:  # the first request was taken for refused, as above, and its files are gone
            folder.rename(own)
    return row


def _kept(body: asking.Body, folder: Path, settings: Settings, idempotency_key: str | None) -> Asked:
    """What is asked, with its files in the folder, which is there once all of them are."""
    options = asking.checked(schemas.ComparisonOptions, asking.completed(body.options, settings))
    values = json.loads(options.model_dump_json(exclude=OPTIONS_IN_FILES))
    sent = {name: value for name, value in values.items() if name in body.options}  # what we fill in may change
    asking.allowed(values, settings)
    arriving = folder.with_name(UNFINISHED + folder.name)
    uploads = arriving / UPLOADS
    try:
        uploads.mkdir(parents=True)
        files = asking.store_files(body, uploads, settings)
        files["task"] = asking.store_task(options.task, uploads)
        if options.prices:
            files["prices"] = asking.store_prices(options.prices, uploads)
        asked = Asked(
            task=options.task if isinstance(options.task, str) else options.task.description,
            options=values,
            files={role: stored.to_json() for role, stored in files.items()},
            content_sha256=asking.content_sha256(sent, files),
            idempotency_key=idempotency_key,
        )
        arriving.rename(folder)
    finally:
        shutil.rmtree(arriving, ignore_errors=True)
    return asked
