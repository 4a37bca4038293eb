"""What cannot be loaded whole is refused in a sentence, as a language model and as an embedder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from eval.errors import ModelUnavailable
from strategies.models.loading import told_in_a_sentence
from strategies.models.sentence_embedder import SentenceEmbedder
from strategies.models.transformers_lm import TransformersModel


@pytest.fixture(params=["language model", "embedder"])
def load(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Any]:
    """A function that copies a tiny model, lets its folder be changed, and loads it."""
    folder = request.getfixturevalue("tiny_model_folder" if "lang" in request.param else "tiny_embedder_folder")
    kind = TransformersModel if "lang" in request.param else SentenceEmbedder

    def load(change: Callable[[Path], None]) -> Any:
        shutil.copytree(folder, tmp_path / "model")
        change(tmp_path / "model")
        return kind.load("mine", tmp_path / "model", "cpu")

    return load


def configured(**values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | values))

    return change


def without(words: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        kept = {name: weight for name, weight in weights.items() if words not in name}
        assert len(kept) < len(weights)
        save_file(kept, folder / "model.safetensors", {"format": "pt"})

    return change


def test_a_folder_that_lacks_weights_is_refused_and_the_first_is_named(load: Callable[..., Any]) -> None:
    """transformers would draw them at random, others in every process."""
    with pytest.raises(
        ModelUnavailable, match=r"mine cannot be loaded: .*\(\S*layer\S*\.0\.\S+ and \d+ more\)\. Export"
    ):
        load(without("layer"))


def test_weights_of_another_shape_are_refused(load: Callable[..., Any]) -> None:
    with pytest.raises(ModelUnavailable, match=r"in another shape than config.json says \(\S+ and \d+ more\)"):
        load(configured(intermediate_size=96))


@pytest.mark.parametrize("method", ["awq", "gptq", "bitsandbytes", "compressed-tensors", "fp8"])
def test_quantised_weights_are_refused(load: Callable[..., Any], method: str) -> None:
    with pytest.raises(ModelUnavailable, match=rf"its weights are quantised \({method}\).* named as openai:NAME"):
        load(configured(quantization_config={"quant_method": method}))


def test_a_configuration_that_says_there_is_no_quantisation_is_taken_at_its_word(load: Callable[..., Any]) -> None:
    assert load(configured(quantization_config=None)).identity.name == "mine"


def test_a_reward_model_is_no_language_model(tiny_model_folder: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    shutil.copytree(tiny_model_folder, tmp_path / "m")
    configured(tie_word_embeddings=False)(tmp_path / "m")
    AutoModelForSequenceClassification.from_pretrained(tmp_path / "m", num_labels=1).save_pretrained(tmp_path / "m")
    with pytest.raises(ModelUnavailable, match=r"\(lm_head\.weight\)"):
        TransformersModel.load("judge", tmp_path / "m", "cpu")


def test_an_embedder_may_lack_what_is_not_read(tiny_embedder_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_embedder_folder, tmp_path / "m")
    without("pooler.")(tmp_path / "m")
    whole, own = (SentenceEmbedder.load("x", folder, "cpu") for folder in (tiny_embedder_folder, tmp_path / "m"))
    assert (whole.encode(["a bridge"]) == own.encode(["a bridge"])).all()


@pytest.mark.parametrize("error", [ImportError("needs optimum\nmore"), RuntimeError("needs optimum"), OSError()])
def test_whatever_a_library_raises_is_one_sentence(error: Exception) -> None:
    with (
        pytest.raises(ModelUnavailable, match=r"^The model x cannot be loaded: (needs optimum|OSError)$"),
        told_in_a_sentence("The model x"),
    ):
        raise error


def test_too_little_memory_is_not_the_models_fault() -> None:
    with pytest.raises(torch.OutOfMemoryError), told_in_a_sentence("The model x"):
        raise torch.OutOfMemoryError("CUDA out of memory")
