"""Labels weighed per second: ours, lm-evaluation-harness and plain transformers on the same strings.

    python benchmarks/label_scoring.py [--device cpu] [--count 100] [--no-peer] [--exact]

The work is that of the peer's script: N banking messages, ten labels, five demonstrations in the prompt, done once,
tokenisation included. Ours also weighs each label's end token, which the harness does not. `--exact` compares with
float32 besides.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from common import default_model, machine, padded, peer_work, plain_network, run_peer, timed

SHOTS = "5"
BATCH = 16
WARM_UP = 16


def main() -> None:
    """Measure, compare, print."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--count", default="100")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--exact", action="store_true")
    arguments = parser.parse_args()
    device, folder, model = default_model(arguments.device)
    work = peer_work("score_lm_eval.py", SHOTS, arguments.count)

    def weigh(work: dict[str, Any]) -> list[list[float]]:
        with torch.inference_mode():
            return [found.log_likelihoods for found in model.engine.weigh(*tokens(work, model.tokenizer))]

    weigh({**work, "prefix": "Another work, to warm up.\n\n", "queries": work["queries"][:WARM_UP]})
    ours, seconds = timed(lambda: weigh(work), device)
    prefix, rows, labels = tokens(work, model.tokenizer)
    sequences = [[*prefix, *row, *label, model.chat.end_token] for row in rows for label in labels]
    lengths = [len(label) + 1 for _ in rows for label in labels]
    network = plain_network(folder, device)
    plain, plain_seconds = timed(lambda: plain_scores(network, sequences, lengths), device)
    peer = (
        None
        if arguments.no_peer or device != "cpu"
        else run_peer("score_lm_eval.py", str(folder), SHOTS, arguments.count)
    )
    count = len(rows)
    result = {
        "machine": machine(device),
        "messages": count,
        "ours_per_second": count / seconds,
        "plain_per_second": count / plain_seconds,
        "times_plain": plain_seconds / seconds,
        **agreement("plain", torch.tensor(ours), plain.view(count, -1)),
        "accuracy": sum(row.index(max(row)) == wanted for row, wanted in zip(ours, work["targets"], strict=True))
        / count,
    }
    if peer:
        result |= {"lm_eval_per_second": peer["messages_per_second"], "lm_eval_accuracy": peer["accuracy"]}
        result["times_lm_eval"] = result["ours_per_second"] / peer["messages_per_second"]
    if arguments.exact:
        exact = plain_scores(plain_network(folder, device, exact=True), sequences, lengths).view(count, -1)
        result |= agreement("float32", torch.tensor(ours), exact)
        result |= agreement("plain_to_float32", plain.view(count, -1), exact)
    print(json.dumps(result))


def tokens(work: dict[str, Any], tokenizer: Any) -> tuple[tuple[int, ...], list[list[int]], list[list[int]]]:
    """The shared tokens, each message's own, and the labels'."""
    whole = [tokenizer.encode(work["prefix"] + query, add_special_tokens=False) for query in work["queries"]]
    shared = tokenizer.encode(work["prefix"], add_special_tokens=False)
    while any(row[: len(shared)] != shared for row in whole):
        shared.pop()
    labels = [tokenizer.encode(label, add_special_tokens=False) for label in work["labels"]]
    return tuple(shared), [row[len(shared) :] for row in whole], labels


def plain_scores(network: Any, sequences: list[list[int]], lengths: list[int]) -> Any:
    """Log-likelihood of the last `lengths` tokens of each sequence, one forward pass a sequence, in batches."""
    import torch

    found = []
    for start in range(0, len(sequences), BATCH):
        batch, counts = sequences[start : start + BATCH], lengths[start : start + BATCH]
        ids, mask = (t.to(network.device) for t in padded(batch, 0, left=False))
        with torch.inference_mode():
            logits = network(input_ids=ids, attention_mask=mask).logits
        for row, sequence, count in zip(logits, batch, counts, strict=True):
            steps = row[len(sequence) - count - 1 : len(sequence) - 1].float().log_softmax(-1)
            found.append(float(steps[range(count), sequence[-count:]].sum()))
    return torch.tensor(found)


def agreement(name: str, ours: Any, theirs: Any) -> dict[str, float]:
    """How near two sets of log-likelihoods are, shape (messages, labels)."""
    apart = (ours - theirs).abs()
    return {
        f"same_label_as_{name}": float((ours.argmax(1) == theirs.argmax(1)).float().mean()),
        f"nats_from_{name}_mean": float(apart.mean()),
        f"nats_from_{name}_within_0.1": float((apart <= 0.1).float().mean()),
        f"nats_from_{name}_most": float(apart.max()),
    }


if __name__ == "__main__":
    main()
