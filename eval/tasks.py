"""The client's task: read from a sentence or a file, and completed from the examples."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import statistics
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from eval.contracts import Document, Example, Kind, Task
from eval.errors import RequestError
from eval.json_fields import lines_of, parsed
from eval.reading.tables import READERS
from eval.reading.text import UNSPACED, clean, count_words, read_text

FILE_TYPES = (".json", ".yaml", ".yml")
TEXT_TYPES = (".txt", ".md")
TABLE_TYPES = tuple(ending for ending in READERS if ending not in FILE_TYPES)
SHORT_ANSWER = 10
"""Words. Shorter answers are compared word by word (formal ones as a whole), longer ones by their longest common
subsequence."""
NEARLY_ALL, MOSTLY = 0.95, 0.8
"""Shares of the outputs: that begin as JSON objects, and that are some; the others are then broken ones."""
MOST_WITH_ONE = 3
"""Different outputs, of which only one comes back, that may still be labels."""
LONGEST_LABEL, LONGEST_OPTION = 10, 30
"""Words. Longer outputs are text; between these, those that come back less than `OFTEN` are."""
OFTEN = 5
"""Rows to each output, on average: what comes back as often is a label, though it stands in documents or inputs; and
rows to one that is a sentence, as options of a form are."""
MOST_LOOKED_UP = 50
"""Different answers looked for in the documents; inputs in which answers are looked for."""
BLIND = 0.95
"""Of full marks. A measure that gives inputs as much, where outputs differ from them, sees too little of the change."""
SIGHTED = ("chrf", "gleu", "chrf_layout")
"""Measures of long texts that see case, punctuation and signs; GLEU sees more of a letter changed here and there, but
gives less for text that is else the same; the last one sees line ends and indentation."""
MOST_TRIED, LONGEST_TRIED = 50, 1000
"""Inputs scored as if they were answers, and the characters looked at of each."""
MANY_SIGNS = 0.05
"""Of what is printed. Code has about twice as many, prose with brackets and addresses about half as many."""
LONGEST_VALUE = 5
"""Words. Where most values after a name and a colon are no longer, they are fields; else a form holds prose."""
LONGEST_EXCERPT = 20
"""Words. Longer passages are a summary in the text's own words, which is right in part too."""
QUESTION = re.compile(
    r"(what|who|whom|whose|which|when|where|why|how|is|are|was|were|do|does|did|can|could|should|will|would|may)\b",
    re.I,
)
QUESTION_MARKS = ("?", "？", "؟")
FORMAL = re.compile(
    r"select\b.*\bfrom\b|insert\s+into\b|update\b.*\bset\b|delete\s+from\b|with\b.*\bselect\b|<(\w+).*(</\1>|/>)$|\[.*\]$",
    re.I | re.S,
)
"""Outputs in a formal language: SQL, XML, JSON lists."""
_UNIT = r"(?:[$€£¥₹₽₺₩%‰°µ]?[^\W\d_]{0,3}[²³]?(?:/[^\W\d_]{1,3}[²³]?)?|[ap]\.m\.)"
"""A currency's sign, or up to three letters: EUR, °C, km/h, m², p.m."""
NUMBER = re.compile(
    rf"[-+−±~]? ?(?:[A-Z]{{0,3}}[$€£¥₹₽₺₩] ?[-−]?|[A-Z]{{3}} [-−]?|\()?\d(?:[\d.,:/'’() –-]*\d)?\.? ?{_UNIT}$"
)
"""Figures with what may set them apart or be counted in: amounts, measures, dates, times, telephones."""
FIGURE = re.compile(rf"(?<![^\W{UNSPACED}])[$€£¥₹₽₺₩]?\d(?:[\d.,:/]*\d)?(?: ?[%‰°])?")
"""By itself, or before its unit: no part of a name (x2)."""
BESIDE_FIGURES = re.compile(r"(?:[^\W\d_]|[ .,/–-])*")
"""What stands beside figures where a quantity or a date is in words."""
LISTED = re.compile(r"\D*\d.*, \d{1,3}\b")
"""A second quantity after a comma, where no year follows ("2 eggs, 3 cups"): such lists are right in part."""
CODE = re.compile(r"[!-/:-~]*\d[!-~]*$")
"""A word with a figure in it."""
SIGNS = re.compile(r"[\\^_`{}|~<>=*+@\[\]≤≥≠→]|(?:^|\s)-+[^\W\d_]")
"""Of formulas, conditions, patterns, commands, addresses; prose has hardly any, nor a hyphen before a word."""
SIGN_OF_CODE = re.compile(r"[#$%&()*+/:;<=>@\[\\\]^_`{|}~]")
"""Of code, settings and markup. Prose has some, but few."""
IN_PROSE = re.compile(
    r"\[\d+\]|(?<!\S)(?:\[[\w ]+\]|<[\w ]+>|@\w+)|(?<!\w)(\*{1,3})(?=\S)[^*\n]+(?<=\S)\1(?!\w)"
    r"|(?<=\w) \| (?=\w)|~(?=\d)"
)
"""Signs that prose has all the same: citations [1], masks [EMAIL], <name>, @name, *emphasis*, Title | Site, ~30."""
IN_LETTERS = re.compile(
    r"(?:https?://|www\.)\S+|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\[[^\[\]\n]+\]\([^()\s]+\)"
    r"|(?m:^)(?:#+ |[^\W\d_a-z][\w /-]{0,40}:(?: |$))|(?<=\s)\([\w .,:§/%&-]*\)(?=\W|$)|\d[\w/():%+ -]*"
)
"""Signs of letters, notes and lists of sources: addresses, links, headings, fields (`Customer: `), remarks in brackets,
numbers of files and telephones, pages."""


