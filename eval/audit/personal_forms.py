"""The forms of personal data, and what makes each of them valid.

Numbers are checked by the rules of those who issue them: cards by issuer and Luhn digit, IBANs by country and check
digits (ISO 13616), national ids by python-stdnum, telephone numbers by libphonenumber. What has no form of its own
(dates, addresses, bare digits, names) counts only next to words that say what it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

from eval.reading.text import UNSPACED

Places = Iterator[tuple[int, int]]
"""Start and end of each find in a text."""

MAY_HOLD = re.compile(r"[@\d]")
"""What every text with any of the forms has."""
WITHOUT_SPACES = re.compile(rf"[{UNSPACED}\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]")
"""Letters that stand right beside a number or an address: of scripts without spaces, and Korean, whose particles do.
They are word signs to a regular expression, so that none of the forms would be seen to begin or to end there."""

# ---- e-mail addresses ------------------------------------------------------------------------------------------------

_EMAIL = re.compile(r"(?<![\w.+-])([\w.+-][\w.+'-]{0,63})@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w@])")
_ORGANISATION = re.compile(
    r"(?:info|support|contact|kontakt|sales|services?|help|helpdesk|office|team|hello|admin|webmaster|postmaster|press"
    r"|media|jobs|careers|billing|security|privacy|abuse|newsletter|no-?reply|do-?not-?reply|git)",
    re.I,
)
"""Mailboxes that are nobody's own (RFC 2142 and their like)."""


def emails(text: str) -> Places:
    """Addresses of persons; `support@` and its like are not."""
    for match in _EMAIL.finditer(text):
        if not _ORGANISATION.fullmatch(match[1]):
            yield match.span()


# ---- accounts and cards ----------------------------------------------------------------------------------------------

_IBAN = re.compile(r"(?<![^\W_])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}", re.I)
_CARD = re.compile(r"(?<![\w.,])(?<!\d-)(?:\d[ -]?){13,18}\d(?![\w-])(?![.,]\d)")
_ISSUERS = re.compile(r"4\d{15}(?:\d{3})?|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3[068]\d{12}|6\d{15}(?:\d{3})?")
"""Visa, Mastercard, American Express, Diners, Discover and UnionPay, by first digits and length (ISO/IEC 7812)."""


def ibans(text: str) -> Places:
    """The longest valid IBAN at each place: words that follow it may look like more of it."""
    from stdnum import iban

    for match in _IBAN.finditer(text):
        for end in range(match.end(), match.start() + 14, -1):
            is_whole = text[end - 1].isalnum() and not text[end : end + 1].isalnum()
            if is_whole and iban.is_valid(text[match.start() : end]):
                yield match.start(), end
                break


def cards(text: str) -> Places:
    """Numbers of payment cards."""
    from stdnum import luhn

    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if _ISSUERS.fullmatch(digits) and luhn.is_valid(digits):
            yield match.span()


# ---- numbers of things -----------------------------------------------------------------------------------------------

_THINGS = (
    r"\b(?:order|invoice|case|ticket|ref\w*|account|parcel|part|tracking|serial|model|item|article|sku|batch|booking"
    r"|customer|contract|policy|bestell\w*|auftrag\w*|rechnung\w*|kunden\w*|vertrag\w*|sendung\w*|artikel\w*|pedido"
    r"|factura|commande|facture|colis|ordine|fattura)\b"
)
_OTHER_NUMBER = re.compile(_THINGS, re.I)
_NUMBER_OF = re.compile(rf"{_THINGS}(?:[^\w\n]|\b(?:no|nr|number|nummer|id|code)\b){{0,6}}$", re.I)
"""What a number right after it is the number of."""


def _is_of_a_thing(text: str, start: int) -> bool:
    return _NUMBER_OF.search(text, max(0, start - 40), start) is not None


# ---- national ids ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _NationalId:
    """How the ids of one country are written."""

    form: str
    check: str = ""
    """A module of python-stdnum; empty where the form has no check digit."""
    called: str = ""
    """Words that must come shortly before, for forms that other numbers have too."""


