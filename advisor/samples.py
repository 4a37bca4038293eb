"""Rows that a report shows, with the answers of several strategies."""

from __future__ import annotations

from collections.abc import Sequence

from advisor.evidence import Weighed
from advisor.records import Record
from advisor.report import schema, wording
from advisor.report.schema import INCUMBENT
from eval.contracts import Outcome

SAMPLES = 8
ANSWER_LETTERS = 2000
ROWS = 200
ROW_LETTERS = 240
"""What is longer ends in `…`: how much is missing is known no more where it is shown."""


def samples_of(advice: schema.Recommendation, records: Sequence[Record]) -> list[schema.SampleAnswer]:
    """Rows that the recommended strategy got most wrong, beside the runner-up's answers."""
    shown = [name for name in (advice.strategy, advice.runner_up) if name]
    wrong = [o for o in _worst_first(advice, records) if o.score is not None and o.score < 1]
    return _beside(wrong[:SAMPLES], shown, records, ANSWER_LETTERS)


def rows_of(advice: schema.Recommendation, records: Sequence[Record], weighed: Weighed) -> list[schema.SampleAnswer]:
    """Test rows, shortened: answers of the pick, the runner-up, the best without a language model, today's system."""
    plains = {r.name for r in records if r.model is None and r.strategy != INCUMBENT}
    plain = max((c for c in weighed.assumptions.candidates if c.name in plains), key=lambda c: c.quality, default=None)
    wanted = [advice.strategy, advice.runner_up, plain.name if plain else None, INCUMBENT]
    shown = list(dict.fromkeys(name for name in wanted if name is not None))
    return _beside(_worst_first(advice, records)[:ROWS], shown, records, ROW_LETTERS)


def _worst_first(advice: schema.Recommendation, records: Sequence[Record]) -> list[Outcome]:
    """The recommended strategy's test rows; those without a score come last."""
    evaluation = next((r.evaluation for r in records if r.name == advice.strategy), None)
    outcomes = evaluation.outcomes if evaluation else []
    return sorted(outcomes, key=lambda o: (o.score is None, o.score or 0.0, o.example.id))


def _beside(
    outcomes: Sequence[Outcome], names: Sequence[str], records: Sequence[Record], letters: int
) -> list[schema.SampleAnswer]:
    """These rows, with the answers of several strategies."""
    evaluations = {r.name: r.evaluation for r in records if r.evaluation is not None}
    others = {n: {o.example.id: o for o in evaluations[n].outcomes} for n in names if n in evaluations}
    return [
        schema.SampleAnswer(
            id=o.example.id,
            input=wording.shortened(o.example.input, letters),
            target=wording.shortened(o.example.target, letters),
            answers={
                n: wording.shortened(rows[o.example.id].prediction.text, letters)
                for n, rows in others.items()
                if o.example.id in rows
            },
            scores={n: rows[o.example.id].score for n, rows in others.items() if o.example.id in rows},
        )
        for o in outcomes
    ]