@dataclass(frozen=True)
class TaskSpec:
    """A task as the client states it; what is None is inferred by `complete`."""

    description: str
    name: str | None = None
    kind: Kind | None = None
    metric: str | None = None
    labels: tuple[str, ...] = ()
    json_keys: tuple[str, ...] = ()


def read_task(value: str) -> TaskSpec:
    """Read TASK: a sentence, or the path of a JSON or YAML file with at least `description`.

    Raises RequestError for an empty sentence, and for a file that is missing, malformed or incomplete.
    """
    value = clean(value)
    is_path = os.path.exists(value) or " " not in value
    if os.path.isdir(value) or (is_path and value.lower().endswith(TABLE_TYPES)):
        raise RequestError(
            f"--task {value} is no task: say in a sentence what the model is asked to do, or name a JSON or YAML file."
        )
    if os.path.isfile(value):
        return _from_fields(_load(Path(value)), value)
    if value.lower().endswith(FILE_TYPES) or (is_path and value.lower().endswith(TEXT_TYPES)):
        raise RequestError(f"The task file {value} does not exist: check the path, or end a sentence with a full stop.")
    if not value:
        raise RequestError("The task is empty: say in one sentence what the model is asked to do.")
    return TaskSpec(value)


def complete(spec: TaskSpec, examples: Sequence[Example], documents: Sequence[Document] = ()) -> tuple[Task, list[str]]:
    """Infer kind and metric where the client states none; also return the sentences that state what was inferred.

    Labels and JSON keys stay as given: strategies take them from the examples that they are fitted on, so that
    nothing leaks from the unseen ones. Raises RequestError for an unknown metric.
    """
    if not examples:
        raise RequestError("There are no examples: give at least a few labelled rows.")
    stated: list[str] = []
    kind = spec.kind
    if kind is None:
        kind, reason = _infer_kind(spec, examples, documents)
        stated.append(f"Took this as a task of {kind.value}, since {reason}.")
    metric = spec.metric
    if metric is None:
        metric, reason = _infer_metric(kind, examples)
        stated.append(f"Measured by {metric}, since {reason}.")
    _check_metric(metric)
    stated += _scale_said(metric, {target for example in examples for target in example.targets})
    if metric == "json_field_f1" and not any(has_fields(e.target) for e in examples):
        raise RequestError(
            f"No output is a JSON object, or a list of objects or texts, so that {metric} can score none: "
            "choose another metric."
        )
    return Task(spec.description, kind, metric, spec.name or Task.name, spec.labels, spec.json_keys), stated


