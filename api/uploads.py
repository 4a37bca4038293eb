"""Files that clients send, put into a comparison's folder under names of our own."""

from __future__ import annotations

import hashlib
import re
import shutil
import unicodedata
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol

from advisor.report.wording import size
from advisor.runs import is_full
from api.problems import Problem
from api.settings import Settings
from eval.reading.documents import is_of_tools
from eval.reading.files import EXTRACTORS
from eval.reading.tables import READERS

TABLES = frozenset(READERS)
TEXTS = frozenset(EXTRACTORS)
ARCHIVE = ".zip"
ZIPPED = frozenset({".xlsx", ".docx"})
LONGEST_NAME = 80
"""Bytes; file systems take 255."""
READ_BIT_BY_BIT = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""Of what is packed otherwise (bzip2, LZMA) zipfile unpacks gigabytes in one call, whatever size is declared."""
MOST_DIRECTORY_BYTES = 4 * 2**20
"""Of an archive's list of members: 90,000 at the most, some 40,000 with usual names. It is parsed as a whole."""
DAMAGED = (zipfile.BadZipFile, zlib.error, ValueError, RuntimeError, OSError, EOFError, NotImplementedError)
"""What reading an archive that is none, or is encrypted, surfaces as."""
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
    return _store(upload, folder, f"{role}{suffix}", settings)


def store_documents(uploads: Sequence[Upload], folder: Path, settings: Settings) -> Stored:
    """Keep documents: one table, one archive, or any number of texts. Raises Problem for anything else."""
    only = uploads[0] if len(uploads) == 1 else None
    if only is not None and PurePosixPath(only.filename or "").suffix.lower() in TABLES:
        return store_table(only, folder, "documents", settings)
    texts = folder / "documents"
    texts.mkdir(parents=True)
    if only is not None and PurePosixPath(only.filename or "").suffix.lower() == ARCHIVE:
        stored = _store(only, folder, "documents.zip", settings)
        _unpack(folder / stored.path, stored.name, texts, settings)
        return Stored(stored.name, texts.name, stored.bytes, stored.sha256)
    if len(uploads) > settings.most_files:
        raise Problem(413, f"documents: at most {settings.most_files} files.")
    kept, numbers = [], dict[str, int]()
    for upload in uploads:
        _suffix(upload, TEXTS, "documents")
        kept.append(_store(upload, texts, _unused(texts, harmless(upload.filename), numbers), settings))
    digest = hashlib.sha256("".join(f"{s.name}:{s.sha256};" for s in kept).encode()).hexdigest()
    return Stored(f"{len(kept)} files", texts.name, sum(s.bytes for s in kept), digest)


def harmless(name: str | None) -> str:
    """A file's name without folders, control characters and anything that a shell or a page could take amiss."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFKC", name or ""))[-1]
    stem, suffix = PurePosixPath(last).stem, PurePosixPath(last).suffix
    clean = re.sub(r"[^\w .-]", "_", stem).strip(" .").encode()[:LONGEST_NAME].decode(errors="ignore") or "file"
    return clean + re.sub(r"[^A-Za-z0-9.]", "", suffix)[:12]


def _suffix(upload: Upload, known: frozenset[str], role: str) -> str:
    suffix = PurePosixPath(harmless(upload.filename)).suffix.lower()
    if suffix not in known:
        kinds = ", ".join(sorted(known))
        raise Problem(415, f"{role}: the file must be one of {kinds}, not {suffix or 'without type'}.")
    return suffix


def _store(upload: Upload, folder: Path, name: str, settings: Settings) -> Stored:
    folder.mkdir(parents=True, exist_ok=True)
    digest, length = hashlib.sha256(), 0
    with (folder / name).open("xb") as file:
        while chunk := upload.file.read(CHUNK):
            digest.update(chunk)
            length += len(chunk)
            file.write(chunk)
    called = harmless(upload.filename)
    _check(folder / name, called, settings)
    return Stored(called, name, length, digest.hexdigest())


def _check(path: Path, called: str, settings: Settings) -> None:
    """Refuse a workbook or document that is an archive of too much."""
    if path.suffix.lower() in ZIPPED:
        _members(path, called, settings)


def _members(path: Path, called: str, settings: Settings) -> list[zipfile.ZipInfo]:
    """What an archive holds. Raises Problem where that is too much; zipfile reads no more than is declared.

    `called`: its name in what is said of it.
    """
    try:
        with path.open("rb") as file:
            end = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # else all members are parsed before any is seen
            if end and end[zipfile._ECD_SIZE] > MOST_DIRECTORY_BYTES:  # type: ignore[attr-defined]
                raise Problem(413, f"{called} holds too many files.")
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
    except DAMAGED as error:
        raise Problem(422, f"{called} is damaged: it cannot be unpacked.") from error
    if any(member.compress_type not in READ_BIT_BY_BIT for member in members):
        raise Problem(422, f"{called} is encrypted or packed in an unusual way: pack it as an ordinary zip (deflate).")
    if sum(member.file_size for member in members) > settings.most_unpacked_bytes:
        raise Problem(413, f"{called} holds more than {size(settings.most_unpacked_bytes)} unpacked.")
    return members


def _unpack(path: Path, called: str, folder: Path, settings: Settings) -> None:
    """The texts of an archive, all in one folder: what paths they have in it does not count.

    Other files are empty there, so that whoever reads the folder names them as unread.
    """
    members = [member for member in _members(path, called, settings) if _is_of_use(member)]
    texts, others = ([m for m in members if _is_text(m) is wanted] for wanted in (True, False))
    if not texts or len(texts) > settings.most_files:
        raise Problem(422, f"documents: the archive must hold 1 to {settings.most_files} files of {', '.join(TEXTS)}.")
    numbers: dict[str, int] = {}
    with zipfile.ZipFile(path) as archive:
        for member in (*texts, *others[: settings.most_files]):
            target = folder / _unused(folder, harmless(member.filename), numbers)
            if not _is_text(member):
                target.touch()
                continue
            try:
                with archive.open(member) as source, target.open("xb") as file:
                    shutil.copyfileobj(source, file)
            except DAMAGED as error:
                if isinstance(error, OSError) and is_full(error):
                    raise
                raise Problem(422, "documents: the archive is damaged or encrypted: it cannot be unpacked.") from error
            _check(target, target.name, settings)
    path.unlink()


def _is_of_use(member: zipfile.ZipInfo) -> bool:
    """Whether a member of an archive is a file that someone put there, not one that a tool keeps for itself."""
    return not (member.is_dir() or any(map(is_of_tools, re.split(r"[/\\]", member.filename))))


def _is_text(member: zipfile.ZipInfo) -> bool:
    return PurePosixPath(harmless(member.filename)).suffix.lower() in TEXTS


def _unused(folder: Path, name: str, numbers: dict[str, int]) -> str:
    """The name, with a number where it is taken. `numbers`: the last one of each name so far, where to go on from."""
    stem, suffix = PurePosixPath(name).stem, PurePosixPath(name).suffix
    number = numbers.get(name, 1)
    while (folder / (free := name if number == 1 else f"{stem} ({number}){suffix}")).exists():
        number += 1
    numbers[name] = number
    return free
