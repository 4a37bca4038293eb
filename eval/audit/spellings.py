"""Spellings of labels that are one label: merged where only case, spaces or Unicode form differ, else only reported.
Labels with a remark are only reported, too.

An underscore or a hyphen between letters counts as a space.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from eval.audit.balance import named
from eval.audit.contents import joined_labels
from eval.contracts import Example
from eval.findings import Finding
from eval.reading.text import counted, listed

SHORTEST_WORD = 5
"""Letters; one letter more, less or other makes another word of a shorter one."""
TIMES = 3
"""A typo is at least so many times rarer than what was meant."""
FREQUENT = 5
"""Rows that what was meant has at least."""
_WORD = re.compile(r"[^\W\d_]+")
_TURKISH = {ord("ı"): "i", 0x307: None}
"""Unicode's folding leaves a dot above the small letter of İ, and ı as it is."""
_SPACE = re.compile(r"(?<=[^\W\d_])[\s_-]+(?=[^\W\d_])|\s+")
_WHOLE = re.compile(r"-?\d+\.0+")
"""How worksheets and data frames write whole numbers."""
_JOINT = re.compile(r"(?<=[^\W\d_])[ /.]+(?=[^\W\d_])")
_REMARK = re.compile(r"[,;:.!]\s|\s*[(\[]|\s[-–—]+\s|[，；：。！（]")
"""How a remark after a label may begin. Other signs (a > b, a/b) are parts of names."""
_Gap = tuple[str, tuple[str, ...], str]
"""What stands around a word of a label: the signs, the other words (the word's place left empty); its first letter."""


def spellings(examples: Sequence[Example], stated: Collection[str] = ()) -> dict[str, str]:
    """Return each spelling that is another's variant, with the spelling that it stands for: the commonest, or the
    client's own where `stated` has it. Labels that the client states are never variants of each other."""
    counts = Counter(target for example in examples for target in example.targets)
    unseen = [label for label in stated if label not in counts]
    return _variants([*counts, *unseen], label_form, counts, stated)


def _variants(
    labels: Iterable[str], form: Callable[[str], str], counts: Counter[str], stated: Collection[str]
) -> dict[str, str]:
    """Of labels with the same form, each that is not stated, with the one that is, or else the commonest."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for label in labels:
        groups[form(label)].append(label)
    variants = {}
    for group in groups.values():
        best = max(group, key=lambda label: (label in stated, counts[label]))
        variants.update({label: best for label in group if label != best and label not in stated})
    return variants


def label_form(label: str) -> str:
    """Equal for labels that differ in case, spaces, invisible characters or Unicode form (NFKC) only; for 1 and 1.0.

    So are i and ı, since I is the capital of either, in Turkish of the latter.
    """
    text = unicodedata.normalize("NFKC", label).casefold().translate(_TURKISH).strip()
    if _WHOLE.fullmatch(text):
        return text.partition(".")[0]
    return _SPACE.sub(" ", "".join(c for c in text if unicodedata.category(c) != "Cf"))


def merge_spellings(examples: Sequence[Example], kept: Mapping[str, str]) -> tuple[Example, ...]:
    """Return the examples with every variant replaced by what it stands for."""
    return tuple(
        replace(e, targets=tuple(dict.fromkeys(kept.get(target, target) for target in e.targets))) for e in examples
    )


def respelt(outputs: Sequence[str], examples: Sequence[Example]) -> tuple[str, ...]:
    """Return another system's outputs as the examples spell the same labels; other outputs stay as they are."""
    known = {target for example in examples for target in example.targets}
    labels = {label_form(target): target for target in sorted(known)}
    return tuple(output if output in known else labels.get(label_form(output), output) for output in outputs)


def suspected_typos(examples: Sequence[Example], stated: Collection[str] = ()) -> dict[str, str]:
    """Return labels that may be misspelt, with what may have been meant.

    Either they differ in the punctuation between and after words only, or one word of a rare label is one slip away
    from that of a frequent one, and is a word that neither an input nor another label uses. Labels that the client
    states are no typos; figures and signs are never one.
    """
    counts = Counter(example.target for example in examples)
    suspects = _variants(counts, _without_punctuation, counts, stated)
    words = Counter(word for label in counts for word in set(_words(label)))
    words.update({word: 2 for example in examples for word in _words(example.input)})
    frequent = [label for label, count in counts.most_common() if count >= FREQUENT]
    alike: defaultdict[_Gap, list[tuple[int, str]]] = defaultdict(list)
    for place, label in enumerate(frequent):
        for gap, word in _gaps(label):
            alike[gap].append((place, word))
    for rare, count in counts.items():
        if rare in stated or rare in suspects:
            continue
        typos = [(gap, word) for gap, word in _gaps(rare) if words[word] == 1]
        meant = [place for gap, typo in typos for place, word in alike.get(gap, ()) if _one_slip(typo, word)]
        if found := [frequent[place] for place in sorted(meant) if counts[frequent[place]] >= TIMES * count]:
            suspects[rare] = found[0]
    return suspects


