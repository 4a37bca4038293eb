"""Bytes to text, and cells to text."""

from __future__ import annotations

import codecs
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from eval.errors import RequestError

DECODER = json.JSONDecoder(parse_constant=lambda _: None)
"""Reads NaN and infinities as null."""
SAMPLE = 1_000_000
"""Bytes that are looked at to guess an encoding."""
_SOFT_HYPHEN = re.compile("\N{SOFT HYPHEN}\n?")
"""With the line break for which it became a visible one."""
_LIGATURE = re.compile("[\ufb00-\ufb06]")
"""Two or three Latin letters drawn as one, as the fonts of PDFs have them."""
SURROGATE = re.compile("[\ud800-\udfff]")
_STRAY = re.compile("[\udc80-\udcff]")
"""A byte that is no UTF-8, as Python's `surrogateescape` has it."""
UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
UNSPACED += r"\u2e80-\u2fff\u3005-\u3007\u3041-\u30fa\u30fc-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""The signs of scripts that are written without spaces (Thai, Burmese, Khmer, Chinese, Japanese ...), inside a
regular expression's class."""
UNSPACED_MARKS = r"\u3000-\u3004\u3008-\u303f\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
"""Their punctuation, the same way."""
DANDAS = "।॥"
"""Full stops of the scripts of India."""
CURRENCIES = "$¢-¥֏؋৲৳฿៛\u20a0-\u20cf﷼＄￠￡￥￦"
"""Signs of currencies, the same way."""
SENTENCE_ENDS = tuple(f".!?。！？{DANDAS}")
SENTENCE_END = rf"(?<=[.!?{DANDAS}])\s+(?=\S)|(?<=[。！？])\s*(?=\S)"
_SIGN = re.compile(f"[{UNSPACED}]")
_NO_MARK = re.compile(rf"[{UNSPACED}\ufe00-\ufe0f]")  # the latter say how a sign is drawn, mostly an emoji
_ALPHABETS = (range(0x300, 0x3100), range(0xA600, 0xAC00), range(0xFB00, 0x10000))
"""Between them stand ideographs and syllables, which are many and bear no marks of their own."""
MARKS = "".join(
    sign
    for sign in map(chr, chain(*_ALPHABETS))
    if unicodedata.category(sign) in ("Mn", "Mc") and not _NO_MARK.match(sign)
)
"""Marks on letters, which `\\w` leaves out, inside a regular expression's class: vowels, in the scripts of India. With
those beyond the basic plane, which few living scripts have, a search takes five times as long."""


def word_of(sign: str) -> str:
    """A regular expression of a word: a run of such signs (a class of its own), with the marks on them."""
    return rf"{sign}+(?:[{MARKS}]{sign}*)*"


WORD = word_of(rf"[^\W_{UNSPACED}]")
"""A word of letters and figures, in scripts with spaces."""
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
SURE = 0.12
"""Confidence of a guess that is believed against a plausible reading as Windows-1252; a few letters give less."""
TURKISH, NOT_TURKISH = frozenset("þðýÞÐÝ"), frozenset("áéíóúæÁÉÍÓÚÆ")
"""How Turkish letters read as Windows-1252, and what always stands beside these where they are Icelandic ones."""
PLAUSIBLE = ["cp1250", "cp1252", "cp1254", "cp1257", "iso8859-1", "iso8859-2", "iso8859-9", "iso8859-15"]
PLAUSIBLE += ["cp932", "euc_jis_2004", "gb18030", "big5hkscs", "cp949"]
"""Encodings of which text may read plausibly as Windows-1252: those of other Latin letters, and of East Asia."""


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


def is_of_old_office(path: Path) -> bool:
    """Tell whether a file is a container of Office 2003, in which newer files with a password are put as well."""
    with path.open("rb") as file:
        return file.read(8) == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


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
    """Strip surrounding white space and turn CRLF into LF; lone surrogates, which no file can hold, become U+FFFD.

    A letter and its marks become one character where there is one (Unicode's normal form C), ligatures of Latin letters
    become these letters, and soft hyphens, which say where a word may be broken, go: texts that look the same are the
    same.
    """
    text = _SOFT_HYPHEN.sub("", text.replace("\r\n", "\n")).strip()
    text = _LIGATURE.sub(lambda drawn: unicodedata.normalize("NFKC", drawn[0]), text)
    return unicodedata.normalize("NFC", SURROGATE.sub("\ufffd", text))


