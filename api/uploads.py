"""Files that clients send, put into a comparison's folder under names of our own."""

from __future__ import annotations

import hashlib
import re
import unicodedata
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol

from api.problems import Problem
from api.settings import Settings
from eval.reading.files import EXTRACTORS
from eval.reading.tables import READERS

TABLES = frozenset(READERS)
TEXTS = frozenset(EXTRACTORS)
ARCHIVE = ".zip"
ZIPPED = frozenset({".xlsx", ".docx"})
LONGEST_NAME = 80
CHUNK = 2**20


class Upload(Protocol):
    """A file in a request, as Starlette gives it."""

    filename: str | None
    file: BinaryIO


@dataclass(frozen=True)
class Stored:
    """A file, or several, in the folder."""

    name: str
    """What it was called, made harmless."""
    path: str
    """Within the folder of uploads."""
    bytes: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def store_table(upload: Upload, folder: Path, role: str, settings: Settings) -> Stored:
    """Keep a table of examples, test rows or outputs as ROLE.SUFFIX. Raises Problem for anything else."""
    suffix = _suffix(upload, TABLES, role)
    stored = _store(upload, folder, f"{role}{suffix}", settings)
    if _rows(folder / stored.path) > settings.most_rows:
        raise Problem(413, f"{role}: at most {settings.most_rows} rows.")
    return stored


def store_documents(uploads: Sequence[Upload], folder: Path, settings: Settings) -> Stored:
    """Keep documents: one table, one archive, or any number of texts. Raises Problem for anything else."""
    only = uploads[0] if len(uploads) == 1 else None
    if only is not None and PurePosixPath(only.filename or "").suffix.lower() in TABLES:
        return store_table(only, folder, "documents", settings)
    texts = folder / "documents"
    texts.mkdir(parents=True)
    if only is not None and PurePosixPath(only.filename or "").suffix.lower() == ARCHIVE:
        stored = _store(only, folder, "documents.zip", settings)
        _unpack(folder / stored.path, texts, settings)
        return Stored(stored.name, texts.name, stored.bytes, stored.sha256)
    if len(uploads) > settings.most_files:
        raise Problem(413, f"documents: at most {settings.most_files} files.")
    kept = []
    for number, upload in enumerate(uploads):
        _suffix(upload, TEXTS, "documents")
        kept.append(_store(upload, texts, _unused(texts, harmless(upload.filename), number), settings))
    digest = hashlib.sha256("".join(f"{s.name}:{s.sha256};" for s in kept).encode()).hexdigest()
    return Stored(f"{len(kept)} files", texts.name, sum(s.bytes for s in kept), digest)


def _rows(path: Path) -> int:
    """At least as many rows as a table of lines has; what Parquet says of itself; 0 for the others."""
    if path.suffix == ".parquet":
        import pyarrow.parquet

        try:
            return int(pyarrow.parquet.read_metadata(path).num_rows)
        except (OSError, ValueError) as error:  # pyarrow's errors are among them
            raise Problem(422, f"{path.name} is damaged: it cannot be read as Parquet.") from error
    if path.suffix in ZIPPED or path.suffix == ".json":
        return 0
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(CHUNK), b""))


def harmless(name: str | None) -> str:
    """A file's name without folders, control characters and anything that a shell or a page could take amiss."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFKC", name or ""))[-1]
    stem, suffix = PurePosixPath(last).stem, PurePosixPath(last).suffix
    clean = re.sub(r"[^\w .-]", "_", stem).strip(" .")[:LONGEST_NAME] or "file"
    return clean + re.sub(r"[^\w.]", "", suffix)[:12]


def _suffix(upload: Upload, known: frozenset[str], role: str) -> str:
    suffix = PurePosixPath(harmless(upload.filename)).suffix.lower()
    if suffix not in known:
        kinds = ", ".join(sorted(known))
        raise Problem(415, f"{role}: the file must be one of {kinds}, not {suffix or 'without type'}.")
    return suffix


def _store(upload: Upload, folder: Path, name: str, settings: Settings) -> Stored:
    folder.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with (folder / name).open("xb") as file:
        while chunk := upload.file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            file.write(chunk)
    if Path(name).suffix in ZIPPED:
        _members(folder / name, settings)
    return Stored(harmless(upload.filename), name, size, digest.hexdigest())


def _members(path: Path, settings: Settings) -> list[zipfile.ZipInfo]:
    """What an archive holds. Raises Problem where that is too much; zipfile reads no more than is declared."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise Problem(422, f"{harmless(path.name)} is damaged: it cannot be unpacked.") from error
    if sum(member.file_size for member in members) > settings.most_unpacked_bytes:
        raise Problem(413, f"{harmless(path.name)} holds more than {settings.most_unpacked_bytes} bytes unpacked.")
    return members


def _unpack(path: Path, folder: Path, settings: Settings) -> None:
    """The texts of an archive, all in one folder: what paths they have in it does not count."""
    members = [m for m in _members(path, settings) if PurePosixPath(harmless(m.filename)).suffix.lower() in TEXTS]
    if not members or len(members) > settings.most_files:
        raise Problem(422, f"documents: the archive must hold 1 to {settings.most_files} files of {', '.join(TEXTS)}.")
    with zipfile.ZipFile(path) as archive:
        for number, member in enumerate(members):
            try:
                content = archive.read(member)
            except (zipfile.BadZipFile, RuntimeError, OSError, NotImplementedError, EOFError) as error:
                raise Problem(422, "documents: the archive is damaged or encrypted: it cannot be unpacked.") from error
            (folder / _unused(folder, harmless(member.filename), number)).write_bytes(content)
    path.unlink()


def _unused(folder: Path, name: str, number: int) -> str:
    return f"{number:04}-{name}" if (folder / name).exists() else name
