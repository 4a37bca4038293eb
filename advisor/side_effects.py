"""What tuning did to the model besides the task, measured on the best of the fine-tuned strategies."""

from __future__ import annotations

from advisor.records import Record
from advisor.runs import RunFolder, log
from advisor.trials import Bench
from strategies.base import TRAINED
from strategies.pipeline import Pipeline
from strategies.side_effects import SideEffects, side_effects
from strategies.solutions import load_solution


def best_tuned(bench: Bench, records: list[Record]) -> Record | None:
    """The fine-tuned strategy that measured best; None where none was measured."""
    tuned = [(quality, r) for r in records if r.family in TRAINED and (quality := bench.quality(r)) is not None]
    return max(tuned, key=lambda pair: pair[0])[1] if tuned else None


def measure_side_effects(bench: Bench, record: Record) -> SideEffects | None:
    """Of the strategy's first fit; None where its solution is gone, or something went wrong that the log tells."""
    folder: RunFolder = bench.folder
    known = folder.side_effects(record.name)
    if known is not None:
        return known
    kept = folder.fold_solution(record.name, record.fits[0].slot)
    if not kept.is_dir():
        return None
    bench.progress.phase(record.name, "looking for side effects", 0, 1)
    try:
        solution = load_solution(kept, bench.shelf)
        if not isinstance(solution, Pipeline):
            return None
        found = side_effects(solution, [e.input for e in bench.folds[0].test], bench.request.seed)
    except Exception:  # a figure less is no reason to lose a comparison
        log.exception("the side effects of %s could not be measured", record.name)
        return None
    folder.finish_side_effects(record.name, found)
    return found
