"""Bytes to text, and cells to text."""

from __future__ import annotations

import codecs
import json
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from eval.errors import RequestError

SAMPLE = 1_000_000
"""Bytes that are looked at to guess an encoding."""
SURROGATE = re.compile("[\ud800-\udfff]")
LATIN = ["cp1250", "cp1252", "cp1254", "cp1257", "cp1258", "iso8859_2"]
OTHER_SCRIPTS = ["cp1251", "cp1253", "cp1255", "cp1256", "cp874", "cp932", "euc_jp", "gb18030", "big5", "cp949"]
"""Encodings that exported tables are found in, besides Unicode."""


def read_text(path: Path) -> tuple[str, str]:
    """Return a file's text and its encoding; RequestError where it cannot be opened or is not text."""
    try:
        return decode(path.read_bytes(), str(path))
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror or error}.") from error


def decode(data: bytes, name: str) -> tuple[str, str]:
    """Return the text and the encoding it was read with; RequestError for what is not text.

    UTF-16 is taken from its byte order mark, then UTF-8 is tried; only then an 8-bit encoding is guessed.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif b"\0" in data:
        raise RequestError(f"{name} is not a text file: export it again as UTF-8 text.")
    else:
        encoding = "utf-8" if _is_utf8(data) else _legacy_encoding(data)
    try:
        text = data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        raise RequestError(f"The encoding of {name} is not recognised: export it again as UTF-8 text.") from None
    return text.removeprefix("\ufeff"), encoding


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


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


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
