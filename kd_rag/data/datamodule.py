"""The loaders that Lightning iterates: optimiser steps for training, prompt batches for evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import lightning as L  # noqa: N812 (the library's own convention)
import torch
from torch.utils.data import DataLoader

from kd_rag.data.collator import Collator
from kd_rag.data.prepare import Examples
from kd_rag.data.sampling import StepSampler
from kd_rag.types import Batch, Example, InputError


@dataclass(frozen=True)
class _TrainCollate:
    collator: Collator
    micro_batch_size: int

    def __call__(self, examples: Sequence[Example]) -> list[Batch]:
        return self.collator.micro_batches(examples, self.micro_batch_size)


@dataclass(frozen=True)
class _Views:
    """Map-style view of a process's share of `Examples` for evaluation: index -> example in view 0."""

    examples: Examples
    share: range

    def __len__(self) -> int:
        return len(self.share)

    def __getitem__(self, index: int) -> Example:
        return self.examples[self.share[index], 0]


class Loaders(L.LightningDataModule):
    """Hand out the training steps of `sampler` and the evaluation batches.

    A training item is a list of micro-batches, which together are one optimiser step; so the step can weigh by the
    answer tokens of all of them, and the loader's position is the optimiser's step.
    """

    def __init__(
        self,
        collator: Collator,
        *,
        evaluation: Examples,
        evaluation_batch_size: int,
        training: Examples | None = None,
        sampler: StepSampler | None = None,
        micro_batch_size: int = 1,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        self.collator = collator
        self.evaluation = evaluation
        self.evaluation_batch_size = evaluation_batch_size
        self.training = training
        self.sampler = sampler
        self.micro_batch_size = micro_batch_size
        self.num_workers = num_workers

    def train_dataloader(self) -> DataLoader[Example]:
        """Return the loader of optimiser steps, each a list of `Batch`."""
        assert self.training is not None
        assert self.sampler is not None
        self.sampler.first_step = self.trainer.global_step  # type: ignore[union-attr]
        self.sampler.rank = self.trainer.global_rank  # type: ignore[union-attr]
        self.sampler.processes = self.trainer.world_size  # type: ignore[union-attr]
        return DataLoader(
            self.training,  # type: ignore[arg-type]
            batch_sampler=self.sampler,
            collate_fn=_TrainCollate(self.collator, self.micro_batch_size),
            num_workers=self.num_workers,
            # Its own generator: otherwise each pass draws a seed from the global one and shifts dropout.
            generator=torch.Generator().manual_seed(0),
        )

    def every_training_batch(self) -> Iterator[Batch]:
        """Yield every (record, view) that training will meet, once, in batches as large as a micro-batch."""
        assert self.training is not None
        assert self.sampler is not None
        pairs = self.sampler.pairs()
        size = self.micro_batch_size
        loader: DataLoader[Example] = DataLoader(
            self.training,  # type: ignore[arg-type]
            batch_sampler=[pairs[i : i + size] for i in range(0, len(pairs), size)],
            collate_fn=_TrainCollate(self.collator, size),
            num_workers=self.num_workers,
            generator=torch.Generator().manual_seed(0),
        )
        for (batch,) in loader:
            yield batch

    def first_with_pictures(self) -> Batch:
        """Return a micro-batch of the first records with pictures that training meets, of any if none has some."""
        assert self.training is not None
        assert self.sampler is not None
        met = list(chain.from_iterable(self.sampler))
        chosen = [pair for pair in met if self.training.records[pair[0]].images] or met
        examples = [self.training[pair] for pair in chosen[: self.micro_batch_size]]
        (batch,) = self.collator.micro_batches(examples, len(examples))
        return batch

    def val_dataloader(self) -> DataLoader[Example]:
        """Return the loader of prompt batches, of every n-th record where n processes evaluate.

        Raises InputError if that leaves a process without a record: it would not meet the others.
        """
        assert self.trainer is not None
        records, processes = len(self.evaluation), self.trainer.world_size
        if records < processes:
            raise InputError(f"trainer.devices: expected at most the {records} records to evaluate, found {processes}")
        share = range(self.trainer.global_rank, records, processes)
        return DataLoader(
            _Views(self.evaluation, share),  # type: ignore[arg-type]
            batch_size=self.evaluation_batch_size,
            collate_fn=self.collator.prompts,
            num_workers=self.num_workers,
            generator=torch.Generator().manual_seed(0),
        )