def _load(path: Path) -> dict[str, object]:
    import yaml

    text = read_text(path).text
    try:
        content = json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        where = getattr(error, "problem_mark", None)
        line = where.line + 1 if where else getattr(error, "lineno", 1)
        kind = "JSON" if path.suffix.lower() == ".json" else "YAML"
        raise RequestError(f"The task file {path} is not valid {kind}: repair line {line}.") from error
    if isinstance(content, str) and path.suffix.lower() not in FILE_TYPES:
        return {"description": content}
    if not isinstance(content, dict):
        raise RequestError(f'The task file {path} holds no fields: write at least "description".')
    return content


def _from_fields(fields: dict[str, object], path: str) -> TaskSpec:
    _check_fields(fields, path)
    description = _text(fields, "description", path)
    if not description:
        raise RequestError(f'The task file {path} has no description: add "description" with one sentence.')
    return TaskSpec(
        description,
        _text(fields, "name", path),
        _kind(_text(fields, "kind", path), path),
        _text(fields, "metric", path),
        _strings(fields, "labels", path),
        _strings(fields, "json_keys", path),
    )


def _check_fields(fields: dict[str, object], path: str) -> None:
    """Raise RequestError for a field that is probably a known one misspelt; others are the client's own."""
    known = [field.name for field in dataclasses.fields(TaskSpec)]
    for name in fields:
        meant = get_close_matches(str(name).lower(), known, n=1, cutoff=0.8)
        if name not in known and meant and meant[0] not in fields:
            raise RequestError(f'The task file {path} has a field "{name}": write "{meant[0]}" if that is meant.')


def _text(fields: dict[str, object], key: str, path: str) -> str | None:
    value = fields.get(key)
    if value is not None and not isinstance(value, str):
        raise RequestError(f'"{key}" in the task file {path} is not text: put it in quotes.')
    return clean(value or "") or None


def _strings(fields: dict[str, object], key: str, path: str) -> tuple[str, ...]:
    value = fields.get(key) or []
    # YAML reads yes and no as true and false, so a truth value cannot be trusted to be what the client wrote.
    if not isinstance(value, list) or any(isinstance(v, bool) or not isinstance(v, str | int | float) for v in value):
        raise RequestError(f'"{key}" in the task file {path} is not a list of texts: write each in quotes.')
    return tuple(dict.fromkeys(clean(str(item)) for item in value))


def _kind(name: str | None, path: str) -> Kind | None:
    if name is None:
        return None
    if name.lower() not in list(Kind):
        raise RequestError(f'"{name}" in {path} is no kind of task: choose one of {", ".join(Kind)}.')
    return Kind(name.lower())


def _check_metric(metric: str) -> None:
    from eval.metrics import METRICS

    if metric not in METRICS:
        raise RequestError(f'"{metric}" is no known metric: choose one of {", ".join(METRICS)}.')


def _infer_kind(spec: TaskSpec, examples: Sequence[Example], documents: Sequence[Document]) -> tuple[Kind, str]:
    """Kind and reason. Duplicated rows count once: they would make free text look like labels.

    Answers that come back are no labels where documents or the inputs say what is answered, and so may say something
    new. Categories may stand there, too, but they are few (each has more rows than there are of them), or come back
    `OFTEN`.
    """
    if spec.labels:
        return Kind.CLASSIFICATION, "the task states labels"
    if spec.json_keys:
        return Kind.EXTRACTION, "the task states JSON keys"
    rows = list({(e.input, e.target): e for e in examples}.values())
    outputs = Counter(e.target.casefold() for e in rows)
    if are_json_objects([e.target for e in rows]):
        return Kind.EXTRACTION, "the outputs are JSON objects"
    if len(outputs) > 1 and are_json_lists([e.target for e in rows]):
        return Kind.EXTRACTION, "the outputs are JSON lists"
    asks = bool(documents) and _share(rows, lambda e: _is_question(e.input)) >= 0.5
    if _are_labels(outputs):
        are_many = len(rows) < len(outputs) * min(len(outputs), OFTEN)
        if asks and are_many and _stand_in(outputs, documents):
            return Kind.QA, "the inputs are questions, and most of the outputs, which are many, stand in the documents"
        if are_many and _are_quoted(rows, outputs):
            return Kind.EXTRACTION, "the outputs, which are many, are short excerpts of their inputs"
        return Kind.CLASSIFICATION, f"{len(outputs)} short outputs repeat over {len(rows)} different examples"
    if _share(rows, lambda e: FORMAL.match(e.target) is not None) >= NEARLY_ALL:
        return Kind.EXTRACTION, "the outputs are in a formal language"
    if are_fields([e.target for e in rows]):
        return Kind.EXTRACTION, "the outputs are lines of fields"
    if asks:
        return Kind.QA, "there are documents and the inputs are questions"
    if _share(rows, _is_excerpt) >= NEARLY_ALL:
        return Kind.EXTRACTION, "the outputs are short excerpts of the inputs"
    return Kind.GENERATION, _whole_said(rows) or "the outputs are free text"


