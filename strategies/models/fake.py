"""Models without weights, for tests and for trying things out: quick, deterministic, and honest about being fakes."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eval.contracts import Usage
from eval.errors import RequestError
from strategies.models.base import Completion, Decoding, LabelScores, ModelIdentity, Prompt, SearchRole


@dataclass
class ScriptedModel:
    """Answers with what a function makes of the prompt, and remembers every prompt it was given."""

    reply: Callable[[Prompt], str]
    name: str = "scripted"
    context_tokens: int = 4096
    parameters: int | None = 1_000_000
    """What it says of itself; None to be taken for a large one."""
    seen: list[Prompt] = field(default_factory=list)

    @property
    def identity(self) -> ModelIdentity:
        return ModelIdentity(self.name, sha256="0" * 64, parameters=self.parameters)

    @property
    def weighs_labels(self) -> bool:
        return True

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def prompt_tokens(self, prompt: Prompt) -> int:
        return sum(self.count_tokens([turn.content for turn in prompt.turns]))

    def use_adapter(self, folder: Path | None) -> None:
        if folder is not None:
            raise RequestError(f"The model {self.name} cannot carry an adapter.")

    def generate(self, prompts: Sequence[Prompt], decoding: Decoding) -> list[Completion]:
        return [self._completion(prompt, decoding) for prompt in prompts]

    def _completion(self, prompt: Prompt, decoding: Decoding) -> Completion:
        self.seen.append(prompt)
        tokens = self.prompt_tokens(prompt)
        if tokens + decoding.max_new_tokens > self.context_tokens:
            return Completion("", Usage(tokens), error=f"the prompt of {tokens} tokens overflows the context")
        words = self.reply(prompt).split()[: decoding.max_new_tokens]
        return Completion(" ".join(words), Usage(tokens, len(words)), first_token_seconds=0.0)

    def score_labels(
        self, prompts: Sequence[Prompt], labels: Sequence[str], *, every: bool = False
    ) -> list[LabelScores]:
        """The label that the function answers gets 0, the others -10."""
        return self.weigh_choices(prompts, [labels] * len(prompts))

    def weigh_choices(self, prompts: Sequence[Prompt], choices: Sequence[Sequence[str]]) -> list[LabelScores]:
        self.seen += prompts
        return [self._scores(prompt, own) for prompt, own in zip(prompts, choices, strict=True)]

    def _scores(self, prompt: Prompt, labels: Sequence[str]) -> LabelScores:
        tokens = self.prompt_tokens(prompt)
        if tokens > self.context_tokens:
            return LabelScores((), Usage(tokens), error=f"the prompt of {tokens} tokens overflows the context")
        answer = self.reply(prompt)
        return LabelScores(tuple(0.0 if label == answer else -10.0 for label in labels), Usage(tokens))


@dataclass
class HashingEmbedder:
    """Bags of words, hashed into a vector."""

    dimensions: int = 256
    max_tokens: int = 100_000
    marks_searches: bool = False

    @property
    def identity(self) -> ModelIdentity:
        return ModelIdentity("hashing", sha256="1" * 64)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def encode_as(self, role: SearchRole, texts: Sequence[str]) -> NDArray[np.float32]:
        return self.encode([f"{role}: {text}" for text in texts] if self.marks_searches else texts)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                vectors[row, zlib.crc32(word.encode()) % self.dimensions] += 1.0
        vectors[:, 0] += 1e-3  # an empty text has a direction too
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
