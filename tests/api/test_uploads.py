"""What clients send lands in its folder under harmless names, or is refused."""

from __future__ import annotations

import errno
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from api import uploads
from api.problems import Problem
from api.settings import Settings
from api.uploads import LONGEST_NAME, harmless, store_documents, store_table
from eval.reading.documents import read_documents

HOSTILE = (
    "../../etc/passwd.csv",
    "..\\..\\windows\\x.csv",
    "/etc/cron.d/x.csv",
    "a\0b.csv",
    "<script>alert(1)</script>.csv",
    "x\r\nSet-Cookie: a=b.csv",
    "$(reboot).csv",
    "'; DROP TABLE keys; --.csv",
    "\u202egpj.csv",
    "..csv",
    "a" * 5000 + ".csv",
    "CON.csv",
)


@dataclass
class Sent:
    filename: str | None
    file: io.BytesIO


def sent(name: str | None, content: bytes = b"input,output\na,b\n") -> Sent:
    return Sent(name, io.BytesIO(content))


def zipped(members: dict[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return found.getvalue()


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_table_is_kept_under_a_name_of_ours_whatever_it_was_called(
    name: str, settings: Settings, tmp_path: Path
) -> None:
    stored = store_table(sent(name), tmp_path / "in", "examples", settings)
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()] == ["in/examples.csv"]
    assert stored.path == "examples.csv"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_harmless_name_is_one_short_part_of_a_path(name: str) -> None:
    found = harmless(name)
    assert found
    assert len(found.encode()) <= LONGEST_NAME + 12
    assert not set(found) & set("/\\\0\r\n<>;$'\"")
    assert found not in (".", "..")


@pytest.mark.parametrize("name", ["x.exe", "x.pkl", "x", None, "x.csv.sh", "x.zip"])
def test_anything_but_a_table_is_refused_where_one_is_wanted(
    name: str | None, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(Problem, match="must be one of") as refused:
        store_table(sent(name), tmp_path, "examples", settings)
    assert refused.value.status == 415


def test_documents_may_be_texts_of_the_same_name(settings: Settings, tmp_path: Path) -> None:
    stored = store_documents([sent("a.txt", b"one"), sent("../a.txt", b"two")], tmp_path, settings)
    assert sorted(p.read_bytes() for p in (tmp_path / stored.path).iterdir()) == [b"one", b"two"]


def test_a_free_name_is_found_at_once_however_many_have_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an archive of folders with an index.html each."""
    asked, exists = list[Path](), Path.exists

    def counted(path: Path) -> bool:
        asked.append(path)
        return exists(path)

    monkeypatch.setattr(Path, "exists", counted)
    (tmp_path / "a (3).txt").touch()
    numbers: dict[str, int] = {}
    names = list[str]()
    for _ in range(50):
        names.append(uploads._unused(tmp_path, "a.txt", numbers))
        (tmp_path / names[-1]).touch()
    assert names[:4] == ["a.txt", "a (2).txt", "a (4).txt", "a (5).txt"]
    assert len(set(names)) == 50
    assert len(asked) <= 3 * 50


def test_an_archives_texts_cannot_leave_their_folder(settings: Settings, tmp_path: Path) -> None:
    hostile = {
        "../../evil.txt": b"1",
        "/abs.md": b"2",
        "deep/er/a.html": b"<p>3",
        "not read.exe": b"4",
        "a\\..\\..\\b.txt": b"5",
        "__MACOSX/._a.txt": b"6",
        "__MACOSX/b.txt": b"6",
        ".git/config.txt": b"6",
        "deep/.DS_Store": b"7",
        "folder.txt/": b"",
    }
    stored = store_documents([sent("docs.zip", zipped(hostile))], tmp_path / "in", settings)
    found = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    assert stored.path == "documents"
    assert all(name.startswith("in/documents/") and name.count("/") == 2 for name in found)
    assert len(found) == 5
    assert (tmp_path / "in/documents/not read.exe").read_bytes() == b"", "there, so that it is named as unread"
    (unread,) = read_documents(tmp_path / "in/documents").findings
    assert unread.rows == ("not read.exe",)


def test_many_other_files_in_an_archive_are_no_reason_to_refuse_its_texts(settings: Settings, tmp_path: Path) -> None:
    files = {"a.txt": b"text", **{f"{n}.png": b"" for n in range(settings.most_files + 5)}}
    stored = store_documents([sent("docs.zip", zipped(files))], tmp_path / "in", settings)
    assert len(list((tmp_path / "in" / stored.path).iterdir())) == 1 + settings.most_files


@pytest.mark.parametrize("name", ["bomb.zip", "bomb.xlsx"])
def test_what_unpacks_to_too_much_is_refused(name: str, make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    settings = make_settings(most_unpacked_bytes=1_000_000)
    bomb = zipped({"a.txt": b"\0" * 5_000_000})
    assert len(bomb) < 10_000
    one = sent(name, bomb)
    store = (
        (lambda: store_documents([one], tmp_path, settings))
        if name.endswith("zip")
        else (lambda: store_table(one, tmp_path, "examples", settings))
    )
    with pytest.raises(Problem, match="unpacked") as refused:
        store()
    assert refused.value.status == 413


def test_an_archive_that_lies_about_its_size_is_refused(settings: Settings, tmp_path: Path) -> None:
    honest = zipped({"a.txt": b"x" * 100_000})
    lying = honest.replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lying != honest
    with pytest.raises(Problem, match="damaged"):
        store_documents([sent("docs.zip", lying)], tmp_path, settings)


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("name", ["docs.zip", "a.docx"])
def test_what_zipfile_would_unpack_without_bounds_is_refused(
    packing: int, name: str, settings: Settings, tmp_path: Path
) -> None:
    content = zipped({"a.txt": b"text"}, packing)
    with pytest.raises(Problem, match="ordinary zip") as refused:
        store_documents([sent(name, content)], tmp_path, settings)
    assert refused.value.status == 422


def test_an_archive_of_too_many_members_is_refused_before_they_are_parsed(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = zipped({f"{n}.txt": b"" for n in range(100)})
    monkeypatch.setattr(uploads, "MOST_DIRECTORY_BYTES", 4_000)
    monkeypatch.setattr(uploads.zipfile, "ZipFile", None)
    with pytest.raises(Problem, match="too many files") as refused:
        store_documents([sent("docs.zip", content)], tmp_path, settings)
    assert refused.value.status == 413


@pytest.mark.parametrize("content", [b"", b"no zip", zipped({}), zipped({"a.exe": b"x"})])
def test_an_archive_without_texts_is_refused(content: bytes, settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"archive|damaged"):
        store_documents([sent("docs.zip", content)], tmp_path, settings)


@pytest.mark.parametrize("name", ["a.docx", "a.DOCX", "a.Docx"])
def test_documents_that_are_archives_of_too_much_are_refused_wherever_they_come_in(
    name: str, make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = make_settings(most_unpacked_bytes=1_000_000)
    bomb = zipped({"word/document.xml": b"\0" * 5_000_000})
    for number, upload in enumerate((sent(name, bomb), sent("all.zip", zipped({name: bomb})))):
        with pytest.raises(Problem, match="unpacked"):
            store_documents([upload], tmp_path / str(number), settings)


def test_a_disk_that_is_full_is_not_taken_for_a_damaged_archive(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(uploads.shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="full"):
        store_documents([sent("docs.zip", zipped({"a.txt": b"x"}))], tmp_path, settings)


def test_a_damaged_file_is_called_what_the_caller_called_it(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"^my tickets\.xlsx is damaged"):
        store_table(sent("my tickets.xlsx"), tmp_path, "examples", settings)
    with pytest.raises(Problem, match=r"^handbook\.zip is damaged"):
        store_documents([sent("handbook.zip")], tmp_path, settings)


def test_an_archive_whose_data_are_damaged_is_refused(settings: Settings, tmp_path: Path) -> None:
    whole = bytearray(zipped({"a.txt": b"some text that is compressed, some text that is compressed" * 20}))
    whole[40:60] = b"\xff" * 20
    with pytest.raises(Problem, match="damaged"):
        store_documents([sent("docs.zip", bytes(whole))], tmp_path, settings)


def test_files_whose_names_collide_are_all_kept(settings: Settings, tmp_path: Path) -> None:
    names = ["a (2).txt", "a.txt", "a.txt", "x/a.txt", "\U0001d538" * 80 + ".txt"]
    stored = store_documents([sent(name, str(n).encode()) for n, name in enumerate(names)], tmp_path / "1", settings)
    assert sorted(p.read_bytes() for p in (tmp_path / "1" / stored.path).iterdir()) == [b"0", b"1", b"2", b"3", b"4"]
