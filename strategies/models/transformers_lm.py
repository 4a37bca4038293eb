"""A causal language model of the transformers library: chats in, answers out, adapters merged while in use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from eval.contracts import Usage
from eval.errors import RequestError
from strategies.models.base import Completion, Decoding, LabelScores, ModelIdentity, Prompt, Turn
from strategies.models.chat import ChatFormat
from strategies.models.devices import data_type, pick_device, type_name
from strategies.models.engine.engine import Engine, Weighed
from strategies.models.engine.json_grammar import GrammarCompiler
from strategies.models.engine.label_head import LabelHead
from strategies.models.engine.label_trie import MOST_TRIE_NODES
from strategies.models.engine.rows_apart import check_rows_apart
from strategies.models.engine.tuned_weights import TunedWeights, are_in
from strategies.models.loading import CHECKED, check_unquantised, check_whole, told_in_a_sentence

SENTENCE = "The weather in the north is fine today, but nobody knows how it is going to be tomorrow."
"""What a network reads to show that it can be used."""
ADAPTER = "adapter_model.safetensors"
"""Weights of an adapter, as PEFT names them. Pickled ones, which PEFT would take in their place, are never loaded."""
UNSCORED = partial(LabelScores, ())
"""Given to a prompt that is not read, with its tokens and the reason."""
Answer = TypeVar("Answer")


class TransformersModel:
    """Implements `LanguageModel`."""

    weighs_labels = True

    def __init__(self, identity: ModelIdentity, network: Any, tokenizer: Any, device: torch.device) -> None:
        self.identity = identity
        self.network = network
        self.chat = ChatFormat(tokenizer)
        self.tokenizer = tokenizer
        self.device = device
        self.engine = Engine(network, device, self.chat.end_token, self._stop_tokens())
        self._adapter: Path | None = None
        self._change: MergedAdapter | TunedWeights | None = None
        self._head: LabelHead | None = None
        self._grammars: GrammarCompiler | None = None

    @classmethod
    def load(cls, name: str, folder: Path, device: str = "auto", licence: str | None = None) -> TransformersModel:
        """Load safetensors weights from a local folder; code from the folder is never run.

        Raises ModelUnavailable for what is no such model, and for one whose network cannot be used here.
        """
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from strategies.models.catalogue import weights_sha256

        chosen = pick_device(device)
        what = f"The model {name}"
        with told_in_a_sentence(what):
            check_unquantised(what, folder)
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            network, info = AutoModelForCausalLM.from_pretrained(
                folder, dtype=data_type(chosen), local_files_only=True, use_safetensors=True, **CHECKED
            )
        check_whole(what, info)
        network.to(chosen).eval().requires_grad_(False)
        count = sum(p.numel() for p in network.parameters())
        identity = ModelIdentity(name, weights_sha256(folder), licence, count, type_name(network.dtype))
        model = cls(identity, network, tokenizer, chosen)
        words = model.chat.answer_tokens(SENTENCE)
        beginning = model.chat.tokens(Prompt((Turn("user", SENTENCE),)))
        check_rows_apart(name, model.engine, tuple(beginning[:4]), [words[:8], words[8:10]])
        return model

    @property
    def context_tokens(self) -> int:
        config = self.network.config.get_text_config()  # of a model that reads pictures too, its part for texts
        # packed attention looks back without bound
        windows = [getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size")]
        return int(min([config.max_position_embeddings, *_unscaled(config), *filter(None, windows)]))

    def _stop_tokens(self) -> frozenset[int]:
        configured = getattr(self.network.generation_config, "eos_token_id", None) or []
        several = configured if isinstance(configured, list) else [configured]
        return frozenset({self.chat.end_token, self.tokenizer.eos_token_id, *several} - {None})

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(self.chat.answer_tokens(text)) for text in texts]

    def prompt_tokens(self, prompt: Prompt) -> int:
        return len(self.chat.tokens(prompt))

    # Adapters: merged into the weights while in use, so that a tuned model answers as fast as its base. Weights that
    # were tuned as a whole take the place of the base's.

    def use_adapter(self, folder: Path | None) -> None:
        if folder == self._adapter:
            return
        self._leave_adapter()
        if folder is not None:
            head = LabelHead.load(folder, self.device)  # raises on damage, while the network is still as it was
            self._change = TunedWeights(self.network, folder) if are_in(folder) else self._with_adapter(folder)
            self._adapter, self._head = folder, head

    def _with_adapter(self, folder: Path) -> MergedAdapter:
        for name in ("adapter_config.json", ADAPTER):
            if not (folder / name).exists():
                raise RequestError(f"The folder {folder} holds no adapter: {name} is missing.")
        from peft import PeftModel, get_peft_model_state_dict
        from safetensors import safe_open

        with safe_open(folder / ADAPTER, "pt") as file:  # raises on damage, while the network is still as it was
            there = set(file.keys())
        wrapped = PeftModel.from_pretrained(self.network, folder, torch_device=str(self.device))
        if missing := set(get_peft_model_state_dict(wrapped, save_embedding_layers=False)) - there:
            wrapped.unload()
            raise RequestError(f"The adapter in {folder} is not whole: {ADAPTER} lacks {min(missing)}.")
        return MergedAdapter(wrapped)

    def _leave_adapter(self) -> None:
        if self._change is not None:
            self._change.leave()
        self._change, self._adapter, self._head = None, None, None
        self.forget_prefix()

    @contextmanager
    def merged(self, wrapped: Any, head: LabelHead | None = None) -> Iterator[None]:
        """Answer with an adapter in training for a while, and weigh labels by its head, if it has one."""
        adapter = MergedAdapter(wrapped)
        try:
            with self.changed(head):
                yield
        finally:
            adapter.undo()

    @contextmanager
    def changed(self, head: LabelHead | None = None) -> Iterator[None]:
        """Answer while the weights are others than before and after, and weigh labels by the head, if there is one."""
        before, self._head = self._head, head
        self.forget_prefix()
        try:
            yield
        finally:
            self._head = before
            self.forget_prefix()

    def forget_prefix(self) -> None:
        """Drop the shared prefix's state: the weights behind it have changed."""
        self.engine.forget_prefix()

    # Answering

    @torch.inference_mode()
    def generate(self, prompts: Sequence[Prompt], decoding: Decoding) -> list[Completion]:
        shape, most = decoding.json_shape, decoding.max_new_tokens
        constrain = partial(self._compiler().start, shape) if shape else None
        groups, found = self._groups(prompts, most, partial(Completion, ""))
        for group in groups:
            if decoding.likeliest and not shape:
                written = self.engine.write_likeliest(group.prefix, group.rows, most)
            else:
                written = self.engine.write(group.prefix, group.rows, most, constrain)
            texts = self.tokenizer.batch_decode([w.tokens for w in written], skip_special_tokens=True)
            for index, row, own, text in zip(group.places, group.rows, written, texts, strict=True):
                shared = len(group.prefix)
                usage = Usage(shared + len(row), len(own.tokens), shared)
                found[index] = Completion(text.strip(), usage, None, own.first_token_seconds)
        return [found[i] for i in range(len(prompts))]

    @torch.inference_mode()
    def score_labels(
        self, prompts: Sequence[Prompt], labels: Sequence[str], *, every: bool = False
    ) -> list[LabelScores]:
        if self._head is not None and self._head.knows(labels):  # other words are weighed as words
            return self._judged(prompts, tuple(labels), self._head)
        tokenised = [self.chat.answer_tokens(label) or [self.chat.end_token] for label in labels]
        room = max(MOST_TRIE_NODES, *(len(label) for label in tokenised))
        groups, found = self._groups(prompts, room, UNSCORED)
        for group in groups:
            found |= _scores(group, self.engine.weigh(group.prefix, group.rows, tokenised, every=every))
        return [found[i] for i in range(len(prompts))]

    @torch.inference_mode()
    def weigh_choices(self, prompts: Sequence[Prompt], choices: Sequence[Sequence[str]]) -> list[LabelScores]:
        end = [self.chat.end_token]
        groups, found = self._groups(prompts, MOST_TRIE_NODES, UNSCORED)
        for group in groups:
            tokenised = [[self.chat.answer_tokens(choice) or end for choice in choices[at]] for at in group.places]
            found |= _scores(group, self.engine.weigh_choices(group.prefix, group.rows, tokenised))
        return [found[i] for i in range(len(prompts))]

    def _judged(self, prompts: Sequence[Prompt], labels: tuple[str, ...], head: LabelHead) -> list[LabelScores]:
        """Labels weighed by a head: nothing of them is read."""
        groups, found = self._groups(prompts, 0, UNSCORED)
        for group in groups:
            values = head.log_likelihoods(self.engine.features(group.prefix, group.rows), labels)
            found |= _scores(group, [Weighed(own, nodes=0) for own in values])
        return [found[i] for i in range(len(prompts))]

    def _groups(
        self, prompts: Sequence[Prompt], room: int, refused: Callable[[Usage, str], Answer]
    ) -> tuple[list[_Group], dict[int, Answer]]:
        """Prompts with the same shared prefix, tokenised; and by their places those that do not fit the context."""
        groups, overflowing = dict[tuple[int, ...], _Group](), dict[int, Answer]()
        for index, prompt in enumerate(prompts):
            tokens = self.chat.tokens(prompt)
            if len(tokens) + room > self.context_tokens:
                reason = f"the prompt of {len(tokens)} tokens overflows the context of {self.context_tokens}"
                overflowing[index] = refused(Usage(len(tokens)), reason)
                continue
            cut = self.chat.shared_length(prompt, tokens)
            prefix = tuple(tokens[:cut])
            groups.setdefault(prefix, _Group(prefix)).add(index, tokens[cut:])
        return list(groups.values()), overflowing

    def _compiler(self) -> GrammarCompiler:
        if self._grammars is None:
            vocabulary = int(self.network.config.get_text_config().vocab_size)
            ends = sorted(self.engine.stop_tokens)
            self._grammars = GrammarCompiler(self.tokenizer, vocabulary, ends, self.chat.space)
        return self._grammars


