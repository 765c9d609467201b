"""Answers drawn from a network by its own `generate`.

Ids above the tokenizer's, and special tokens but the end of the turn, are never drawn: a picture token in an answer
would ask for a picture that is not there.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from kd_rag.models import Processor
from kd_rag.types import IGNORED, Inputs


@torch.no_grad()
def drawn_answers(
    network: Any, processor: Processor, head_rows: int, prompts: Inputs, max_tokens: int, temperature: float
) -> Int[Tensor, "batch answer"]:
    """Return an answer for each prompt: the end of the turn last unless `max_tokens` came first, -100 behind it."""
    drawn: Tensor = network.generate(
        input_ids=prompts.input_ids,
        attention_mask=prompts.attention_mask,
        mm_token_type_ids=prompts.mm_token_type_ids,
        pixel_values=prompts.pixel_values,
        image_grid_thw=prompts.image_grid_thw,
        do_sample=True,
        temperature=temperature,
        top_k=0,
        top_p=1.0,
        max_new_tokens=max_tokens,
        suppress_tokens=_never_said(processor, head_rows),
        eos_token_id=processor.end_of_turn_id,
        pad_token_id=processor.pad_id,
    )[:, prompts.input_ids.shape[1] :]
    ends = (drawn == processor.end_of_turn_id).long()
    return drawn.masked_fill(ends.cumsum(dim=1) > ends, IGNORED)


def _never_said(processor: Processor, head_rows: int) -> list[int]:
    special = set(processor.tokenizer.get_added_vocab().values()) - {processor.end_of_turn_id}
    return sorted(special | set(range(processor.vocabulary, head_rows)))
