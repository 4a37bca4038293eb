"""Bytes to text, and cells to text."""

from __future__ import annotations

import codecs
import json
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from eval.errors import RequestError

SAMPLE = 1_000_000
"""Bytes that are looked at to guess an encoding."""
SURROGATE = re.compile("[\ud800-\udfff]")
_STRAY = re.compile("[\udc80-\udcff]")
"""A byte that is no UTF-8, as Python's `surrogateescape` has it."""
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
LATIN = ["cp1250", "cp1252", "cp1254", "cp1257", "cp1258", "iso8859_2"]
OTHER_SCRIPTS = ["cp1251", "cp1253", "cp1255", "cp1256", "cp874", "cp932", "euc_jp", "gb18030", "big5", "cp949"]
"""Encodings that exported tables are found in, besides Unicode."""


class Decoded(NamedTuple):
    """A file's text, and how it was read."""

    text: str
    encoding: str
    odd_lines: tuple[int, ...] = ()
    """Lines of a UTF-8 file with bytes that are none; they were taken for Windows-1252."""


def read_text(path: Path) -> Decoded:
    """Return a file's text and its encoding; RequestError where it cannot be opened or is not text."""
    try:
        return decode(path.read_bytes(), str(path))
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror or error}.") from error


def decode(data: bytes, name: str) -> Decoded:
    """Return the text and the encoding it was read with; RequestError for what is not text.

    UTF-16 is taken from its byte order mark, then UTF-8 is tried, also with a few rows pasted in from elsewhere; only
    then an 8-bit encoding is guessed.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif b"\0" in data:
        raise RequestError(f"{name} is not a text file: export it again as UTF-8 text.")
    else:
        mixed = _mostly_utf8(data)
        if mixed is not None:
            return mixed
        encoding = _legacy_encoding(data)
    try:
        text = data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        raise RequestError(f"The encoding of {name} is not recognised: export it again as UTF-8 text.") from None
    return Decoded(text.removeprefix("\ufeff"), encoding)


def clean(text: str) -> str:
    """Strip surrounding white space and turn CRLF into LF; lone surrogates, which no file can hold, become U+FFFD."""
    text = text.replace("\r\n", "\n").strip()
    return SURROGATE.sub("\ufffd", text)


def is_blank(value: object) -> bool:
    """Tell whether a cell holds nothing: null, NaN, white space, or a collection of nothing."""
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, list | tuple):
        return all(is_blank(item) for item in value)
    return value is None or value != value or value == {}


def as_text(value: object) -> str:
    """Return a cell as text: objects and lists as JSON, anything blank as the empty string."""
    if is_blank(value):
        return ""
    if isinstance(value, dict | list | tuple):
        return clean(json.dumps(value, ensure_ascii=False, default=str))
    return clean(str(value))


def listed(names: Iterable[str], most: int = 5) -> str:
    """Join names for a sentence, cutting a long list: `a, b, c and 4 more`."""
    names = list(names)
    extra = len(names) - most
    return ", ".join(names) if extra <= 0 else f"{', '.join(names[:most])} and {extra} more"


def counted(n: int, noun: str) -> str:
    """Return a count with its noun in the right number: `1 row`, `2 rows`."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def unique_id(wanted: str, record: int, taken: set[str]) -> str:
    """Return the wanted id, or `row-N` where it is blank or taken, and mark it as taken."""
    name = wanted
    if not name or name in taken:
        name = f"row-{record}"
    while name in taken:
        name += "+"
    taken.add(name)
    return name


def _mostly_utf8(data: bytes) -> Decoded | None:
    """The text of a UTF-8 file, stray bytes read as Windows-1252; None where they outnumber the UTF-8 characters.

    Other encodings of text hardly ever are valid UTF-8 by chance.
    """
    text = data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    strays = len(_STRAY.findall(text))
    if not strays:
        return Decoded(text, "utf-8")
    if 2 * strays > sum(len(run) for run in _NOT_ASCII.findall(text)):
        return None
    odd = tuple(number for number, line in enumerate(text.split("\n"), 1) if _STRAY.search(line))
    repaired = _STRAY.sub(lambda stray: bytes([ord(stray[0]) - 0xDC00]).decode("cp1252", "replace"), text)
    return Decoded(repaired, "utf-8", odd)


def _legacy_encoding(data: bytes) -> str:
    """Guess an 8-bit or East Asian encoding, preferring Windows-1252 where it reads plausibly.

    Statistical guesses are weak on a few accented letters, so one is believed only where Windows-1252 makes
    no sense: undefined bytes, symbols inside words, or words of nothing but accented letters. The last are
    another script.
    """
    sample = data if len(data) <= SAMPLE else data[: data.rfind(b"\n", 0, SAMPLE)]  # no character is cut in half
    text = sample.decode("cp1252", "replace")
    accented = [word for word in re.findall(r"[^\W\d_]{3,}", text) if not word.isascii()]
    foreign = [word for word in accented if not any(letter.isascii() for letter in word)]
    if 2 * len(foreign) > len(accented):
        candidates = OTHER_SCRIPTS
    elif _has_odd_symbols(text):
        candidates = LATIN + OTHER_SCRIPTS
    else:
        return "cp1252"
    from charset_normalizer import from_bytes

    guess = from_bytes(sample, cp_isolation=candidates).best()
    return guess.encoding if guess else "cp1252"


def _has_odd_symbols(text: str) -> bool:
    """Tell whether more than a tenth of the non-ASCII characters are undefined, or symbols inside words."""
    odd = sum(
        a.isalpha() and c.isalpha() and not b.isascii() and unicodedata.category(b)[0] in "SN"
        for a, b, c in zip(text, text[1:], text[2:], strict=False)
    )
    return odd + text.count("\ufffd") > 0.1 * sum(not c.isascii() for c in text)
