"""What several processes of one run share: counts, gradients, predictions; sums and unions, no means of means.

Every process has its share of each optimiser step, maybe in another number of micro-batches, so nothing is exchanged
during a backward pass: gradients are added up once, when all of the step's are there.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import lightning as L  # noqa: N812 (the library's own convention)
import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn

T = TypeVar("T")


def summed(trainer: L.Trainer, value: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes."""
    total: Tensor = trainer.strategy.reduce(value, reduce_op="sum")
    return total


def unshared(trainer: L.Trainer) -> AbstractContextManager[Any]:
    """Keep a backward pass to this process."""
    strategy = trainer.strategy
    return strategy.block_backward_sync() if isinstance(strategy, DDPStrategy) else nullcontext()


def add_up_gradients(trainer: L.Trainer, parameters: Iterable[nn.Parameter]) -> None:
    """Make every process's gradients the sums over all processes."""
    if trainer.world_size > 1:
        for parameter in parameters:
            if parameter.requires_grad:
                parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                torch.distributed.all_reduce(parameter.grad)


def gathered(trainer: L.Trainer, items: list[T]) -> list[T]:
    """Return the items of all processes, of which each has every n-th, in their order."""
    if trainer.world_size == 1:
        return items
    shares: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(shares, items)
    return [share[i] for i in range(len(shares[0])) for share in shares if i < len(share)]
