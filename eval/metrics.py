"""Metrics: how one answer is scored, and what a set of scored answers is worth.

A metric is a function of a *set* of rows, because macro F1 is no mean of rows. It is a function of sums over weighted
rows, so that the value on the rows as they are, on bootstrap resamples and on the swaps of a permutation test are one
definition, of which only the sums are made again.

Adding one: a module-level `Metric` in any module, and one line in `METRICS`.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from itertools import chain
from pkgutil import resolve_name
from typing import Any

import numpy as np
import numpy.typing as npt

from eval.errors import RequestError
from eval.json_fields import Fields, as_number, f1_of_fields, fields_of, fields_of_lines, with_plain_numbers
from eval.reading.text import CURRENCIES, DANDAS, UNSPACED, UNSPACED_MARKS, WORD

Floats = npt.NDArray[np.float64]
Table = Any
"""Numbers of rows (shape: kinds × rows), an array or a sparse one of scipy, which has no types."""

METRICS: dict[str, str] = {
    "accuracy": "eval.metrics:ACCURACY",
    "macro_f1": "eval.metrics:MACRO_F1",
    "exact_match": "eval.metrics:EXACT_MATCH",
    "token_f1": "eval.metrics:TOKEN_F1",
    "rougeL": "eval.metrics:ROUGE_L",
    "gleu": "eval.metrics:GLEU",
    "chrf": "eval.metrics:CHRF",
    "chrf_layout": "eval.metrics:CHRF_LAYOUT",
    "json_field_f1": "eval.metrics:JSON_FIELD_F1",
    "field_f1": "eval.metrics:FIELD_F1",
}


@dataclass(frozen=True)
class RowScore:
    """The score of one answer."""

    score: float
    """In [0, 1], the best over the accepted answers."""
    problem: str | None = None
    """Why the answer is unusable, where that is known."""


@dataclass(frozen=True)
class ScoredRow:
    """One answer with its score: what aggregation and resampling need."""

    output: str
    targets: tuple[str, ...]
    score: float
    cluster: str = ""
    """Rows that share it are no independent evidence. Empty: a cluster of its own."""


def scores_and_ones(rows: Sequence[ScoredRow]) -> Table:
    """What a mean is made of: the sum of the scores, and of the weights."""
    return np.array([[row.score for row in rows], [1.0] * len(rows)], dtype=np.float64)


def mean_of(sums: Floats) -> Floats:
    """Weighted mean of the row scores."""
    means: Floats = sums[0] / sums[1]
    return means


@dataclass(frozen=True)
class Metric:
    """One way of measuring quality."""

    name: str
    title: str
    """As it stands within a sentence."""
    source: str
    """Where the definition comes from, in one line."""
    row: Callable[[str, Sequence[str]], RowScore]
    """Scores an output against the accepted answers."""
    binary: bool = False
    """Every row is right or wrong."""
    likeness: bool = False
    """Says how alike texts are rather than how much is right: seldom does a text but the wanted one come near to 1."""
    summands: Callable[[Sequence[ScoredRow]], Table] = scores_and_ones
    """What each row adds to the sums that the value is made of (shape: kinds × rows)."""
    of_sums: Callable[[Floats], Floats] = mean_of
    """The values from these sums over weighted rows (from shape: kinds × weightings; to: weightings)."""

    @property
    def is_mean(self) -> bool:
        """The value is the mean of the row scores."""
        return self.of_sums is mean_of

    @property
    def is_macro(self) -> bool:
        """The value is the mean of one value per label."""
        return self.of_sums is macro_f1_of

    @property
    def is_proportion(self) -> bool:
        """The value is the share of right rows, so that Wilson's interval and McNemar's test apply."""
        return self.binary and self.is_mean

    def aggregate(self, rows: Sequence[ScoredRow]) -> float:
        """The metric's value on a set of rows; NaN where there is none, since nothing was measured."""
        return float(self.of_sums(self.summands(rows) @ np.ones((len(rows), 1)))[0]) if rows else float("nan")


