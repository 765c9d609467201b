"""Weights in 8 and 4 bits: held where they should be, near the float ones, and known apart from them."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from kd_rag.models._lora import adapt, trainable_state
from kd_rag.models.qwen2_vl import Qwen2VL
from kd_rag.types import InputError, Inputs

HELD = {"8bit": torch.int8, "4bit": torch.uint8}
FARTHEST_NATS = {"8bit": 1e-3, "4bit": 5e-2}
"""Mean KL from the float teacher's tokens; measured 2e-4 and 2e-2 on the embedded teacher at random weights."""


@pytest.fixture
def inputs(prompt: Callable[..., list[int]], batch: Callable[..., Inputs], wide: Image.Image) -> Inputs:
    return batch([prompt("where is my order", [wide]), prompt("refund")], [wide])


@torch.no_grad()
def log_probs(model: Qwen2VL, inputs: Inputs) -> Tensor:
    states = model(inputs)[inputs.attention_mask.bool()]
    return model.logits(states)[:, : model.processor.vocabulary].float().log_softmax(dim=1)


def load(folder: Path, quantised: str) -> Qwen2VL:
    return Qwen2VL(path=str(folder), quantised=quantised, max_pixels=28 * 28 * 12).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("quantised", HELD)
def test_log_probabilities_stay_near_the_float_ones(teacher_folder: Path, inputs: Inputs, quantised: str) -> None:
    """Further away, the soft targets would be those of another teacher; no distance, and nothing was quantised."""
    expected = log_probs(load(teacher_folder, "none"), inputs)
    far = (expected.exp() * (expected - log_probs(load(teacher_folder, quantised), inputs))).sum(dim=1).mean().item()
    assert 1e-6 < far < FARTHEST_NATS[quantised]


@pytest.mark.parametrize("quantised", HELD)
def test_only_the_decoder_layers_are_quantised(teacher_folder: Path, quantised: str) -> None:
    """The vision tower and the head are a small part of the weights, and the first to suffer."""
    held: dict[str, set[torch.dtype]] = {"visual": set(), "lm_head": set(), "layers": set()}
    for name, module in load(teacher_folder, quantised).named_modules():
        if isinstance(module, nn.Linear):
            held[next(part for part in held if part in name)].add(module.weight.dtype)
    assert held == {"visual": {torch.float32}, "lm_head": {torch.float32}, "layers": {HELD[quantised]}}


@pytest.mark.parametrize("quantised", HELD)
def test_fresh_adapters_train_on_quantised_weights(teacher_folder: Path, inputs: Inputs, quantised: str) -> None:
    """A teacher that was fit with LoRA is opened this way: its adapters in float on a base of few bits."""
    model = load(teacher_folder, quantised)
    before = log_probs(model, inputs)
    adapt(model, r=4, alpha=8, dropout=0.0, target_modules=None, vision=False)
    assert {tensor.dtype for tensor in trainable_state(model).values()} == {torch.float32}
    torch.testing.assert_close(log_probs(model, inputs), before)
    model(inputs).square().mean().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_the_identity_tells_how_weights_are_held(teacher_folder: Path) -> None:
    """Rows of an 8-bit teacher must not be taken for those of the float one."""
    options = {"path": str(teacher_folder), "dtype": "float32"}
    found = [Qwen2VL.identify({**options, "quantised": quantised}) for quantised in ("none", *HELD)]
    assert len({tuple(identity.items()) for identity in found}) == 3


def test_without_bitsandbytes_the_extra_is_named(teacher_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sets the option must learn what to install, not see a stack of frames."""
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(InputError, match=r"bitsandbytes is not installed; install it with: .*kd-rag\[quantised\]"):
        load(teacher_folder, "8bit")
