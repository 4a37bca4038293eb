"""LoRA fine-tuning (Hu et al. 2021, arXiv 2106.09685) through PEFT, on CPU or GPU.

The loss is taken on the answer alone, end token included; or, where a head for labels is trained beside the adapter
(sequence classification), on the label alone. Examples of a batch are packed into one line with attention
that keeps them apart, so that nothing is spent on padding, what all prompts begin with is computed once a pack, and the
head over the vocabulary runs only where an answer token is to be predicted. Gradients equal those of separate rows.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from eval.errors import AdvisorError, NotApplicable
from strategies.models.base import Prompt
from strategies.models.engine.batching import PACK_TOKENS, stretches
from strategies.models.engine.label_head import LabelHead
from strategies.models.engine.packing import Layout, line_up
from strategies.models.transformers_lm import TransformersModel
from strategies.training.changes import Adapter, Change, Linears
from strategies.training.fused import answer_loss
from strategies.training.pace import Pace
from strategies.training.watch import PATIENCE, Watch


@dataclass(frozen=True)
class LoraSettings:
    """What is trained, and for how long."""

    whole: bool = False
    """Whether the weights of all linear layers are trained, in the place of an adapter: rank, alpha and rslora are then
    without a meaning."""
    rank: int = 16
    alpha: int = 32
    rslora: bool = False
    """Whether what the adapter adds is scaled by alpha / √rank instead of alpha / rank, so that high ranks learn as
    well (Kalajdzievski 2023, arXiv 2312.03732)."""
    learning_rate: float = 1e-3
    epochs: int = 4
    batch_size: int = 8
    warmup: float = 0.06
    """Share of the steps over which the learning rate rises; it then falls along a cosine to a tenth."""
    margin: float = 0.1
    """What an epoch may lose on the best one's dev quality and still be kept: less is chance on few rows."""
    patience: int = PATIENCE
    """Epochs in a row that lose more, after which training ends."""
    seed: int = 0

    def told(self) -> dict[str, Any]:
        """What has a meaning, for the report."""
        without = ("rank", "alpha", "rslora") if self.whole else ("whole",)
        return {name: value for name, value in asdict(self).items() if name not in without}


RUINED = 1.5
"""Times the loss before training: above it a training that is half over has diverged, and is no slow beginning. Batches
differ, so that a little above it says nothing."""


class Diverged(AdvisorError):
    """The loss is not a number, or stays above that of the untrained model."""

    def __init__(self, rate: float, tokens: int) -> None:
        super().__init__(f"training diverged at a learning rate of {rate:g}")
        self.tokens = tokens
        """That were trained on until then."""


@dataclass(frozen=True)
class Epoch:
    """One pass over the training rows."""

    epoch: int
    train_loss: float
    dev_quality: float | None
    """None where there are no dev rows to measure on."""
    dev_loss: float | None = None
    """Of the dev rows' answers, per token: what it exceeds the training loss by is learnt by heart."""


@dataclass(frozen=True)
class TrainingLog:
    """What happened; the adapter of `best_epoch`, the one that was kept, is in the folder."""

    epochs: tuple[Epoch, ...]
    best_epoch: int
    tokens: int
    seconds: float
    guard_fired: bool
    """The wall clock ended training before the planned epochs."""
    rows: int = 0
    """That were learnt from: those that fit the context."""
    shortened_to: int | None = None
    """Epochs that were planned anew under way, over which the learning rate came down, since the first plan would not
    have ended in time."""


@dataclass(frozen=True)
class _Row:
    tokens: tuple[int, ...]
    """Prompt, answer, end token; what the pack shares is not in it. The prompt alone, where a head is trained."""
    answer: int
    """How many of the last tokens are learnt; 1 where a head is trained."""
    label: int = -1
    """Which label the answer is, where a head is trained."""