def get_metric(name: str) -> Metric:
    """The metric of this name. Raises `RequestError` for an unknown one."""
    if name not in METRICS:
        raise RequestError(f"There is no metric {name!r}; choose one of {', '.join(METRICS)}.")
    metric: Metric = resolve_name(METRICS[name])
    return metric


def collapse(text: str) -> str:
    """The text stripped, with every run of whitespace made one space."""
    return " ".join(text.split())


def laid_out(text: str) -> str:
    """The text stripped, with its lines and their indentation; every other run of whitespace is made one space."""
    lines = (line.rstrip() for line in text.strip().splitlines())
    return "\n".join(re.sub(r"(?<=\S)\s+", " ", line) for line in lines)


def best_answer(
    similarity: Callable[[str, str], float],
    output: str,
    targets: Sequence[str],
    read: Callable[[str], str] = collapse,
) -> RowScore:
    """The greatest similarity to an accepted answer; texts that read the same are the same, whatever their spaces."""
    score = max(1.0 if read(output) == read(target) else similarity(output, target) for target in targets)
    unanswered = score == 0 and not output.strip()
    return RowScore(min(max(score, 0.0), 1.0), "empty answer" if unanswered else None)


# ---- labels and exact text -------------------------------------------------------------------------------------------


def _never(output: str, target: str) -> float:
    """Only equal texts count, and `best_answer` has seen to those."""
    return 0.0


def _same_numbers(output: str, target: str) -> float:
    """Plain numbers are compared as numbers: 49.90 is 49.9 and €49.90 is €49.9, however a model writes it."""
    return float(with_plain_numbers(output) == with_plain_numbers(target))


def counts_of_labels(rows: Sequence[ScoredRow]) -> Table:
    """Of each label among the preferred targets: the rows it is right for, those that name it rightly, and those that
    name it; other outputs are only misses.

    Any accepted answer counts as the preferred one, so that the set of labels depends on the data alone.
    """
    from scipy.sparse import csr_array, vstack

    truths = [collapse(row.targets[0]) for row in rows]
    codes = {label: code for code, label in enumerate(sorted(set(truths)))}
    truth = np.array([codes[label] for label in truths])
    named = np.array([codes.get(collapse(row.output), -1) for row in rows])
    right = np.array([row.score > 0 for row in rows])
    # A wrong row that names its own label carries an error instead of an answer: it names no label at all.
    predicted = np.where(right, truth, np.where(named == truth, -1, named))

    def count(of: npt.NDArray[np.bool_], label: npt.NDArray[np.int64]) -> Table:
        places = np.flatnonzero(of)
        return csr_array((np.ones(len(places)), (label[places], places)), shape=(len(codes), len(rows)))

    return vstack([count(truth >= 0, truth), count(right, truth), count(predicted >= 0, predicted)], format="csr")


def macro_f1_of(sums: Floats) -> Floats:
    """Macro F1 from `counts_of_labels`. A label that has no weight (it can miss from a resample) does not count."""
    support, hits, named = np.split(sums, 3)
    present = support > 0
    f1 = 2 * hits / np.where(present, support + named, 1)
    macro: Floats = (f1 * present).sum(axis=0) / present.sum(axis=0)
    return macro


# ---- overlap of texts ------------------------------------------------------------------------------------------------


