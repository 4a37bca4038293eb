"""Whether a network reads the rows of a line apart from one another.

Attention of a network's own, and layers that hand a state on from token to token, know nothing of rows: they would read
the line as one text, and every answer would depend on what is asked beside it, without an error.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from eval.errors import AdvisorError, ModelUnavailable
from strategies.models.engine.engine import Engine, Row

MOST_APART = 0.01
"""How far the logits after a row may be from those after the row alone, as a share of their spread, in float32."""
MOST_APART_NARROW = 0.2
"""The same in bfloat16, whose rounding makes a few hundredths of it; rows that read each other make most of it."""


def check_rows_apart(name: str, engine: Engine, prefix: tuple[int, ...], rows: Sequence[Row]) -> None:
    """Raise ModelUnavailable where `reads_rows_apart` finds that the network does not, or fails."""
    failure: Exception | None = None
    reason = "its architecture does not keep the texts of a batch apart"
    try:
        if reads_rows_apart(engine, prefix, rows):
            return
    except torch.OutOfMemoryError:
        raise
    except AdvisorError as error:
        reason, failure = str(error), error
    except Exception as error:  # whatever networks of another kind raise
        failure = error
    raise ModelUnavailable(
        f"The model {name} ({engine.network.config.model_type}) cannot be used here: {reason}. Name another with "
        "--model, or serve it and name it with --endpoint URL --model openai:NAME."
    ) from failure


@torch.inference_mode()
def reads_rows_apart(engine: Engine, prefix: tuple[int, ...], rows: Sequence[Row]) -> bool:
    """Whether the last row, read in one line with the others after what they share, comes out as if read by itself."""
    together = engine.logits(prefix, rows)[-1].float()
    ids = torch.tensor([[*prefix, *rows[-1]]], device=engine.device)
    alone = engine.network(input_ids=ids, use_cache=False).logits[0, -1].float()
    engine.forget_prefix()
    distance = float((together - alone).square().mean().sqrt() / alone.std())
    return distance <= (MOST_APART if engine.network.dtype == torch.float32 else MOST_APART_NARROW)