def train_lora(
    model: TransformersModel,
    pairs: Sequence[tuple[Prompt, str]],
    settings: LoraSettings,
    folder: Path,
    dev_quality: Callable[[], float] | None,
    *,
    dev_pairs: Sequence[tuple[Prompt, str]] = (),
    labels: Sequence[str] = (),
    on_step: Callable[[int, int], None] = lambda done, total: None,
    deadline: float = math.inf,
    fewest_epochs: int | None = None,
) -> TrainingLog:
    """Train an adapter, or the weights themselves, on pairs of prompt and answer and save what came of it to `folder`.

    The last epoch is kept, or the last before answers became worse: `dev_quality` is called after each epoch while the
    model answers with the adapter, and what loses more than `settings.margin` is not kept. `dev_pairs` are not learnt
    from: their loss is told for each epoch. With `labels`, a `LabelHead` is trained to choose among them and is
    saved with the adapter, and answers are not learnt to be written. `deadline` is a `time.monotonic()` value; past
    it, training ends after the step under way (the first epoch's result is still measured and kept). Where steps turn
    out to take too long for all epochs, and `fewest_epochs` are given, training is planned anew for as many as there
    is time for, if they are not fewer. Raises NotApplicable where no pair fits the model's context, and Diverged where
    the loss is not a number, or is above the untrained model's when training is half over.
    """
    prefix, rows = tokenised(model, pairs, labels)
    if not rows:
        raise NotApplicable("no training example fits the model's context")
    dev_prefix, dev_rows = tokenised(model, dev_pairs, labels)
    dev = dev_rows if dev_prefix == prefix else []
    change = Linears(model, settings.seed) if settings.whole else Adapter(model, settings)
    try:
        objective = _Labels(model, tuple(labels)) if labels else _Answers(model)
        run = _Run(
            model, change, objective, prefix, rows, dev, settings, folder, dev_quality, on_step, deadline, fewest_epochs
        )
        return run.train()
    finally:
        change.undo()
        model.forget_prefix()


def tokenised(
    model: TransformersModel, pairs: Sequence[tuple[Prompt, str]], labels: Sequence[str] = ()
) -> tuple[tuple[int, ...], list[_Row]]:
    """The tokens that all prompts begin with, and what each row adds.

    Rows longer than the context are left out, and, where there are `labels`, rows with another answer.
    """
    prompts = [tuple(model.chat.tokens(prompt)) for prompt, _ in pairs]
    shared = min((model.chat.shared_length(p, t) for (p, _), t in zip(pairs, prompts, strict=True)), default=0)
    places = {label: place for place, label in enumerate(labels)}
    rows = []
    for tokens, (_, answer) in zip(prompts, pairs, strict=True):
        if labels:
            if len(tokens) <= model.context_tokens and answer in places:
                rows.append(_Row(tokens[shared:], 1, places[answer]))
            continue
        target = (*model.chat.answer_tokens(answer), model.chat.end_token)
        if len(tokens) + len(target) <= model.context_tokens:
            rows.append(_Row(tokens[shared:] + target, len(target)))
    return (prompts[0][:shared] if prompts else ()), rows