_SIGN, _MARK = re.compile(f"[{UNSPACED}]"), re.compile(f"[{UNSPACED_MARKS}{DANDAS}]")
_WORD = re.compile(f"[{UNSPACED}]|{WORD}")
_BY_ITSELF = re.compile(f"[{UNSPACED}{CURRENCIES}]")
_AS_TYPED = "\N{MINUS SIGN}\N{MODIFIER LETTER APOSTROPHE}"
"""What is no punctuation to Unicode, but stands for a hyphen or an apostrophe."""
_NUMBER = re.compile(rf"(?<![^\W{UNSPACED}])(?<![.,])([-−–]?(?:\d+(?:[.,]\d{{3}})*(?:[.,]\d+)?|\.\d+))(?![.,]?\d)")
"""With its sign and its decimals; dates and versions (3.11.2), which have several points, are none."""
_THOUSANDS = re.compile(r"-?[1-9]\d{0,2}(?:(?:,\d{3})+|(?:\.\d{3})+)")
_DASH = r"[-\u2010-\u2015−]"
_RANGE = re.compile(
    rf"(?<![^\W{UNSPACED}])(?<![.,:/−–-])(?!0\d)(\d+)[^\w\s]?{_DASH}[^\w\s]?(?!0\d)(\d+)(?![.,:/−–-]?\d)"
)
FEWEST_OF_TELEPHONE = 7
"""Figures of a telephone number (555-1234)."""
_SIGN_OF_AMOUNT = re.compile(r"(?<!\w)([-−–])([$€£¥₹])(?=[\d.])")


@cache
def _is_punctuation(sign: str) -> bool:
    return sign in string.punctuation or sign in _AS_TYPED or unicodedata.category(sign)[0] == "P"


def squad_tokens(text: str) -> list[str]:
    """Words in lower case without punctuation and articles, which stay where nothing else is there ("A", "+").

    As SQuAD has it; the punctuation of all scripts goes, and of scripts without spaces each sign is a word, as MLQA has
    it for Chinese (Lewis 2020, arXiv 1910.07475). A currency's sign is a word by itself, before or after the amount,
    but for $, which is punctuation there. Numbers stay numbers, as DROP has it (Dua 2019, arXiv 1903.00161):
    without its sign and its decimal point, -5 would be 5, and 12.5 be 125.
    """
    spaced = _SIGN_OF_AMOUNT.sub(r"\2\1", _MARK.sub(" ", text.lower()))  # -$5 as $-5
    pieces = _NUMBER.split(_RANGE.sub(_parted, spaced))  # every other one is a number
    pieces[::2] = ("".join(sign for sign in piece if not _is_punctuation(sign)) for piece in pieces[::2])
    pieces[1::2] = map(_decimal, pieces[1::2])
    for between in range(2, len(pieces) - 1, 2):
        if not pieces[between] and "." in pieces[between - 1] + pieces[between + 1]:
            pieces[between] = " "  # 3.5-4 is not 3.54
    bare = "".join(pieces)
    bare = _BY_ITSELF.sub(r" \g<0> ", bare)
    return re.sub(r"\b(a|an|the)\b", " ", bare).split() or bare.split() or text.lower().split()


def _parted(pair: re.Match[str]) -> str:
    """Two numbers with a dash between them, apart where they are a range: 5-10 is not 510."""
    low, high = pair.groups()
    is_range = len(low + high) < FEWEST_OF_TELEPHONE and int(low) < int(high)
    return re.sub(_DASH, " ", pair[0]) if is_range else pair[0]


def _decimal(number: str) -> str:
    """A number with a decimal point, if any; marks of thousands, which 1.234 may have and 0.125 not, go as in SQuAD."""
    plain = re.sub("[−–]", "-", number)
    *groups, last = re.split("[.,]", plain)
    whole = "".join(groups)
    if not groups or _THOUSANDS.fullmatch(plain):
        return whole + last
    return as_number(f"{whole}.{last}" if whole.strip("-") else f"{whole}0.{last}")


def words_held(text: str, targets: Sequence[str]) -> float:
    """The share of an accepted answer's words that a text holds, for the answer that it holds most of.

    Of what was retrieved this is the context recall, by words.
    """
    words = set(squad_tokens(text))
    answers = [squad_tokens(target) for target in targets]
    return max((sum(w in words for w in answer) / len(answer) for answer in answers if answer), default=0.0)


def f1_of_bags(predicted: Counter[Any], wanted: Counter[Any]) -> float:
    """F1 of two multisets; two empty ones agree."""
    if not predicted or not wanted:
        return float(predicted == wanted)
    return 2 * (predicted & wanted).total() / (predicted.total() + wanted.total())


def _token_f1(output: str, target: str) -> float:
    return f1_of_bags(Counter(squad_tokens(output)), Counter(squad_tokens(target)))


