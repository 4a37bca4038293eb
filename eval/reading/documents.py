"""The client's documents: a table of passages, or a folder of files. What yields no text is named."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.contracts import Document
from eval.errors import RequestError
from eval.findings import Finding
from eval.reading.columns import IDS, find_column, is_ignored, quoted, some_quoted
from eval.reading.files import EXTRACTORS, Text, extract
from eval.reading.tables import READERS, Table, read_table, readable_file
from eval.reading.text import as_text, clean, counted, listed, unique_id

TEXTS = ("text", "content", "contents", "body", "passage", "page_content", "document", "article", "chunk")
TITLES = ("title", "headline", "heading", "name", "subject")
DOCUMENT_IDS = (*IDS, "doc_id", "document_id", "passage_id", "chunk_id")


@dataclass(frozen=True)
class DocumentFile:
    """The documents that hold text, and what could not be read."""

    documents: tuple[Document, ...]
    findings: tuple[Finding, ...]


def read_documents(source: str | Path) -> DocumentFile:
    """Read a folder of files (recursively, in order of their names), one such file, or a table of documents.

    Raises RequestError, in one sentence, where there is no text at all. Files, rows and pages without text are
    reported in an `unread_documents` finding.
    """
    path = Path(source)
    if os.path.isdir(path):
        return _from_files(path, list(walk(path)))
    if path.suffix.lower() in EXTRACTORS:
        return _from_files(path.parent, [(readable_file(path), "")])
    if not str(source).startswith("hf:") and readable_file(path).suffix.lower() not in READERS:
        known = ", ".join([*EXTRACTORS, *READERS])
        if path.suffix.lower() == ".zip":
            raise RequestError(f"{path} is packed: unpack it and give the folder.")
        raise RequestError(f"{path} has an unknown type: give a folder, or a file that is one of {known}.")
    return _from_table(read_table(source))


def _from_table(table: Table) -> DocumentFile:
    column = find_column(table, TEXTS)
    if column is None:
        raise RequestError(
            f"{table.name} has the columns {quoted(table.columns)}, none of which is known to hold a document's "
            f"text: rename that column to text."
        )
    identifier, title = find_column(table, DOCUMENT_IDS), find_column(table, TITLES)
    documents, unread = [], []
    taken: set[str] = set()
    for row in table.rows:
        wanted = as_text(row.values.get(identifier)) if identifier else ""
        text = as_text(row.values.get(column))
        if text:
            name = unique_id(wanted, row.record, taken)
            documents.append(Document(name, text, as_text(row.values.get(title)) if title else ""))
        else:
            unread.append((wanted or f"row-{row.record}", "no text"))
    if not documents:
        raise RequestError(f'Every row of {table.name} has an empty "{column}": give documents that hold text.')
    read = [name for name in (column, title) if name]
    unread_columns = _unread_columns(table, read, identifier)
    return DocumentFile(tuple(documents), (*table.findings, *unread_columns, *_unread("row", unread)))


def _unread_columns(table: Table, read: Sequence[str], identifier: str | None) -> list[Finding]:
    """State which columns hold no part of the documents, if any: many are ids, dates and addresses; some are facts."""
    others = [name for name in table.columns if name not in (*read, identifier) and not is_ignored(table, name)]
    if not others:
        return []
    message = f"Read {quoted(read)} of {table.title} as the documents. Not read: {some_quoted(others)}."
    action = f'Write into "{read[0]}" what answers need of them.'
    return [Finding("column_mapping", "info", len(others), (), message, action)]


def _from_files(folder: Path, found: Sequence[tuple[Path, str]]) -> DocumentFile:
    documents: list[Document] = []
    unread: list[tuple[str, str]] = []
    partly: list[tuple[str, Text]] = []
    for path, problem in found:
        name = clean(path.relative_to(folder).as_posix())
        text = Text("", problem=problem) if problem else extract(path)
        if text.problem:
            unread.append((name, text.problem))
        else:
            documents.append(Document(name, text.body, clean(text.title or path.stem)))
        if not text.problem and text.pages_without_text:
            partly.append((name, text))
    if not documents:
        names = f" ({listed(f'{name}: {reason}' for name, reason in unread)})" if unread else ""
        raise RequestError(f"No text was found in {folder}{names}: give {', '.join(EXTRACTORS)} files that hold text.")
    return DocumentFile(tuple(documents), (*_unread("file", unread), *_pages(partly)))


def walk(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield every file below the folder in order, with the reason where it must not be opened.

    What tools keep for themselves is passed over.
    """
    root = folder.resolve()
    found: list[tuple[Path, str]] = []

    def refused(error: OSError) -> None:
        found.append((Path(error.filename), "folder that cannot be opened"))

    for place, folders, files in os.walk(folder, onerror=refused):
        folders[:] = [name for name in folders if not is_of_tools(name)]
        paths = [Path(place, name) for name in files if not is_of_tools(name)]
        found += [(path, _refusal(path, root)) for path in paths]
        links = (Path(place, name) for name in folders)
        found += [(path, "link to a folder, not followed") for path in links if path.is_symlink()]
    yield from sorted(found)


def is_of_tools(name: str) -> bool:
    """Whether a file or folder of this name is a tool's own: hidden, or what macOS adds to an archive."""
    return name == "__MACOSX" or (name.startswith(".") and name.strip(".") != "")


def _refusal(path: Path, root: Path) -> str:
    """Why a path must not be opened: it leads out of the folder, or is no plain file; empty where it may be."""
    try:
        target = path.resolve()
    except (OSError, RuntimeError):  # a link to itself
        return "broken link"
    if not target.is_relative_to(root):
        return "link out of the folder, not followed"
    return "" if target.is_file() else "not a plain file"


def _unread(noun: str, unread: Sequence[tuple[str, str]]) -> list[Finding]:
    if not unread:
        return []
    named_with_reason = listed(f"{name} ({reason})" for name, reason in unread)
    message = f"Left out {counted(len(unread), noun)}: {named_with_reason}."
    rows = tuple(name for name, _ in unread)
    action = "Convert what matters to text, or remove it."
    return [Finding("unread_documents", "warning", len(rows), rows, message, action)]


def _pages(partly: Sequence[tuple[str, Text]]) -> list[Finding]:
    if not partly:
        return []
    count = sum(text.pages_without_text for _, text in partly)
    places = listed(f"{name} ({text.pages_without_text} of {text.pages})" for name, text in partly)
    message = f"Found no text on {counted(count, 'page')}: {places}."
    rows = tuple(name for name, _ in partly)
    return [
        Finding("unread_documents", "warning", count, rows, message, "Run text recognition (OCR) on scanned pages.")
    ]
