"""The nouns that travel: a record on its way from a file to the loss, and what is added to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

T = TypeVar("T")
Role = Literal["user", "agent"]
Stage = Literal["train", "eval"]
Asked = Literal["label", "reasons_and_label", "reasons"]
"""What a prompt asks for; one that asks for `reasons` shows the gold label."""

IMAGE_MARKER = "<image>"
"""Where, inside a turn's text, the next picture of the record was sent."""

IGNORED = -100
"""Fills an answer's row behind its last token; no loss looks at it."""


class InputError(ValueError):
    """The user's input or configuration is wrong: the message names it and says what would be right (exit 2)."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One utterance; `text` may hold `<image>` markers."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Record:
    """One item of a file; `images` are absolute, checked paths, `ocr` their lines, `reasons` why it has its label."""

    id: str
    task: str
    turns: tuple[Turn, ...]
    images: tuple[Path, ...]
    label: str | None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    ocr: tuple[tuple[TextLine, ...], ...] | None = None
    reasons: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """What is asked of a record: the closed label set in prompt order, what some labels mean, and the instruction."""

    name: str
    labels: tuple[str, ...]
    instruction: str
    descriptions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A record's turns and decoded RGB pictures: the part that augmentations change."""

    turns: tuple[Turn, ...]
    pictures: tuple[Image, ...]


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of text read from a picture; `box` is (left, top, right, bottom) as shares of its width and height.

    `confidence` is in [0, 1], and so is `relevance` to what its record is asked, which is 0 where nobody ranked it.
    """

    text: str
    confidence: float
    box: tuple[float, float, float, float]
    relevance: float = 0.0


@dataclass(frozen=True, slots=True)
class Passage:
    """One entry of the knowledge base; `kind` is product, faq, review, policy or example."""

    id: str
    kind: str
    title: str
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of the knowledge base; it never holds the label of the record that it was made of.

    `record_id` and `record_text` (the whole dialogue) say which passages are the record itself and hence no answer;
    both are None for a question from elsewhere.
    """

    text: str
    pictures: tuple[Path, ...] = ()
    record_id: str | None = None
    record_text: str | None = None


@dataclass(frozen=True, slots=True)
class Retrieved:
    """A passage and its score, higher is nearer; a reranker's has the retriever's own beside it, but not on disk."""

    passage: Passage
    score: float
    before_reranking: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Example:
    """A record made ready for a prompt: dialogue (augmented in training), passages, and OCR lines per picture.

    `view` numbers the augmented versions of a record, `asked` says what the prompt asks for.
    """

    record: Record
    task: Task
    dialogue: Dialogue
    passages: tuple[Retrieved, ...]
    lines: tuple[tuple[TextLine, ...], ...]
    view: int = 0
    asked: Asked = "label"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a vision-language model reads; prompts are padded on the left, prompts with answers on the right.

    `input_ids`, `attention_mask` and `mm_token_type_ids` (0 text, 1 picture) are int64 `[batch, seq]`;
    `pixel_values` is float32 `[patches, channels]` and `image_grid_thw` int64 `[pictures, 3]`, both None
    when the batch has no picture.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    mm_token_type_ids: torch.Tensor
    pixel_values: torch.Tensor | None = None
    image_grid_thw: torch.Tensor | None = None

    def to(self, device: torch.device | str, **kwargs: Any) -> Inputs:
        """Move every tensor to `device`."""
        return _moved(self, device, **kwargs)


@dataclass(frozen=True, slots=True)
class TokenTree:
    """Answers with shared beginnings, behind each row of a prompt batch; node by node.

    `input_ids` and `depth` (0 for an answer's first token) are int64 `[batch, nodes]`; `visible` is bool
    `[batch, nodes, nodes]`: the nodes that a node attends to, itself among them. A padding node sees itself alone.
    """

    input_ids: torch.Tensor
    depth: torch.Tensor
    visible: torch.Tensor

    def to(self, device: torch.device | str, **kwargs: Any) -> TokenTree:
        """Move every tensor to `device`."""
        return _moved(self, device, **kwargs)


@dataclass(frozen=True, slots=True)
class Batch:
    """Prompts and their answers as tensors.

    `answers` is int64 `[batch, answer]`: each row's answer ids from the left, of which the first `reason_tokens` (int64
    `[batch]`, None for 0) are reasons, -100 behind them; an evaluation batch has no columns. `sampled` answers were
    drawn from the student and are no gold. `teacher_inputs` are the teacher's prompts where they are others.
    """

    examples: tuple[Example, ...]
    inputs: Inputs
    answers: torch.Tensor
    teacher_inputs: Inputs | None = None
    sampled: bool = False
    reason_tokens: torch.Tensor | None = None

    def to(self, device: torch.device | str, **kwargs: Any) -> Batch:
        """Move every tensor to `device`."""
        return _moved(self, device, **kwargs)

    def as_teacher(self) -> Batch:
        """Return the batch as the teacher reads it."""
        return replace(self, inputs=self.teacher_inputs or self.inputs, teacher_inputs=None)


def _moved(value: T, device: torch.device | str, **kwargs: Any) -> T:
    """Copy a dataclass with `.to(device)` called on each field that has it."""
    members = {f.name: getattr(value, f.name) for f in fields(value)}  # type: ignore[arg-type]
    changes = {name: member.to(device, **kwargs) for name, member in members.items() if hasattr(member, "to")}
    return replace(value, **changes)  # type: ignore[type-var]