MOST_STEMS = 100_000
"""Words whose stems are remembered."""


class _UnicodeWords:
    """rouge-score's default tokeniser with stemming, except that it keeps letters beyond a-z."""

    def __init__(self) -> None:
        from nltk.stem.porter import PorterStemmer

        self._stem = lru_cache(maxsize=MOST_STEMS)(PorterStemmer().stem)  # which takes most of the time

    def tokenize(self, text: str) -> list[str]:
        words = _WORD.findall(text.lower())
        return [self._stem(word) if len(word) > 3 and word.isascii() else word for word in words]


@lru_cache(maxsize=1)
def _rouge_scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], tokenizer=_UnicodeWords())


def _rouge_l(output: str, target: str) -> float:
    return float(_rouge_scorer().score(target, output)["rougeL"].fmeasure)


def _gleu(output: str, target: str) -> float:
    """Words are what stands between spaces, and each sign of scripts without them."""
    from nltk.translate.gleu_score import sentence_gleu

    words, wanted = (_SIGN.sub(r" \g<0> ", text).split() for text in (output, target))
    return float(sentence_gleu([wanted], words))


def _chrf(output: str, target: str) -> float:
    from sacrebleu import sentence_chrf

    return float(sentence_chrf(output, [target]).score) / 100


def _chrf_layout(output: str, target: str) -> float:
    from sacrebleu import sentence_chrf

    return float(sentence_chrf(laid_out(output), [laid_out(target)], remove_whitespace=False).score) / 100


# ---- fields ---------------------------------------------------------------------------------------------------------


def json_row(output: str, targets: Sequence[str]) -> RowScore:
    """F1 over the (path, value) pairs of one object, or list of objects."""
    predicted = fields_of(output)
    if predicted is None:
        return RowScore(0.0, "invalid JSON")
    wanted = [fields for fields in map(fields_of, targets) if fields is not None]
    if not wanted:
        return RowScore(0.0, "the target is invalid JSON")
    return RowScore(max(f1_of_fields(predicted, fields) for fields in wanted))


def _field_f1(output: str, target: str) -> float:
    return f1_of_fields(fields_of_lines(output), fields_of_lines(target))


# ---- the metrics -----------------------------------------------------------------------------------------------------

_SAME_TEXT = partial(best_answer, _never)
_MACRO = "scikit-learn f1_score(average='macro') over the labels that occur among the targets"

ACCURACY = Metric("accuracy", "accuracy", "share of rows that name exactly an accepted label", _SAME_TEXT, binary=True)
MACRO_F1 = Metric(
    "macro_f1", "macro F1", _MACRO, _SAME_TEXT, binary=True, summands=counts_of_labels, of_sums=macro_f1_of
)
EXACT_MATCH = Metric(
    "exact_match",
    "exact match",
    "equal text but for whitespace and the last zeros of decimals; case counts",
    partial(best_answer, _same_numbers),
    binary=True,
)
TOKEN_F1 = Metric(
    "token_f1",
    "token F1",
    "Rajpurkar et al. 2016 (SQuAD), section 6.1, but that numbers keep their sign and decimals",
    partial(best_answer, _token_f1),
)
ROUGE_L = Metric(
    "rougeL", "ROUGE-L", "Lin 2004; rouge-score F-measure, stemmed", partial(best_answer, _rouge_l), likeness=True
)
GLEU = Metric("gleu", "GLEU", "Wu et al. 2016 (GNMT); nltk sentence_gleu", partial(best_answer, _gleu), likeness=True)
CHRF = Metric(
    "chrf", "chrF", "Popović 2015; sacrebleu sentence chrF2 / 100", partial(best_answer, _chrf), likeness=True
)
CHRF_LAYOUT = Metric(
    "chrf_layout",
    "chrF with layout",
    "Popović 2015; sacrebleu sentence chrF2 / 100 with whitespace, so that line ends and indentation count",
    partial(best_answer, _chrf_layout, read=laid_out),
    likeness=True,
)
JSON_FIELD_F1 = Metric(
    "json_field_f1",
    "JSON field F1",
    "mean over rows of the F1 over (path, value) pairs, nulls aside, items of lists paired so that most agrees",
    json_row,
)
FIELD_F1 = Metric(
    "field_f1",
    "field F1",
    "mean over rows of the F1 over lines of name: value, blank values aside; each right or wrong as by exact match",
    partial(best_answer, _field_f1, read=laid_out),
)

