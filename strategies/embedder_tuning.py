"""SetFit (Tunstall et al. 2022, arXiv 2209.11055): the embedder is tuned on the labels, and a linear classifier fitted
on what it then makes of the texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from eval.contracts import Example, Kind, Solution, Task
from eval.errors import NotApplicable
from strategies.base import Allowance, Family, Strategy, Workshop, check_suits
from strategies.finetuning import check_enough, passes
from strategies.linear import balancing, is_balanced
from strategies.linear_classifier import LinearClassifier
from strategies.models.base import Embedder
from strategies.models.embedding_cache import CachingEmbedder
from strategies.text_features import TunedFeatures
from strategies.training.watch import Watch, chance
from strategies.tuning import quality, sample, watched_parts, watched_rows
from strategies.workload import Profile, Tokens, Workload

if TYPE_CHECKING:
    from strategies.models.sentence_embedder import SentenceEmbedder

LANGUAGE_MODEL_TOKENS = 0.4
"""What training the embedder on a token takes, in tokens that LoRA trains the default language model on."""


class SetFit(Strategy):
    """Texts of one label are drawn together, in as many passes and watched by dev rows as LoRA's are.

    Dev rows are answered by a classifier that has not learnt from them, nor was chosen by them; the one that is kept
    has learnt from all examples.
    """

    name = "setfit"
    family: Family = "finetune"
    uses_language_model = False
    kinds = (Kind.CLASSIFICATION,)

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        from strategies.training.contrastive import tune_embedder

        check_suits(self, task, workshop)
        embedder = _tunable(workshop.embedder)
        check_enough(train)
        fixed = workshop.allowance.fixed_epochs
        fit_rows, dev = watched_parts(task, train, workshop) if fixed is None else (train, ())
        rows = sample(fit_rows, workshop.allowance.train_rows, workshop.seed)
        epochs = fixed or passes(workshop.allowance, False, len(rows))
        watch, kept = Watch(chance(len(dev))), embedder
        balanced = is_balanced(task, fit_rows, workshop)

        def head(tuned: SentenceEmbedder, learnt: Sequence[Example]) -> LinearClassifier:
            return LinearClassifier.fit_texts(TunedFeatures(tuned), learnt, balanced=balanced)

        def judge(epoch: int, loss: float, tuned: SentenceEmbedder) -> bool:
            nonlocal kept
            reached = quality(task, head(tuned, rows), dev) if dev else None
            told = {} if reached is None else {"dev_quality": reached}
            workshop.log.curve.append({"epoch": epoch, "train_loss": loss, **told})
            if watch.keeps(reached):
                kept = tuned
            return not watch.has_seen_enough

        workshop.log.guard_fired = tune_embedder(
            embedder,
            [e.input for e in rows],
            [e.target for e in rows],
            epochs,
            workshop.seed,
            on_epoch=judge,
            on_step=lambda done, total: workshop.progress("training", done, total),
            deadline=workshop.allowance.deadline,
        )
        workshop.log.config |= {"epochs": epochs, "best_epoch": watch.kept}
        workshop.log.train_examples = len(rows)
        return head(kept, train)

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        if not profile.label_tokens:
            return Workload()
        dev = watched_rows(profile.train_rows, allowance)
        rows = min(profile.train_rows - dev, allowance.train_rows)
        trained = LANGUAGE_MODEL_TOKENS * rows * profile.input_tokens
        judged = (rows + dev if dev else 0) * profile.input_tokens
        fit = Tokens(trained=trained, embedded=judged) * passes(allowance, False, rows)
        return Workload(fit=fit + balancing(profile)).embedding(profile.input_tokens)


def _tunable(embedder: Embedder) -> SentenceEmbedder:
    """The embedder itself, if its weights can be adapted here."""
    from strategies.models.sentence_embedder import SentenceEmbedder

    own = embedder.embedder if isinstance(embedder, CachingEmbedder) else embedder
    if not isinstance(own, SentenceEmbedder):
        raise NotApplicable(f"{embedder.identity.name} cannot be fine-tuned here: its weights are not at hand")
    return own
