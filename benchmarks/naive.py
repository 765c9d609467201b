"""The step that one writes first: both models' own forward passes, logits at every position, `F.kl_div`.

In: conversations. Out: the loss of one optimiser step. It is right: positions off the answer are masked, and both heads
are cut to their common width. It is what the benchmark's ratios are relative to. A second look picks the answer's
positions out of the logits before the softmax (`answers_only`), which is measured as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from peft import LoraConfig, get_peft_model
from PIL import Image
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoProcessor

from benchmarks._conversations import Conversation
from benchmarks._settings import LEARNING_RATE, LORA_ALPHA, LORA_RANK, LORA_TARGETS

IGNORED = -100


class NaiveStep:
    """A frozen teacher, a LoRA student and AdamW, from two model folders."""

    def __init__(self, teacher: Path, student: Path, *, answers_only: bool = False) -> None:
        self.answers_only = answers_only
        self.processor: Any = AutoProcessor.from_pretrained(student)  # type: ignore[no-untyped-call]
        self.teacher: Any = AutoModelForImageTextToText.from_pretrained(teacher)
        self.teacher.eval().requires_grad_(False)  # type: ignore[no-untyped-call]
        lora = LoraConfig(r=LORA_RANK, lora_alpha=LORA_ALPHA, target_modules=LORA_TARGETS)
        self.student: Any = get_peft_model(AutoModelForImageTextToText.from_pretrained(student), lora)
        self.student.train()
        trainable = [weight for weight in self.student.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.AdamW(trainable, lr=LEARNING_RATE)

    def batch(self, conversations: Sequence[Conversation]) -> tuple[dict[str, Tensor], Tensor]:
        """Return the models' inputs, padded on the left, and the labels: int64 `[batch, seq]`, -100 off the answer."""
        answers = [f"{c.answer}<|im_end|>" for c in conversations]
        prompts = [self.processor.apply_chat_template(c.prompt(), add_generation_prompt=True) for c in conversations]
        inputs = self.processor(
            text=[prompt + answer for prompt, answer in zip(prompts, answers, strict=True)],
            images=[Image.open(c.picture).convert("RGB") for c in conversations],
            padding=True,
            padding_side="left",
            return_tensors="pt",
        )
        labels = torch.full_like(inputs["input_ids"], IGNORED)
        for row, ids, answer in zip(labels, inputs["input_ids"], answers, strict=True):
            length = len(self.processor.tokenizer(answer).input_ids)
            row[-length:] = ids[-length:]
        return dict(inputs), labels

    def __call__(self, inputs: dict[str, Tensor], labels: Tensor) -> float:
        """Take one optimiser step, and return the mean forward KL of an answer token in nats."""
        with torch.no_grad():
            teacher_logits = self.teacher(**inputs).logits
        student_logits = self.student(**inputs).logits
        width = min(teacher_logits.shape[-1], student_logits.shape[-1])
        teacher_rows, student_rows = teacher_logits[:, :-1, :width], student_logits[:, :-1, :width]
        predicts = labels[:, 1:] != IGNORED
        if self.answers_only:
            teacher_rows, student_rows, predicts = teacher_rows[predicts], student_rows[predicts], predicts[predicts]
        divergence = F.kl_div(
            F.log_softmax(student_rows, dim=-1), F.log_softmax(teacher_rows, dim=-1), log_target=True, reduction="none"
        ).sum(dim=-1)
        loss = (divergence * predicts).sum() / predicts.sum()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.item()