READ_AS_FIELDS: dict[str, Callable[[str], Fields | None]] = {
    JSON_FIELD_F1.name: fields_of,
    FIELD_F1.name: fields_of_lines,
}
"""How answers are read that are compared field by field, by metric."""

LABEL_METRICS = ("accuracy", "macro_f1")
MEAN_ERROR = "mean_absolute_error"
"""The one secondary figure that is no share, and of which less is better."""
SHORTEST_SCALE, FEWEST_NUMBERS = 3, 5
"""Labels: two whole numbers are as far apart as any two labels; a few that are no scale may be mere names."""
LEAST_OF_LEVELS = 0.8
"""Share of a scale's levels that are labels."""
_ON_SCALE = (re.compile(r"0|-?[1-9]\d{0,8}|-?(?:0|[1-9]\d{0,8})\.5"), re.compile(r"-?(?:0|[1-9]\d{0,8})\.[05]"))
"""Whole numbers and halves, as people write them and as data frames do (1.0)."""
_PLAIN_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,8})(?:\.\d{1,6})?")
_NAMES = re.compile(r"\d{3,}")
"""Numbers that are as long as each other and have three figures or more (404, 503) are more likely codes."""
_ENDING, _DECIMAL_COMMA = re.compile(r" ?%$|/\d+$"), re.compile(r",(?=\d{1,2}$)")

OF_PROSE = ("token_f1", "rougeL", "gleu", "chrf")
NUMBERS_MATCH = "numbers_exact_match"
FEWEST_WITH_NUMBERS = 0.8
"""Share of the right answers that hold numbers, others than the commonest ones: in these the answer differs from row to
row, while the words around them may be a set sentence."""
_FIGURES = re.compile(r"-?\d+(?:\.\d+)?")

SECONDARY: dict[str, tuple[str, ...]] = {
    "accuracy": ("macro_f1",),
    "macro_f1": ("accuracy",),
    "exact_match": ("rougeL",),
    "token_f1": ("exact_match",),
    "rougeL": ("token_f1",),
    "gleu": ("chrf",),
    "chrf": ("gleu",),
    "chrf_layout": ("exact_match",),
    "field_f1": ("exact_match",),
}


@dataclass(frozen=True)
class Scale:
    """Labels that are numbers, so that a miss may be a near one."""

    low: float
    high: float
    step: float
    """Between levels; 0 where the numbers lie anyhow."""
    ending: str
    """What stands behind each: "%", "/5"; mostly nothing."""
    form: re.Pattern[str]

    def ends_or(self, text: str) -> tuple[float, ...]:
        """The number that a text names; both ends where it is none of the scale, beyond them or no level."""
        bare = _bare(collapse(text), self.ending)
        number = float(bare) if self.form.fullmatch(bare) else float("nan")
        is_level = self.low <= number <= self.high and (not self.step or (number - self.low) % self.step == 0)
        return (number,) if is_level else (self.low, self.high)


