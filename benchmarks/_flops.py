"""Where the arithmetic of a forward pass goes: language-model head, language body, vision tower.

In: a configuration and the sizes of one record. Out: multiplications and additions, counted apart, of the matrix
products; what is left out (norms, rotations, softmax) is below a hundredth. Checked against torch's own counter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transformers import Qwen2VLConfig


@dataclass(frozen=True, slots=True)
class ForwardFlops:
    """Operations of one record's forward pass with the head on every position."""

    head: int
    body: int
    tower: int

    def shares(self) -> dict[str, float]:
        """Return each part's share of the whole."""
        whole = self.head + self.body + self.tower
        return {"head": self.head / whole, "body": self.body / whole, "tower": self.tower / whole}


def forward_flops(config: Qwen2VLConfig, tokens: int, patches: int) -> ForwardFlops:
    """Return the operations for a prompt of `tokens`, merged picture tokens included, and a picture of `patches`."""
    text: Any = config.text_config
    return ForwardFlops(
        head=2 * tokens * text.hidden_size * text.vocab_size,
        body=text.num_hidden_layers * _decoder_layer(config, tokens),
        tower=_tower(config, patches),
    )


def _decoder_layer(config: Qwen2VLConfig, tokens: int) -> int:
    text: Any = config.text_config
    hidden = text.hidden_size
    keys = hidden // text.num_attention_heads * text.num_key_value_heads
    weights: int = hidden * (2 * hidden + 2 * keys + 3 * text.intermediate_size)
    return 2 * tokens * weights + _attention(tokens, hidden)


def _tower(config: Qwen2VLConfig, patches: int) -> int:
    vision: Any = config.vision_config
    width, merging = vision.embed_dim, vision.spatial_merge_size**2
    channels = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    block = width * (4 * width + 2 * int(width * vision.mlp_ratio))
    merger = width * merging * (width * merging + vision.hidden_size)
    blocks = vision.depth * (2 * patches * block + _attention(patches, width))
    return int(2 * patches * channels * width + blocks + 2 * (patches // merging) * merger)


def _attention(positions: int, width: int) -> int:
    """Return what queries x keys and weights x values take; a mask saves nothing."""
    return 4 * positions * positions * width
