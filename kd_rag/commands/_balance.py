"""From the `balance` section to what training does for rare and hard labels.

In: the configuration and the records of all views that training meets. Out: the term of the gold answers, and how often
each view is seen. Tasks with `tasks.NAME.balance=false` are left alone: no factor, and a weight of 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from kd_rag.config import Config
from kd_rag.data.balance import label_weights
from kd_rag.losses.cross_entropy import CrossEntropy
from kd_rag.types import InputError, Record


def gold_term(config: Config, vocabulary: int, met: Sequence[Record]) -> CrossEntropy:
    """Return cross-entropy with its focal factor, and with weights by the labels of the records `met`."""
    gamma, beta = config.balance.focal_gamma, config.balance.loss_beta
    if gamma < 0:
        raise InputError(f"balance.focal_gamma: expected a number of at least 0, found {gamma}")
    if beta and config.balance.sampling_beta:
        raise InputError("balance.loss_beta: balances what balance.sampling_beta has balanced; set one of them to 0")
    left = _left_alone(config)
    weights = label_weights(met, beta, "balance.loss_beta", left) if beta else None
    return CrossEntropy(vocabulary, gamma, weights, left)


def sampling_weights(config: Config, met: Sequence[Record]) -> list[float] | None:
    """Return how often each of the records `met` is seen in an epoch, on average; None where each is seen once."""
    beta = config.balance.sampling_beta
    if not beta:
        return None
    weights = label_weights(met, beta, "balance.sampling_beta", _left_alone(config))
    return [weights[record.task, record.label] for record in met]


def _left_alone(config: Config) -> frozenset[str]:
    return frozenset(name for name, task in config.tasks.items() if not task.balance)
