"""AdamW over the trainable weights, with linear warm-up and a cosine to zero."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from kd_rag.config import TrainerConfig


def optimizer_and_schedule(
    module: nn.Module, trainer: TrainerConfig, total_steps: int
) -> tuple[torch.optim.Optimizer, LambdaLR]:
    """Return AdamW (Loshchilov & Hutter 2019) and its schedule; matrices decay, vectors (norms, biases) do not."""
    weights = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in weights if p.ndim >= 2], "weight_decay": trainer.weight_decay},
        {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=trainer.learning_rate)
    warmup = max(1, round(trainer.warmup_share * total_steps))

    def share(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total_steps - warmup)))

    return optimizer, LambdaLR(optimizer, share)