def scale_of(labels: Collection[str]) -> Scale | None:
    """The scale that labels are, written alike; a decimal comma, and the same "%" or "/5" behind each, do no harm.

    Levels (stars from 1 to 5) are whole numbers, or these and halves (step 0.5), three at the least. Of five one may be
    missing, as a seldom one may from few rows. Other numbers are quantities where there are some and they do not look
    like codes. None for all other labels.
    """
    texts = set(map(collapse, labels))
    endings = {found[0] if (found := _ENDING.search(text)) else "" for text in texts}
    bare = {_bare(text, min(endings)) for text in texts} if len(endings) == 1 else set()
    form = next((form for form in (*_ON_SCALE, _PLAIN_NUMBER) if bare and all(map(form.fullmatch, bare))), None)
    if form is None:
        return None
    numbers = set(map(float, bare))
    low, high = min(numbers), max(numbers)
    step = 1.0 if all(map(float.is_integer, numbers)) else 0.5
    levels = len(numbers) >= max(SHORTEST_SCALE, LEAST_OF_LEVELS * ((high - low) / step + 1))
    if form is not _PLAIN_NUMBER and levels:
        return Scale(low, high, step, min(endings), form)
    are_names = len(set(map(len, bare))) == 1 and all(map(_NAMES.fullmatch, bare))
    is_many = len(numbers) >= FEWEST_NUMBERS and not are_names
    return Scale(low, high, 0.0, min(endings), _PLAIN_NUMBER) if is_many else None


def _bare(text: str, ending: str) -> str:
    return _DECIMAL_COMMA.sub(".", text.removesuffix(ending))


def errors_on_scale(
    outputs: Sequence[str], targets: Sequence[Sequence[str]], labels: Collection[str] = ()
) -> dict[str, float]:
    """How far answers are from the nearest accepted one, where these and all `labels` are a scale; empty where they are
    none.

    The mean absolute error in the labels' own unit (less is better), and, of levels, the share of answers at most one
    step off. What is no number between the ends is as far off as can be; a level that no label has is one all the same.
    """
    scale = scale_of((*labels, *chain.from_iterable(targets)))
    if scale is None:
        return {}
    errors = [
        min(max(abs(given - scale.ends_or(target)[0]) for given in scale.ends_or(output)) for target in accepted)
        for output, accepted in zip(outputs, targets, strict=True)
    ]
    within = {"within_one": float(np.mean([error <= scale.step for error in errors]))} if scale.step else {}
    return {MEAN_ERROR: float(np.mean(errors)), **within}


def numbers_of(text: str) -> frozenset[str]:
    """The numbers in a text, as token F1 reads them, without what is counted in them."""
    return frozenset(_FIGURES.findall(" ".join(squad_tokens(text))))


def match_of_numbers(outputs: Sequence[str], targets: Sequence[Sequence[str]]) -> dict[str, float]:
    """Share of the answers that hold the very numbers of an accepted one, of those where there are any; empty where too
    few have any, or they are mostly the same.
    """
    wanted = [[numbers_of(target) for target in accepted] for accepted in targets]
    found = Counter(first for first, *_ in wanted if first)
    if found.total() - max(found.values(), default=0) < FEWEST_WITH_NUMBERS * len(wanted):
        return {}
    right = [numbers_of(output) in numbers for output, numbers in zip(outputs, wanted, strict=True) if numbers[0]]
    return {NUMBERS_MATCH: float(np.mean(right))}


def score_rows(metric: Metric, outputs: Sequence[str], targets: Sequence[Sequence[str]]) -> list[ScoredRow]:
    """Each output scored against its accepted answers."""
    pairs = zip(outputs, targets, strict=True)
    return [ScoredRow(output, tuple(accepted), metric.row(output, accepted).score) for output, accepted in pairs]


def secondary_metrics(name: str, outputs: Sequence[str], targets: Sequence[Sequence[str]]) -> dict[str, float]:
    """What else is worth knowing about the same answers; empty where there are no rows.

    For JSON, `exact_match` means that all fields are right, those of a list's objects together: the order of keys and
    of list items, and the layout, do not count.
    """
    if not outputs:
        return {}
    if name == "json_field_f1":
        rows = score_rows(JSON_FIELD_F1, outputs, targets)
        valid = [fields_of(output) is not None for output in outputs]
        return {"valid_json": float(np.mean(valid)), "exact_match": float(np.mean([row.score == 1 for row in rows]))}
    others = [get_metric(other) for other in SECONDARY.get(name, ())]
    values = {other.name: other.aggregate(score_rows(other, outputs, targets)) for other in others}
    return values | (match_of_numbers(outputs, targets) if name in OF_PROSE else {})
