# ruff: noqa: E501
"""A believable report, and the same with hostile text in every field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from advisor.report.schema import Report

HOSTILE = "<script>alert(1)</script>|`x`{{ 7*7 }}{% raw %}[bold]red[/bold][/]\u202e\"'</style></title><img src=x>\n\n# head\r\n\x00\x1b[31m\x9b&amp;"

FIXED = {
    # Values of closed sets, and those that the report is navigated by.
    "severity", "status", "family", "verdict", "role", "test_source",
}  # fmt: skip


def _strategy(
    name: str, family: str, correct: int, cost: float, p95: float, tokens: tuple[float, float]
) -> dict[str, Any]:
    value = correct / 100
    centre, half = (value + 0.0192) / 1.0384, 0.1888 * (value * (1 - value) + 0.0096) ** 0.5  # Wilson, n = 100
    trained = name.startswith("lora")
    curve = [
        {"epoch": 1, "train_loss": 0.912, "dev_quality": 0.65},
        {"epoch": 2, "train_loss": 0.401, "dev_quality": 0.80},
        {"epoch": 3, "train_loss": 0.187, "dev_quality": 0.80},
    ]
    learning = [
        {
            "share": 0.25,
            "train_examples": 37,
            "value": 0.61,
            "ci95": [0.51, 0.70],
            "gain_to_all": 0.30,
            "gain_ci95": [0.21, 0.39],
        },
        {
            "share": 0.5,
            "train_examples": 75,
            "value": 0.84,
            "ci95": [0.75, 0.90],
            "gain_to_all": 0.07,
            "gain_ci95": [-0.01, 0.14],
        },
        {"share": 1.0, "train_examples": 150, "value": 0.91, "ci95": [0.84, 0.95]},
    ]
    refit = {
        "seconds": 98.0,
        "train_examples": 250,
        "artefact_bytes": 19_400_000,
        "epochs": 2,
        "checked_on": 32,
        "quality": 0.41,
        "floor": 0.78,
        "rejected": "on 32 rows it fell below the measured fits",
    }
    return {
        "name": name,
        "family": family,
        "model": None if family == "baseline" else "smollm2-135m-instruct",
        "config": {"demonstrations": 8, "template": "Answer with one label.\n{input}"} if tokens[0] else {"C": 1.0},
        "status": "ok",
        "quality": {
            "metric": "accuracy",
            "value": value,
            "ci95": [centre - half, centre + half],
            "n": 100,
            "correct": correct,
            "unusable": 2 if name == "zero_shot" else 0,
            "per_label": {"billing": 0.96, "outage": 1.0, "moving house": 0.92, "meter reading": 0.87, "contract": 0.81, "legal": 0.44},
        },
        "secondary": {"macro_f1": value - 0.03},
        "cost": {
            "per_query_usd": cost / 1000,
            "per_1k_usd": cost,
            "training_usd": 0.0021 if trained else 0.0,
            "monthly_usd": cost * 10 + (0.0002 if trained else 0),
            "tokens": {"input": tokens[0], "output": tokens[1]},
            "basis": "measured seconds of the machine while it answers, at its hourly price; idle time is not included",
        },
        "latency": {"p50_ms": p95 * 0.8, "p95_ms": p95, "n": 30, "throughput_qps": 900 / p95},
        "fit": {
            "seconds": 74.0 if trained else 1.2, "train_examples": 150, "curve": curve if trained else None,
            "learning_curve": learning if trained else None, "refit": refit if trained else None,
        },
        "footprint": {"artefact_bytes": 19_400_000 if trained else 420_000, "peak_memory_bytes": 1_310_000_000},
    }  # fmt: skip


def _answer(name: str, reason: str, status: str, family: str) -> dict[str, Any]:
    return {"name": name, "family": family, "status": status, "reason": reason}


def sample_data() -> dict[str, Any]:
    """The sample as plain data."""
    return {
        "run_id": "2025-03-14-northgrid-7f3a",
        "created_at": "2025-03-14T10:22:05+00:00",
        "seed": 0,
        "task": {
            "name": "help_desk_routing",
            "description": "Route each message to the help desk of our utility to the team that handles it.",
            "kind": "classification",
            "metric": "accuracy",
            "labels": ["billing", "outage", "moving house", "meter reading", "contract", "legal"],
        },
        "data": {
            "examples": 250,
            "documents": 40,
            "plan": {
                "kind": "holdout", "folds": 1, "train": 150, "dev": 20, "test": 100,
                "cuts": ["Fine-tuning ran 3 epochs instead of 5.", "Latency was measured on 30 queries instead of 50."],
                "predicted_seconds": 262.0, "time_budget": 300.0, "smallest_difference": 0.067,
                "offers": [
                    {"kind": "cross_fit", "folds": 5, "predicted_seconds": 1490.0, "chosen": False},
                    {"kind": "cross_fit", "folds": 3, "predicted_seconds": 830.0, "chosen": False},
                    {"kind": "holdout", "folds": 1, "predicted_seconds": 262.0, "chosen": True},
                ],
            },
            "stated": ['Grouped 600 examples by "cust" (20 groups).'],
            "findings": [
                {
                    "code": "rare_labels", "severity": "warning", "count": 1, "rows": ["legal"],
                    "message": "The label legal has only 9 examples, so its quality is uncertain.",
                    "action": "Kept. Label about 40 more messages of this kind.",
                },
                {
                    "code": "conflicting_labels", "severity": "error", "count": 4, "rows": ["17", "93", "121", "208"],
                    "message": "4 rows have the same input but different labels.",
                    "action": "Kept out of the comparison; decide which label is right.",
                },
                {
                    "code": "duplicate_rows", "severity": "info", "count": 12, "rows": [str(i) for i in range(3, 15)],
                    "message": "12 rows repeat another row exactly.",
                    "action": "Repeats were kept on the same side of the split.",
                },
            ],
        },
        "environment": {
            "device": "cpu", "cpu": "AMD EPYC 9B45", "threads": 2,
            "libraries": {"python": "3.11.9", "torch": "2.6.0", "transformers": "5.10.0", "peft": "0.17.1"},
            "models": [
                {
                    "name": "smollm2-135m-instruct", "role": "language_model", "parameters": 134_515_008, "licence": "Apache-2.0",
                    "sha256": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                },
                {
                    "name": "all-minilm-l6-v2", "role": "embedder", "parameters": 22_713_216, "licence": "Apache-2.0",
                    "sha256": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                },
            ],
        },
        "settings": {
            "volume": 10_000, "months": 12, "tolerance_points": 1.0, "max_latency_ms": 2000,
            "machine": "2-core cloud machine", "machine_hourly_usd": 0.08, "price_source": "default, not your own price",
        },
        "strategies": [
            _strategy("zero_shot", "prompt", 48, 0.0031, 142, (96, 2)),
            _strategy("few_shot", "prompt", 61, 0.0068, 310, (412, 2)),
            _strategy("nearest_examples", "prompt", 86, 0.0073, 329, (436, 2)),
            _strategy("rag", "retrieval", 52, 0.0129, 581, (818, 2)),
            _strategy("lora", "finetune", 91, 0.0022, 98, (41, 2)),
            _strategy("majority", "baseline", 31, 0.0, 0.02, (0, 0)),
            _strategy("nearest_copy", "baseline", 80, 0.00021, 9.4, (0, 0)),
            _strategy("tfidf_linear", "baseline", 82, 0.00002, 0.8, (0, 0)),
            _strategy("embedding_linear", "baseline", 89, 0.00022, 9.6, (0, 0)),
            _answer("lora_rag", "Out of memory while training: 3.9 GB were free, 5.2 GB needed.", "failed", "combination"),
            _answer("passage_copy", "The task is classification, and copying a passage answers questions.", "not_applicable", "baseline"),
        ],
        "comparisons": [
            {
                "a": "lora", "b": name, "difference": difference, "standard_error": error,
                "ci95": [difference - 1.96 * error, difference + 1.96 * error],
                "p_value": p, "p_adjusted": min(1.0, 2 * p), "n": 100,
            }
            for name, difference, error, p in [
                ("embedding_linear", 0.02, 0.024, 0.41), ("nearest_examples", 0.05, 0.027, 0.064),
                ("tfidf_linear", 0.09, 0.032, 0.0048), ("nearest_copy", 0.11, 0.035, 0.0016), ("few_shot", 0.30, 0.05, 0.0),
                ("rag", 0.39, 0.052, 0.0), ("zero_shot", 0.43, 0.053, 0.0), ("majority", 0.60, 0.051, 0.0),
            ]
        ],
        "recommendation": {
            "strategy": "lora", "verdict": "clear", "runner_up": "embedding_linear",
            "headline": "Fine-tune the small model: it routes 91 of 100 messages to the right team, 84 to 95 of 100 in the long run.",
            "summary": [
                "It costs under 0.01 USD per 1,000 queries of busy machine time on this machine.",
                "I am not sure about legal (6 test rows): label 40 more.",
            ],
            "scope": "This holds for smollm2-135m-instruct and data like these 250 messages. A larger model may rank the strategies differently.",
            "probability_best": {"lora": 0.79, "embedding_linear": 0.17, "nearest_examples": 0.04},
            "expected_loss": {"lora": 0.003, "embedding_linear": 0.021, "nearest_examples": 0.052},
            "reasons": [
                "It is right on 91 of 100 unseen messages; prompting alone manages 48 and fixed examples 61.",
                "A classifier on embeddings comes within 2 points without a language model, but this is outside your tolerance of 1 point.",
                "It reads 41 tokens a query instead of 436, so it costs a third of prompting with the nearest examples.",
            ],
            "caveats": [
                "The prices are for the seconds the machine is busy; an idle machine costs too.",
                "On legal it finds 4 of 9 messages. Do not rely on it there.",
            ],
            "sensitivity": ["With a tolerance of 2 points or more, Embeddings + linear classifier would be recommended."],
            "break_even": [{"a": "lora", "b": "few_shot", "queries_per_month": 457.0}, {"a": "tfidf_linear", "b": "lora"}],
            "next_step": "Label 40 more legal messages, run the comparison again, then try the kept solution on a week of messages.",
        },
        "artefact": {
            "path": "runs/help-desk/solution", "kind": "PEFT adapter for smollm2-135m-instruct",
            "sha256": {"adapter_model.safetensors": "9a" * 32, "manifest.json": "4c" * 32},
            "how_to_use": 'advisor predict runs/help-desk --input "My meter shows an error"\nadvisor serve runs/help-desk',
        },
        "samples": [
            {
                "id": "134", "input": "I was told by the ombudsman to ask you for a deadlock letter. Who sends that?", "target": "legal",
                "answers": {"lora": "contract", "embedding_linear": "billing"}, "scores": {"lora": 0.0, "embedding_linear": 0.0},
            },
            {
                "id": "208", "input": "The reading on the bill is not the reading on the meter, and nobody came to look.\nCan you send somebody?",
                "target": "meter reading", "answers": {"lora": "billing", "embedding_linear": "meter reading"},
                "scores": {"lora": 0.0, "embedding_linear": 1.0},
            },
        ],
        "rows": [
            {
                "id": "134", "input": "I was told by the ombudsman to ask you for a deadlock letter. Who sends that?", "target": "legal",
                "answers": {"lora": "contract", "embedding_linear": "billing"}, "scores": {"lora": 0.0, "embedding_linear": 0.0},
            },
            {
                "id": "7", "input": "My bill is too high.", "target": "billing",
                "answers": {"lora": "billing", "embedding_linear": "billing"}, "scores": {"lora": 1.0, "embedding_linear": None},
            },
        ],
        "label_rows": {"billing": 30, "outage": 20, "moving house": 13, "meter reading": 15, "contract": 16, "legal": 6},
        "fields": [{"field": "team", "values": 100, "found": 0.91}, {"field": "since[]", "values": 12, "found": 0.25}],
        "volumes": {
            "queries_per_month": [1_000, 10_000, 40_000, 100_000],
            "picks": ["embedding_linear", "lora", "lora", None],
            "lines": [
                {"strategy": "lora", "counts": True, "monthly_usd": [0.0024, 0.0222, 0.088, 0.22]},
                {"strategy": "embedding_linear", "counts": True, "monthly_usd": [0.0011, 0.0223, 0.09, 0.25]},
                {"strategy": "few_shot", "counts": False, "monthly_usd": [0.0068, 0.068, 0.27, 0.68]},
            ],
            "changes": [
                {"queries_per_month": 1_000.0, "strategy": "embedding_linear"},
                {"queries_per_month": 9_950.5, "strategy": "lora"},
                {"queries_per_month": 90_000.0, "strategy": None},
            ],
        },
        "timing": {
            "total_seconds": 251.3,
            "phases": {"Audit and plan": 2.1, "Fit": 96.0, "Answer the test rows": 118.4, "Latency": 31.2, "Statistics and report": 3.6},
        },
    }  # fmt: skip


def _poisoned(value: Any, key: str = "") -> Any:
    if isinstance(value, str):
        return value if key in FIXED or (key == "kind" and value in ("holdout", "cross_fit")) else value + HOSTILE
    if isinstance(value, dict):
        keep = key in ("", "task", "data", "plan") or all(isinstance(k, str) and k.isidentifier() for k in value)
        free = key in (
            "config",
            "libraries",
            "per_label",
            "secondary",
            "probability_best",
            "expected_loss",
            "sha256",
            "phases",
            "answers",
            "scores",
            "label_rows",
        )
        return {k if keep and not free else k + HOSTILE: _poisoned(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [_poisoned(v, key) for v in value]
    return value


@pytest.fixture
def sample_report() -> Callable[..., Report]:
    """Build the sample; keyword arguments replace parts of it at the top level."""

    def build(**changes: Any) -> Report:
        return Report.model_validate(sample_data() | changes)

    return build


@pytest.fixture
def nothing_measured(sample_report: Callable[..., Report]) -> Report:
    """The sample's comparison with one strategy, which failed."""
    failed = {"name": "rag", "family": "retrieval", "status": "failed", "reason": "The disk is full."}
    nothing = {
        "strategy": None,
        "runner_up": None,
        "verdict": "none_feasible",
        "break_even": [],
        "probability_best": {},
    }
    return sample_report(
        strategies=[failed],
        comparisons=[],
        samples=[],
        rows=[],
        volumes=None,
        artefact=None,
        recommendation=sample_report().recommendation.model_copy(update=nothing).model_dump(),
    )


@pytest.fixture
def hostile_report() -> Report:
    """The sample with hostile text in every field that takes text, keys and names included."""
    return Report.model_validate(_poisoned(sample_data()))
