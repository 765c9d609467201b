"""The shares of head, body and tower that the benchmark's replica pair claims to have."""

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForImageTextToText

from benchmarks._flops import forward_flops
from kd_rag.models._embedded import embedded_config, materialise

PATCHES = 256
"""A picture of 224 x 224 pixels."""


def test_the_formula_counts_what_torch_counts(tmp_path: Path) -> None:
    """A forgotten product would shift every share, of the real models and of the replicas."""
    network = AutoModelForImageTextToText.from_pretrained(
        materialise("student", tmp_path, lambda: ["a b"]), attn_implementation="eager"
    )
    config = network.config
    ids = torch.tensor([[5] * 10 + [config.image_token_id] * (PATCHES // 4) + [6] * 26])
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(
            input_ids=ids,
            mm_token_type_ids=(ids == config.image_token_id).long(),
            pixel_values=torch.zeros(PATCHES, 1176),
            image_grid_thw=torch.tensor([[1, 16, 16]]),
        )
    counted = {name: sum(counts.values()) for name, counts in counter.get_flop_counts().items()}
    flops = forward_flops(config, ids.shape[1], PATCHES)
    kind = type(network).__name__
    assert counted[f"{kind}.lm_head"] == flops.head
    assert counted[f"{kind}.model.visual"] == flops.tower
    assert counted["Global"] == pytest.approx(flops.head + flops.body + flops.tower, rel=0.01)


@pytest.mark.parametrize("tokens", [256, 1024])
@pytest.mark.parametrize(("replica", "real"), [("replica-teacher", "7b"), ("replica-student", "2b")])
def test_the_replica_has_the_real_shares(replica: str, real: str, tokens: int) -> None:
    """A replica that is all body, or all head, would promise a speed that the real pair does not have.

    What is left, two and a half points at most, is attention over 1024 positions, which weighs more in a narrow body.
    """
    small, large = (forward_flops(embedded_config(name), tokens, PATCHES).shares() for name in (replica, real))
    assert small == pytest.approx(large, abs=0.025)
