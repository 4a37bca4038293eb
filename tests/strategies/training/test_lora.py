"""Packed training is ordinary training, kept adapters are PEFT's, and the base model comes out as it went in."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.nn import functional

from eval.errors import NotApplicable, RequestError
from strategies.models.base import Prompt, Turn
from strategies.models.engine import packed_attention, tuned_weights
from strategies.models.transformers_lm import TransformersModel
from strategies.training import lora
from strategies.training.changes import Adapter, Change, Linears
from strategies.training.lora import Diverged, LoraSettings, TrainingLog, train_lora
from strategies.training.pace import Pace

QUICK = LoraSettings(rank=4, learning_rate=5e-3, epochs=3, batch_size=4, patience=99)
WHOLE = replace(QUICK, whole=True)
BOTH = pytest.mark.parametrize("settings", [QUICK, WHOLE], ids=["adapter", "whole"])


def pair(i: int) -> tuple[Prompt, str]:
    text = f"Invoice {i} " + "is far too high " * (i % 4)
    turns = (Turn("system", "Answer with one label."), Turn("user", text))
    return Prompt(turns, shared=1), ("billing dispute", "outage", "billing")[i % 3]


PAIRS = [pair(i) for i in range(12)]


@pytest.fixture
def model(exact_model: TransformersModel) -> Iterator[TransformersModel]:
    exact_model.use_adapter(None)
    yield exact_model
    exact_model.use_adapter(None)


def train(
    model: TransformersModel,
    folder: Path,
    settings: LoraSettings = QUICK,
    dev: Callable[[], float] = lambda: 0.0,
    **options: Any,
) -> TrainingLog:
    return train_lora(model, PAIRS, settings, folder, dev, **options)


def weights(model: TransformersModel) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.network.state_dict().items()}


@torch.inference_mode()
def logits(network: Any, model: TransformersModel) -> torch.Tensor:
    ids = torch.tensor([model.chat.tokens(PAIRS[3][0])])
    found: torch.Tensor = network(input_ids=ids).logits
    return found


@pytest.fixture
def randomised(model: TransformersModel) -> Iterator[Adapter]:
    """The network with an adapter whose gradients are all different from zero."""
    adapter = Adapter(model, QUICK)
    torch.manual_seed(3)
    for name, weight in adapter.network.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    yield adapter
    adapter.undo()


def gradients(wrapped: Any) -> dict[str, torch.Tensor]:
    found = {name: p.grad.clone() for name, p in wrapped.named_parameters() if p.grad is not None}
    wrapped.zero_grad(set_to_none=True)
    return found


def run_of(model: TransformersModel, change: Change, objective: Any, prefix: Any, rows: Any, folder: Path) -> Any:
    return lora._Run(
        model, change, objective, prefix, rows, [], QUICK, folder, None, lambda done, total: None, math.inf
    )


@pytest.mark.parametrize(("most_tokens", "stretch"), [(1, 128), (120, 128), (120, 7), (10_000, 128)])
@pytest.mark.parametrize("shared", [0, 1])
def test_packed_loss_and_gradients_equal_those_of_separate_rows(
    model: TransformersModel,
    randomised: Adapter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    most_tokens: int,
    stretch: int,
    shared: int,
) -> None:
    monkeypatch.setattr(packed_attention, "STRETCH", stretch)
    pairs = [(Prompt(prompt.turns, shared), answer) for prompt, answer in PAIRS]
    prefix, rows = lora.tokenised(model, pairs)
    assert bool(prefix) == bool(shared)
    run = run_of(model, randomised, lora._Answers(model), prefix, rows, tmp_path)
    packed = 0.0
    packs = lora.packs(rows, len(prefix), most_tokens)
    for pack in packs:
        loss = run._loss(pack)
        loss.backward()
        packed += float(loss.detach())
    ours = gradients(randomised.network)

    separate = 0.0
    for prompt, answer in pairs:
        start = model.chat.tokens(prompt)
        target = [*model.chat.answer_tokens(answer), model.chat.end_token]
        out = model.network(input_ids=torch.tensor([start + target])).logits[0, len(start) - 1 : -1]
        loss = functional.cross_entropy(out, torch.tensor(target), reduction="sum")
        loss.backward()
        separate += float(loss.detach())
    theirs = gradients(randomised.network)

    assert (len(packs) == len(rows)) == (most_tokens == 1)
    assert packed == pytest.approx(separate, rel=1e-5)
    assert ours.keys() == theirs.keys()
    assert len(ours) == 2 * 2 * 7  # A and B, two layers, all seven linear maps
    for name, gradient in ours.items():
        assert torch.allclose(gradient, theirs[name], rtol=1e-3, atol=1e-4 * float(theirs[name].abs().max())), name


@pytest.mark.parametrize("stretch", [128, 7])
def test_what_is_kept_for_the_gradient_does_not_grow_with_the_square_of_a_row_and_changes_nothing(
    model: TransformersModel, randomised: Adapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stretch: int
) -> None:
    monkeypatch.setattr(packed_attention, "STRETCH", stretch)
    prefix, rows = lora.tokenised(model, PAIRS)
    run = run_of(model, randomised, lora._Answers(model), prefix, rows, tmp_path)
    found, kept = [], []
    for most in (packed_attention.MOST_KEPT, 0):
        monkeypatch.setattr(packed_attention, "MOST_KEPT", most)
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t, sizes=sizes: (sizes.append(t.numel()), t)[1], lambda t: t
        ):
            loss = run._loss(rows)
        loss.backward()
        found.append(gradients(randomised.network))
        kept.append(sum(sizes))
    assert kept[1] < kept[0]
    for name, gradient in found[0].items():
        assert torch.equal(gradient, found[1][name]), name


def test_packs_hold_every_row_once_within_their_limit(model: TransformersModel) -> None:
    prefix, rows = lora.tokenised(model, PAIRS)
    packs = lora.packs(rows, len(prefix), 120)
    assert sorted(map(id, rows)) == sorted(id(row) for pack in packs for row in pack)
    assert all(len(prefix) + sum(len(row.tokens) for row in pack) <= 120 or len(pack) == 1 for pack in packs)


def test_only_the_answer_and_its_end_are_learnt(model: TransformersModel) -> None:
    prefix, rows = lora.tokenised(model, PAIRS)
    line = [*prefix, *(token for row in rows[:3] for token in row.tokens)]
    learnt = [line[i + 1] for i in lora.predicting(prefix, rows[:3])]
    expected = [(*model.chat.answer_tokens(answer), model.chat.end_token) for _, answer in PAIRS[:3]]
    assert learnt == [token for answer in expected for token in answer]


def test_every_epoch_sees_all_rows_in_an_order_of_its_own(model: TransformersModel) -> None:
    _, rows = lora.tokenised(model, PAIRS)
    first, again, second = (lora.epoch_batches(rows, 5, seed) for seed in (1, 1, 2))
    assert first == again != second
    assert [len(batch) for batch in first] == [5, 5, 2]
    assert sorted(map(id, rows)) == sorted(id(row) for batch in second for row in batch)


@BOTH
def test_training_lowers_the_loss(settings: LoraSettings, model: TransformersModel, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    log = train(model, tmp_path, settings, on_step=lambda done, total: steps.append((done, total)))
    losses = [epoch.train_loss for epoch in log.epochs]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.8 * losses[0]
    assert steps == [(i, 9) for i in range(1, 10)]
    assert (log.guard_fired, log.tokens > 0) == (False, True)


def test_the_last_epoch_before_answers_became_worse_is_kept(model: TransformersModel, tmp_path: Path) -> None:
    """By more than chance: the second loses little on the first."""
    qualities, seen = iter([0.5, 0.45, 0.3]), []

    def dev() -> float:
        seen.append(logits(model.network, model))
        return next(qualities)

    log = train(model, tmp_path, dev=dev)
    assert (log.best_epoch, [e.dev_quality for e in log.epochs]) == (2, [0.5, 0.45, 0.3])
    model.use_adapter(tmp_path)
    kept = logits(model.network, model)
    assert torch.allclose(kept, seen[1], atol=1e-4)
    assert not torch.allclose(kept, seen[0], atol=1e-2)
    assert not torch.allclose(kept, seen[2], atol=1e-2)


def test_the_loss_of_rows_not_learnt_from_is_told(model: TransformersModel, tmp_path: Path) -> None:
    settings = QUICK
    unlearnt = [(prompt, "somewhere else altogether") for prompt, _ in PAIRS[:3]]
    told = train_lora(model, PAIRS, settings, tmp_path / "a", lambda: 0.5, dev_pairs=unlearnt)
    same = train_lora(model, PAIRS, settings, tmp_path / "b", lambda: 0.5, dev_pairs=PAIRS)
    silent = train_lora(model, PAIRS, settings, tmp_path / "c", lambda: 0.5)
    assert [epoch.train_loss for epoch in told.epochs] == [epoch.train_loss for epoch in silent.epochs]
    assert all(epoch.dev_loss is None for epoch in silent.epochs)
    for mine, other in zip(same.epochs, told.epochs, strict=True):
        assert mine.dev_loss is not None
        assert other.dev_loss is not None
        assert mine.dev_loss < min(mine.train_loss * 1.1, other.dev_loss)
    assert (tmp_path / "a" / "adapter_model.safetensors").read_bytes() == (
        tmp_path / "c" / "adapter_model.safetensors"
    ).read_bytes()


def test_training_ends_when_answers_stay_worse_and_is_otherwise_whole(model: TransformersModel, tmp_path: Path) -> None:
    settings = LoraSettings(rank=4, epochs=4, patience=2)
    worse, level = iter([0.5, 0.3, 0.3]), iter([0.5, 1.0, 0.95, 0.9])
    ended = train(model, tmp_path / "a", settings, lambda: next(worse))
    assert (len(ended.epochs), ended.best_epoch) == (3, 1)
    whole = train(model, tmp_path / "b", settings, lambda: next(level))
    assert (len(whole.epochs), whole.best_epoch) == (4, 4)


def test_the_clock_ends_training_but_keeps_what_was_learnt(model: TransformersModel, tmp_path: Path) -> None:
    log = train(model, tmp_path, deadline=time.monotonic() - 1)
    assert (len(log.epochs), log.best_epoch, log.guard_fired) == (1, 1, True)
    assert (tmp_path / "adapter_model.safetensors").exists()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that stands still but for what a test adds to it."""
    hand = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(lora, "time", SimpleNamespace(monotonic=lambda: hand.now))
    return hand


