"""From examples to a batch: token ids, pixel patches and answer labels.

The chat template is rendered with a sentinel in place of every outside text; the rendering is split at the sentinels,
the template's own pieces are encoded with special tokens, the outside texts without any, and the ids are
joined. On clean text the ids equal those of the ordinary path (tested).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from PIL import Image

from kd_rag.config import PromptConfig
from kd_rag.data.prompts import Message, messages
from kd_rag.types import IGNORED, Batch, Example, Inputs

_SENTINEL = "\ue000{}\ue001"
_SLOT = re.compile("\ue000([0-9]+)\ue001")


class Processor(Protocol):
    """What a model family's processor offers; see `kd_rag.models`."""

    tokenizer: Callable[..., Any]
    picture_token_id: int
    end_of_turn_id: int
    pad_id: int

    def render(self, messages: list[Message]) -> str:
        """Fill the chat template, ending where the answer begins."""

    def encode_template(self, text: str) -> list[int]:
        """Encode with special tokens."""

    def encode_text(self, text: str) -> list[int]:
        """Encode outside text: no special token can come out."""

    def pictures(self, images: Sequence[Image.Image]) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
        """Return patches `[patches, channels]`, grids `[pictures, 3]` and the merged tokens of each picture."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """One example as ids: `prompt`, `answer` (empty for an unlabelled one), and its pictures' tensors."""

    example: Example
    prompt: list[int]
    answer: list[int]
    pixel_values: torch.Tensor | None
    image_grid_thw: torch.Tensor | None


class Collator:
    """Encode examples and stack them; picklable, for DataLoader workers."""

    def __init__(self, processor: Processor, prompt: PromptConfig) -> None:
        self.processor = processor
        self.prompt = prompt

    def encode(self, example: Example) -> Encoded:
        """Return the ids of an example's prompt and answer, and its pictures' patches."""
        ids = self._prompt_ids(messages(example, self.prompt, self._cut))
        pixels = grid = None
        if example.dialogue.pictures:
            pixels, grid, counts = self.processor.pictures(example.dialogue.pictures)
            ids = self._expanded(ids, counts)
        label = example.record.label
        return Encoded(example, ids, self.answer_ids(label) if label is not None else [], pixels, grid)

    def answer_ids(self, label: str) -> list[int]:
        """Return the ids of an answer: the label's text and the end of the turn."""
        return [*self.processor.encode_text(label), self.processor.end_of_turn_id]

    def prompts(self, examples: Sequence[Example]) -> Batch:
        """Return a batch of prompts that end where the answer begins, for label scoring."""
        return self._stack([self.encode(e) for e in examples], with_answer=False)

    def micro_batches(self, examples: Sequence[Example], size: int) -> list[Batch]:
        """Return one optimiser step's examples with their answers, `size` at a time, alike lengths together."""
        encoded = sorted((self.encode(e) for e in examples), key=lambda e: len(e.prompt))
        return [self._stack(encoded[i : i + size], with_answer=True) for i in range(0, len(encoded), size)]

    def _prompt_ids(self, chat: list[Message]) -> list[int]:
        texts: list[str] = []
        for message in chat:
            for part in message["content"]:
                if part["type"] == "text":
                    texts.append(part["text"])
                    part["text"] = _SENTINEL.format(len(texts) - 1)
        pieces = _SLOT.split(self.processor.render(chat))
        ids: list[int] = []
        for i, piece in enumerate(pieces):  # odd pieces are the numbers of the slots
            encode = self.processor.encode_text if i % 2 else self.processor.encode_template
            ids += encode(texts[int(piece)] if i % 2 else piece)
        return ids

    def _expanded(self, ids: list[int], counts: list[int]) -> list[int]:
        """Repeat each picture token as often as its picture has merged patches."""
        remaining = iter(counts)
        token = self.processor.picture_token_id
        expanded = [t for i in ids for t in ([i] * next(remaining) if i == token else [i])]
        assert next(remaining, None) is None, "the template shows fewer pictures than the example has"
        return expanded

    def _cut(self, text: str, max_tokens: int, keep: Literal["head", "tail"]) -> tuple[str, int]:
        encoding = self.processor.tokenizer(
            text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
        )
        spans = encoding["offset_mapping"]
        if len(spans) <= max_tokens:
            return text, len(spans)
        if keep == "head":
            return text[: spans[max_tokens - 1][1]], max_tokens
        return text[spans[-max_tokens][0] :], max_tokens

    def _stack(self, encoded: Sequence[Encoded], *, with_answer: bool) -> Batch:
        rows = [e.prompt + e.answer if with_answer else e.prompt for e in encoded]
        length = max(map(len, rows))
        ids = torch.full((len(rows), length), self.processor.pad_id)
        mask = torch.zeros_like(ids)
        labels = torch.full_like(ids, IGNORED)
        for i, (row, e) in enumerate(zip(rows, encoded, strict=True)):
            ids[i, length - len(row) :] = torch.tensor(row)
            mask[i, length - len(row) :] = 1
            if with_answer:
                labels[i, length - len(e.answer) :] = torch.tensor(e.answer)
        pixels = [e.pixel_values for e in encoded if e.pixel_values is not None]
        grids = [e.image_grid_thw for e in encoded if e.image_grid_thw is not None]
        inputs = Inputs(
            input_ids=ids,
            attention_mask=mask,
            mm_token_type_ids=(ids == self.processor.picture_token_id).long(),
            pixel_values=torch.cat(pixels) if pixels else None,
            image_grid_thw=torch.cat(grids) if grids else None,
        )
        return Batch(examples=tuple(e.example for e in encoded), inputs=inputs, labels=labels)
