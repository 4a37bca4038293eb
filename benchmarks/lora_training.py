"""LoRA training tokens per second: ours and TRL's SFTTrainer on the same rows, and the loss on rows that neither saw.

    python benchmarks/lora_training.py [--device cpu] [--count 200] [--no-peer]

One epoch over N voice commands, r = 8 on all linear layers, batches of 8, learning rate 2e-4. Tokens are those of the
work (prompt and answer of every row), whatever each side makes of them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from common import (
    default_model,
    last_line,
    machine,
    peer_work,
    peers_python,
    peers_root,
    plain_network,
    read_rows,
    tasks_root,
    timed,
)

HELD_OUT = 100
PEER = """
import runpy, sys, trl
script, adapter, *sys.argv[1:] = sys.argv[1:]
train = trl.SFTTrainer.train
def train_and_save(self, *arguments, **options):
    result = train(self, *arguments, **options)
    self.save_model(adapter)
    return result
trl.SFTTrainer.train = train_and_save
runpy.run_path(script, run_name="__main__")
"""
"""Runs the peer's script as it is, and keeps the adapter it would throw away."""


def main() -> None:
    """Measure, compare, print."""
    from strategies.models.base import Prompt, Turn
    from strategies.training.lora import LoraSettings, train_lora

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--count", default="200")
    parser.add_argument("--no-peer", action="store_true")
    arguments = parser.parse_args()
    device, folder, model = default_model(arguments.device)
    work = peer_work("train_trl.py", arguments.count)
    pairs = [(Prompt(tuple(Turn(**t) for t in row["prompt"]), 1), row["completion"][0]["content"]) for row in work]
    tokens = sum(len(chat_tokens(model, row["prompt"] + row["completion"])) for row in work)
    settings = LoraSettings(rank=8, alpha=16, learning_rate=2e-4, epochs=1)
    system = work[0]["prompt"][0]
    held_out = [
        [system, {"role": "user", "content": row["input"]}, {"role": "assistant", "content": row["output"]}]
        for row in read_rows(tasks_root() / "voice_command_to_json" / "holdout.jsonl")[:HELD_OUT]
    ]
    with tempfile.TemporaryDirectory() as scratch:
        ours, theirs = Path(scratch, "ours"), Path(scratch, "theirs")
        train_lora(model, pairs[:16], settings, ours, None)
        log, seconds = timed(lambda: train_lora(model, pairs, settings, ours, None), device)
        result = {
            "machine": machine(device),
            "rows": len(pairs),
            "tokens": tokens,
            "ours_tokens_per_second": tokens / seconds,
            "ours_read_per_second": log.tokens / seconds,
            "ours_held_out_loss": held_out_loss(folder, ours, held_out, model, device),
        }
        python = peers_python()
        if python and device == "cpu" and not arguments.no_peer:
            script = str(peers_root() / "train_trl.py")
            peer = last_line([python, "-c", PEER, script, str(theirs), str(folder), arguments.count])
            result["trl_tokens_per_second"] = peer["tokens_per_second"]
            result["trl_held_out_loss"] = held_out_loss(folder, theirs, held_out, model, device)
            result["times_trl"] = result["ours_tokens_per_second"] / peer["tokens_per_second"]
    parameters = sum(p.numel() for n, p in model.network.named_parameters() if "embed" not in n)
    head = model.network.get_output_embeddings().weight.numel()
    answers = sum(len(model.chat.answer_tokens(answer)) + 1 for _, answer in pairs)
    work_done = 4 * (log.tokens * parameters + answers * head)  # forward, and backward to the inputs: frozen weights
    result["flop_per_second"] = work_done / seconds
    print(json.dumps(result))


def chat_tokens(model: Any, turns: list[dict[str, str]], **options: Any) -> list[int]:
    """A chat under the model's template."""
    return list(model.tokenizer.apply_chat_template(turns, tokenize=True, return_dict=True, **options)["input_ids"])


def held_out_loss(folder: Path, adapter: Path, chats: list[list[dict[str, str]]], model: Any, device: str) -> float:
    """Mean cross-entropy of the answers' tokens, end included, computed by transformers and PEFT alone."""
    import torch
    from peft import PeftModel

    network = PeftModel.from_pretrained(plain_network(folder, device), adapter).eval()
    total = count = 0.0
    for chat in chats:
        start = chat_tokens(model, chat[:-1], add_generation_prompt=True)
        answer = [*model.tokenizer.encode(chat[-1]["content"], add_special_tokens=False), model.chat.end_token]
        ids = torch.tensor([[*start, *answer]], device=device)
        with torch.inference_mode():
            steps = network(input_ids=ids).logits[0, len(start) - 1 : -1].float().log_softmax(-1)
        total -= float(steps[range(len(answer)), answer].sum())
        count += len(answer)
    return total / count


if __name__ == "__main__":
    main()
