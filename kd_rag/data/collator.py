"""From examples to a batch: the ids of prompts and answers, and pixel patches.

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

from kd_rag.config import PromptConfig, PromptParts
from kd_rag.data.prompts import Message, messages, visible
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
    """One example, as far as its model sees it: its pictures' tensors and the ids of `prompt` and `answer`.

    The first `reason_tokens` of an answer are its reasons. An unlabelled example has an empty answer.
    """

    example: Example
    prompt: list[int]
    answer: list[int]
    reason_tokens: int
    pixel_values: torch.Tensor | None
    image_grid_thw: torch.Tensor | None


class Collator:
    """Encode examples and stack them; picklable, for DataLoader workers.

    `parts` says what its model is shown; `teacher` is the collator of a teacher that reads other prompts or pictures of
    another size.
    """

    def __init__(
        self, processor: Processor, prompt: PromptConfig, parts: PromptParts, teacher: Collator | None = None
    ) -> None:
        self.processor = processor
        self.prompt = prompt
        self.parts = parts
        self.teacher = teacher

    def encode(self, example: Example) -> Encoded:
        """Return the ids of an example's prompt and answer, and its pictures' patches."""
        example = visible(example, self.parts)
        ids = self._prompt_ids(messages(example, self.prompt, self._cut))
        pixels = grid = None
        if example.dialogue.pictures:
            pixels, grid, counts = self.processor.pictures(example.dialogue.pictures)
            ids = self._expanded(ids, counts)
        record = example.record
        reasons = reason_ids(self.processor, record.reasons) if example.asked == "reasons_and_label" else []
        label = [] if record.label is None else answer_ids(self.processor, record.label)
        return Encoded(example, ids, reasons + label, len(reasons), pixels, grid)

    def prompts(self, examples: Sequence[Example]) -> Batch:
        """Return a batch without answers, for label scoring."""
        encoded = [self.encode(e) for e in examples]
        return Batch(_examples(encoded), self._inputs(encoded), torch.empty(len(encoded), 0, dtype=torch.long))

    def prompts_by_length(self, examples: Sequence[Example], size: int) -> list[Batch]:
        """Return batches of `size` prompts without answers, alike lengths together."""
        encoded = sorted(map(self.encode, examples), key=lambda one: len(one.prompt))
        parts = [encoded[i : i + size] for i in range(0, len(encoded), size)]
        return [Batch(_examples(p), self._inputs(p), torch.empty(len(p), 0, dtype=torch.long)) for p in parts]

    def micro_batches(self, examples: Sequence[Example], size: int) -> list[Batch]:
        """Return one optimiser step's examples with their answers, `size` at a time, alike lengths together."""
        encoded = sorted(zip(map(self.encode, examples), examples, strict=True), key=lambda pair: len(pair[0].prompt))
        return [self._answered(encoded[i : i + size]) for i in range(0, len(encoded), size)]

    def _answered(self, pairs: Sequence[tuple[Encoded, Example]]) -> Batch:
        encoded = [own for own, _ in pairs]
        teacher = self.teacher
        return Batch(
            examples=_examples(encoded),
            inputs=self._inputs(encoded),
            answers=padded([torch.tensor(e.answer) for e in encoded]),
            teacher_inputs=teacher._inputs([teacher.encode(whole) for _, whole in pairs]) if teacher else None,
            reason_tokens=torch.tensor([e.reason_tokens for e in encoded]),
        )

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

    def _inputs(self, encoded: Sequence[Encoded]) -> Inputs:
        """Stack prompts, padded on the left."""
        length = max(len(e.prompt) for e in encoded)
        ids = torch.full((len(encoded), length), self.processor.pad_id)
        mask = torch.zeros_like(ids)
        for i, e in enumerate(encoded):
            ids[i, length - len(e.prompt) :] = torch.tensor(e.prompt)
            mask[i, length - len(e.prompt) :] = 1
        pixels = [e.pixel_values for e in encoded if e.pixel_values is not None]
        grids = [e.image_grid_thw for e in encoded if e.image_grid_thw is not None]
        return Inputs(
            input_ids=ids,
            attention_mask=mask,
            mm_token_type_ids=(ids == self.processor.picture_token_id).long(),
            pixel_values=torch.cat(pixels) if pixels else None,
            image_grid_thw=torch.cat(grids) if grids else None,
        )


def answer_ids(processor: Processor, label: str) -> list[int]:
    """Return the ids of an answer: the label's text and the end of the turn."""
    return [*processor.encode_text(label), processor.end_of_turn_id]


def reason_ids(processor: Processor, reasons: str | None) -> list[int]:
    """Return the ids that stand in front of `answer_ids`: the reasons and the end of their last line, if there are any.

    Encoded apart from the label, whose ids are then the same with reasons and without.
    """
    return processor.encode_text(f"{reasons}\n") if reasons else []


def padded(answers: Sequence[torch.Tensor]) -> torch.Tensor:
    """Stack answers of different lengths as int64 `[batch, answer]`, -100 behind each."""
    return torch.nn.utils.rnn.pad_sequence(list(answers), batch_first=True, padding_value=IGNORED)


def _examples(encoded: Sequence[Encoded]) -> tuple[Example, ...]:
    return tuple(e.example for e in encoded)