@dataclass
class _Run:
    """One training run over prepared rows."""

    model: TransformersModel
    change: Change
    objective: _Answers | _Labels
    prefix: tuple[int, ...]
    rows: Sequence[_Row]
    dev: Sequence[_Row]
    settings: LoraSettings
    folder: Path
    dev_quality: Callable[[], float] | None
    on_step: Callable[[int, int], None]
    deadline: float
    fewest_epochs: int | None = None

    def __post_init__(self) -> None:
        self.weights = [*self.change.weights, *self.objective.parameters]
        self.optimizer = torch.optim.AdamW(self.weights, lr=self.settings.learning_rate, weight_decay=0.0, fused=True)
        self.epochs = self.settings.epochs
        self.steps_an_epoch = math.ceil(len(self.rows) / self.settings.batch_size)
        self.pace = Pace(self.deadline, self.steps_an_epoch)
        self.done = self.tokens = 0
        self.untrained = math.inf
        """Mean loss of the first batch, on which nothing had been learnt."""

    @property
    def steps(self) -> int:
        """Of all epochs."""
        return self.epochs * self.steps_an_epoch

    def train(self) -> TrainingLog:
        start = time.monotonic()
        epochs: list[Epoch] = []
        watch = Watch(self.settings.margin, self.settings.patience)
        while len(epochs) < self.epochs:
            number = len(epochs) + 1
            loss = self._epoch(number)
            trained = time.monotonic()
            if math.isnan(loss) and number > 1 and time.monotonic() > self.deadline:
                break
            if math.isnan(loss) or (2 * number > self.epochs and loss > RUINED * self.untrained):
                raise Diverged(self.settings.learning_rate, self.tokens)
            quality = self._quality()
            epochs.append(Epoch(number, loss, quality, self._dev_loss()))
            if watch.keeps(quality):
                self.change.save(self.folder)
                self.objective.save(self.folder)
            self.pace.took_after_epoch(time.monotonic() - trained)
            if time.monotonic() > self.deadline or watch.has_seen_enough:
                break
        end = time.monotonic()
        guard = end > self.deadline and self.done < self.steps
        shortened = self.epochs if self.epochs < self.settings.epochs else None
        return TrainingLog(tuple(epochs), watch.kept, self.tokens, end - start, guard, len(self.rows), shortened)

    def _keep_to_time(self, number: int) -> None:
        """Plan as many epochs as will end in time, so that the learning rate comes down by then; all where they do."""
        if self.fewest_epochs is not None:
            last = self.pace.last_epoch(number, number * self.steps_an_epoch - self.done, time.monotonic())
            if last >= max(number, self.fewest_epochs):
                self.epochs = int(min(last, self.settings.epochs))

    def _quality(self) -> float | None:
        if self.dev_quality is None:
            return None
        with torch.no_grad(), self.change.answering(self.objective.label_head):
            return self.dev_quality()

    @torch.no_grad()
    def _dev_loss(self) -> float | None:
        """Mean loss per answer token of rows that are not learnt from."""
        if not self.dev:
            return None
        self.change.network.eval()
        loss = sum(float(self._loss(pack)) for pack in packs(self.dev, len(self.prefix)))
        return loss / sum(row.answer for row in self.dev)

    def _epoch(self, number: int) -> float:
        """Mean loss per answer token; NaN where the clock ended a later epoch before it was whole."""
        self.change.network.train()
        total, count = 0.0, 0
        for batch in epoch_batches(self.rows, self.settings.batch_size, seed=self.settings.seed * 1000 + number):
            if number > 1 and time.monotonic() > self.deadline:
                return math.nan
            start = time.monotonic()
            answers = sum(row.answer for row in batch)
            for group in self.optimizer.param_groups:
                group["lr"] = self.settings.learning_rate * self._rate()
            for pack in packs(batch, len(self.prefix)):
                loss = self._loss(pack)
                (loss / answers).backward()  # type: ignore[no-untyped-call]
                total += float(loss.detach())
            if not self.done:
                self.untrained = total / answers
            self.change.gather()
            torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            self.change.spread()
            count += answers
            self.done += 1
            self.pace.took(time.monotonic() - start)
            self._keep_to_time(number)
            self.on_step(self.done, self.steps)
            if time.monotonic() > self.deadline:
                break
        return total / count

    def _rate(self) -> float:
        warm = max(1, round(self.settings.warmup * self.steps))
        if self.done < warm:
            return (self.done + 1) / warm
        progress = (self.done - warm) / max(1, self.steps - warm)
        return 0.1 + 0.45 * (1 + math.cos(math.pi * progress))

    def _loss(self, pack: list[_Row]) -> torch.Tensor:
        """Summed cross-entropy of what the pack's rows are to be answered with."""
        layout = line_up(self.prefix, [row.tokens for row in pack], self.model.device)
        self.tokens += len(layout.tokens)
        with self.change.running():
            return self.objective.loss(layout, self.prefix, pack)


