"""A network that would read the rows of a batch as one text is refused when it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from eval.errors import ModelUnavailable
from strategies.models import devices
from strategies.models.base import Decoding, JsonShape, Prompt, Turn
from strategies.models.tiny import make_language_model
from strategies.models.transformers_lm import TransformersModel

SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}


def folder_of(model_type: str, tmp_path: Path, **options: Any) -> Path:
    """A random model of another architecture, with the tiny one's tokenizer."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    folder = make_language_model(tmp_path / model_type)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": 0}
    config = AutoConfig.for_model(model_type, **SIZES | ends | {"vocab_size": len(tokenizer)} | options)
    torch.manual_seed(1)
    network = AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.dim() > 1:
                weight.normal_(0, 0.2)
    network.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("wide", [False, True], ids=["bfloat16", "float32"])
@pytest.mark.parametrize(
    ("model_type", "options"),
    [
        ("stablelm", {}),
        ("bloom", {"n_head": 4, "n_layer": 2}),
        ("lfm2", {"layer_types": ["conv", "full_attention"], "conv_L_cache": 3}),
        ("gemma2", {"head_dim": 8}),
    ],
    ids=["own attention", "positions in its scores", "not all layers attend", "capped scores"],
)
def test_a_network_that_mixes_up_rows_is_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_type: str, options: dict[str, Any], wide: bool
) -> None:
    monkeypatch.setattr(devices, "cpu_computes_in_bfloat16", lambda: not wide)
    folder = folder_of(model_type, tmp_path, **options)
    why = r"this model's attention \(softcap\) is not" if model_type == "gemma2" else "its architecture does not keep"
    expected = rf"The model mine \({model_type}\) cannot be used here: {why} .*openai:"
    with pytest.raises(ModelUnavailable, match=expected):
        TransformersModel.load("mine", folder, "cpu")


@pytest.mark.parametrize("wide", [False, True], ids=["bfloat16", "float32"])
@pytest.mark.parametrize(
    ("model_type", "options"),
    [("qwen3", {"head_dim": 8}), ("gpt2", {"n_embd": 32, "n_head": 4, "n_layer": 2}), ("gemma", {"head_dim": 8})],
)
def test_a_network_that_keeps_rows_apart_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_type: str, options: dict[str, Any], wide: bool
) -> None:
    monkeypatch.setattr(devices, "cpu_computes_in_bfloat16", lambda: not wide)
    assert TransformersModel.load("mine", folder_of(model_type, tmp_path, **options), "cpu").identity.name == "mine"


def test_the_context_ends_where_one_long_text_would_change_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "cpu_computes_in_bfloat16", lambda: False)
    scaled = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4, "long_factor": [4.0] * 4}
    scaled |= {"original_max_position_embeddings": 128, "factor": 4.0}
    model = TransformersModel.load("mine", folder_of("llama", tmp_path, rope_parameters=scaled), "cpu")
    assert model.context_tokens == 128
    short, long = (Prompt((Turn("user", text),)) for text in ("no power", "the invoice is wrong " * 15))
    alone = model.score_labels([short], ["billing", "outage"])[0]
    beside, too_long = model.score_labels([short, long], ["billing", "outage"])
    assert "overflows the context of 128" in str(too_long.error)
    assert beside.log_likelihoods == pytest.approx(alone.log_likelihoods, abs=1e-3)


def test_a_model_that_reads_pictures_too_answers_texts(tmp_path: Path) -> None:
    small = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
    vision = small | {"num_hidden_layers": 1, "image_size": 28, "patch_size": 14}
    text = SIZES | {"head_dim": 8, "sliding_window": 256, "vocab_size": 400, "pad_token_id": 0}
    model = TransformersModel.load("mine", folder_of("gemma3", tmp_path, text_config=text, vision_config=vision), "cpu")
    assert model.context_tokens == 256
    chat = Prompt((Turn("user", "no power"),))
    (written,) = model.generate([chat], Decoding(12, JsonShape((("paid", ("boolean",)),))))
    assert written.error is None
    assert written.text.startswith("{")
