"""What every contestant of the distillation benchmark shares; standard library only, so that the peers can read it."""

from __future__ import annotations

RECORDS = 8
BATCH_RECORDS = 4
"""Records of an optimiser step, all in one forward pass."""
LORA_RANK = 16
LORA_ALPHA = 32
LORA_TARGETS = r".*language_model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)"
"""The language body's attention and MLP layers; the vision tower stays as it is."""
LEARNING_RATE = 1e-4
THREADS = 2
"""Of torch, in every process."""
