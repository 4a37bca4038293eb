"""How often each field of an answer is right: where an extraction goes wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from advisor.report.schema import FieldQuality
from eval.contracts import Outcome
from eval.json_fields import Fields, fields_of, shared

MOST_FIELDS = 60


def by_field(outcomes: Sequence[Outcome], read: Callable[[str], Fields | None] = fields_of) -> list[FieldQuality]:
    """Of the values that the targets have in each field, the share that the answers have too; the commonest fields.

    Of several accepted targets, the one that the answer is nearest to counts, and of a list's objects, each against one
    object of the answer. Rows without a score are left out, as are fields that are left open. `read` gives an answer's
    fields, of JSON unless another is named.
    """
    found: defaultdict[str, list[bool]] = defaultdict(list)
    for outcome in outcomes:
        wanted = [fields for fields in map(read, outcome.example.targets) if fields is not None]
        if outcome.score is None or not wanted:
            continue
        given = read(outcome.prediction.text)
        shares = [Counter(path for path, _ in shared(fields, given)) if given else Counter[str]() for fields in wanted]
        right, target = max(zip(shares, wanted, strict=True), key=lambda pair: pair[0].total())
        for path, times in Counter(path for path, _ in target.every()).items():
            found[path] += [True] * right[path] + [False] * (times - right[path])
    commonest = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))[:MOST_FIELDS]
    return [FieldQuality(field=path, values=len(right), found=sum(right) / len(right)) for path, right in commonest]