SLOW = replace(QUICK, epochs=4, batch_size=1)
"""Twelve steps an epoch."""


def slowly(clock: SimpleNamespace, rates: list[float]) -> Callable[..., torch.Tensor]:
    """A loss that takes a second, once a step; learning rates are noted."""
    loss = lora._Run._loss

    def take(run: Any, pack: Any) -> torch.Tensor:
        clock.now += 1.0
        rates.append(run.optimizer.param_groups[0]["lr"])
        return loss(run, pack)

    return take


@pytest.mark.parametrize(("seconds", "fewest", "epochs"), [(60, 1, 4), (30, 1, 2), (30, 2, 2), (13, 1, 1)])
def test_training_that_turns_out_too_slow_is_planned_anew_and_comes_to_its_end(
    model: TransformersModel,
    clock: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    seconds: int,
    fewest: int,
    epochs: int,
) -> None:
    rates: list[float] = []
    totals: list[int] = []
    monkeypatch.setattr(lora._Run, "_loss", slowly(clock, rates))
    end = clock.now + seconds
    told = {"on_step": lambda done, total: totals.append(total), "fewest_epochs": fewest}
    log = train(model, tmp_path, SLOW, deadline=end, **told)
    assert (len(log.epochs), log.best_epoch, log.guard_fired) == (epochs, epochs, False)
    assert log.shortened_to == (epochs if epochs < 4 else None)
    assert totals[-1] == len(totals) == 12 * epochs
    assert rates[-1] < 0.15 * SLOW.learning_rate < 0.9 * SLOW.learning_rate < max(rates)