_NATIONAL_IDS = (
    _NationalId(r"(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}"),  # United States
    _NationalId(r"(?!000|666|9)\d{3} ?(?!00)\d\d ?(?!0000)\d{4}", called="ssn|social security"),
    _NationalId(r"(?![DFIQUV])[A-Z](?![DFIOQUV])[A-Z] ?\d\d ?\d\d ?\d\d ?[A-D]"),  # United Kingdom
    _NationalId(r"\d{3}[ -]?\d{3}[ -]?\d{4}", "gb.nhs", "nhs"),
    _NationalId(r"756[.]\d{4}[.]\d{4}[.]\d\d", "ch.ssn"),
    _NationalId(r"\d{8}-?[A-Z]", "es.dni"),
    _NationalId(r"[XYZ]-?\d{7}-?[A-Z]", "es.nie"),
    _NationalId(r"[A-Z]{6}\d\d[A-Z]\d\d[A-Z]\d{3}[A-Z]", "it.codicefiscale"),
    _NationalId(r"[12] ?\d\d ?[0-5]\d ?\d\d ?\d{3} ?\d{3} ?\d\d", "fr.nir"),
    _NationalId(r"\d{3}[.]\d{3}[.]\d{3}-\d\d", "br.cpf"),
    _NationalId(r"\d{6}[-+A]\d{3}[0-9A-Y]", "fi.hetu"),
    _NationalId(r"(?:\d\d)?\d{6}[-+]\d{4}", "se.personnummer"),
    _NationalId(r"\d{17}[\dX]", "cn.ric"),
    _NationalId(r"\d\d ?\d{3} ?\d{3} ?\d{3}", "de.idnr", r"steuer-?id\w*|idnr|identifikationsnummer|tax id"),
    _NationalId(r"\d{9}", "nl.bsn", "bsn|burgerservicenummer"),
    _NationalId(r"\d{11}", "pl.pesel", "pesel"),
    _NationalId(r"\d{3}[ -]?\d{3}[ -]?\d{3}", "ca.sin", "(?-i:SIN)|social insurance"),
    _NationalId(r"\d{4} ?\d{4} ?\d{4}", "in_.aadhaar", "aadhaar"),
    _NationalId(
        r"(?:[A-Z]{1,3} ?\d{5,8}|(?=[A-Z]{0,3}\d)[A-Z0-9]{6,10})", called=r"passport|reisepass\w*|passeport|pasaporte"
    ),
)
_BETWEEN = (
    r"(?:[^\w\n]|\b(?:no|nr|num|number|numm?er|num[ée]ro|n[úu]mero|is|ist|est|es|my|id|code|card|account)\b){0,12}?"
)
"""What may stand between the name of a number and the number: another noun would be what the number is of."""
_LONG_NUMBER = re.compile(r"\d(?:[ .+-]?\w){6}")


@lru_cache(maxsize=1)
def _national_patterns() -> list[tuple[re.Pattern[str], Any, bool]]:
    """Each form with its check, and whether words must say so; the group `id` is the number without these words."""
    patterns = []
    for kind in _NATIONAL_IDS:
        words = rf"\b(?i:{kind.called})\b(?i:{_BETWEEN})" if kind.called else ""
        form = re.compile(rf"{words}(?<![\w.,-])(?P<id>{kind.form})(?![\w-])(?![.,]\d)")
        patterns.append((form, import_module(f"stdnum.{kind.check}") if kind.check else None, bool(kind.called)))
    return patterns


def national_ids(text: str) -> Places:
    """Numbers that a state gives to persons (`_NATIONAL_IDS` has the countries), and passports that are called so."""
    if not _LONG_NUMBER.search(text):
        return
    for form, check, is_called in _national_patterns():
        for match in form.finditer(text):
            if not is_called and check is None and _is_of_a_thing(text, match.start("id")):
                continue
            if check is None or check.is_valid(match["id"]):
                yield match.span("id")


# ---- telephone numbers -----------------------------------------------------------------------------------------------

