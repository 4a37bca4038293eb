"""Would tuning all weights beat an adapter? Scored on holdout rows, of which none was seen.

    python benchmarks/full_tuning.py [--tasks a,b] [--rows 40,120] [--passes 16] [--rates 1e-4] [--limit 200]
                                     [--device auto]

For each task all weights of the default model are trained on some of the examples, drawn, as LoRA trains its adapter:
the same prompts, batches, loss and course of the learning rate. A line of JSON for each fit, to be read beside those of
benchmarks/lora_passes.py with the same --rows, --passes and --limit: the rows of examples and holdout are the same.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import torch
from common import drawn, machine, tasks_root
from lora_passes import examples_of
from torch.nn import functional

from advisor.cli import quieten_libraries
from eval.contracts import Example, Task
from eval.reading.documents import read_documents
from eval.tasks import complete, read_task
from strategies.answers import canonical
from strategies.base import Workshop
from strategies.finetuning import BATCH_ROWS, Lora, LoraRag
from strategies.models.base import Prompt
from strategies.models.devices import pick_device
from strategies.models.packing import line_up
from strategies.models.shelf import ModelShelf
from strategies.models.transformers_lm import TransformersModel
from strategies.pipeline import Pipeline
from strategies.training.lora import LoraSettings, course_of_rate, epoch_batches, packs, predicting, tokenised
from strategies.tuning import quality


def main() -> None:
    """Train, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default="voice_command_to_json,spoken_question_cleanup")
    parser.add_argument("--rows", default="40")
    parser.add_argument("--passes", default="16")
    parser.add_argument("--rates", default="1e-4")
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    quieten_libraries()
    where = machine(pick_device(arguments.device).type)
    numbers = (map(int, arguments.rows.split(",")), map(int, arguments.passes.split(",")))
    for name, rows, passes, rate in product(
        arguments.tasks.split(","), *numbers, map(float, arguments.rates.split(","))
    ):
        shelf = ModelShelf(arguments.device)  # the weights are changed for good
        found = tune_and_score(tasks_root() / name, rows, passes, rate, arguments.limit, shelf)
        told = {"task": name, "examples": rows, "passes": passes, "learning_rate": rate}
        print(json.dumps({**told, **found, "machine": where}), flush=True)


def tune_and_score(folder: Path, rows: int, passes: int, rate: float, limit: int, shelf: ModelShelf) -> dict[str, Any]:
    """The quality reached on the holdout, and what the fit took."""
    examples, holdout = (examples_of(folder / f"{part}.jsonl") for part in ("examples", "holdout"))
    task, pipeline, pairs = prepared(folder, drawn(examples, rows), shelf)
    start = time.perf_counter()
    losses = tune(pipeline.model, pairs, passes, rate)
    seconds = time.perf_counter() - start
    judged = drawn(holdout, limit)
    with torch.inference_mode():
        reached = quality(task, pipeline, judged)
    return {"quality": round(reached, 4), "rows": len(judged), "seconds": round(seconds), "losses": losses}


def prepared(folder: Path, train: list[Example], shelf: ModelShelf) -> tuple[Task, Pipeline, list[tuple[Prompt, str]]]:
    """The task, what LoRA would answer with but for its adapter, and what it would learn from."""
    corpus = folder / "corpus.jsonl"
    documents = read_documents(corpus).documents if corpus.exists() else ()
    task, _ = complete(read_task(str(folder / "task.json")), train, has_documents=bool(documents))
    strategy = LoraRag() if documents else Lora()
    with tempfile.TemporaryDirectory() as scratch:
        workshop = Workshop(shelf.language_model(), shelf.embedder(), documents, Path(scratch))
        pipeline = strategy._pipeline(task, train, workshop)
    prompts = pipeline.prompts([e.input for e in train], unseen=False)
    return task, pipeline, [(p, canonical(e.target, pipeline.answers)) for p, e in zip(prompts, train, strict=True)]


def tune(model: Any, pairs: list[tuple[Prompt, str]], passes: int, rate: float) -> list[float]:
    """Train all weights of the model, in place; the mean loss per answer token of each pass."""
    if not isinstance(model, TransformersModel):
        raise TypeError("the weights of this model are not at hand")
    prefix, rows = tokenised(model, pairs)
    network, settings = model.network, LoraSettings(epochs=passes, learning_rate=rate, batch_size=BATCH_ROWS)
    network.float().requires_grad_(True).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.0)
    steps, losses, done = passes * -(-len(rows) // BATCH_ROWS), [], 0
    for number in range(1, passes + 1):
        total = 0.0
        for batch in epoch_batches(rows, BATCH_ROWS, seed=number):
            answers = sum(row.answer for row in batch)
            for group in optimizer.param_groups:
                group["lr"] = rate * course_of_rate(done, steps, settings.warmup)
            for pack in packs(batch, len(prefix)):
                layout = line_up(prefix, [row.tokens for row in pack], model.device)
                places = torch.tensor(predicting(prefix, pack), device=model.device)
                logits = network(**layout.inputs, logits_to_keep=places).logits[0]
                loss = functional.cross_entropy(logits.float(), layout.tokens[places + 1], reduction="sum")
                torch.autograd.backward(loss / answers)
                total += float(loss.detach())
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            done += 1
        losses.append(round(total / sum(row.answer for row in rows), 4))
    network.eval().requires_grad_(False)
    model.forget_prefix()
    return losses


if __name__ == "__main__":
    main()