def _infer_metric(kind: Kind, examples: Sequence[Example]) -> tuple[str, str]:
    targets = [example.target for example in examples]
    if kind is Kind.CLASSIFICATION:
        label, count = Counter(targets).most_common(1)[0]
        if count > 0.8 * len(targets):
            return "macro_f1", f'"{label}" makes up {count / len(targets):.0%} of the examples'
        return "accuracy", "no label makes up more than 80% of the examples"
    if are_fields(targets):
        return "field_f1", "the outputs are lines of fields, each of which is right or wrong"
    if kind is Kind.EXTRACTION:
        if are_json_objects(targets):
            return "json_field_f1", "the outputs are JSON objects"
        if are_json_lists(targets):
            return "json_field_f1", "the outputs are lists of JSON objects"
        if are_lists_of_texts(targets):
            return "json_field_f1", "the outputs are JSON lists of texts, whose order does not count"
        return "exact_match", "an extracted value is right or wrong as a whole"
    if said := _whole_said(examples):
        return "exact_match", f"{said}: one is right only if it is the same, however near it comes"
    words = statistics.median(count_words(target) for target in targets)
    is_short = words <= SHORT_ANSWER
    if not is_short and statistics.median(map(_share_of_signs, targets)) >= MANY_SIGNS:
        return "chrf_layout", "the outputs are code or the like, of which each sign and the indentation count"
    usual = "token_f1" if is_short else "rougeL"
    changed = [e for e in examples if e.input != e.target]
    if (marks := _marks_of_inputs(usual, changed)) >= BLIND:
        sighted = min(SIGHTED, key=lambda metric: max(BLIND, _marks_of_inputs(metric, changed)))
        reason = f"{usual} would give the unchanged inputs {marks:.2f}, and so see hardly anything of the change"
        return "exact_match" if is_short else sighted, reason
    if is_short and changed and _share(changed, _is_reordered) >= MOSTLY:
        return "exact_match", f"the outputs put the words of the inputs in another order, which {usual} does not see"
    if is_short:
        return usual, f"half of the outputs have at most {words:g} {'word' if words == 1 else 'words'}"
    return usual, f"half of the outputs have at least {words:g} words"


def _marks_of_inputs(metric: str, examples: Sequence[Example]) -> float:
    """What some of the inputs would score as answers, on average; 0 without examples.

    One that is twice as long as its output, or half as long, is another text. Of long texts what comes before the
    first change has full marks, and the beginning of the rest tells of it.
    """
    from eval.metrics import get_metric

    def marks(example: Example) -> float:
        given, wanted = example.input, example.target
        longer, shorter = max(len(given), len(wanted)), min(len(given), len(wanted))
        if longer > 2 * shorter:
            return 0.0
        changes = (place for place, (a, b) in enumerate(zip(given, wanted, strict=False)) if a != b)
        same = next(changes, shorter) if longer > LONGEST_TRIED else 0
        given, wanted = (text[same : same + LONGEST_TRIED] for text in (given, wanted))
        before = 2 * same / (longer + shorter)
        return before + (1 - before) * get_metric(metric).row(given, [wanted]).score

    some = examples[:: math.ceil(len(examples) / MOST_TRIED) or 1]
    return statistics.fmean(map(marks, some)) if some else 0.0


def _is_reordered(example: Example) -> bool:
    """Whether a short text is all the words of its input in another order, each whole or its beginning (Berg, A.)."""
    if count_words(example.target) > SHORT_ANSWER:
        return False
    given, wanted = (re.findall(r"[^\W_]+", text.casefold()) for text in (example.input, example.target))
    left = list(range(len(given)))
    places = []
    for word in wanted:
        fitting = [place for place in left if given[place].startswith(word)]
        if not fitting:
            return False
        places.append(min(fitting, key=lambda place: given[place] != word))
        left.remove(places[-1])
    return not left and places != sorted(places)