def test_training_that_was_slow_for_a_while_has_all_its_epochs(
    model: TransformersModel, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ten steps of two seconds and 38 of one are 58 seconds."""
    totals: list[int] = []
    loss = lora._Run._loss

    def take(run: Any, pack: Any) -> torch.Tensor:
        clock.now += 2.0 if run.done < 10 else 1.0
        return loss(run, pack)

    monkeypatch.setattr(lora._Run, "_loss", take)
    told = {"on_step": lambda done, total: totals.append(total), "fewest_epochs": 2}
    log = train(model, tmp_path, SLOW, deadline=clock.now + 64, **told)
    assert min(totals) < 48
    assert (len(log.epochs), log.guard_fired, log.shortened_to) == (4, False, None)


def test_an_epoch_that_will_not_end_in_time_is_not_planned_away_under_way(
    model: TransformersModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Pace, "last_epoch", lambda self, epoch, steps_left, now: epoch - 1)
    log = train(model, tmp_path, QUICK, deadline=time.monotonic() + 1000, fewest_epochs=1)
    assert (len(log.epochs), log.shortened_to) == (3, None)


@pytest.mark.parametrize("fewest", [None, 3])
def test_training_is_not_planned_anew_for_fewer_epochs_than_are_asked_for(
    model: TransformersModel,
    clock: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    fewest: int | None,
) -> None:
    monkeypatch.setattr(lora._Run, "_loss", slowly(clock, []))
    log = train(model, tmp_path, SLOW, deadline=clock.now + 30, fewest_epochs=fewest)
    assert (len(log.epochs), log.guard_fired, log.shortened_to) == (3, True, None)


@pytest.mark.parametrize("settings", [QUICK, replace(QUICK, rank=16, alpha=8, rslora=True)])
def test_a_kept_adapter_loads_with_peft_and_gives_the_same_logits(
    settings: LoraSettings, model: TransformersModel, tiny_model_folder: Path, tmp_path: Path
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    train(model, tmp_path, settings)
    plain = AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.float32)
    base = logits(plain, model)
    theirs = logits(PeftModel.from_pretrained(plain, tmp_path), model)
    model.use_adapter(tmp_path)
    ours = logits(model.network, model)
    assert torch.allclose(ours, theirs, atol=1e-3)
    assert not torch.allclose(ours, base, atol=0.1)
    assert {p.name for p in tmp_path.iterdir()} == {"README.md", "adapter_config.json", "adapter_model.safetensors"}


def of_architecture(model: TransformersModel, model_type: str, **options: Any) -> TransformersModel:
    """A random network of another architecture with the tiny model's tokenizer, in float32."""
    from transformers import AutoConfig, AutoModelForCausalLM

    own = model.network.config
    sizes = {name: getattr(own, name) for name in ("vocab_size", "hidden_size", "intermediate_size")}
    sizes |= {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    sizes |= {"max_position_embeddings": 512, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    torch.manual_seed(1)
    network = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **sizes | options))
    network.float().eval().requires_grad_(False)
    return TransformersModel(model.identity, network, model.tokenizer, model.device)


def test_experts_of_a_mixture_are_adapted_as_peft_does_and_leave_no_trace(
    model: TransformersModel, tmp_path: Path
) -> None:
    from peft import PeftModel

    mixture = of_architecture(model, "mixtral", num_local_experts=4)
    before = weights(mixture)
    log = train(mixture, tmp_path / "a", dev=lambda: 1.0)
    assert log.epochs[-1].train_loss < log.epochs[0].train_loss
    assert json.loads((tmp_path / "a" / "adapter_config.json").read_text())["target_parameters"] == [
        "down_proj",
        "gate.weight",
        "gate_up_proj",
    ]
    mixture.use_adapter(tmp_path / "a")
    merged = logits(mixture.network, mixture)
    mixture.use_adapter(None)
    assert all(torch.equal(weight, before[name]) for name, weight in mixture.network.state_dict().items())
    assert not torch.allclose(merged, logits(mixture.network, mixture), atol=1e-3)
    plain = PeftModel.from_pretrained(of_architecture(model, "mixtral", num_local_experts=4).network, tmp_path / "a")
    assert torch.allclose(logits(plain.eval(), mixture), merged, atol=1e-4)


def test_linear_layers_of_gpt_2_are_tuned_whole_too(model: TransformersModel, tmp_path: Path) -> None:
    older = of_architecture(model, "gpt2", n_embd=32, n_head=4, n_layer=2, n_positions=512)
    before = weights(older)
    log = train(older, tmp_path / "w", WHOLE)
    assert log.epochs[-1].train_loss < log.epochs[0].train_loss
    assert all(torch.equal(weight, before[name]) for name, weight in older.network.state_dict().items())
    older.use_adapter(tmp_path / "w")
    changed = {name for name, weight in older.network.state_dict().items() if not torch.equal(weight, before[name])}
    assert {"transformer.h.0.attn.c_attn.weight", "transformer.h.1.mlp.c_proj.weight"} <= changed
    assert not {name for name in changed if "wte" in name or "ln_" in name}


@pytest.mark.parametrize("whole", [False, True])
def test_what_is_dropped_while_learning_depends_on_the_seed_and_nothing_is_afterwards(
    whole: bool, model: TransformersModel, tmp_path: Path
) -> None:
    older = of_architecture(model, "gpt2", n_embd=32, n_head=4, n_layer=2, n_positions=512)
    assert older.network.config.resid_pdrop > 0
    settings = LoraSettings(whole=whole, epochs=1, seed=3)
    once, again = (
        train_lora(older, [pair(i) for i in range(8)], settings, tmp_path / name, None).epochs for name in ("a", "b")
    )
    assert once == again
    with pytest.raises(Diverged):
        train_lora(older, [pair(0)], replace(settings, learning_rate=float("inf"), epochs=2), tmp_path / "c", None)
    assert not older.network.training


@BOTH
def test_a_loss_that_stays_above_the_untrained_models_diverges(
    settings: LoraSettings, tiny_model: TransformersModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it is a number; the tiny model is too small to be ruined, so that less counts as ruin."""
    still = replace(settings, learning_rate=1e-9, epochs=4)
    whole = train(tiny_model, tmp_path / "whole", still)
    monkeypatch.setattr(lora, "RUINED", 0.9)
    with pytest.raises(Diverged, match="at a learning rate of 1e-09") as failure:
        train(tiny_model, tmp_path / "ruined", still)
    assert failure.value.tokens == whole.tokens * 3 / 4, "half of the epochs may be a beginning"
    assert len(train(tiny_model, tmp_path / "learnt", replace(settings, epochs=4)).epochs) == 4


@BOTH
def test_base_weights_are_untouched_by_training(
    settings: LoraSettings, tiny_model: TransformersModel, tmp_path: Path
) -> None:
    tiny_model.use_adapter(None)
    before, answers = weights(tiny_model), tiny_model.score_labels([PAIRS[0][0]], ["billing", "outage"])
    train(tiny_model, tmp_path, settings)
    tiny_model.use_adapter(tmp_path)
    assert tiny_model.score_labels([PAIRS[0][0]], ["billing", "outage"]) != answers
    tiny_model.use_adapter(None)
    after = weights(tiny_model)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert tiny_model.score_labels([PAIRS[0][0]], ["billing", "outage"]) == answers
    assert not any(p.requires_grad for p in tiny_model.network.parameters())


@BOTH
def test_base_weights_are_untouched_by_training_that_fails(
    settings: LoraSettings, model: TransformersModel, tmp_path: Path
) -> None:
    def crash() -> float:
        raise MemoryError("out of memory")

    before = weights(model)
    with pytest.raises(MemoryError):
        train(model, tmp_path, settings, dev=crash)
    after = weights(model)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_gradients_of_the_weights_equal_those_of_separate_rows(model: TransformersModel, tmp_path: Path) -> None:
    prefix, rows = lora.tokenised(model, PAIRS)
    change = Linears(model, seed=0)
    run = run_of(model, change, lora._Answers(model), prefix, rows, tmp_path)
    for pack in lora.packs(rows, len(prefix)):
        run._loss(pack).backward()
    ours = gradients(model.network)
    for prompt, answer in PAIRS:
        start = model.chat.tokens(prompt)
        target = [*model.chat.answer_tokens(answer), model.chat.end_token]
        out = model.network(input_ids=torch.tensor([start + target])).logits[0, len(start) - 1 : -1]
        functional.cross_entropy(out, torch.tensor(target), reduction="sum").backward()
    theirs = gradients(model.network)
    change.undo()
    assert len(ours) == 2 * 7  # two layers, all seven linear maps
    assert ours.keys() == theirs.keys()
    for name, gradient in ours.items():
        assert torch.allclose(gradient, theirs[name], rtol=1e-3, atol=1e-4 * float(theirs[name].abs().max())), name


def test_kept_weights_are_those_that_were_trained_and_leave_no_trace(model: TransformersModel, tmp_path: Path) -> None:
    reached: list[torch.Tensor] = []

    def look() -> float:
        reached.append(logits(model.network, model).clone())
        return float(len(reached))

    base = logits(model.network, model).clone()
    train(model, tmp_path, WHOLE, look)
    assert {p.name for p in tmp_path.iterdir()} == {"weights.safetensors"}
    model.use_adapter(tmp_path)
    ours = logits(model.network, model)
    assert (ours - reached[-1]).abs().mean() < 0.05 < (ours - base).abs().mean(), "they are kept in bfloat16"
    model.use_adapter(None)
    assert torch.equal(logits(model.network, model), base)


def test_narrow_weights_are_trained_by_wide_copies(tiny_model_folder: Path, tmp_path: Path) -> None:
    """In bfloat16 alone a step of a hundred-thousandth would change nothing."""
    narrow = TransformersModel.load("tiny", tiny_model_folder, device="cpu")
    narrow.network.to(torch.bfloat16)
    log = train(narrow, tmp_path, replace(WHOLE, learning_rate=1e-3))
    assert log.epochs[-1].train_loss < 0.95 * log.epochs[0].train_loss
    assert {p.dtype for p in narrow.network.parameters()} == {torch.bfloat16}


def test_weights_of_another_model_are_refused(model: TransformersModel, tmp_path: Path) -> None:
    tuned_weights.save({"model.layers.9.mlp.up_proj.weight": torch.zeros(2, 2)}, tmp_path / "other")
    with pytest.raises(RequestError, match=r"another model's: model\.layers\.9"):
        model.use_adapter(tmp_path / "other")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "weights.safetensors").write_bytes(b"{}")
    with pytest.raises(RequestError, match="cannot be read"):
        model.use_adapter(tmp_path / "broken")


def test_the_seed_decides_the_adapter(tiny_model: TransformersModel, tmp_path: Path) -> None:
    def adapter(name: str, seed: int) -> dict[str, bytes]:
        torch.rand(5)  # what happened before must not matter
        train(tiny_model, tmp_path / name, LoraSettings(rank=4, epochs=2, seed=seed))
        return {p.name: p.read_bytes() for p in (tmp_path / name).iterdir()}

    first = adapter("first", 0)
    assert adapter("again", 0) == first
    assert adapter("other", 1)["adapter_model.safetensors"] != first["adapter_model.safetensors"]


def test_rows_longer_than_the_context_are_left_out(model: TransformersModel, tmp_path: Path) -> None:
    long = (Prompt((Turn("system", "Answer with one label."), Turn("user", "word " * 2000)), 1), "billing")
    assert len(lora.tokenised(model, [*PAIRS, long])[1]) == len(PAIRS)
    assert train_lora(model, [*PAIRS, long], QUICK, tmp_path, lambda: 0.0).rows == len(PAIRS)
    with pytest.raises(NotApplicable, match="no training example fits"):
        train_lora(model, [long], QUICK, tmp_path, lambda: 0.0)


def test_training_that_diverges_at_once_says_so(model: TransformersModel, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="diverged"):
        train(model, tmp_path / "adapter", LoraSettings(rank=4, learning_rate=1e30, epochs=1, batch_size=2))


# ---- a head that weighs labels ---------------------------------------------------------------------------------------

LABELS = ("billing", "billing dispute", "outage")


@pytest.mark.parametrize("most_tokens", [1, 120, 10_000])
@pytest.mark.parametrize("shared", [0, 1])
def test_a_heads_loss_and_gradients_equal_those_of_separate_rows(
    model: TransformersModel, randomised: Adapter, tmp_path: Path, most_tokens: int, shared: int
) -> None:
    pairs = [(Prompt(prompt.turns, shared), answer) for prompt, answer in PAIRS]
    prefix, rows = lora.tokenised(model, pairs, LABELS)
    objective = lora._Labels(model, LABELS)
    torch.manual_seed(4)
    for parameter in objective.parameters:
        torch.nn.init.normal_(parameter, std=0.1)
    run = run_of(model, randomised, objective, prefix, rows, tmp_path)
    packed = 0.0
    for pack in lora.packs(rows, len(prefix), most_tokens):
        loss = run._loss(pack)
        loss.backward()
        packed += float(loss.detach())
    ours = {**gradients(randomised.network), **{str(i): p.grad.clone() for i, p in enumerate(objective.parameters)}}
    for parameter in objective.parameters:
        parameter.grad = None

    separate = 0.0
    for prompt, answer in pairs:
        hidden = model.network.base_model(input_ids=torch.tensor([model.chat.tokens(prompt)])).last_hidden_state[0, -1:]
        target = torch.tensor([LABELS.index(answer)])
        loss = functional.cross_entropy(functional.linear(hidden, *objective.parameters), target)
        loss.backward()
        separate += float(loss.detach())
    theirs = {**gradients(randomised.network), **{str(i): p.grad for i, p in enumerate(objective.parameters)}}
    assert packed == pytest.approx(separate, rel=1e-5)
    assert ours.keys() == theirs.keys()
    assert len(ours) == 2 * 2 * 7 + 2
    for name, gradient in ours.items():
        assert torch.allclose(gradient, theirs[name], rtol=1e-3, atol=1e-4 * float(theirs[name].abs().max())), name


def test_a_kept_head_weighs_labels_as_it_was_trained_to(model: TransformersModel, tmp_path: Path) -> None:
    seen = []
    words = ("invoice", "quarrel", "darkness")
    asked = [Prompt((Turn("system", "Sort."), Turn("user", f"{words[i % 3]} {i}")), 1) for i in range(12)]
    pairs = [(prompt, LABELS[i % 3]) for i, prompt in enumerate(asked)]
    prompts = [prompt for prompt, _ in pairs]

    def dev() -> float:
        seen.append(model.score_labels(prompts, LABELS))
        return len(seen) / 10

    settings = LoraSettings(rank=4, learning_rate=2e-2, epochs=8, batch_size=4)
    log = train_lora(model, pairs, settings, tmp_path, dev, labels=LABELS)
    assert log.epochs[-1].train_loss < 0.5 < log.epochs[0].train_loss
    before = model.score_labels(prompts, LABELS)
    model.use_adapter(tmp_path)
    kept = model.score_labels(prompts, LABELS)
    for one, other, base, prompt in zip(kept, seen[-1], before, prompts, strict=True):
        assert one.log_likelihoods == pytest.approx(other.log_likelihoods, abs=1e-3)
        assert sum(map(math.exp, one.log_likelihoods)) == pytest.approx(1.0)
        assert one.log_likelihoods != pytest.approx(base.log_likelihoods, abs=0.1)
        assert one.usage.input_tokens == len(model.chat.tokens(prompt)), "no token of a label is read"
    answers = [LABELS[max(range(3), key=one.log_likelihoods.__getitem__)] for one in kept]
    assert sum(a == right for a, (_, right) in zip(answers, pairs, strict=True)) >= 10
    turned = model.score_labels(prompts, LABELS[::-1])
    assert [one.log_likelihoods[::-1] for one in turned] == [one.log_likelihoods for one in kept]
    model.use_adapter(None)
    assert model.score_labels(prompts, LABELS) == before


def test_other_words_than_its_labels_are_weighed_as_words(model: TransformersModel, tmp_path: Path) -> None:
    train(model, tmp_path, labels=LABELS)
    model.use_adapter(tmp_path)
    (with_head,) = model.score_labels([PAIRS[0][0]], ["outage", "Paris"])
    (tmp_path / "label_head.safetensors").unlink()
    model.use_adapter(None)
    model.use_adapter(tmp_path)
    (without,) = model.score_labels([PAIRS[0][0]], ["outage", "Paris"])
    assert with_head == without


def test_a_head_does_not_learn_from_answers_that_are_no_label(model: TransformersModel) -> None:
    strange = [(prompt, "something else") for prompt, _ in PAIRS[:2]]
    _, rows = lora.tokenised(model, [*PAIRS, *strange], LABELS)
    assert [row.label for row in rows] == [LABELS.index(answer) for _, answer in PAIRS]


def test_a_head_says_which_prompts_are_too_long(model: TransformersModel, tmp_path: Path) -> None:
    train(model, tmp_path, labels=LABELS)
    model.use_adapter(tmp_path)
    long = Prompt((Turn("user", "word " * 2000),))
    short, failed = model.score_labels([PAIRS[0][0], long], LABELS)
    assert (short.error, failed.log_likelihoods) == (None, ())
    assert "overflows the context" in str(failed.error)


def test_the_seed_decides_adapter_and_head(tiny_model: TransformersModel, tmp_path: Path) -> None:
    for name in ("first", "again"):
        torch.rand(5)
        train(tiny_model, tmp_path / name, labels=LABELS)
    files = {p.name for p in (tmp_path / "first").iterdir()}
    assert {"adapter_model.safetensors", "label_head.safetensors"} <= files
    for file in files:
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "again" / file).read_bytes(), file


def test_an_adapter_that_is_not_whole_is_refused_and_leaves_the_network_as_it_was(
    model: TransformersModel, tmp_path: Path
) -> None:
    train(model, tmp_path)
    file, base = tmp_path / "adapter_model.safetensors", logits(model.network, model).clone()
    tensors = load_file(file)
    save_file({name: tensors[name] for name in sorted(tensors)[::2]}, file, {"format": "pt"})
    with pytest.raises(RequestError, match=r"is not whole: adapter_model\.safetensors lacks base_model"):
        model.use_adapter(tmp_path)
    torch.save(tensors, tmp_path / "adapter_model.bin")
    file.unlink()
    with pytest.raises(RequestError, match=r"adapter_model\.safetensors is missing"):
        model.use_adapter(tmp_path)
    assert torch.equal(logits(model.network, model), base)
    save_file(tensors, file, {"format": "pt"})
    model.use_adapter(tmp_path)
    assert not torch.equal(logits(model.network, model), base)


def test_a_head_that_cannot_be_read_leaves_the_network_as_it_was(model: TransformersModel, tmp_path: Path) -> None:
    train(model, tmp_path)
    base = logits(model.network, model).clone()
    (tmp_path / "label_head.safetensors").write_bytes(b"damaged")
    with pytest.raises(SafetensorError):
        model.use_adapter(tmp_path)
    model.use_adapter(None)
    assert torch.equal(logits(model.network, model), base)
