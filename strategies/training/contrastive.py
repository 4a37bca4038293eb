"""Tuning a sentence embedder so that texts of one label lie together: SetFit (Tunstall et al. 2022, arXiv 2209.11055).

SetFit draws pairs of texts and pulls those of one label together. Here every pair of a batch counts, by the supervised
contrastive loss (Khosla et al. 2020, arXiv 2004.11362), so that a text is read once for all its pairs; texts of one
label enter a batch in pairs.
"""

from __future__ import annotations

import copy
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch.nn import functional

from eval.errors import AdvisorError
from strategies.models.devices import data_type
from strategies.models.sentence_embedder import SentenceEmbedder


@dataclass(frozen=True)
class ContrastiveSettings:
    """How an embedder is tuned."""

    learning_rate: float = 5e-5
    temperature: float = 0.1
    batch_size: int = 32
    """Texts, about."""
    warmup: float = 0.1
    """Share of the steps over which the learning rate rises; it then falls in a line to zero."""


def tune_embedder(
    embedder: SentenceEmbedder,
    texts: Sequence[str],
    labels: Sequence[str],
    epochs: int,
    seed: int,
    settings: ContrastiveSettings = ContrastiveSettings(),
    *,
    on_epoch: Callable[[int, float, SentenceEmbedder], bool] = lambda epoch, loss, tuned: True,
    on_step: Callable[[int, int], None] = lambda done, total: None,
    deadline: float = math.inf,
) -> bool:
    """Tune a copy of the embedder; the one given stays as it is.

    `on_epoch` is called with the number of the epoch, its mean loss, and the copy as it is then, ready to embed; it
    says whether to go on. After `deadline`, a `time.monotonic()` value, training ends with the step under way. Returns
    whether the clock ended it. Raises AdvisorError where training diverges.
    """
    network = copy.deepcopy(embedder.network).float()
    device = next(network.parameters()).device
    narrow = data_type(device) == torch.bfloat16
    weights = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=settings.learning_rate, weight_decay=0.01, fused=True)
    numbers = {label: i for i, label in enumerate(sorted(set(labels)))}
    steps = epochs * batch_count(len(texts), settings.batch_size)
    done = 0
    for epoch in range(1, epochs + 1):
        network.train()
        torch.manual_seed(seed * 1000 + epoch)  # dropout
        losses = []
        for rows in batches(labels, settings.batch_size, seed * 1000 + epoch):
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * _rate(done, steps, settings.warmup)
            kinds = torch.tensor([numbers[labels[row]] for row in rows], device=device)
            with torch.autocast(device.type, torch.bfloat16, enabled=narrow):
                vectors = _embed(network, [texts[row] for row in rows])
            loss = contrastive_loss(vectors.float(), kinds, settings.temperature)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(float(loss.detach()))
            done += 1
            on_step(done, steps)
            if time.monotonic() > deadline:
                break
        if any(math.isnan(loss) for loss in losses):
            raise AdvisorError("tuning the embedder diverged: the loss is not a number")
        going = on_epoch(epoch, sum(losses) / max(1, len(losses)), embedder.with_network(network))
        if time.monotonic() > deadline:
            return done < steps
        if not going:
            break
    return False


def _embed(network: Any, texts: Sequence[str]) -> torch.Tensor:
    features = getattr(network, "preprocess", network.tokenize)(list(texts))  # what newer versions call it
    device = next(network.parameters()).device
    found = network({k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in features.items()})
    vectors: torch.Tensor = found["sentence_embedding"]
    return vectors


def contrastive_loss(vectors: torch.Tensor, kinds: torch.Tensor, temperature: float) -> torch.Tensor:
    """Mean over the pairs of one kind of how little the one stands out among all others, seen from the other.

    `vectors` of shape (texts, dimensions), `kinds` of shape (texts,). Zero where no two are of one kind.
    """
    unit = functional.normalize(vectors, dim=1)
    same_text = torch.eye(len(kinds), dtype=torch.bool, device=kinds.device)
    closeness = (unit @ unit.t() / temperature).masked_fill(same_text, -math.inf)
    shares = closeness.log_softmax(dim=1)
    pairs = (kinds[:, None] == kinds[None, :]) & ~same_text
    partners = pairs.sum(dim=1)
    anchored = partners > 0
    if not bool(anchored.any()):
        return vectors.sum() * 0.0
    of_text = shares.masked_fill(~pairs, 0.0).sum(dim=1)[anchored] / partners[anchored]
    return -of_text.mean()


def batches(labels: Sequence[str], size: int, seed: int) -> list[list[int]]:
    """Rows of every batch of an epoch: all rows once, in equal batches of about so many rows.

    Rows of a label come in pairs, in an order drawn by the seed in which labels take turns: a pair is spread over the
    epoch as others of its label are, so that each batch has texts to pull together and others to stand apart from. The
    last row of a label may be alone.
    """
    rng = random.Random(seed)
    by_label: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        by_label.setdefault(label, []).append(row)
    placed: list[tuple[float, list[int]]] = []
    for rows in by_label.values():
        rng.shuffle(rows)
        pairs = [rows[i : i + 2] for i in range(0, len(rows), 2)]
        placed += [((turn + rng.random()) / len(pairs), pair) for turn, pair in enumerate(pairs)]
    in_turn = [pair for _, pair in sorted(placed)]
    count = batch_count(len(labels), size)
    cuts = [len(in_turn) * batch // count for batch in range(count + 1)]
    return [[row for pair in in_turn[a:b] for row in pair] for a, b in pairwise(cuts)]


def batch_count(rows: int, size: int) -> int:
    """How many batches an epoch has: a small rest would be a whole step for a few rows."""
    return max(1, round(rows / size))


def _rate(done: int, steps: int, warmup: float) -> float:
    warm = max(1, round(warmup * steps))
    return (done + 1) / warm if done < warm else (steps - done) / max(1, steps - warm)