def _share_of_signs(text: str) -> float:
    """Signs that are seldom in prose, as a share of all that is printed; not those that it has all the same."""
    return len(SIGN_OF_CODE.findall(IN_LETTERS.sub("", IN_PROSE.sub("", text)))) / len("".join(text.split()) or " ")


def _scale_said(metric: str, labels: Collection[str]) -> list[str]:
    """That labels may be a scale, on which a near miss counts as wrong as a far one."""
    from eval.metrics import LABEL_METRICS, scale_of

    scale = scale_of(labels) if metric in LABEL_METRICS else None
    if scale is None:
        return []
    which = {1.0: "the whole numbers", 0.0: f"{len(labels)} numbers"}.get(scale.step, "the numbers")
    span = f"from {scale.low:g}{scale.ending} to {scale.high:g}{scale.ending}"
    steps = f" in steps of {scale.step}" if scale.step == 0.5 else ""
    near, are = ("one step off", "a scale") if scale.step else ("that is nearly right", "quantities")
    return [
        f"The labels are {which} {span}{steps}, and an answer {near} counts as wrong as any. If they are {are}, see "
        "the mean absolute error beside, and price errors by their size with --error-cost."
    ]


def _are_labels(outputs: Counter[str]) -> bool:
    """Labels are short and come back: two thirds of the rows have an output that other rows have too.

    One output that comes back among many that do not is what is said where there is no answer. Nearly all are short:
    a remark in a cell or two does not make the others text.
    """
    again = [count for count in outputs.values() if count > 1]
    repeated = sum(again) if len(again) > 1 or len(outputs) <= MOST_WITH_ONE else 0
    limits = {output: LONGEST_OPTION if count >= OFTEN else LONGEST_LABEL for output, count in outputs.items()}
    short = sum(count for output, count in outputs.items() if count_words(output) <= limits[output])
    return repeated >= 2 / 3 * outputs.total() and short >= NEARLY_ALL * outputs.total()


def _share(examples: Sequence[Example], test: Callable[[Example], bool]) -> float:
    return sum(map(test, examples)) / len(examples)


def _whole_said(examples: Sequence[Example]) -> str:
    """What outputs are that are right or wrong as a whole; empty where they are prose, which is right in part too.

    Of numbers the first answers accepted decide. Formal text counts as long as it is short: token F1 drops its signs,
    while of long code nothing would ever be right.
    """
    if _share(examples, lambda e: _is_number(e.target)) >= NEARLY_ALL:
        others = any(not _is_number(target) for example in examples for target in example.targets[1:])
        return "the first answers accepted are numbers" if others else "the outputs are numbers, quantities or dates"
    if _share(examples, lambda e: _is_formal(e.target)) >= MOSTLY:
        return "the outputs are codes, formulas or the like"
    return ""


def _is_number(text: str) -> bool:
    """Tell whether a text is a number, or a quantity or date in words: 3 working days, 1 de mayo de 1960, 1960年5月1日.

    These have at most two words to a figure, and begin with one, end with a year after one word, or have several
    figures (from 9:10 to 17:00). Two names with a figure are no date (Anna Berg 1975, 221 Baker Street).
    """
    if NUMBER.match(text):
        return True
    figures, beside = FIGURE.findall(text), FIGURE.sub(" ", text)
    words = count_words(beside)
    leads = len(figures) > 1 or re.match(r"[$€£¥₹₽₺₩]?\d", text) or (words == 1 and re.search(r"\b[12]\d{3}$", text))
    is_plain = BESIDE_FIGURES.fullmatch(beside) is not None and not LISTED.match(text)
    is_named = len(figures) == 1 and sum(word[0].isupper() for word in beside.split()) > 1
    return bool(figures and leads) and is_plain and not is_named and words <= min(2 * len(figures), SHORT_ANSWER)


def _is_formal(text: str) -> bool:
    if count_words(text) > SHORT_ANSWER:
        return False
    bare = IN_PROSE.sub("", text)
    return bool(_is_number(text) or CODE.match(bare) or SIGNS.search(bare))


def _is_question(text: str) -> bool:
    return text.endswith(QUESTION_MARKS) or QUESTION.match(text) is not None


