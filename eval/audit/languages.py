"""Texts in a language that the embedder was not made for."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from eval.contracts import Document, Example
from eval.findings import Finding
from eval.reading.text import UNSPACED, counted, listed

SURE = 0.9
"""Probability; on texts of a few words the identifier seldom reaches it, which keeps names and titles out."""
SUBSTANTIAL = 0.1
"""Share of the texts from which on it matters."""
FEWEST_LETTERS = 12
SAMPLE = 300
"""Characters of a text that are looked at."""
NAMES = {
    "ar": "Arabic", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English", "es": "Spanish",
    "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "hu": "Hungarian", "it": "Italian",
    "ja": "Japanese", "ko": "Korean", "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese",
    "ro": "Romanian", "ru": "Russian", "sv": "Swedish", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian",
    "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
SCRIPTS = {
    "CYRILLIC": "ru", "GREEK": "el", "HEBREW": "he", "ARABIC": "ar", "DEVANAGARI": "hi", "THAI": "th", "HANGUL": "ko",
    "HIRAGANA": "ja", "KATAKANA": "ja", "CJK": "zh",
}  # fmt: skip
"""The commonest language of scripts, by the first word of their letters' Unicode names."""
_SIGN, _LETTER = rf"[^\s{UNSPACED}]", rf"[^\W{UNSPACED}]"
_NO_LANGUAGE = re.compile(
    rf"https?://{_SIGN}+|{_SIGN}+@{_SIGN}+|[^\W_{UNSPACED}]*\d(?:{_LETTER}|[.-])*|{_LETTER}+[_.(/\\]{_LETTER}*"
    r"|[^\w\s'’.,;:!?-]|\b[A-Z]{2,}\b"
)
"""Links, addresses, figures, identifiers, code and abbreviations. What is written without spaces is no part of them:
they would end with the sentence only."""


def language_mismatch(
    examples: Sequence[Example], documents: Sequence[Document], *, languages: Collection[str], made_for: str
) -> list[Finding]:
    """Report inputs and documents in other languages than `languages` (ISO 639-1), where they are a substantial share.

    `made_for` names the embedder. Without known languages there is nothing to report.
    """
    if not languages:
        return []
    reports = [
        _report({e.id: e.input for e in examples}, "input", languages, made_for),
        _report({d.id: d.text for d in documents}, "document", languages, made_for),
    ]
    return [finding for finding in reports if finding is not None]


def _report(texts: dict[str, str], noun: str, languages: Collection[str], made_for: str) -> Finding | None:
    found = {name: language for name, text in texts.items() if (language := language_of(text))}
    foreign = {name: language for name, language in found.items() if language not in languages}
    # Short texts tell little each, but all together much.
    whole = language_of(" ".join(text[:200] for text in list(texts.values())[:200]))
    if whole and whole not in languages:
        foreign = {name: found.get(name, whole) for name in texts if found.get(name, whole) not in languages}
    if len(foreign) < SUBSTANTIAL * len(texts) or not foreign:
        return None
    shares = listed(f"{NAMES.get(code, code)} {count}" for code, count in Counter(foreign.values()).most_common())
    verb = "seems" if len(foreign) == 1 else "seem"
    known = listed(NAMES.get(code, code) for code in sorted(languages))
    message = (
        f"{counted(len(foreign), noun)} of {len(texts)} {verb} to be in another language than {known}, for which "
        f"{made_for} was made: {shares}."
    )
    action = "Went on; whatever compares by meaning may find little. Name a multilingual one with --embedder."
    return Finding("language_mismatch", "warning", len(foreign), tuple(foreign), message, action)


def language_of(text: str) -> str:
    """Return a text's language (ISO 639-1), or the empty string where that is not sure."""
    prose = _NO_LANGUAGE.sub(" ", text[:SAMPLE])
    if sum(map(str.isalpha, prose)) < FEWEST_LETTERS and prose.isascii():
        return ""
    language, probability = _identifier().classify(prose)
    return str(language) if probability >= SURE else _language_of_script(prose)


def _language_of_script(text: str) -> str:
    """The commonest language of a script that most of the letters are of; empty for Latin letters."""
    letters = [letter for letter in text if letter.isalpha()]
    found = Counter(SCRIPTS.get(unicodedata.name(letter, "").partition(" ")[0], "") for letter in letters)
    language, count = found.most_common(1)[0] if found else ("", 0)
    return language if 2 * count > len(letters) else ""


@lru_cache(maxsize=1)
def _identifier() -> Any:
    """py3langid (Lui and Baldwin 2012, "langid.py"), with probabilities."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