_PHONE = re.compile(r"(?<![\w.,/+-])(?:\+|00 ?|\()?\d(?:[ \t().\-/]{0,2}\d){6,14}(?![\w/-])(?![.,]\d)")
_NORTH_AMERICAN = re.compile(r"(?:1[-. ])?(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}")
_CALLS = (
    r"(?:\b(?:tele)?phone|\bt[ée]l\b|\bcall(?: me)?\b|\bmobile|\bcell(?:phone)?\b|\bwhatsapp|\breach me|\btext me"
    r"|\bring me|\bmy number|\btelefon|\bhandy|\bmobil|\brufnummer|\bmeine nummer|\bruf(?:en sie)? mich"
    r"|\bt[ée]l[ée]phone|\bportable|\br?appel(?:le|e[rz]?)[ -]moi|\btel[ée]fono|\bm[óo]vil|\bcelular|\bll[áa]m[ae]me"
    r"|\bcellulare|\bchiamami|\bchiamatemi|\br[üu]ckruf|\bjoignable)"
)
_OWN = r"\b(?:contact (?:me|us|no|num(?:ber)?)|my n[or]|mob|ph|meine nr|mon num[ée]ro|mi n[úu]mero|mio numero)\b"
"""Words that can speak of other numbers, too, as soon as a noun follows: "mon numéro de dossier"."""
_FILLERS = (
    r"at|on|me|us|back|under|is|no|nr|number|nummer|num[ée]ro|n[úu]mero|my|new|the|line|any|time|please|tonight|today|now"
    r"|tomorrow|unter|auf|an|ist|meine?|neue|bitte|erbeten|zur[üu]ck|au|sur|est|mon|le|mi|es|al|en|el|il|mio|è|s"
)
_ANNOUNCED = re.compile(rf"(?:{_CALLS}|{_OWN})(?:[^\w+\n]|\b(?:{_FILLERS})\b){{0,12}}$", re.I)
"""Nothing between the word and the number says what else it is the number of."""
_NEAR = re.compile(rf"{_CALLS}(?P<between>[^\d+\n]{{0,25}})$", re.I)
_DATE = re.compile(r"(?<!\d)(?:\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{4}[./-]\d{1,2}[./-]\d{1,2})(?!\d)")
_PAIRS = re.compile(r"0\d(?:[. -]\d\d){4}")
"""How the French write theirs."""
_REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "CH", "AT", "PL", "AU", "IN", "BR")
"""Where a number without country code may be from, if the words before it say that it is a telephone number."""


def phones(text: str) -> Places:
    """Valid numbers with a country code, in the North American form, or where words announce one."""
    for match in _PHONE.finditer(text):
        number = match[0]
        if number.startswith(("+", "00")):
            personal = _is_personal(re.sub(r"^00", "+", number), (None,))
        else:
            is_bare = _NORTH_AMERICAN.fullmatch(number) and not _is_of_a_thing(text, match.start())
            personal = bool(is_bare) and _is_personal(number, ("US",))
            is_date = _DATE.search(number) and not _PAIRS.fullmatch(number)
            if not personal and not is_date and _is_called_phone(text, match.start(), number):
                personal = _is_personal(number, _REGIONS)
        if personal:
            yield match.span()


def _is_called_phone(text: str, start: int, number: str) -> bool:
    """Whether words announce what begins there; bare figures need them next to it, since orders have numbers too."""
    before = max(0, start - 40)
    if _ANNOUNCED.search(text, before, start):
        return True
    near = _NEAR.search(text, before, start) if not number.isdigit() or number.startswith("0") else None
    return near is not None and not _OTHER_NUMBER.search(near["between"])


def _is_personal(number: str, regions: Sequence[str | None]) -> bool:
    """Valid in some of the regions, and in no more of them a toll-free, premium or shared-cost number."""
    import phonenumbers
    from phonenumbers import PhoneNumberType as Type

    types = []
    for region in regions:
        try:
            parsed = phonenumbers.parse(number, region)
        except phonenumbers.NumberParseException:
            continue
        types.append(phonenumbers.number_type(parsed))  # UNKNOWN where the number is not valid
    public = sum(types.count(kind) for kind in (Type.TOLL_FREE, Type.PREMIUM_RATE, Type.SHARED_COST, Type.UAN))
    return len(types) - types.count(Type.UNKNOWN) > 2 * public


# ---- birth dates, addresses, names: only where words say so ----------------------------------------------------------

_YEAR = r"(?:19[2-9]\d|20[0-2]\d)"
_MONTH = (
    r"(?:jan|feb|m[aä]r|apr|ma[iy]|ju[ni]|jul|aug|sep|o[ck]t|nov|de[cz]|f[ée]v|avr|ao[uû]|ene|abr|ago|dic)[a-zéû]*\.?"
)
_DIGITS = rf"(?:\d\d?[./-]\d\d?[./-](?:{_YEAR}|\d\d)|{_YEAR}[./-]\d\d?[./-]\d\d?)"
_WORDS = (
    rf"(?:\d\d?(?:st|nd|rd|th|\.)? (?:of |de )?{_MONTH},? (?:de )?{_YEAR}|{_MONTH} \d\d?(?:st|nd|rd|th)?,? {_YEAR})"
)
_SAID = r"(?: \([^()\n]{1,20}\))?(?: (?:is|was|ist|war|est|es|on|am|the|le|el|der)\b){0,3}(?: ?[:–-] ?| {1,2})"
"""What may stand before the date: the form in brackets, verbs, articles, a colon or dash."""
_BIRTH = re.compile(
    rf"(?:\b(?:born|geb(?:oren|\.)|n[ée]e?|nacid[oa]){_SAID}(?P<a>{_DIGITS})"
    rf"|\b(?:date of birth|birth ?date|birthday|dob|geburtsdatum|date de naissance|fecha de nacimiento"
    rf"|i was born|ich bin geboren|je suis n[ée]e?|nac[ií]){_SAID}"
    rf"(?P<b>{_DIGITS}|{_WORDS}))(?!\d)",
    re.I,
)


