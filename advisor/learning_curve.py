"""How much more examples would help: the leading strategies, fitted on parts of the training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from advisor.planning import CURVE_SHARES
from advisor.records import Fit
from advisor.trial import Trial
from advisor.trials import Bench, Entry, make_fit
from eval.contracts import Example, Kind
from eval.errors import RequestError
from eval.folds import split


def learning_curve(bench: Bench, entry: Entry) -> list[Fit]:
    """Fits on a quarter and a half of the first fold's training rows, tested on its test rows.

    The parts are nested, so that a curve falls for want of rows and not by the draw. Ends at the first fit that does
    not end well, and where the rows are too few to be divided.
    """
    whole = bench.trials(entry)[0]
    seconds = bench.plan.curve_seconds / 2 / len(CURVE_SHARES)
    fits: list[Fit] = []
    parts = nested_parts(whole, bench.data.task.kind is Kind.CLASSIFICATION)
    for share, rows in zip(sorted(CURVE_SHARES), parts, strict=False):
        trial = replace(whole, train=rows, part=share, latency_seconds=None, kept=None)
        fit = bench.folder.finished(trial.name, trial.slot)
        if fit is None:
            fit = make_fit(bench, entry, trial, seconds, 0.0)
            bench.folder.finish(trial.name, trial.slot, fit)
        if fit.status != "ok":
            break
        fits.append(fit)
    return fits


def nested_parts(trial: Trial, stratify: bool) -> list[Sequence[Example]]:
    """The training rows of each share, the smallest part first; each holds the one before."""
    rows, parts = trial.train, list[Sequence[Example]]()
    for share in sorted(CURVE_SHARES, reverse=True):
        try:
            rows = split(rows, test_size=round(share * len(trial.train)), seed=trial.seed, stratify=stratify).test
        except RequestError:  # too few different inputs
            return []
        parts.insert(0, rows)
    return parts