def remarked(examples: Sequence[Example], stated: Collection[str] = ()) -> dict[str, str]:
    """Return labels that begin as a more frequent one and go on with a remark in words, with that one.

    Labels that the client states have no remarks, and joined labels are none (`joined_labels` tells of them).
    """
    counts = Counter(example.target for example in examples)
    forms = {label_form(label): label for label in counts}
    found = {}
    for label in (label for label in counts if label not in stated):
        for mark in _REMARK.finditer(label):
            bare, remark = forms.get(label_form(label[: mark.start()]), ""), label[mark.end() :]
            is_remark = _WORD.search(remark) and label_form(remark) not in forms
            if is_remark and counts[bare] >= max(FREQUENT, counts[label] + 1):
                found[label] = bare
    return found if found and not joined_labels(examples) else {}


def _without_punctuation(label: str) -> str:
    return _JOINT.sub("", label_form(label)).rstrip(" .,;:!?")


def _gaps(label: str) -> Iterator[tuple[_Gap, str]]:
    """Each long word of a label, with all that the label of which it may be a misspelling must have as well."""
    form = label_form(label)
    words = _WORD.findall(form)
    signs = _WORD.sub("a", form)
    for place, word in enumerate(words):
        if len(word) >= SHORTEST_WORD:
            yield (signs, (*words[:place], "", *words[place + 1 :]), word[0]), word


def _one_slip(typo: str, meant: str) -> bool:
    from rapidfuzz.distance import OSA

    return bool(OSA.distance(typo, meant, score_cutoff=1) == 1)


def _words(text: str) -> list[str]:
    return _WORD.findall(label_form(text))


def label_variants(
    examples: Sequence[Example], kept: Mapping[str, str], stated: Collection[str] = (), *, merged: bool = True
) -> list[Finding]:
    """Report the variants in `kept`, `merged` or not, and the suspected typos and remarks among what is left.

    `examples` are as they were read.
    """
    findings = []
    if rows := _rows(examples, kept):
        differ = "differs" if len(kept) == 1 else "differ"
        message = (
            f"{counted(len(kept), 'spelling')} of labels {differ} from another in case, spaces or Unicode form only, "
            f"in {counted(len(rows), 'row')}: {_pairs(kept)}."
        )
        action = "Counted as the latter; --accept label_variants keeps them apart." if merged else "Kept apart."
        findings.append(Finding("label_variants", "warning", len(rows), rows, message, action))
    as_merged = merge_spellings(examples, kept)
    suspects = suspected_typos(as_merged, stated)
    if rows := _rows(as_merged, suspects):
        message = (
            f"{counted(len(suspects), 'label')} may be misspelt, in {counted(len(rows), 'row')}: {_pairs(suspects)}."
        )
        action = 'Kept as they are. Repair them, or name every label under "labels" in the task file.'
        findings.append(Finding("label_variants", "warning", len(rows), rows, message, action))
    remarks = remarked(as_merged, stated)
    if rows := _rows(as_merged, remarks):
        seems = "seems" if len(remarks) == 1 else "seem"
        message = (
            f"{counted(len(remarks), 'label')} {seems} to be another label with a remark, in "
            f"{counted(len(rows), 'row')}: {_pairs(remarks)}. Each counts as a label of its own, and an answer without "
            "the remark as wrong."
        )
        action = (
            'Kept as they are. Give remarks a column of their own, or name every label under "labels" in the task file.'
        )
        findings.append(Finding("label_variants", "warning", len(rows), rows, message, action))
    targets = {target for example in as_merged for target in example.targets}
    unstated = sorted(targets - set(stated) - set(suspects) - set(remarks)) if stated else []
    if unstated:
        rows = _rows(as_merged, dict.fromkeys(unstated, ""))
        labels = listed(map(named, unstated))
        verb = "has a label" if len(rows) == 1 else "have labels"
        message = f"{counted(len(rows), 'row')} {verb} that the task file does not state: {labels}."
        action = 'Kept; they may be answered with, too. Name them under "labels" in the task file, or repair the rows.'
        findings.append(Finding("label_variants", "warning", len(rows), rows, message, action))
    return findings


def _rows(examples: Sequence[Example], variants: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(example.id for example in examples if any(target in variants for target in example.targets))


def _pairs(variants: Mapping[str, str]) -> str:
    return listed(f"{named(variant)} for {named(label)}" for variant, label in variants.items())
