"""Answers that a network says by its own `generate`: drawn at random, or the likeliest token at each step.

Ids above the tokenizer's, and special tokens but the end of the turn, are never said: a picture token in an answer
would ask for a picture that is not there. What a folder's own generation settings say is overruled: a penalty on
repetition, as some have, would change the distribution that a loss or a score takes the answers to come from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from kd_rag.models import Processor
from kd_rag.types import IGNORED, Inputs

Following = Callable[[int, list[int]], list[int]]
"""`following(row, said)` returns the ids that may come after the ids `said` in a row of the batch, at least one."""


def drawn_answers(
    network: Any, processor: Processor, head_rows: int, prompts: Inputs, max_tokens: int, temperature: float
) -> Int[Tensor, "batch answer"]:
    """Return a random answer to each prompt, in the form of `greedy_answers`."""
    choice = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
    return _said(network, processor, head_rows, prompts, max_tokens, **choice)


def greedy_answers(
    network: Any,
    processor: Processor,
    head_rows: int,
    prompts: Inputs,
    max_tokens: int,
    following: Following | None,
) -> Int[Tensor, "batch answer"]:
    """Return an answer to each prompt: the end of the turn last unless `max_tokens` came first, -100 behind it.

    `following` constrains what is said; None leaves it free.
    """
    width = prompts.input_ids.shape[1]

    def allowed(row: int, ids: Tensor) -> list[int]:
        said: list[int] = ids[width:].tolist()
        # A row that has ended is asked too while others go on; what it answers is dropped.
        ended = processor.end_of_turn_id in said
        return [processor.end_of_turn_id] if ended or following is None else following(row, said)

    choice = {"do_sample": False, "prefix_allowed_tokens_fn": None if following is None else allowed}
    return _said(network, processor, head_rows, prompts, max_tokens, **choice)


@torch.no_grad()
def _said(
    network: Any, processor: Processor, head_rows: int, prompts: Inputs, max_tokens: int, **choice: Any
) -> Int[Tensor, "batch answer"]:
    pictures = {"pixel_values": prompts.pixel_values, "image_grid_thw": prompts.image_grid_thw}
    said: Tensor = network.generate(
        input_ids=prompts.input_ids,
        attention_mask=prompts.attention_mask,
        mm_token_type_ids=prompts.mm_token_type_ids,
        **(pictures if prompts.pixel_values is not None else {}),
        max_new_tokens=max_tokens,
        repetition_penalty=1.0,
        suppress_tokens=_never_said(processor, head_rows),
        eos_token_id=processor.end_of_turn_id,
        pad_token_id=processor.pad_id,
        **choice,
    )[:, prompts.input_ids.shape[1] :]
    ends = (said == processor.end_of_turn_id).long()
    return said.masked_fill(ends.cumsum(dim=1) > ends, IGNORED)


def _never_said(processor: Processor, head_rows: int) -> list[int]:
    special = set(processor.tokenizer.get_added_vocab().values()) - {processor.end_of_turn_id}
    return sorted(special | set(range(processor.vocabulary, head_rows)))
