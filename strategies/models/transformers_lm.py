"""A causal language model of the transformers library, answering in batches on CPU or GPU.

What a solution's queries have in common (instruction, label list, fixed demonstrations) is computed once and its
key/value state reused. All labels of a query are weighed in one forward pass over their token tree.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from eval.contracts import Usage
from eval.errors import ModelUnavailable
from strategies.models.base import Completion, Decoding, LabelScores, ModelIdentity, Prompt
from strategies.models.batching import batches
from strategies.models.chat import ChatFormat
from strategies.models.devices import data_type, pick_device
from strategies.models.json_grammar import GrammarCompiler
from strategies.models.kv_cache import RoomyCache
from strategies.models.label_trie import LabelTrie, partition

MOST_TRIE_NODES = 512
MOST_LOGIT_ROWS = 2048
"""Positions whose logits over the whole vocabulary are held at once."""


class TransformersModel:
    """Implements `LanguageModel`."""

    def __init__(self, identity: ModelIdentity, network: Any, tokenizer: Any, device: torch.device) -> None:
        self.identity = identity
        self.network = network
        self.chat = ChatFormat(tokenizer)
        self.tokenizer = tokenizer
        self.device = device
        self.dtype: torch.dtype = next(network.parameters()).dtype
        self.stop_tokens = self._stop_tokens()
        # torch multiplies a strided (batch, 1, hidden) slice by copying the whole head for every row of the batch
        network.get_output_embeddings().register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(),))
        self._adapter: Path | None = None
        self._unmerge: Any = None
        self._prefix: tuple[tuple[int, ...], RoomyCache] | None = None
        self._grammars: GrammarCompiler | None = None

    @classmethod
    def load(cls, name: str, folder: Path, device: str = "auto", licence: str | None = None) -> TransformersModel:
        """Load safetensors weights from a local folder; code from the folder is never run."""
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from strategies.models.catalogue import weights_sha256

        chosen = pick_device(device)
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            network = AutoModelForCausalLM.from_pretrained(
                folder, dtype=data_type(chosen), local_files_only=True, use_safetensors=True, attn_implementation="sdpa"
            )
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelUnavailable(f"The model {name} in {folder} cannot be loaded: {reason}") from error
        network.to(chosen).eval().requires_grad_(False)
        count = sum(p.numel() for p in network.parameters())
        return cls(ModelIdentity(name, weights_sha256(folder), licence, count), network, tokenizer, chosen)

    @property
    def context_tokens(self) -> int:
        return int(self.network.config.max_position_embeddings)

    @property
    def _layers(self) -> int:
        return int(self.network.config.num_hidden_layers)

    def _stop_tokens(self) -> frozenset[int]:
        configured = getattr(self.network.generation_config, "eos_token_id", None) or []
        several = configured if isinstance(configured, list) else [configured]
        return frozenset({self.chat.end_token, self.tokenizer.eos_token_id, *several} - {None})

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(self.chat.answer_tokens(text)) for text in texts]

    def prompt_tokens(self, prompt: Prompt) -> int:
        return len(self.chat.tokens(prompt))

    # Adapters: merged into the weights while in use, so that a tuned model answers as fast as its base.

    def use_adapter(self, folder: Path | None) -> None:
        if folder == self._adapter:
            return
        self._leave_adapter()
        if folder is not None:
            from peft import PeftModel

            wrapped = PeftModel.from_pretrained(self.network, folder, torch_device=str(self.device))
            self._unmerge = self.merged(wrapped)
            self._unmerge.__enter__()
            self._adapter = folder

    def _leave_adapter(self) -> None:
        self.forget_prefix()
        if self._unmerge is not None:
            self._unmerge.__exit__(None, None, None)
        self._unmerge, self._adapter = None, None

    @contextmanager
    def merged(self, wrapped: Any, *, unload: bool = True) -> Iterator[None]:
        """Merge a PEFT model's adapter for a while, then put the very same base weights back.

        Subtracting what was added would not do: in bfloat16 (a + b) - b is not a. With `unload` the adapter's layers
        are taken out of the network at the end.
        """
        kept = [
            (module.get_base_layer().weight, module.get_base_layer().weight.detach().clone())
            for module in wrapped.modules()
            if hasattr(module, "lora_A") and hasattr(module, "get_base_layer")
        ]
        wrapped.eval()
        wrapped.merge_adapter()
        self.forget_prefix()
        try:
            yield
        finally:
            wrapped.unmerge_adapter()
            for weight, original in kept:
                weight.data.copy_(original)
            self.forget_prefix()
            if unload:
                wrapped.unload()

    def forget_prefix(self) -> None:
        """Drop the shared prefix's state: the weights behind it have changed."""
        self._prefix = None

    # Answering

    @torch.inference_mode()
    def generate(self, prompts: Sequence[Prompt], decoding: Decoding) -> list[Completion]:
        found: dict[int, Completion] = {}
        for group in self._groups(prompts, decoding.max_new_tokens, found, Completion("", error="")):
            lengths = [len(tokens) for _, tokens in group.rows]
            for batch in batches(lengths, len(group.prefix) + decoding.max_new_tokens):
                rows = [group.rows[i] for i in batch]
                found.update(zip((i for i, _ in rows), self._write(group.prefix, [t for _, t in rows], decoding), strict=True))
        return [found[i] for i in range(len(prompts))]

    @torch.inference_mode()
    def score_labels(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[LabelScores]:
        tokenised = [self.chat.answer_tokens(label) or [self.chat.end_token] for label in labels]
        parts = partition(tokenised, MOST_TRIE_NODES)
        tries = [(part, LabelTrie.build([tokenised[i] for i in part])) for part in parts]
        nodes = max(len(trie.tokens) for _, trie in tries)
        found: dict[int, LabelScores] = {}
        for group in self._groups(prompts, nodes, found, LabelScores((), error="")):
            lengths = [len(tokens) for _, tokens in group.rows]
            most_rows = max(1, min(48, MOST_LOGIT_ROWS // nodes))
            for batch in batches(lengths, len(group.prefix) + nodes, most_rows=most_rows):
                rows = [group.rows[i] for i in batch]
                scores = self._weigh(group.prefix, [t for _, t in rows], tries, len(labels))
                found.update(zip((i for i, _ in rows), scores, strict=True))
        return [found[i] for i in range(len(prompts))]

    def _groups(self, prompts: Sequence[Prompt], room: int, found: dict[int, Any], overflow: Any) -> list[_Group]:
        """Prompts with the same shared prefix, tokenised; those that do not fit the context are answered with why."""
        from dataclasses import replace

        groups: dict[tuple[int, ...], _Group] = {}
        for index, prompt in enumerate(prompts):
            tokens = self.chat.tokens(prompt)
            if len(tokens) + room > self.context_tokens:
                reason = f"the prompt of {len(tokens)} tokens overflows the context of {self.context_tokens}"
                found[index] = replace(overflow, error=reason, usage=Usage(len(tokens)))
                continue
            cut = self.chat.shared_length(prompt, tokens)
            prefix = tuple(tokens[:cut])
            groups.setdefault(prefix, _Group(prefix)).rows.append((index, tokens[cut:]))
        return list(groups.values())

    def _prefix_state(self, prefix: tuple[int, ...]) -> RoomyCache:
        """State of a shared prefix, always computed alone, so that it is the same whoever asks first."""
        if self._prefix is None or self._prefix[0] != prefix:
            cache = RoomyCache(self._layers, len(prefix))
            ids = torch.tensor([prefix], device=self.device)
            self.network(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
            self._prefix = (prefix, cache)
        return self._prefix[1]

    def _read(self, prefix: tuple[int, ...], rows: Sequence[Sequence[int]], room: int) -> _Batch:
        """Run the prompts of a batch through the network and return its state and the logits after each prompt."""
        width = max(len(row) for row in rows)
        capacity = len(prefix) + width + room
        if prefix:
            cache = self._prefix_state(prefix).copied_for(len(rows), capacity)
        else:
            cache = RoomyCache(self._layers, capacity)
        pad = self.chat.end_token
        ids = torch.tensor([[pad] * (width - len(row)) + list(row) for row in rows], device=self.device)
        lengths = torch.tensor([len(row) for row in rows], device=self.device)
        own = torch.arange(width, device=self.device)[None] >= (width - lengths)[:, None]
        visible = torch.cat([own.new_ones(len(rows), len(prefix)), own], dim=1)
        positions = len(prefix) + (own.long().cumsum(1) - 1).clamp(min=0)
        causal = torch.ones(width, width, dtype=torch.bool, device=self.device).tril()
        seen = torch.cat([causal.new_ones(width, len(prefix)), causal], dim=1)
        logits = self._forward(ids, positions, visible[:, None] & seen[None], cache, keep=1)[:, -1]
        return _Batch(cache, visible, len(prefix) + lengths, logits)

    def _forward(
        self, ids: torch.Tensor, positions: torch.Tensor, allowed: torch.Tensor, cache: RoomyCache, keep: int
    ) -> torch.Tensor:
        """Logits of the last `keep` positions. `allowed`: (rows, queries, keys), True where a query may look."""
        mask = torch.zeros(allowed.shape, dtype=self.dtype, device=self.device)
        mask.masked_fill_(~allowed, torch.finfo(self.dtype).min)
        output = self.network(
            input_ids=ids,
            position_ids=positions,
            attention_mask=mask[:, None],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=keep,
        )
        logits: torch.Tensor = output.logits
        return logits

    def _write(self, prefix: tuple[int, ...], rows: Sequence[Sequence[int]], decoding: Decoding) -> list[Completion]:
        """Decode greedily until each row ends; rows that have ended leave the batch once they are half of it."""
        start = time.perf_counter()
        state = self._read(prefix, rows, decoding.max_new_tokens)
        grammar = self._compiler().start(decoding.json_shape, len(rows)) if decoding.json_shape else None
        written: list[list[int]] = [[] for _ in rows]
        alive = list(range(len(rows)))
        active = set(alive)
        first_token: float | None = None
        for step in range(decoding.max_new_tokens):
            logits = state.logits.float()
            if grammar is not None:
                grammar.mask(logits)
            chosen = logits.argmax(-1).tolist()
            first_token = first_token or time.perf_counter() - start
            for row, token in zip(alive, chosen, strict=True):
                if token in self.stop_tokens:
                    active.discard(row)
                elif row in active:
                    written[row].append(token)
            if not active or step + 1 == decoding.max_new_tokens:
                break
            if grammar is not None:
                grammar.accept(chosen)
            if len(active) <= len(alive) // 2:
                keep = [i for i, row in enumerate(alive) if row in active]
                state.keep_rows(torch.tensor(keep, device=self.device))
                chosen, alive = [chosen[i] for i in keep], [alive[i] for i in keep]
                if grammar is not None:
                    grammar.keep_rows(keep)
            self._step(state, chosen)
        texts = self.tokenizer.batch_decode(written, skip_special_tokens=True)
        return [
            Completion(text.strip(), Usage(len(prefix) + len(row), len(out), len(prefix)), None, first_token)
            for text, row, out in zip(texts, rows, written, strict=True)
        ]

    def _step(self, state: _Batch, tokens: list[int]) -> None:
        """Feed one token to each row."""
        ids = torch.tensor(tokens, device=self.device)[:, None]
        state.visible = torch.cat([state.visible, state.visible.new_ones(len(tokens), 1)], dim=1)
        state.logits = self._forward(ids, state.lengths[:, None], state.visible[:, None], state.cache, keep=1)[:, -1]
        state.lengths = state.lengths + 1

    def _compiler(self) -> GrammarCompiler:
        if self._grammars is None:
            vocabulary = int(self.network.config.vocab_size)
            self._grammars = GrammarCompiler(self.tokenizer, vocabulary, sorted(self.stop_tokens))
        return self._grammars

    def _weigh(
        self,
        prefix: tuple[int, ...],
        rows: Sequence[Sequence[int]],
        tries: Sequence[tuple[list[int], LabelTrie]],
        labels: int,
    ) -> list[LabelScores]:
        """Log-likelihood of every label after every prompt."""
        state = self._read(prefix, rows, max(len(trie.tokens) for _, trie in tries))
        after_prompt = state.logits.float().log_softmax(-1)
        found = torch.empty(len(rows), labels, dtype=torch.float32, device=self.device)
        for part, trie in tries:
            found[:, part] = self._weigh_tree(state, after_prompt, trie)
        written = sum(len(trie.tokens) for _, trie in tries)
        return [
            LabelScores(tuple(values), Usage(len(prefix) + len(row) + written, 0, len(prefix)))
            for values, row in zip(found.tolist(), rows, strict=True)
        ]

    def _weigh_tree(self, state: _Batch, after_prompt: torch.Tensor, trie: LabelTrie) -> torch.Tensor:
        """Shape (rows, labels of the tree). The cache is left as it was found."""
        batch, nodes = len(after_prompt), len(trie.tokens)
        ids = torch.tensor(trie.tokens, device=self.device).expand(batch, -1)
        depths = torch.tensor(trie.depths, device=self.device)
        tree = torch.zeros(nodes, nodes, dtype=torch.bool)
        for node, seen in enumerate(trie.ancestors()):
            tree[node, seen] = True
        prompt = state.visible[:, None].expand(-1, nodes, -1)
        allowed = torch.cat([prompt, tree.to(self.device).expand(batch, -1, -1)], dim=2)
        length = state.visible.shape[1]
        logits = self._forward(ids, state.lengths[:, None] + depths, allowed, state.cache, keep=nodes)
        state.cache.shorten(length)
        norms = torch.stack([row.float().logsumexp(-1) for row in logits])

        parents, tokens = torch.tensor(trie.parents), torch.tensor(trie.tokens)
        inner = (parents >= 0).nonzero()[:, 0]
        steps = torch.empty(batch, nodes, device=self.device)
        roots = (parents < 0).nonzero()[:, 0]
        steps[:, roots] = after_prompt[:, tokens[roots]]
        steps[:, inner] = logits[:, parents[inner], tokens[inner]].float() - norms[:, parents[inner]]
        ends = logits[:, :, self.chat.end_token].float() - norms
        return torch.stack([steps[:, path].sum(1) + ends[:, path[-1]] for path in trie.paths], dim=1)


class _Group:
    """Queries that share a prefix: pairs of their place in the call and their own tokens."""

    def __init__(self, prefix: tuple[int, ...]) -> None:
        self.prefix = prefix
        self.rows: list[tuple[int, list[int]]] = []


class _Batch:
    """State of a batch after reading its prompts."""

    def __init__(
        self, cache: RoomyCache, visible: torch.Tensor, lengths: torch.Tensor, logits: torch.Tensor
    ) -> None:
        self.cache = cache
        self.visible = visible
        """(rows, tokens so far): False for padding."""
        self.lengths = lengths
        """Tokens of each row without padding: the position of its next token."""
        self.logits = logits
        """(rows, vocabulary), after each row's last token."""

    def keep_rows(self, rows: torch.Tensor) -> None:
        self.cache.keep_rows(rows)
        self.visible, self.lengths, self.logits = self.visible[rows], self.lengths[rows], self.logits[rows]