class _Answers:
    """Answers are learnt to be written, token by token."""

    parameters: Sequence[torch.nn.Parameter] = ()
    label_head: LabelHead | None = None

    def __init__(self, model: TransformersModel) -> None:
        self.model = model
        self._head = _plain_head(model)

    def loss(self, layout: Layout, prefix: Sequence[int], pack: Sequence[_Row]) -> torch.Tensor:
        """Summed over answer tokens."""
        places = torch.tensor(predicting(prefix, pack), device=self.model.device)
        targets = layout.tokens[places + 1]
        if self._head is None:
            logits = self.model.network(**layout.inputs, logits_to_keep=places).logits[0]
            return functional.cross_entropy(logits.float(), targets, reduction="sum")
        hidden = self.model.network.base_model(**layout.inputs).last_hidden_state[0]
        return answer_loss(hidden[places].to(self._head.dtype), self._head, targets)

    def save(self, folder: Path) -> None:
        """There is nothing beside the adapter."""


class _Labels:
    """A head learns to weigh labels, and the adapter to make of a prompt what it can weigh."""

    def __init__(self, model: TransformersModel, labels: tuple[str, ...]) -> None:
        self.model = model
        blank = LabelHead.blank(labels, model.network.get_output_embeddings().weight.shape[1], model.device)
        self.parameters = [torch.nn.Parameter(blank.weight), torch.nn.Parameter(blank.bias)]
        self.label_head = LabelHead(labels, *self.parameters)

    def loss(self, layout: Layout, prefix: Sequence[int], pack: Sequence[_Row]) -> torch.Tensor:
        """Summed over rows."""
        ends = torch.tensor([len(row.tokens) for row in pack], device=self.model.device).cumsum(0)
        targets = torch.tensor([row.label for row in pack], device=self.model.device)
        hidden = self.model.network.base_model(**layout.inputs).last_hidden_state[0]
        return functional.cross_entropy(
            self.label_head.logits(hidden[len(prefix) - 1 + ends]), targets, reduction="sum"
        )

    def save(self, folder: Path) -> None:
        """Beside the adapter."""
        self.label_head.save(folder)


def predicting(prefix: Sequence[int], pack: Sequence[_Row]) -> list[int]:
    """Positions in a pack's line whose next token is an answer token. A row's answer is never its whole."""
    places: list[int] = []
    end = len(prefix)
    for row in pack:
        end += len(row.tokens)
        places += range(end - row.answer - 1, end - 1)
    return places


@torch.no_grad()
def _plain_head(model: TransformersModel) -> torch.Tensor | None:
    """The weights of the head over the vocabulary, if logits are just their product with the hidden states.

    Some models scale or cap their logits; for those it is None, and the network's own head is used.
    """
    head = model.network.get_output_embeddings()
    probe = {"input_ids": torch.arange(8, device=model.device)[None], "use_cache": False}
    logits = model.network(**probe).logits
    plain = model.network.base_model(**probe).last_hidden_state.to(head.weight.dtype) @ head.weight.t()
    return head.weight if torch.allclose(logits, plain, rtol=2e-2, atol=1e-3) else None


def epoch_batches(rows: Sequence[_Row], size: int, seed: int) -> list[list[_Row]]:
    """All rows once, in batches, in an order that depends on the seed alone."""
    order = list(rows)
    random.Random(seed).shuffle(order)
    return [order[i : i + size] for i in range(0, len(order), size)]


def packs(batch: Sequence[_Row], prefix: int, most_tokens: int = PACK_TOKENS) -> list[list[_Row]]:
    """Cut a batch into packs of at most `most_tokens`, a prefix included, and of at least one row each."""
    ordered = sorted(batch, key=lambda row: len(row.tokens))
    return [ordered[part] for part in stretches([len(row.tokens) for row in ordered], most_tokens - prefix)]
