"""Label scores freed of what a model leans towards, whatever it reads.

Batch calibration (Zhou et al. 2023, arXiv 2309.17249): the mean score of a label over some inputs is taken from its
score. Their outputs are not looked at. Two things differ from the paper: the mean is taken of log-probabilities, so
that a label which is clear in one of few inputs is not held for a favourite; and a label is granted the share that it
has among the training examples, not the same share as every other.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import log_softmax

from eval.contracts import NO_USAGE, Example
from strategies.base import Workshop
from strategies.pipeline import Pipeline

MOST_ROWS = 32


def calibrated(pipeline: Pipeline, rows: Sequence[Example], workshop: Workshop) -> Pipeline:
    """The pipeline with the labels' handicaps found on training examples, at most `MOST_ROWS` of them."""
    drawn = list(rows) if len(rows) <= MOST_ROWS else random.Random(workshop.seed).sample(list(rows), MOST_ROWS)
    scores, labels = pipeline.label_scores([e.input for e in drawn], unseen=False, every=True), pipeline.answers.labels
    workshop.meter.read(sum((own.usage for own in scores), NO_USAGE))
    found = [own.log_likelihoods for own in scores if own.error is None]
    if not found:
        return pipeline
    shares = log_softmax(found, axis=1)
    counts = Counter(e.target for e in rows)
    usual = np.log([(counts[label] + 1) / (len(rows) + len(labels)) for label in labels])
    handicaps = shares.mean(axis=0) - usual
    answers = replace(pipeline.answers, handicaps=tuple(float(h) for h in handicaps))
    return replace(pipeline, answers=answers)
