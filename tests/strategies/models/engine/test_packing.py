"""Rows side by side: what each place may look at, without a square of the longest row."""

from __future__ import annotations

import pytest
import torch

from strategies.models.base import Decoding, Prompt, Turn
from strategies.models.engine import packing
from strategies.models.engine.label_trie import LabelTrie
from strategies.models.engine.packing import LOWEST, Mask, Memory, line_up
from strategies.models.transformers_lm import TransformersModel

CPU = torch.device("cpu")
PLACES = 128


def whole(mask: Mask, stretch: int = PLACES) -> torch.Tensor:
    """(rows, places, keys): what may be seen, put together from stretches."""
    found = []
    for start in range(0, mask.width, stretch):
        part = mask.stretch(start, min(start + stretch, mask.width))[:, 0]
        found.append(torch.nn.functional.pad(part, (0, mask.keys - part.shape[2]), value=LOWEST))
    return torch.cat(found, dim=1) == 0


@pytest.mark.parametrize("stretch", [2, PLACES])
def test_a_row_sees_what_is_shared_and_its_own_beginning(stretch: int) -> None:
    seen = whole(line_up([1, 2], [[3, 4, 5], [6]], CPU).mask, stretch)
    own = torch.ones(3, 3).tril().bool()
    assert torch.equal(seen[1], torch.cat([torch.ones(3, 2).bool(), own], dim=1))
    assert torch.equal(seen[0], torch.cat([torch.zeros(3, 2).bool(), own], dim=1))  # the shared tokens themselves


@pytest.mark.parametrize("stretch", [2, PLACES])
def test_a_node_of_a_tree_sees_its_row_and_what_leads_to_it(stretch: int) -> None:
    tree = LabelTrie.build([[7, 8], [7, 9], [5]])
    layout = Memory({}, 2, 0, CPU).passing([[1, 2, 3], [4]], tree)
    seen = whole(layout.mask, stretch)
    for row, length in enumerate((3, 1)):
        for node, ancestors in enumerate(tree.ancestors()):
            expected = {*range(length), *(length + other for other in ancestors)}
            assert set(seen[row, length + node].nonzero().flatten().tolist()) == expected


def test_a_long_row_has_no_mask_of_its_square() -> None:
    length = 8000
    memory = Memory({}, 1, length, CPU)
    layouts = [memory.reading(0, [[1] * length]), line_up([], [[1] * length], CPU)]
    layouts.append(Memory({}, 1, 0, CPU).passing([[1] * length], LabelTrie.build([[1], [2, 3]])))
    for layout in layouts:
        part = layout.mask.stretch(length - PLACES, length)
        assert part.numel() <= PLACES * layout.mask.keys
        held = [value for value in vars(layout).values() if isinstance(value, torch.Tensor)]
        held += [layout.mask.before, *layout.mask._kept.values()]
        assert sum(tensor.numel() for tensor in held) < 10 * length


def test_masks_made_anew_for_each_layer_change_nothing(
    tiny_model: TransformersModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = Turn("system", "Answer with one label.")
    prompts = [Prompt((system, Turn("user", text)), shared=1) for text in ("No power.", "I paid twice! " * 30)]

    def answers() -> tuple[list[list[float]], list[str]]:
        tiny_model.engine.forget_prefix()
        scores = tiny_model.score_labels(prompts, ["billing", "billing dispute", "outage"])
        texts = tiny_model.generate(prompts, Decoding(6))
        return [list(row.log_likelihoods) for row in scores], [row.text for row in texts]

    kept = answers()
    monkeypatch.setattr(packing, "MOST_MASKED", 0)
    assert answers() == kept