def _unscaled(config: Any) -> list[int]:
    """Up to how many tokens positions are what they are beside any other text.

    "longrope" has other frequencies for a whole line, short rows too, as soon as one row of it is longer.
    """
    ropes = getattr(config, "rope_parameters", None) or {}
    each = [ropes, *(rope for rope in ropes.values() if isinstance(rope, dict))]  # or one for each kind of layer
    scaled = [rope for rope in each if rope.get("rope_type") == "longrope"]
    return [rope["original_max_position_embeddings"] for rope in scaled if "original_max_position_embeddings" in rope]


class MergedAdapter:
    """A PEFT adapter added into the base weights, which are kept aside.

    Subtracting what was added would not bring them back: in bfloat16 (a + b) - b is not a.
    """

    def __init__(self, wrapped: Any) -> None:
        self.wrapped = wrapped
        changed = [_changed(m) for m in wrapped.modules() if hasattr(m, "lora_A") and hasattr(m, "get_base_layer")]
        self._kept = [(weight, weight.detach().clone()) for weight in changed]
        wrapped.eval()
        wrapped.merge_adapter()

    def undo(self) -> None:
        """Put the very same base weights back."""
        self.wrapped.unmerge_adapter()
        for weight, original in self._kept:
            weight.data.copy_(original)

    def leave(self) -> None:
        """And take the adapter out of the network."""
        self.undo()
        self.wrapped.unload()


def _changed(layer: Any) -> torch.nn.Parameter:
    """The base weight that a LoRA layer of PEFT adds to: a linear layer's, or that of all experts of a mixture."""
    weight: torch.nn.Parameter = getattr(layer.get_base_layer(), getattr(layer, "parameter_name", "weight"))
    return weight


class _Group:
    """Queries that share a prefix: their places in the call and their own tokens."""

    def __init__(self, prefix: tuple[int, ...]) -> None:
        self.prefix = prefix
        self.places: list[int] = []
        self.rows: list[list[int]] = []

    def add(self, place: int, row: list[int]) -> None:
        self.places.append(place)
        self.rows.append(row)


def _scores(group: _Group, weighed: Sequence[Weighed]) -> dict[int, LabelScores]:
    """What was found for the queries of a group, by their places in the call."""
    shared = len(group.prefix)
    return {
        place: LabelScores(tuple(own.log_likelihoods), Usage(shared + len(row) + own.nodes, 0, shared))
        for place, row, own in zip(group.places, group.rows, weighed, strict=True)
    }