def count_words(text: str) -> int:
    """Words between spaces; of scripts that have none, two signs count as one."""
    signs = len(_SIGN.findall(text))
    return len(_SIGN.sub(" ", text).split()) + math.ceil(signs / 2)


def is_blank(value: object) -> bool:
    """Tell whether a cell holds nothing: null, NaN, white space, or a collection of nothing."""
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, list | tuple):
        return all(is_blank(item) for item in value)
    return value is None or value != value or value == {}


def as_text(value: object) -> str:
    """Return a cell as text: objects, lists and truth values as JSON, anything blank as the empty string.

    Numbers are written without an exponent: 0.00001, not 1e-05. Durations are hours, minutes and seconds: 26:30:00.
    NaN and infinities in objects and lists, for which JSON has no word, become null.
    """
    if is_blank(value):
        return ""
    if isinstance(value, dict | list | tuple | bool):
        finite = DECODER.decode(json.dumps(value, default=str))
        return clean(json.dumps(finite, ensure_ascii=False))
    if isinstance(value, datetime) and value.time() == time():  # a workbook has no other way to store a date
        value = value.date()
    if isinstance(value, timedelta):
        hours, rest = divmod(abs(value), timedelta(hours=1))
        value = f"{'-' if value < timedelta() else ''}{hours}{str(rest)[1:]}"
    if isinstance(value, float | Decimal) and "e" in str(value).lower():
        value = f"{Decimal(str(value)):f}"
    return clean(str(value))


def listed(names: Iterable[str], most: int = 5) -> str:
    """Join names for a sentence, cutting a long list: `a, b, c and 4 more`."""
    names = list(names)
    extra = len(names) - most
    return ", ".join(names) if extra <= 0 else f"{', '.join(names[:most])} and {extra} more"


def conjoined(words: Sequence[str]) -> str:
    """Join words for a sentence, all of them: `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


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
    """Guess an encoding from before Unicode, by the lines that tell, preferring Windows-1252 where it reads as well."""
    import chardet
    from chardet import EncodingEra

    telling = b"\n".join(line for line in data.split(b"\n") if not line.isascii())[:SAMPLE]
    western = telling.decode("cp1252", "replace")
    plausible = _is_plausible(western)
    if plausible:
        guess = chardet.detect(telling, include_encodings=PLAUSIBLE, prefer_superset=True)
    else:
        eras = EncodingEra.MODERN_WEB | EncodingEra.LEGACY_MAC | EncodingEra.DOS
        guess = chardet.detect(telling, encoding_era=eras, prefer_superset=True)
    named = guess["encoding"] or "cp1252"
    if (plausible and guess["confidence"] < SURE) or telling.decode(named, "replace") == western:
        return "cp1254" if len(TURKISH & set(western)) > 1 and not NOT_TURKISH & set(western) else "cp1252"
    return codecs.lookup(named).name


def _is_plausible(text: str) -> bool:
    """Tell whether text, read as Windows-1252, may be what was meant.

    At most a tenth of its non-ASCII characters may be undefined or stand in a word as none does there, such as the
    letters of DOS and of old Macs (`arriv‚e`, `spŠter`), and at most half may stand in threes or more, as another
    script's do.
    """
    runs = [len(run) for run in _NOT_ASCII.findall(text)]
    odd = sum(
        a.isalpha() and not b.isascii() and _is_odd(a, b, c) for a, b, c in zip(text, text[1:], text[2:], strict=False)
    )
    return odd + text.count("\ufffd") <= 0.1 * sum(runs) and 2 * sum(n for n in runs if n > 2) <= sum(runs)


def _is_odd(before: str, sign: str, after: str) -> bool:
    """Tell whether a sign that follows a letter is a symbol or a figure inside a word, or a capital or mark that is no
    part of one."""
    kind = unicodedata.category(sign)
    if kind in ("Lu", "Lm", "Ps"):
        return before.islower() and not after.isupper()
    if kind[0] == "P":
        return before.islower() and after.islower() and sign not in "‘’–—…·•«»"
    return kind[0] in "SN" and after.isalpha()
