"""What stands in the way of loading a model, in a sentence: a damaged folder, quantised weights, or too few of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from eval.errors import ModelUnavailable, first_line
from eval.reading.text import listed

CHECKED = {"output_loading_info": True, "ignore_mismatched_sizes": True}
"""For `from_pretrained` of transformers, so that `check_whole` hears of all that is amiss."""


@contextmanager
def told_in_a_sentence(what: str) -> Iterator[None]:
    """Raise ModelUnavailable for whatever a library raises while `what`, such as "The model NAME", is loaded.

    But for what memory is too small for: that is no matter of the model alone.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        raise ModelUnavailable(f"{what} cannot be loaded: {first_line(error)}") from error


def check_unquantised(what: str, folder: Path) -> None:
    """Raise ModelUnavailable for weights of a few bits each: they can be read only with libraries of their own, and
    not be trained."""
    from transformers import PretrainedConfig

    config, _ = PretrainedConfig.get_config_dict(folder, local_files_only=True)
    if quantisation := config.get("quantization_config"):
        method = quantisation.get("quant_method", "unnamed")
        raise ModelUnavailable(
            f"{what} cannot be loaded: its weights are quantised ({method}), and such weights cannot be trained here. "
            "Name the model that they were made from; a quantised language model can be served, and named as "
            "openai:NAME."
        )


def check_whole(what: str, info: Mapping[str, Any], *, unread: tuple[str, ...] = ()) -> None:
    """Raise ModelUnavailable where weights are missing or misshapen: transformers would draw them at random.

    `info` is what `from_pretrained` tells when it is `CHECKED`; of tied weights it misses none. Weights whose names
    begin with `unread` may be missing.
    """
    names = {*info["missing_keys"], *(name for name, *_ in info["mismatched_keys"])}
    bad = sorted(name for name in names if not name.startswith(unread))
    if bad:
        raise ModelUnavailable(
            f"{what} cannot be loaded: its folder lacks weights of its network, or has them in another shape than "
            f"config.json says ({listed(bad, 1)}). Export the whole model, or name another one."
        )
