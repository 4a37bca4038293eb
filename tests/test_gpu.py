"""On a GPU the engine and the trainer do what they do on a CPU. Skipped where there is none."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from strategies.models.base import Decoding, Prompt, Turn
from strategies.models.transformers_lm import TransformersModel
from strategies.training.lora import LoraSettings, train_lora

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")

LABELS = [
    f"{first} {second}" for first in ("billing", "outage", "praise") for second in ("new", "old", "closed", "lost")
]
TEXTS = ["No power.", "Why is invoice 7 higher than last month, and who is going to pay?", "x", "I paid twice! " * 12]
FIXED = (Turn("system", "Answer with one label."), Turn("user", "It is dark here."), Turn("assistant", "outage"))
PROMPTS = [Prompt((*FIXED, Turn("user", text)), len(FIXED)) for text in TEXTS]
PAIRS = [(prompt, LABELS[i % len(LABELS)]) for i, prompt in enumerate(PROMPTS * 4)]


@pytest.fixture(scope="module")
def on_gpu(tiny_model_folder: Path) -> TransformersModel:
    """The tiny model in float32, so that both devices can be compared closely."""
    model = TransformersModel.load("tiny", tiny_model_folder, device="cuda")
    model.network.float()
    return model


@pytest.fixture(autouse=True)
def exact_products() -> None:
    torch.backends.cuda.matmul.allow_tf32 = False


def test_labels_are_weighed_alike(on_gpu: TransformersModel, exact_model: TransformersModel) -> None:
    found, wanted = on_gpu.score_labels(PROMPTS, LABELS), exact_model.score_labels(PROMPTS, LABELS)
    for one, other in zip(found, wanted, strict=True):
        assert one.log_likelihoods == pytest.approx(other.log_likelihoods, abs=1e-2)


def test_answers_are_alike(on_gpu: TransformersModel, exact_model: TransformersModel) -> None:
    found, wanted = on_gpu.generate(PROMPTS, Decoding(12)), exact_model.generate(PROMPTS, Decoding(12))
    assert [c.text for c in found] == [c.text for c in wanted]


@pytest.mark.parametrize("whole", [False, True], ids=["adapter", "whole"])
def test_training_goes_alike(
    whole: bool, on_gpu: TransformersModel, exact_model: TransformersModel, tmp_path: Path
) -> None:
    settings = LoraSettings(whole=whole, rank=4, learning_rate=1e-3 if whole else 5e-3, epochs=2, batch_size=4)
    logs = [
        train_lora(model, PAIRS, settings, tmp_path / name, None)
        for name, model in (("gpu", on_gpu), ("cpu", exact_model))
    ]
    gpu, cpu = ([epoch.train_loss for epoch in log.epochs] for log in logs)
    assert gpu[0] == pytest.approx(cpu[0], rel=0.2)  # the random start differs between devices
    assert gpu[1] < gpu[0]
    assert not any(math.isnan(loss) for loss in gpu)
    on_gpu.use_adapter(tmp_path / "cpu")
    exact_model.use_adapter(tmp_path / "cpu")
    try:
        test_labels_are_weighed_alike(on_gpu, exact_model)
    finally:
        on_gpu.use_adapter(None)
        exact_model.use_adapter(None)
