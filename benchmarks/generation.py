"""Answers written per second: ours and plain `model.generate` in batches of 16, on the same few-shot prompts.

    python benchmarks/generation.py [--device cpu] [--count 200] [--alone 40]

Voice commands with eight demonstrations, greedy, at most 60 tokens. In bfloat16 outputs depend on the batch, since ties
break by rounding: so where ours and plain part, float32 says which of the two next tokens is likelier and by how much,
and `--alone` rows are also generated plainly one by one, to say how far plain agrees with itself.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from common import default_model, machine, padded, plain_network, read_rows, tasks_root, timed

SHOTS, MOST_TOKENS, BATCH = 8, 60, 16


def main() -> None:
    """Measure, compare, print."""
    from strategies.models.base import Decoding, Prompt, Turn

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--alone", type=int, default=40)
    arguments = parser.parse_args()
    device, folder, model = default_model(arguments.device)
    task = tasks_root() / "voice_command_to_json"
    description = json.loads((task / "task.json").read_text())["description"]
    examples, holdout = (read_rows(task / f"{part}.jsonl") for part in ("examples", "holdout"))
    shown = [
        turn for row in examples[:SHOTS] for turn in (Turn("user", row["input"]), Turn("assistant", row["output"]))
    ]
    fixed = (Turn("system", description), *shown)
    asked = [Prompt((*fixed, Turn("user", row["input"])), len(fixed)) for row in holdout[: arguments.count]]

    def write() -> list[list[int]]:
        found = model.generate(asked, Decoding(MOST_TOKENS))
        return [model.tokenizer.encode(c.text, add_special_tokens=False) for c in found]

    model.generate([Prompt((Turn("user", f"Warm up, {i}."),), 0) for i in range(BATCH)], Decoding(4))
    ours, seconds = timed(write, device)
    network = plain_network(folder, device)
    prompts = [model.chat.tokens(prompt) for prompt in asked]
    stop = sorted(model.engine.stop_tokens)
    raw, plain_seconds = timed(lambda: plainly(network, prompts, BATCH, stop), device)
    plain = normal(model, raw)
    alone = normal(model, plainly(network, prompts[: arguments.alone], 1, stop))
    count = len(asked)
    exact = plain_network(folder, device, exact=True)
    gaps = [
        gap(exact, prompt, one, other) for prompt, one, other in zip(prompts, ours, plain, strict=True) if one != other
    ]
    print(
        json.dumps(
            {
                "machine": machine(device),
                "prompts": count,
                "tokens_written": sum(map(len, ours)),
                "ours_per_second": count / seconds,
                "ours_tokens_per_second": sum(map(len, ours)) / seconds,
                "plain_per_second": count / plain_seconds,
                "times_plain": plain_seconds / seconds,
                "same_as_plain": sum(a == b for a, b in zip(ours, plain, strict=True)) / count,
                "plain_same_as_itself_one_by_one": sum(a == b for a, b in zip(alone, plain, strict=False)) / len(alone),
                "where_they_part": {
                    "rows": len(gaps),
                    "float32_prefers_ours": sum(gap > 0 for gap in gaps),
                    "median_gap": sorted(map(abs, gaps))[len(gaps) // 2] if gaps else 0.0,
                    "most_in_favour_of_ours": max(gaps, default=0.0),
                    "most_in_favour_of_plain": -min(gaps, default=0.0),
                },
            }
        )
    )


def plainly(network: Any, prompts: list[list[int]], batch: int, stop: list[int]) -> list[list[int]]:
    """What `generate` writes after each prompt, stop token and padding included."""
    import torch

    found = []
    for start in range(0, len(prompts), batch):
        ids, mask = (t.to(network.device) for t in padded(prompts[start : start + batch], stop[0], left=True))
        options = {"max_new_tokens": MOST_TOKENS, "do_sample": False, "eos_token_id": stop, "pad_token_id": stop[0]}
        with torch.inference_mode():
            found += network.generate(ids, attention_mask=mask, **options)[:, ids.shape[1] :].tolist()
    return found


def normal(model: Any, rows: list[list[int]]) -> list[list[int]]:
    """The tokens of the texts that were written, up to the stop token."""
    ends = [next((i for i, t in enumerate(row) if t in model.engine.stop_tokens), len(row)) for row in rows]
    texts = [model.tokenizer.decode(row[:end], skip_special_tokens=True) for row, end in zip(rows, ends, strict=True)]
    return [model.tokenizer.encode(text.strip(), add_special_tokens=False) for text in texts]


def gap(network: Any, prompt: list[int], one: list[int], other: list[int]) -> float:
    """Nats by which the first continuation is likelier at the token where the two part; a stop counts as a token."""
    import torch

    same = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    stop = network.generation_config.eos_token_id
    stop = stop[0] if isinstance(stop, list) else stop
    first, second = (row[same] if same < len(row) else stop for row in (one, other))
    with torch.inference_mode():
        logits = network(input_ids=torch.tensor([prompt + one[:same]], device=network.device)).logits[0, -1].float()
    return float(logits[first] - logits[second])


if __name__ == "__main__":
    main()
