"""What one long input takes: peak memory and seconds of reading it and of a training pass, through two narrow layers.

    python benchmarks/long_inputs.py [--tokens 27000]

The layers are so small that the memory is that of masks and attention, not of weights. Each figure is from a process of
its own. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import machine

KINDS = ("labels", "text", "training")
CONTEXT = 32_768


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=27_000)
    parser.add_argument("--kind", choices=KINDS, help="measure this in the present process, and print JSON alone")
    options = parser.parse_args()
    if options.kind:
        print(json.dumps(measured(options.kind, options.tokens)))
        return
    print("| one input | tokens | memory rose by | seconds |\n|---|---|---|---|")
    found = {}
    for kind in KINDS:
        command = [sys.executable, __file__, "--tokens", str(options.tokens), "--kind", kind]
        found[kind] = of = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        print(f"| {kind} | {of['tokens']:,} | {of['megabytes']:,} MB | {of['seconds']:.1f} |", flush=True)
    print(json.dumps({**found, "machine": machine("cpu")}))


def measured(kind: str, tokens: int) -> dict[str, Any]:
    """The rise of the process's peak memory, in megabytes, and the time that it took."""
    from strategies.models.base import Decoding, Prompt, Turn

    model = tiny_model()
    word = " power"
    prompt = Prompt((Turn("system", "Sort."), Turn("user", word * (tokens // len(model.chat.answer_tokens(word))))), 1)
    before, start = peak_megabytes(), time.perf_counter()
    if kind == "labels":
        model.score_labels([prompt], ["billing", "outage"])
    elif kind == "text":
        model.generate([prompt], Decoding(1))
    else:
        training_pass(model, prompt)
    seconds, length = time.perf_counter() - start, model.prompt_tokens(prompt)
    return {"tokens": length, "megabytes": peak_megabytes() - before, "seconds": seconds}


def training_pass(model: Any, prompt: Any) -> None:
    """The loss of one row, without its gradient."""
    import torch

    from strategies.models.engine.packing import line_up
    from strategies.training.lora import _Answers, tokenised

    prefix, rows = tokenised(model, [(prompt, "outage")])
    with torch.no_grad():
        _Answers(model).loss(line_up(prefix, [row.tokens for row in rows], model.device), prefix, rows)


def tiny_model() -> Any:
    """A random model of two narrow layers, told that its context is long."""
    from strategies.models.tiny import make_language_model
    from strategies.models.transformers_lm import TransformersModel

    with tempfile.TemporaryDirectory() as folder:
        home = make_language_model(Path(folder))
        config = json.loads((home / "config.json").read_text(encoding="utf-8"))
        (home / "config.json").write_text(json.dumps({**config, "max_position_embeddings": CONTEXT}), encoding="utf-8")
        return TransformersModel.load("tiny", home, "cpu")


def peak_megabytes() -> int:
    """Of this process, until now."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**10


if __name__ == "__main__":
    main()
