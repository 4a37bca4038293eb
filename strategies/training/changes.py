"""What training changes of a network: an adapter beside its weights, or the weights themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from strategies.models.engine import tuned_weights
from strategies.models.engine.label_head import LabelHead
from strategies.models.transformers_lm import TransformersModel
from strategies.training.fused import fused

if TYPE_CHECKING:
    from strategies.training.lora import LoraSettings


class Change(Protocol):
    """Begun when it is made, and undone at the end; what is to stay of it is saved before."""

    network: Any
    """What runs, to be set to training or to evaluation."""

    @property
    def weights(self) -> Sequence[torch.nn.Parameter]:
        """In float32, for the optimiser."""
        ...

    def running(self) -> AbstractContextManager[None]:
        """Around a pass of training."""
        ...

    def gather(self) -> None:
        """Before a step of the optimiser: bring the gradients to its weights."""
        ...

    def spread(self) -> None:
        """After it: bring its weights to the network."""
        ...

    def answering(self, head: LabelHead | None) -> AbstractContextManager[None]:
        """Around answers of the model as it has become; `head` weighs labels, where one is trained."""
        ...

    def save(self, folder: Path) -> None:
        """As `TransformersModel.use_adapter` takes it."""
        ...

    def undo(self) -> None:
        """The network is as it was before."""
        ...


class Adapter:
    """A fresh LoRA adapter. Its random start depends on the seed alone."""

    def __init__(self, model: TransformersModel, settings: LoraSettings) -> None:
        from peft import LoraConfig, get_peft_model

        model.use_adapter(None)
        torch.manual_seed(settings.seed)
        self.model = model
        self.network = get_peft_model(
            model.network,
            LoraConfig(
                r=settings.rank,
                lora_alpha=settings.alpha,
                use_rslora=settings.rslora,
                target_modules="all-linear",
                task_type="CAUSAL_LM",
                lora_dropout=0.0,
            ),
        )
        config = self.network.peft_config["default"]
        config.base_model_name_or_path = model.identity.name
        config.target_modules = sorted(config.target_modules)  # a set would be written in another order by each process
        if config.target_parameters:  # of the experts of a mixture, which are no modules of their own
            config.target_parameters = sorted(config.target_parameters)
        self.weights = [p for p in self.network.parameters() if p.requires_grad]

    def running(self) -> AbstractContextManager[None]:
        return fused(self.network)

    def gather(self) -> None:
        """They are there."""

    def spread(self) -> None:
        """They are the network's."""

    def answering(self, head: LabelHead | None) -> AbstractContextManager[None]:
        return self.model.merged(self.network, head)

    def save(self, folder: Path) -> None:
        self.network.save_pretrained(folder, save_embedding_layers=False)

    def undo(self) -> None:
        self.network.unload().eval()


class Linears:
    """The weights of all linear layers but the head over the vocabulary: those that an adapter would be added to.

    Narrower weights than float32 would lose most of a step, so the optimiser then has copies of its own. Which of the
    network's units are dropped while it learns, if any are, depends on the seed alone.
    """

    def __init__(self, model: TransformersModel, seed: int) -> None:
        model.use_adapter(None)
        torch.manual_seed(seed)
        self.model, self.network = model, model.network
        self._own = _linear_weights(model.network)
        self._before = [(weight, weight.detach().clone()) for weight in self._own.values()]
        for weight in self._own.values():
            weight.requires_grad_(True)
        self.weights = [
            weight if weight.dtype == torch.float32 else torch.nn.Parameter(weight.detach().float())
            for weight in self._own.values()
        ]

    def running(self) -> AbstractContextManager[None]:
        return nullcontext()

    def gather(self) -> None:
        for wide, own in self._copies():
            wide.grad = None if own.grad is None else own.grad.float()
            own.grad = None

    @torch.no_grad()
    def spread(self) -> None:
        for wide, own in self._copies():
            own.copy_(wide)

    def answering(self, head: LabelHead | None) -> AbstractContextManager[None]:
        self.network.eval()
        return self.model.changed(head)

    def save(self, folder: Path) -> None:
        tuned_weights.save(self._own, folder)

    def undo(self) -> None:
        for weight, before in self._before:
            weight.requires_grad_(False)
            weight.grad = None
            weight.data.copy_(before)
        self.network.eval()

    def _copies(self) -> list[tuple[torch.nn.Parameter, torch.nn.Parameter]]:
        return [(wide, own) for wide, own in zip(self.weights, self._own.values(), strict=True) if wide is not own]


def _linear_weights(network: Any) -> Mapping[str, torch.nn.Parameter]:
    """By their names in the network. GPT-2's linear layers are a class of their own."""
    from transformers.pytorch_utils import Conv1D

    head = network.get_output_embeddings()
    return {
        f"{place}.{name}": weight
        for place, module in network.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D) and module is not head
        for name, weight in module.named_parameters(recurse=False)
    }
