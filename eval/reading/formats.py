"""Records from JSON Lines, JSON, Parquet and Hugging Face data sets."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.errors import RequestError, brief
from eval.reading.delimited import Reading, Record, assumed, unparseable
from eval.reading.text import DECODER, Decoded, listed, read_text


def read_json_lines(path: Path) -> Reading:
    """Read one JSON object per line; broken lines are reported by number, and reading goes on."""
    decoded = read_text(path)
    whole = _parse(decoded.text) if decoded.text.lstrip().startswith("[") else None
    if isinstance(whole, list):
        return _json_reading(path, decoded, *_objects(whole), "item")
    return _json_reading(path, decoded, *_lines(decoded.text))


def read_json(path: Path) -> Reading:
    """Read a list of objects, or an object that holds one; JSON Lines under the wrong name are read as well."""
    decoded = read_text(path)
    content = _parse(decoded.text)
    if content is not None:
        return _json_reading(path, decoded, *_objects(_flat(_only_list(content, path))), "item")
    is_list = decoded.text.lstrip().startswith("[")  # of which lines may be objects by chance
    records, broken = ([], []) if is_list else _lines(decoded.text)
    if not records:
        raise RequestError(
            f"{path} is not valid JSON ({_fault(decoded.text)}): give a list of objects, or one object per line "
            "(JSON Lines)."
        )
    return _json_reading(path, decoded, records, broken)


def _json_reading(
    path: Path, decoded: Decoded, records: list[Record], broken: Sequence[int], unit: str = "line"
) -> Reading:
    findings = assumed(path.name, decoded) + unparseable(path.name, broken, "a JSON object", unit)
    return Reading(records, findings, broken, unit)


def read_parquet(path: Path) -> Reading:
    """Read all columns of a Parquet file."""
    from pyarrow import parquet

    try:
        # ParquetFile, unlike read_table, makes no columns out of folder names such as `split=train`.
        with parquet.ParquetFile(path) as file:
            rows = _as_written(file.read()).to_pylist(maps_as_pydicts="strict")  # else they would be lists of pairs
    except Exception as error:  # pyarrow's errors share no base class with those of its decoders
        raise RequestError(f"{path} is not a readable Parquet file ({brief(error)}): export it again.") from error
    named = [{k: _readable(v, k, path) for k, v in row.items() if not k.startswith("__index_level_")} for row in rows]
    return Reading(_objects(named)[0], [], unit="item")


def _as_written(table: Any) -> Any:
    """The table with the numbers of 32 bits as somebody wrote them: 49.9, not the nearest of 64 bits to them."""
    import pyarrow

    for place, field in enumerate(table.schema):
        texts, numbers = (_with_numbers(field.type, as_) for as_ in (pyarrow.string(), pyarrow.float64()))
        if numbers != field.type:
            table = table.set_column(place, field.name, table.column(place).cast(texts).cast(numbers))
    return table


def _with_numbers(kind: Any, as_: Any) -> Any:
    """The type with another in place of numbers of 32 bits, in lists, objects and maps too."""
    from pyarrow import float32, list_, map_, struct, types

    if kind == float32():
        return as_
    if types.is_struct(kind):
        return struct([field.with_type(_with_numbers(field.type, as_)) for field in kind])
    if types.is_map(kind):
        return map_(kind.key_type, _with_numbers(kind.item_type, as_))
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    if not is_list and not types.is_dictionary(kind):
        return kind
    inner = _with_numbers(kind.value_type, as_)
    if inner == kind.value_type:
        return kind
    return list_(kind.value_field.with_type(inner)) if is_list else inner


def _readable(value: object, column: str, path: Path) -> object:
    """Text that a writer stored as bytes. Raises RequestError for bytes that are no text."""
    try:
        return value.decode() if isinstance(value, bytes) else _readable_within(value)
    except UnicodeDecodeError:
        raise RequestError(f'Column "{column}" of {path} holds bytes that are no UTF-8 text: store text.') from None


def _readable_within(value: object) -> object:
    """The same for what lists, objects and maps hold; of bytes that are no text, such as pictures, null is left.

    Keys, which a map may have of any kind, are text.
    """
    if isinstance(value, dict):
        return {str(_readable_within(key)): _readable_within(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_readable_within(item) for item in value]
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def read_hub(source: str) -> Reading:
    """Read `hf:ORG/NAME:SPLIT` (or `hf:ORG/NAME/CONFIG:SPLIT`); label numbers become their names."""
    match = re.fullmatch(r"hf:([^:/\s]+/[^:/\s]+)(?:/([^:/\s]+))?:([^:\s]+)", source)
    if not match:
        raise RequestError(f'"{source}" does not name a data set: write hf:ORG/NAME:SPLIT.')
    name, config, split = match.groups()
    import datasets

    try:
        data: Any = datasets.load_dataset(name, config, split=split)
        rows = list(data)
    except Exception as error:  # hub, network, file and schema errors have no common base
        offline = os.environ.get("HF_HUB_OFFLINE", "1") != "0"  # nothing is fetched unasked
        allow = "set HF_HUB_OFFLINE=0 to allow it, " if offline else ""
        fix = f"{allow}check name, split and network, or give a local file"
        raise RequestError(f"{source} could not be fetched ({brief(error)}): {fix}.") from error
    labels = {column: kind for column, kind in data.features.items() if isinstance(kind, datasets.ClassLabel)}
    named = [{key: _label(labels.get(key), value) for key, value in row.items()} for row in rows]
    return Reading(_objects(named)[0], [], unit="item")


def _label(names: Any, value: object) -> object:
    """A class number's name; -1 is the Hub's way of writing that there is no label."""
    if names is None or value is None:
        return value
    return None if value == -1 else names.int2str(value)


def _parse(text: str) -> object:
    """The JSON value; None where the text is not valid JSON."""
    try:
        return DECODER.decode(text)
    except (ValueError, RecursionError):
        return None


def _fault(text: str) -> str:
    """Where a text stops being JSON."""
    try:
        DECODER.decode(text)
    except json.JSONDecodeError as error:
        return f"line {error.lineno}, column {error.colno}: {error.msg}"
    except (ValueError, RecursionError):
        pass
    return "nested too deeply"


def _lines(text: str) -> tuple[list[Record], list[int]]:
    """Objects by line; a blank line is a record without cells. Only LF ends a line, since U+2028 may be in a string."""
    records: list[Record] = []
    broken: list[int] = []
    for number, line in enumerate(text.rstrip().split("\n"), 1):
        value = _parse(line) if line.strip() else {}
        if isinstance(value, dict):
            records.append((number, value))
        else:
            broken.append(number)
    return records, broken


def _objects(items: Sequence[object]) -> tuple[list[Record], list[int]]:
    """Number the objects of a list from 1, and tell which items are none."""
    numbered = list(enumerate(items, 1))
    records = [(number, item) for number, item in numbered if isinstance(item, dict)]
    return records, [number for number, item in numbered if not isinstance(item, dict)]


def _only_list(content: object, path: Path) -> list[object]:
    if isinstance(content, list):
        return content
    members = content if isinstance(content, dict) else {}
    lists = {key: v for key, v in members.items() if isinstance(v, list) and any(isinstance(item, dict) for item in v)}
    if len(lists) == 1:
        return next(iter(lists.values()))
    found = f"lists of objects under {listed(lists)}" if lists else "no list of objects"
    raise RequestError(f"{path} holds {found}: give a list of objects, or an object with one such list.")


def _flat(items: list[object]) -> list[object]:
    """Of SQuAD's nested form (articles, paragraphs, questions), a row for each question; other items as they are."""
    articles = _dicts(items)
    paragraphs = [paragraph for article in articles for paragraph in _dicts(article.get("paragraphs"))]
    rows = [
        {
            "id": asked.get("id"),
            "context": paragraph.get("context"),
            "question": asked.get("question"),
            "answers": [answer.get("text") for answer in _dicts(asked.get("answers"))],
        }
        for paragraph in paragraphs
        for asked in _dicts(paragraph.get("qas"))
    ]
    if not rows or not all("paragraphs" in article for article in articles):
        return items
    return [*rows, *(item for item in items if not isinstance(item, dict))]  # which are told as unreadable


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
