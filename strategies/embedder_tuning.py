"""SetFit (Tunstall et al. 2022, arXiv 2209.11055): the embedder is tuned on the labels, and a linear classifier fitted
on what it then makes of the texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from eval.contracts import Example, Kind, Solution, Task
from eval.errors import NotApplicable
from strategies.base import Allowance, Family, Standing, Workshop
from strategies.baselines import NOT_A_CLASSIFICATION
from strategies.finetuning import check_enough
from strategies.linear_classifier import LinearClassifier
from strategies.models.base import Embedder
from strategies.models.embedding_cache import CachingEmbedder
from strategies.text_features import TunedFeatures
from strategies.tuning import EPOCH_ROWS, parts, quality, sample
from strategies.workload import Profile, Tokens, Workload

if TYPE_CHECKING:
    from strategies.models.sentence_embedder import SentenceEmbedder

EPOCHS = 3
LANGUAGE_MODEL_TOKENS = 0.4
"""What training the embedder on a token takes, in tokens that LoRA trains the default language model on."""


class SetFit:
    """Texts of one label are drawn together; the epoch is chosen by dev quality, as LoRA's is."""

    name = "setfit"
    family: Family = "finetune"
    needs_documents = False
    uses_language_model = False
    standing: Standing = "further"
    kinds = (Kind.CLASSIFICATION,)

    def fit(self, task: Task, train: Sequence[Example], workshop: Workshop) -> Solution:
        from strategies.training.contrastive import tune_embedder

        if task.kind not in self.kinds:
            raise NotApplicable(NOT_A_CLASSIFICATION)
        embedder = _tunable(workshop.embedder)
        check_enough(train)
        fit_rows, dev = parts(task, train, workshop, EPOCH_ROWS)
        rows = sample(fit_rows, workshop.allowance.train_rows, workshop.seed)
        fixed = workshop.allowance.fixed_epochs
        best: LinearClassifier | None = None
        reached: list[float] = []

        def judge(epoch: int, loss: float, tuned: SentenceEmbedder) -> bool:
            nonlocal best
            classifier = LinearClassifier.fit_texts(TunedFeatures(tuned), rows)
            told = {"dev_quality": quality(task, classifier, dev)} if dev and not fixed else {}
            workshop.log.curve.append({"epoch": epoch, "train_loss": loss, **told})
            if not told or told["dev_quality"] > max(reached, default=-1.0):
                best = classifier
                workshop.log.config["best_epoch"] = epoch
            reached.extend(told.values())
            return not told or told["dev_quality"] < 1.0

        workshop.log.guard_fired = tune_embedder(
            embedder,
            [e.input for e in rows],
            [e.target for e in rows],
            fixed or EPOCHS,
            workshop.seed,
            on_epoch=judge,
            on_step=lambda done, total: workshop.progress("training", done, total),
            deadline=workshop.allowance.deadline,
        )
        assert best is not None
        workshop.log.config["epochs"] = fixed or EPOCHS
        workshop.log.train_examples = len(rows)
        workshop.log.held_out = tuple(e.id for e in dev)
        return best

    def workload(self, profile: Profile, allowance: Allowance) -> Workload:
        if not profile.label_tokens:
            return Workload()
        rows = min(profile.train_rows, allowance.train_rows)
        epochs = allowance.fixed_epochs or EPOCHS
        fit = Tokens(trained=LANGUAGE_MODEL_TOKENS * epochs * rows * profile.input_tokens)
        return Workload(fit=fit).embedding(profile.input_tokens)


def _tunable(embedder: Embedder) -> SentenceEmbedder:
    """The embedder itself, if its weights can be adapted here."""
    from strategies.models.sentence_embedder import SentenceEmbedder

    own = embedder.embedder if isinstance(embedder, CachingEmbedder) else embedder
    if not isinstance(own, SentenceEmbedder):
        raise NotApplicable(f"{embedder.identity.name} cannot be fine-tuned here: its weights are not at hand")
    return own
