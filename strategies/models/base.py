"""What strategies ask of a language model and of an embedder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from eval.contracts import NO_USAGE, Usage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Role = Literal["system", "user", "assistant"]
SearchRole = Literal["query", "document"]


@dataclass(frozen=True)
class Turn:
    """One message of a chat."""

    role: Role
    content: str


@dataclass(frozen=True)
class Prompt:
    """A chat that the model is to continue as the assistant."""

    turns: tuple[Turn, ...]
    shared: int = 0
    """How many leading turns are the same for every query of a solution: their key/value state is computed once."""


@dataclass(frozen=True)
class JsonShape:
    """The JSON objects that answers are, or hold: allowed keys and the kinds of value each may have."""

    keys: tuple[tuple[str, tuple[str, ...]], ...]
    """Pairs of a key and its kinds: string, number, boolean, null, any. Keys come in this order, each at most once."""
    repeated: bool = False
    """Whether an answer is a list of such objects, which may be empty."""


@dataclass(frozen=True)
class Decoding:
    """How an answer is written. Never by chance, so that the same input gives the same answer."""

    max_new_tokens: int
    json_shape: JsonShape | None = None
    """Where given, the answer is decoded under a grammar of this shape."""
    likeliest: bool = False
    """Whether the likeliest answer of all is looked for, rather than the likeliest token taken each time. Answers under
    a grammar are written greedily all the same, and so are those of models that do not say how likely tokens are."""


@dataclass(frozen=True)
class Completion:
    """What a model wrote."""

    text: str
    usage: Usage = NO_USAGE
    error: str | None = None
    first_token_seconds: float | None = None


@dataclass(frozen=True)
class LabelScores:
    """Log-likelihood of each label, in the order given, as the sum over its tokens and the end token."""

    log_likelihoods: tuple[float, ...]
    usage: Usage = NO_USAGE
    error: str | None = None


@dataclass(frozen=True)
class ModelIdentity:
    """Which weights these are."""

    name: str
    sha256: str
    licence: str | None = None
    parameters: int | None = None
    precision: str | None = None
    """What it computes in here: float32 or bfloat16."""
    own_server: bool = False
    """Whether a hosted model is at a server that the client named, not at the provider's own; which one is a secret."""


class LanguageModel(Protocol):
    """A chat model that can write an answer and weigh given answers."""

    @property
    def identity(self) -> ModelIdentity: ...

    @property
    def context_tokens(self) -> int:
        """Longest prompt plus answer, in tokens."""
        ...

    @property
    def weighs_labels(self) -> bool:
        """Whether `score_labels` gives every label a log-likelihood, and not only names one."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without a chat template."""
        ...

    def prompt_tokens(self, prompt: Prompt) -> int:
        """Tokens of the whole chat under the model's template."""
        ...

    def use_adapter(self, folder: Path | None) -> None:
        """Answer with the PEFT adapter in `folder` from now on, or with the base weights.

        Raises RequestError where the model cannot carry adapters.
        """
        ...

    def generate(self, prompts: Sequence[Prompt], decoding: Decoding) -> list[Completion]:
        """Continue each chat, in order. Batches depend on the prompts alone."""
        ...

    def score_labels(
        self, prompts: Sequence[Prompt], labels: Sequence[str], *, every: bool = False
    ) -> list[LabelScores]:
        """Weigh every label as the answer to each chat, in order.

        Labels that cannot be the best may share what their beginning is given, unless `every` one is asked for.
        """
        ...

    def weigh_choices(self, prompts: Sequence[Prompt], choices: Sequence[Sequence[str]]) -> list[LabelScores]:
        """The same where each chat has choices of its own, in the order given; none of them is empty."""
        ...


class Embedder(Protocol):
    """Texts to vectors of length 1."""

    @property
    def identity(self) -> ModelIdentity: ...

    @property
    def max_tokens(self) -> int:
        """Longest text it reads, in its own tokens; what is beyond is ignored."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Its tokens of each document, with the mark that it wants, those that it would ignore included."""
        ...

    @property
    def marks_searches(self) -> bool:
        """Whether it wants queries, or the documents that they are to find, marked (E5, Qwen3-Embedding)."""
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, float32, shape (len(texts), dimensions), of texts that are compared with their like."""
        ...

    def encode_as(self, role: SearchRole, texts: Sequence[str]) -> NDArray[np.float32]:
        """The same of queries, or of documents that they are to find; as `encode` does it where neither is marked."""
        ...
