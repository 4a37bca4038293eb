"""Models loaded once a process."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from strategies.models import catalogue
from strategies.models.base import Embedder, LanguageModel
from strategies.models.hosted.model import PREFIX, Hosted, HostedModel


class ModelShelf:
    """Loads models on first use and keeps them. Models made elsewhere (fakes in tests) can be put on it."""

    def __init__(
        self,
        device: str = "auto",
        language_models: dict[str, LanguageModel] | None = None,
        embedders: dict[str, Embedder] | None = None,
        places: Mapping[str, str] | None = None,
        hosted: Hosted | None = None,
    ) -> None:
        self.device = device
        self.places = dict(places or {})
        """What a name stands for on this machine, where that is not what the name says: a folder, or another name."""
        self.hosted = hosted or Hosted()
        self._answers: Path | None = None
        self._language_models = dict(language_models or {})
        self._embedders = dict(embedders or {})

    def has(self, name: str) -> bool:
        """Whether a model of that name is loaded already, or can be loaded from this machine."""
        return self._holds(name) or catalogue.is_here(self._place(name))

    def keep_answers(self, folder: Path) -> None:
        """Keep the answers of hosted models that are loaded from now on in a folder: none is paid for twice."""
        self._answers = folder

    def require(self, name: str) -> None:
        """Raise ModelUnavailable, which says how to fetch it, where a model of that name is not on this machine."""
        place = self._place(name)
        if self._holds(name):
            return
        if place.startswith(PREFIX):
            self.hosted.check(place)
        else:
            catalogue.locate(place)

    def language_model(self, name: str = catalogue.DEFAULT_LANGUAGE_MODEL) -> LanguageModel:
        """The language model of that name. Raises ModelUnavailable, which says how to fetch it."""
        if name not in self._language_models:
            self._language_models[name] = self._load(name, self._place(name))
        return self._language_models[name]

    def _load(self, name: str, place: str) -> LanguageModel:
        if place.startswith(PREFIX):
            model = HostedModel.connect(place, self.hosted)
            if self._answers is not None:
                name_hash = hashlib.sha256(place.encode()).hexdigest()[:16]  # a name may hold a slash
                model.keep_answers(self._answers / f"{name_hash}.jsonl")
            return model
        return catalogue.load_language_model(name, self.device, place)

    def embedder(self, name: str = catalogue.DEFAULT_EMBEDDER) -> Embedder:
        """The embedder of that name."""
        if name not in self._embedders:
            self._embedders[name] = catalogue.load_embedder(name, self.device, self._place(name))
        return self._embedders[name]

    def _holds(self, name: str) -> bool:
        return name in self._language_models or name in self._embedders

    def _place(self, name: str) -> str:
        return self.places.get(name, name)

    def language_model_for(self, entry: dict[str, Any]) -> LanguageModel:
        """The language model that a manifest names."""
        if entry.get("own_server") and not self._holds(entry["name"]):
            self.hosted.check_server(entry["name"])
        model = self.language_model(entry["name"])
        _check(entry, model.identity.sha256)
        return model

    def embedder_for(self, entry: dict[str, Any]) -> Embedder:
        """The embedder that a manifest names."""
        embedder = self.embedder(entry["name"])
        _check(entry, embedder.identity.sha256)
        return embedder


def _check(entry: dict[str, Any], found: str) -> None:
    if entry["sha256"] != found:
        warnings.warn(
            f"{entry['name']} on this machine has other weights ({found[:12]}…) than those the solution was made with "
            f"({entry['sha256'][:12]}…): its answers may differ from those that were measured.",
            stacklevel=3,
        )
