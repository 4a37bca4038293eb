"""Which strategies there are. Adding one is one file, one line here, and its title in `advisor.report.wording`."""

from __future__ import annotations

from collections.abc import Sequence
from pkgutil import resolve_name

from eval.errors import RequestError
from strategies.base import Strategy

STRATEGIES: dict[str, str] = {
    "majority": "strategies.baselines:Majority",
    "copy_input": "strategies.baselines:CopyInput",
    "nearest_copy": "strategies.baselines:CopyNearest",
    "passage_copy": "strategies.baselines:CopyPassage",
    "tfidf_linear": "strategies.linear:TfidfLinear",
    "embedding_linear": "strategies.linear:EmbeddingLinear",
    "pooled_linear": "strategies.linear:PooledLinear",
    "zero_shot": "strategies.prompting:ZeroShot",
    "few_shot": "strategies.prompting:FewShot",
    "optimized_prompt": "strategies.prompt_optimization:OptimizedPrompt",
    "nearest_examples": "strategies.prompting:NearestExamples",
    "rag": "strategies.prompting:Rag",
    "setfit": "strategies.embedder_tuning:SetFit",
    "lora": "strategies.finetuning:Lora",
    "full_tuning": "strategies.finetuning:FullTuning",
    "lora_classifier": "strategies.finetuning:LoraClassifier",
    "lora_linear": "strategies.finetuning:LoraLinear",
    "lora_examples": "strategies.finetuning:LoraExamples",
    "lora_rag": "strategies.finetuning:LoraRag",
}
"""Lazy names, the simplest strategy first: this is the order in which equal ones are preferred."""

BUILDS_ON = {"lora_linear": "lora"}
"""Strategies that go on from what another made of the same rows (`Workshop.given`), where that one takes part."""

EMBED = (
    "nearest_copy", "passage_copy", "embedding_linear", "pooled_linear", "nearest_examples", "rag", "setfit",
    "lora_linear", "lora_examples", "lora_rag",
)  # fmt: skip
"""Strategies that compare by what the embedder makes of texts, so that another may do better in other languages."""

LEARN_LITTLE = ("majority", "copy_input", "passage_copy")
"""Strategies to which more examples bring nothing worth a learning curve."""


def check_names(names: Sequence[str]) -> None:
    """Raise RequestError, which lists the known strategies, for an unknown name."""
    for name in names:
        if name not in STRATEGIES:
            raise RequestError(f"--strategies: there is no strategy {name!r}; known are {', '.join(STRATEGIES)}.")


def make_strategy(name: str) -> Strategy:
    """A fresh strategy of that name."""
    check_names([name])
    strategy: Strategy = resolve_name(STRATEGIES[name])()
    return strategy
