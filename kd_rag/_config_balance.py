"""The `balance` section of the configuration: what training does for rare and for hard labels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class BalanceConfig:
    """All off at 0, and for tasks with `tasks.NAME.balance=false`: their records weigh 1, as all others do on average.

    `evaluation.prior_correction` is the remedy that needs no training; that switch does not reach it.
    """

    focal_gamma: float = 0.0
    """Multiply cross-entropy by (1 - q)^focal_gamma, where q is the gold token's probability (Lin et al. 2017)."""
    loss_beta: float = 0.0
    """Weigh a record's cross-entropy by (1 - beta) / (1 - beta^n), n the views that training meets of its label, scaled
    to mean 1 (Cui et al. 2019). Towards 1 all labels weigh alike; the usual values are 0.9 to 0.9999."""
    sampling_beta: float = 0.0
    """Show records in proportion to the same weights, an epoch staying as long; off at 0. Only one of both betas."""