def birth_dates(text: str) -> Places:
    """Dates said to be a birthday; "born 4 May 1950" is left to encyclopaedias, years before 1920 to history."""
    for match in _BIRTH.finditer(text):
        yield match.span(match.lastgroup or 0)


_HOUSE = r"\d{1,5}[A-Za-z]?(?:[-/]\d{1,4}[A-Za-z]?)?(?!\w)"
_UNIT = r"(?i:flat|apartment|apt\.?|unit|suite) \w{1,5}(?!\w)"
_STREET = r"(?:street|st|avenue|ave|road|rd|lane|ln|drive|boulevard|blvd|court|way|place|terrace|square|close|crescent)"
_ENGLISH = rf"(?:{_UNIT},? )?{_HOUSE},? (?:[\w'’.-]{{1,25}} ){{1,4}}?(?i:{_STREET})\b\.?(?:,? {_UNIT})?"
_LETTERS = r"(?:[^\W\d_]|['’.-]){1,25}(?!\w)"
_TOWN = rf"(?:,? [A-Z]{_LETTERS}(?: [A-Z]{_LETTERS}){{0,2}})?"
_ENGLISH_CODE = r"(?:,? (?:[A-Z]{2} \d{5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}))"
_OTHER = (
    rf"(?:[A-ZÄÖÜ][\w-]{{2,30}}(?:stra(?:ß|ss)e|str\.|weg|gasse|platz|allee) {_HOUSE}(?: [A-Za-z](?=,))?"
    rf"|{_HOUSE}(?: bis| ter)?,? (?i:rue|avenue|boulevard|impasse|chemin)(?: [\w'’-]{{1,25}}){{1,5}}"
    rf"|(?i:calle|avenida|via|piazza|plaza|rua) (?:[\w'’-]{{1,25}} ){{1,4}}?{_HOUSE})"
)
_OTHER_CODE = r"(?:,? (?:[A-Z]{1,2}-)?\d{4,5} [A-ZÄÖÜ][\w-]{2,25})"
_ADDRESS = re.compile(
    r"(?i:\bi(?:'m| am)? (?:live|living|reside) (?:at|on|in)"
    r"|\b(?:my|home|postal|billing|delivery|shipping|mailing|street) address(?: is|:)?|\baddress:"
    r"|\bwohne? (?:in|an)(?: der| dem)?|\bwohnhaft in|\bmeine adresse(?: ist|:)|\bj.habite(?: au)?"
    r"|\bmon adresse(?: est|:)|\bvivo en|\bmi direcci[óo]n(?: es|:)) {1,2}"
    rf"(?P<a>{_ENGLISH}{_TOWN}{_ENGLISH_CODE}?|{_OTHER}{_OTHER_CODE}?)"
    rf"|(?<!\w)(?P<b>{_ENGLISH}{_TOWN}{_ENGLISH_CODE}|{_OTHER}{_OTHER_CODE})(?!\w)"
)


def addresses(text: str) -> Places:
    """Street and number where words say that somebody lives there, or a postcode makes it a full address."""
    for match in _ADDRESS.finditer(text):
        yield match.span("a" if match["a"] else "b")


_NAME = re.compile(
    r"\b(?i:name(?: is|['’]s| ist|:)?|je m.appelle|me llamo) "
    r"(?P<name>[A-ZÄÖÜÉ][\w'’-]{1,25}(?: [A-ZÄÖÜÉ][\w'’-]{1,25}){0,2})"
)


def names(text: str) -> Places:
    """Names that are called so."""
    for match in _NAME.finditer(text):
        yield match.span("name")


FINDERS: dict[str, Callable[[str], Places]] = {
    "EMAIL": emails,
    "IBAN": ibans,
    "CARD": cards,
    "NATIONAL_ID": national_ids,
    "PHONE": phones,
    "BIRTH_DATE": birth_dates,
    "ADDRESS": addresses,
    "NAME": names,
}
"""By what a mask is called. Where two claim the same characters, the first has them."""
