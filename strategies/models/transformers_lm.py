"""A causal language model of the transformers library, answering in batches on CPU or GPU.

What a solution's queries have in common (instruction, label list, fixed demonstrations) is computed once and its
key/value state reused. All labels of a query are weighed in one forward pass over their token tree.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from eval.contracts import Usage
from eval.errors import ModelUnavailable, RequestError
from strategies.models.base import Completion, Decoding, LabelScores, ModelIdentity, Prompt
from strategies.models.batching import batches
from strategies.models.chat import ChatFormat
from strategies.models.devices import data_type, pick_device
from strategies.models.json_grammar import GrammarCompiler
from strategies.models.kv_cache import RoomyCache
from strategies.models.label_trie import LabelTrie, first_fitting

MOST_TRIE_NODES = 64
"""Label tokens weighed at once, per query."""
HOPELESS = 9.0
"""Nats below the best label: e to the minus 9 is about a ten-thousandth of its probability."""
MOST_LOGIT_ROWS = 2048
"""Positions whose logits over the whole vocabulary are held at once."""


CPU_READ_TOKENS, GPU_READ_TOKENS = 1536, 32_768
"""Prompt tokens read at once. On CPU more would not stay in the processor's caches."""


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
        self._merged: MergedAdapter | None = None
        self._prefix: tuple[tuple[int, ...], RoomyCache] | None = None
        self._grammars: GrammarCompiler | None = None
        self._most_read_tokens = CPU_READ_TOKENS if device.type == "cpu" else GPU_READ_TOKENS

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
        except (OSError, ValueError, KeyError, SafetensorError) as error:
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
            if not (folder / "adapter_config.json").exists():
                raise RequestError(f"The folder {folder} holds no adapter: adapter_config.json is missing.")
            from peft import PeftModel

            wrapped = PeftModel.from_pretrained(self.network, folder, torch_device=str(self.device))
            self._merged = MergedAdapter(wrapped)
            self._adapter = folder

    def _leave_adapter(self) -> None:
        if self._merged is not None:
            self._merged.undo()
            self._merged.wrapped.unload()
        self._merged, self._adapter = None, None
        self.forget_prefix()

    @contextmanager
    def merged(self, wrapped: Any) -> Iterator[None]:
        """Answer with an adapter in training for a while."""
        adapter = MergedAdapter(wrapped)
        self.forget_prefix()
        try:
            yield
        finally:
            adapter.undo()
            self.forget_prefix()

    @contextmanager
    def attention(self, implementation: str) -> Iterator[None]:
        """Use another implementation of attention for a while, on CPU; a GPU's fused kernels are left in place."""
        before = self.network.config._attn_implementation
        if self.device.type == "cpu":
            self.network.set_attn_implementation(implementation)
        try:
            yield
        finally:
            self.network.set_attn_implementation(before)

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
                found.update(
                    zip((i for i, _ in rows), self._write(group.prefix, [t for _, t in rows], decoding), strict=True)
                )
        return [found[i] for i in range(len(prompts))]

    @torch.inference_mode()
    def score_labels(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[LabelScores]:
        tokenised = [self.chat.answer_tokens(label) or [self.chat.end_token] for label in labels]
        room = max(MOST_TRIE_NODES, *(len(label) for label in tokenised))
        found: dict[int, LabelScores] = {}
        for group in self._groups(prompts, room, found, LabelScores((), error="")):
            lengths = [len(tokens) for _, tokens in group.rows]
            for batch in batches(lengths, len(group.prefix) + room, most_rows=MOST_LOGIT_ROWS // MOST_TRIE_NODES):
                rows = [group.rows[i] for i in batch]
                scores = self._weigh(group.prefix, [t for _, t in rows], tokenised, room)
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
            cache = RoomyCache(self._layers, 1, len(prefix))
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
            cache = RoomyCache(self._layers, len(rows), capacity)
        pad = self.chat.end_token
        ids = torch.tensor([[pad] * (width - len(row)) + list(row) for row in rows], device=self.device)
        lengths = torch.tensor([len(row) for row in rows], device=self.device)
        own = torch.arange(width, device=self.device)[None] >= (width - lengths)[:, None]
        visible = torch.cat([own.new_ones(len(rows), len(prefix)), own], dim=1)
        positions = len(prefix) + (own.long().cumsum(1) - 1).clamp(min=0)
        causal = torch.ones(width, width, dtype=torch.bool, device=self.device).tril()
        seen = torch.cat([causal.new_ones(width, len(prefix)), causal], dim=1)
        step = max(1, self._most_read_tokens // width)
        logits = []
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            cache.focus(part, len(prefix))
            allowed = visible[part, None] & seen[None]
            logits.append(self._forward(ids[part], positions[part], allowed, cache, keep=1)[:, -1])
        cache.focus(slice(None), len(prefix) + width)
        return _Batch(cache, visible, len(prefix) + lengths, torch.cat(logits))

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
        self, prefix: tuple[int, ...], rows: Sequence[Sequence[int]], labels: Sequence[Sequence[int]], room: int
    ) -> list[LabelScores]:
        """Log-likelihood of the labels after every prompt, the likeliest first tokens first.

        No label is likelier than its first token. So once that falls `HOPELESS` below the best label found, the rest
        cannot be the answer, and keep the likelihood of their first token: an upper bound, and practically nothing.
        """
        state = self._read(prefix, rows, room)
        after_prompt = state.logits.float().log_softmax(-1)
        found = after_prompt[:, [label[0] for label in labels]]
        waiting = [order.tolist() for order in found.argsort(dim=1, descending=True, stable=True)]
        best = [-math.inf] * len(rows)
        weighed = [0] * len(rows)
        alive = list(range(len(rows)))
        while True:
            for row in alive:
                bounds = found[row].tolist()
                waiting[row] = [i for i in waiting[row] if bounds[i] > best[row] - HOPELESS]
            open_rows = [i for i, row in enumerate(alive) if waiting[row]]
            if not open_rows:
                break
            if len(open_rows) <= len(alive) // 2:
                state.keep_rows(torch.tensor(open_rows, device=self.device))
                after_prompt, alive = after_prompt[open_rows], [alive[i] for i in open_rows]
            taken, tries = zip(*(first_fitting(waiting[row], labels, MOST_TRIE_NODES) for row in alive), strict=True)
            for row, indices, trie, values in zip(
                alive, taken, tries, self._weigh_trees(state, after_prompt, tries), strict=True
            ):
                found[row, indices] = values
                best[row] = max([best[row], *values.tolist()])
                waiting[row] = waiting[row][len(indices) :]
                weighed[row] += len(trie.tokens)
        return [
            LabelScores(tuple(values), Usage(len(prefix) + len(row) + nodes, 0, len(prefix)))
            for values, row, nodes in zip(found.tolist(), rows, weighed, strict=True)
        ]

    def _weigh_trees(self, state: _Batch, after_prompt: torch.Tensor, tries: Sequence[LabelTrie]) -> list[torch.Tensor]:
        """For each row the log-likelihoods of its tree's labels. The cache is left as it was found."""
        batch, nodes = len(tries), max(len(trie.tokens) for trie in tries)
        ids = torch.full((batch, nodes), self.chat.end_token)
        depths = torch.zeros(batch, nodes, dtype=torch.long)
        tree = torch.eye(nodes, dtype=torch.bool).repeat(batch, 1, 1)
        for row, trie in enumerate(tries):
            ids[row, : len(trie.tokens)] = torch.tensor(trie.tokens, dtype=torch.long)
            depths[row, : len(trie.tokens)] = torch.tensor(trie.depths, dtype=torch.long)
            for node, seen in enumerate(trie.ancestors()):
                tree[row, node, seen] = True
        allowed = torch.cat([state.visible[:, None].expand(-1, nodes, -1), tree.to(self.device)], dim=2)
        positions = state.lengths[:, None] + depths.to(self.device)
        length = state.visible.shape[1]
        with self.attention("eager"):  # many queries and few new keys: on CPU faster than the fused kernel
            logits = self._forward(ids.to(self.device), positions, allowed, state.cache, keep=nodes)
        state.cache.focus(slice(None), length)
        norms = torch.stack([row.float().logsumexp(-1) for row in logits])
        return [self._tree_sums(*parts) for parts in zip(after_prompt, logits, norms, tries, strict=True)]

    def _tree_sums(
        self, after_prompt: torch.Tensor, logits: torch.Tensor, norms: torch.Tensor, trie: LabelTrie
    ) -> torch.Tensor:
        """Add up each label's path: its first token after the prompt, the others after their parents, then the end."""
        inner = [node for node, parent in enumerate(trie.parents) if parent >= 0]
        roots = [node for node, parent in enumerate(trie.parents) if parent < 0]
        above = [trie.parents[node] for node in inner]
        steps = norms.new_empty(len(trie.tokens))
        steps[roots] = after_prompt[[trie.tokens[node] for node in roots]]
        steps[inner] = logits[above, [trie.tokens[node] for node in inner]].float() - norms[above]
        ends = logits[:, self.chat.end_token].float() - norms
        sums = [steps[path].sum() + ends[path[-1]] for path in trie.paths]
        return torch.stack(sums) if sums else norms.new_empty(0)


class MergedAdapter:
    """A PEFT adapter added into the base weights, which are kept aside.

    Subtracting what was added would not bring them back: in bfloat16 (a + b) - b is not a.
    """

    def __init__(self, wrapped: Any) -> None:
        self.wrapped = wrapped
        layers = [
            m.get_base_layer() for m in wrapped.modules() if hasattr(m, "lora_A") and hasattr(m, "get_base_layer")
        ]
        self._kept = [(layer.weight, layer.weight.detach().clone()) for layer in layers]
        wrapped.eval()
        wrapped.merge_adapter()

    def undo(self) -> None:
        """Put the very same base weights back."""
        self.wrapped.unmerge_adapter()
        for weight, original in self._kept:
            weight.data.copy_(original)


class _Group:
    """Queries that share a prefix: pairs of their place in the call and their own tokens."""

    def __init__(self, prefix: tuple[int, ...]) -> None:
        self.prefix = prefix
        self.rows: list[tuple[int, list[int]]] = []


class _Batch:
    """State of a batch after reading its prompts."""

    def __init__(self, cache: RoomyCache, visible: torch.Tensor, lengths: torch.Tensor, logits: torch.Tensor) -> None:
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
