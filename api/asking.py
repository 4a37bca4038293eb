"""From a request's body, JSON or multipart, to what is asked: options checked, files kept, nothing else looked at."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from advisor.economics import PriceFile
from advisor.error_costs import TAGS
from advisor.faults import first_fault
from advisor.request import Options
from api.access import Known
from api.problems import Problem
from api.schemas import TaskFields
from api.settings import Settings
from api.uploads import Stored, Upload, store_documents, store_table

FILES = ("examples", "test", "incumbent", "documents")
LISTS = ("model", "strategies", "input_columns", "accept")
PAIRS = ("min_recall",)
"""Fields that may come several times, each with one pair, or once as an object."""
OBJECTS = ("prices",)
JSON = "application/json"
UNION_TAGS = ("str", "TaskFields", *TAGS)
MOST_FIELDS = 100
_NULL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""In JSON. After an odd number of backslashes it is the text of such an escape, which is harmless."""

Form = TypeVar("Form", bound=BaseModel)


@dataclass(frozen=True)
class Body:
    """A body in one form, whatever it came as."""

    options: dict[str, Any]
    files: Mapping[str, Sequence[Upload]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Rows:
    """Rows of a JSON body as the file that they could have been."""

    filename: str
    file: io.BytesIO


@asynccontextmanager
async def body_of(request: Request, settings: Settings) -> AsyncIterator[Body]:
    """The request's body. Raises Problem where it is neither JSON nor a form, or cannot be read."""
    kind = _kind_of(request)
    if kind == JSON:
        yield await run_in_threadpool(_from_json, await request.body())
    elif kind in ("multipart/form-data", "application/x-www-form-urlencoded"):
        async with request.form(max_files=settings.most_files + 4, max_fields=MOST_FIELDS) as form:
            yield _from_form(form)
    else:
        raise Problem(415, "Send application/json or multipart/form-data.")


def json_body(form: type[Form]) -> Any:
    """A route's dependency: its JSON body as a form of `api.schemas`.

    FastAPI would parse and check it in the event loop, before it is known who asks. Raises Problem.
    """

    async def read(request: Request, caller: Known) -> Form:
        if _kind_of(request) != JSON:
            raise Problem(415, f"Send {JSON}.")
        content = await request.body()
        return await run_in_threadpool(lambda: _validated(form, _object_in(content)))

    return Depends(read)


def _kind_of(request: Request) -> str:
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _object_in(content: bytes) -> dict[str, Any]:
    try:
        values = json.loads(content, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Problem(400, "The body is no JSON that can be read.") from error
    if not isinstance(values, dict):
        raise Problem(422, "The body must be a JSON object.")
    return values


def _from_json(content: bytes) -> Body:
    values = _object_in(content)
    options = {name: value for name, value in values.items() if name not in FILES}
    files = {}
    for role in FILES:
        rows = values.get(role)
        if rows is None or rows == []:  # without rows of examples it is refused as it is without examples
            continue
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise Problem(422, f"{role}: in a JSON body these are a list of objects.")
        lines = b"".join(_encoded(row, role) + b"\n" for row in rows)
        files[role] = [_Rows(f"{role}.jsonl", io.BytesIO(lines))]
    return Body(options, cast("Mapping[str, Sequence[Upload]]", files))


def _from_form(form: FormData) -> Body:
    options: dict[str, Any] = {}
    files: dict[str, list[Upload]] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name not in FILES:
                raise Problem(422, f"{name}: no file is expected here, only for {', '.join(FILES)}.")
            if value.filename:  # browsers send a nameless one where none was chosen
                files.setdefault(name, []).append(cast("Upload", value))
        elif name in FILES:
            raise Problem(422, f"{name}: send a file.")
        elif name in LISTS:
            options.setdefault(name, []).extend(part.strip() for part in value.split(",") if part.strip())
        elif name in PAIRS and value.strip():
            options[name] = _with_pair(options.get(name), value, name)
        elif value.strip():
            options[name] = _object(value, name) if name in OBJECTS or value.lstrip().startswith("{") else value
    # a blank field was left as it is, but with all boxes unticked the page sends a blank one of strategies
    return Body({name: value for name, value in options.items() if value != [] or name == "strategies"}, files)


def _with_pair(before: list[str] | dict[str, Any] | None, value: str, name: str) -> Any:
    """What came before with a further pair, or all of them as one object."""
    if value.lstrip().startswith("{") and before is None:
        return _object(value, name)
    if value.lstrip().startswith("{") or isinstance(before, dict):
        raise Problem(422, f"{name}: send one JSON object, or LABEL=RATE once or several times, not both.")
    return [*(before or []), value.strip()]


def _object(value: str, name: str) -> Any:
    try:
        return json.loads(value, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Problem(422, f"{name}: this is no JSON that can be read.") from error


def checked(form: type[Form], options: Mapping[str, Any]) -> Form:
    """The options as a form of `api.schemas`. Raises Problem or RequestError, which name the field."""
    _encoded(options, "the request")
    return _validated(form, options)


def _validated(form: type[Form], options: Mapping[str, Any]) -> Form:
    try:
        return form.model_validate(options)
    except ValidationError as error:
        raise Problem(422, f"{first_fault(error, UNION_TAGS)}.") from error


def _encoded(value: object, what: str) -> bytes:
    """A value as JSON. Refuse what is no text: half characters, and the null that databases do not take."""
    try:
        encoded = json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise Problem(422, f"{what}: a string holds half a character (a lone surrogate).") from error
    except RecursionError as error:
        raise Problem(422, f"{what}: a value is nested too deeply.") from error
    if _NULL.search(encoded):
        raise Problem(422, f"{what}: a string holds the null character.")
    return encoded


def store_files(body: Body, folder: Path, settings: Settings) -> dict[str, Stored]:
    """Keep a body's files. Raises Problem where the examples are missing or a file is refused."""
    if not body.files.get("examples"):
        raise Problem(422, "examples: send a file of labelled rows, or rows in a JSON body.")
    kept = {}
    for role, uploads in body.files.items():
        if role == "documents":
            kept[role] = store_documents(uploads, folder, settings)
        elif len(uploads) > 1:
            raise Problem(422, f"{role}: send one file.")
        else:
            kept[role] = store_table(uploads[0], folder, role, settings)
    return kept


def store_task(task: TaskFields | str, folder: Path) -> Stored:
    """Keep a task as a file, so that no sentence can be taken for the path of one."""
    fields = {"description": task.strip()} if isinstance(task, str) else task.model_dump(exclude_none=True)
    return _store_json(fields, folder, "task.json")


def store_prices(prices: PriceFile, folder: Path) -> Stored:
    """Keep prices as the file that the comparison reads."""
    return _store_json(prices.model_dump(), folder, "prices.json")


def _store_json(values: dict[str, Any], folder: Path, name: str) -> Stored:
    content = json.dumps(values, ensure_ascii=False).encode()
    (folder / name).write_bytes(content)
    return Stored(name, name, len(content), hashlib.sha256(content).hexdigest())


def completed(options: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """The options with the operator's first models, and no more time than is allowed, where none are named."""
    own = {
        "model": [next(iter(settings.models))],
        "embedder": next(iter(settings.embedders)),
        "time_budget": min(Options().time_budget, settings.most_seconds),
    }
    return {**own, **options}


def allowed(options: Mapping[str, Any], settings: Settings) -> None:
    """Raise Problem where a model is not on the operator's list, or more is asked for than is allowed or can be had."""
    for name in options.get("model", []):
        if name not in settings.models:
            raise Problem(422, f"model: {name!r} is not offered here; known are {', '.join(settings.models)}.")
    embedder = options.get("embedder")
    if embedder is not None and embedder not in settings.embedders:
        raise Problem(422, f"embedder: {embedder!r} is not offered here; known are {', '.join(settings.embedders)}.")
    if options.get("keep") == "all":
        raise Problem(422, "keep: of a service the recommended solution alone can be fetched: leave it out.")
    if options.get("time_budget", 0) > settings.most_seconds:
        raise Problem(422, f"time_budget: at most {settings.most_seconds:g} seconds here.")


def content_sha256(options: Mapping[str, Any], files: Mapping[str, Stored]) -> str:
    """What two equal requests have in common."""
    parts = [options, {role: stored.sha256 for role, stored in files.items()}]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
