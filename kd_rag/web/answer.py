"""What a page shows of a model's answer to one dialogue, and who answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from kd_rag.types import Record, Retrieved, TextLine


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's answer and what it was made of.

    `probabilities` has every label of the task; `lines` the text read from each picture; `prompt` is the text that the
    model read. Preparing is OCR, retrieval and encoding; scoring is the model's pass over prompt and labels.
    """

    probabilities: dict[str, float]
    lines: tuple[tuple[TextLine, ...], ...]
    passages: tuple[Retrieved, ...]
    prompt: str
    preparing_seconds: float
    scoring_seconds: float

    @property
    def label(self) -> str:
        """The likeliest label."""
        return max(self.probabilities, key=self.probabilities.__getitem__)


class Answering(Protocol):
    """A model as the page sees it."""

    def __call__(self, record: Record, *, ocr: bool, passages: bool) -> Answer:
        """Return what the model says of `record`."""
        ...
