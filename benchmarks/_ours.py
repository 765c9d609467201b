"""Our step: `kd_rag`'s own parts, put together as `distill` does, without Lightning around them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks._settings import BATCH_RECORDS, LEARNING_RATE, LORA_ALPHA, LORA_RANK
from benchmarks._workload import collator
from kd_rag.losses.divergences import forward_kl
from kd_rag.losses.objective import Objective
from kd_rag.losses.sides import Needs
from kd_rag.losses.terms import TokenKD
from kd_rag.models import Processor, VisionLanguageModel
from kd_rag.models._lora import adapt
from kd_rag.models.qwen2_vl import Qwen2VL
from kd_rag.scoring.readout import read
from kd_rag.teachers import Source, Teacher
from kd_rag.teachers.cached import Cached, Format
from kd_rag.teachers.online import Online
from kd_rag.tensor_store import TensorStore
from kd_rag.types import Batch, Example

NEEDS = Needs()


class OurStep:
    """A LoRA student, AdamW, and a teacher: beside it, or cached in the format `store`; `vision` keeps the frozen
    tower's tokens."""

    def __init__(self, teacher: Path, student: Path, scratch: Path, store: Format | None, vision: bool = False) -> None:
        self.model: VisionLanguageModel = Qwen2VL(path=str(student))
        self.processor: Processor = self.model.processor
        adapt(self.model, LORA_RANK, LORA_ALPHA, 0.0, None, False)
        self.model.train()
        if vision:
            self.model.keep_pictures(TensorStore.open(scratch / "pictures", {}))
        self.teacher = self._teacher(teacher, scratch, store)
        vocabulary = self.processor.vocabulary
        token_kd = TokenKD(forward_kl, 1.0, vocabulary)
        self.objective = Objective({"token_kd": token_kd}, {}, {"token_kd": (1.0, 1.0)}, vocabulary, self.teacher)
        trainable = [weight for weight in self.model.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.AdamW(trainable, lr=LEARNING_RATE)

    def step_on(self, examples: Sequence[Example]) -> Callable[[], float]:
        """Return what takes one step on these examples, encoded once as the naive step's are."""
        batch = self._encoded(examples)
        self.teacher.prepare(lambda: [batch], NEEDS, lambda network: None)
        return lambda: self._step(batch)

    def encoded_step(self, examples: Sequence[Example]) -> float:
        """Encode and take one step, as a peer's trainer does."""
        return self._step(self._encoded(examples))

    def _encoded(self, examples: Sequence[Example]) -> Batch:
        (batch,) = collator(self.processor).micro_batches(examples, BATCH_RECORDS)
        return batch

    def _step(self, batch: Batch) -> float:
        side, targets = read(self.model, batch, NEEDS, {})
        loss = self.objective(batch, targets, side, self.objective.counts(batch), 0.0)["loss"]
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()

    def _teacher(self, folder: Path, scratch: Path, store: Format | None) -> Teacher:
        source = Source(
            load=lambda path, quantised: Qwen2VL(path=path),
            processor=lambda path: self.processor,
            identity=lambda path, quantised: {"path": path},
            student_ids=self.processor.id_digest(),
            trees={},
            temperature=1.0,
            cache_dir=scratch / "teachers",
            device=torch.device("cpu"),
        )
        return Cached(source, path=str(folder), store=store) if store else Online(source, path=str(folder))