def _stand_in(outputs: Collection[str], documents: Sequence[Document]) -> bool:
    """Whether most of the outputs, in lower case, stand in the documents as words of their own."""
    text = "\n".join(document.text for document in documents).casefold()
    some = list(outputs)[:: math.ceil(len(outputs) / MOST_LOOKED_UP)]
    letter = rf"[^\W{UNSPACED}]"
    alone = (rf"(?<!{letter}){re.escape(output)}(?!{letter})" for output in some if output in text)
    return sum(re.search(words, text) is not None for words in alone) >= MOSTLY * len(some)


def _are_quoted(rows: Sequence[Example], outputs: Collection[str]) -> bool:
    """Whether nearly all outputs are excerpts of their inputs, which do not list half of all outputs to choose from."""
    texts = [e.input.casefold() for e in rows[:: math.ceil(len(rows) / MOST_LOOKED_UP)]]
    held = statistics.median(sum(output in text for output in outputs) for text in texts)
    return held < len(outputs) / 2 and _share(rows, _is_excerpt) >= NEARLY_ALL


def _is_excerpt(example: Example) -> bool:
    is_short = count_words(example.target) <= LONGEST_EXCERPT and len(example.target) <= len(example.input) / 2
    return is_short and example.target.casefold() in example.input.casefold()


def are_json_objects(texts: Sequence[str]) -> bool:
    """Tell whether these are JSON objects, but for some that are broken and a few that are not meant to be any."""
    return _are_meant(texts, "{", is_json_object)


def are_json_lists(texts: Sequence[str]) -> bool:
    """Tell whether these are lists of JSON objects, some perhaps empty, in the same sense; a lone object may be one."""
    return any(text != "[]" for text in texts) and _are_meant(texts, ("[", "{"), has_objects)


def are_of_one_json_form(texts: Sequence[str]) -> bool:
    """Tell whether these are JSON objects, or lists of them and no lone ones: what answers can be written as."""
    return are_json_objects(texts) or (are_json_lists(texts) and not any(map(is_json_object, texts)))


def are_lists_of_texts(texts: Sequence[str]) -> bool:
    """Tell whether these are JSON lists of texts, some perhaps empty, in the same sense."""
    return _are_meant(texts, "[", is_list_of_texts)


def _are_meant(texts: Sequence[str], begin: str | tuple[str, ...], are: Callable[[str], bool]) -> bool:
    begun, whole = sum(text.startswith(begin) for text in texts), sum(map(are, texts))
    return begun >= NEARLY_ALL * len(texts) and whole >= MOSTLY * len(texts)


def are_fields(texts: Sequence[str]) -> bool:
    """Tell whether nearly all texts are lines of `name: value`, mostly several, with names that come back.

    No text has a name twice, as a talk has its speakers, and most values are short.
    """
    records = [lines_of(text) for text in texts]
    found = Counter(name for record in records for name, _ in record)
    whole = [
        len(dict(record)) == len(record) and all(name and found[name] > 1 for name, _ in record) for record in records
    ]
    if sum(whole) < NEARLY_ALL * len(records) or statistics.median(map(len, records)) < 2:
        return False
    short = [count_words(value) <= LONGEST_VALUE for record in records for _, value in record]
    return sum(short) >= MOSTLY * len(short)


def is_json_object(text: str) -> bool:
    """Tell whether a text is a JSON object."""
    return isinstance(_json(text, "{"), dict)


def has_objects(text: str) -> bool:
    """Tell whether a text is a JSON object, or a list of JSON objects, be it empty."""
    return is_json_object(text) or _is_list_of(dict, text)


def is_list_of_texts(text: str) -> bool:
    """Tell whether a text is a JSON list of texts, be it empty. Of numbers, which may be a place, the order counts."""
    return _is_list_of(str, text)


def has_fields(text: str) -> bool:
    """Tell whether a text is JSON that is compared field by field: an object, or a list of objects or of texts."""
    return has_objects(text) or is_list_of_texts(text)


def _is_list_of(kind: type, text: str) -> bool:
    value = _json(text, "[")
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def _json(text: str, begin: str | tuple[str, ...]) -> object:
    """The JSON value of a text that begins so; None where it is none."""
    try:
        return parsed(text) if text.startswith(begin) else None
    except (ValueError, RecursionError):
        return None
