"""Checks before the first step: do the pictures reach the models, and does the teacher know the answers?

In: the student, or its teacher's network, and a micro-batch. Out: what was measured, by name. What these checks find
trains quietly otherwise, at a loss that looks normal, so a failed one is an InputError.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kd_rag.losses.objective import CHUNK_ROWS
from kd_rag.losses.sides import Needs, Side, TopRows
from kd_rag.models import VisionLanguageModel
from kd_rag.scoring.readout import read
from kd_rag.types import IGNORED, Batch, InputError

Measured = dict[str, float | str]

PATCHES_A_TOKEN = 4
"""Qwen2-VL merges 2 x 2 patches into a token."""

ROUNDING_NATS = 1e-3
"""A head that gives all ids the same logit must not pass by the rounding of its mean."""

_SAME_MODEL = "are config.json, tokenizer and preprocessor_config.json of its folder those of one model?"


@torch.no_grad()
def check_student(model: VisionLanguageModel, batch: Batch) -> Measured:
    """Check the student on `batch`, which lies on its device; leaves it in training mode.

    The results are picture tokens (a count) and the largest change of a log-probability that other pictures bring
    (nats, of the record that they change least). Raises InputError with the reason and the remedy.
    """
    if batch.inputs.image_grid_thw is None:
        return {"pictures": "none in the training data"}
    measured = _check_pictures(model.eval(), batch, "student")
    model.train()
    return measured


@torch.no_grad()
def check_teacher(network: VisionLanguageModel, batch: Batch) -> Measured:
    """Check a teacher's network on `batch`, as the teacher reads it, in the same way, and that it knows the answers."""
    measured = {} if batch.inputs.image_grid_thw is None else _check_pictures(network, batch, "teacher")
    return measured | check_knowledge(read(network, batch, Needs(), {})[0], batch, network.processor.vocabulary)


def check_knowledge(side: Side, batch: Batch, vocabulary: int) -> Measured:
    """Return a teacher's cross-entropy and that of a uniform guess, which must be larger, in nats a token."""
    return {
        "teacher_cross_entropy": teacher_cross_entropy(side, batch, vocabulary),
        "uniform_cross_entropy": math.log(vocabulary),
    }


def _check_pictures(model: VisionLanguageModel, batch: Batch, whose: str) -> Measured:
    measured: Measured = {f"{whose}_picture_tokens": picture_tokens(batch, model.processor.picture_token_id, whose)}
    positions_of_pictures(model.positions(batch.inputs), batch, whose)
    said = picture_changes(lambda b: read(model, b, Needs(), {})[0], batch, model.processor.vocabulary, whose)
    return measured | {f"{whose}_{name}": change for name, change in said.items()}


def picture_tokens(batch: Batch, picture_token_id: int, whose: str) -> int:
    """Return the number of picture tokens; raises InputError where a prompt has not as many as its pictures' grids say.

    A prompt with one token too few shifts every later picture's features by one.
    """
    inputs = batch.inputs
    assert inputs.image_grid_thw is not None
    assert inputs.pixel_values is not None
    patches = iter(inputs.image_grid_thw.prod(dim=1).tolist())
    marked = inputs.input_ids == picture_token_id
    for example, row in zip(batch.examples, marked, strict=True):
        expected = sum(islice(patches, len(example.dialogue.pictures))) // PATCHES_A_TOKEN
        if (found := int(row.sum())) != expected:
            raise InputError(
                f"guards: the {whose}'s prompt of record {example.record.id!r} has {found} picture tokens, its "
                f"pictures' grids say {expected}; {_SAME_MODEL}"
            )
    if len(inputs.pixel_values) != (total := int(inputs.image_grid_thw.prod(dim=1).sum())):
        raise InputError(
            f"guards: the {whose}'s pictures have {len(inputs.pixel_values)} patches, their grids say {total}; "
            + _SAME_MODEL
        )
    if not torch.equal(marked.long(), inputs.mm_token_type_ids):
        raise InputError(
            f"guards: mm_token_type_ids mark other tokens of the {whose}'s prompts than the picture tokens; "
            + _SAME_MODEL
        )
    return int(marked.sum())


def positions_of_pictures(positions: Int[Tensor, "axes batch seq"], batch: Batch, whose: str) -> None:
    """Raise InputError unless text moves along all axes alike, and each picture has its rows and columns.

    A running count on all three axes, which a model also accepts, hides from it what stands above and below what.
    """
    inputs = batch.inputs
    assert inputs.image_grid_thw is not None
    pictures = inputs.mm_token_type_ids.bool()
    text = positions[:, inputs.attention_mask.bool() & ~pictures]
    wrong = len(positions) != 3 or not torch.equal(text, text[:1].expand_as(text))
    if not wrong:
        grids = inputs.image_grid_thw
        spans = torch.split(positions[:, pictures], (grids.prod(dim=1) // PATCHES_A_TOKEN).tolist(), dim=1)
        # Of a merged grid of h x w tokens, the height takes h values and the width w.
        wrong = any(
            [axis.unique().numel() for axis in span[1:]] != (grid[1:] // 2).tolist()
            for span, grid in zip(spans, grids, strict=True)
        )
    if wrong:
        raise InputError(
            f"guards: the {whose}'s positions are not three-dimensional (time, height and width, alike on text, rows "
            "and columns on pictures); its model family must build M-RoPE positions from image_grid_thw"
        )


def picture_changes(side: Callable[[Batch], Side], batch: Batch, vocabulary: int, whose: str) -> dict[str, float]:
    """Return how much the answers' first tokens change when pictures are blank, and when they are others.

    Others are the batch's patches in reverse order: another record's, or, of a single picture, its reverse. Any
    change beyond that of a repeated pass counts, for without pictures in its input a model repeats itself exactly,
    and weights that were never trained show little more. Raises InputError naming the records without a change.
    """
    first = replace(batch, answers=batch.answers[:, :1])
    pixels, plain = first.inputs.pixel_values, _first_tokens(side, first, vocabulary)
    assert pixels is not None
    noise = (_first_tokens(side, first, vocabulary) - plain).abs().amax(dim=1)
    patches = (first.inputs.mm_token_type_ids.sum(dim=1) * PATCHES_A_TOKEN).tolist()
    changes = {}
    for how, other in (("blanked", torch.zeros_like(pixels)), ("swapped", pixels.flip(0))):
        differs = torch.stack([part.any() for part in torch.split(other != pixels, patches)])
        if not differs.any():  # the pictures are of one colour, and their reverse is the same
            continue
        shown = replace(first, inputs=replace(first.inputs, pixel_values=other))
        change = (_first_tokens(side, shown, vocabulary) - plain).abs().amax(dim=1)
        unmoved = differs & (change <= noise)
        if unmoved.any():
            ids = ", ".join(repr(e.record.id) for e, is_so in zip(batch.examples, unmoved, strict=True) if is_so)
            raise InputError(
                f"guards: with pictures {how} the {whose} answers as before on the records {ids}; its pictures do not "
                "reach its answers: check the model's family and the weights of its vision tower"
            )
        changes[how] = change[differs].min().item()
    return changes


def _first_tokens(side: Callable[[Batch], Side], batch: Batch, vocabulary: int) -> Float[Tensor, "batch vocab"]:
    return side(batch).answers.outcomes(slice(0, len(batch.examples)), vocabulary, 1.0)[0]


def teacher_cross_entropy(side: Side, batch: Batch, vocabulary: int) -> float:
    """Return the teacher's mean cross-entropy on the gold answers in nats; raises InputError from a uniform guess's on.

    Top-k targets are read at the temperature they hold for, which leaves a uniform guess where it is; a gold token that
    they did not keep gets an even share of the rest.
    """
    targets = batch.answers[batch.answers != IGNORED]
    temperature = side.answers.temperature if isinstance(side.answers, TopRows) else 1.0
    total = 0.0
    for start in range(0, len(targets), CHUNK_ROWS):
        gold = targets[start : start + CHUNK_ROWS, None]
        log_probs, kept = side.answers.outcomes(slice(start, start + len(gold)), vocabulary, temperature)
        if kept is None:
            found = log_probs.gather(1, gold)[:, 0]
        else:
            hit = kept == gold
            share = log_probs[:, -1] - math.log(vocabulary - kept.shape[1])
            found = log_probs[:, :-1].masked_fill(~hit, -torch.inf).amax(dim=1).where(hit.any(dim=1), share)
        total -= found.sum().item()
    mean = total / len(targets)
    if not mean < math.log(vocabulary) - ROUNDING_NATS:
        raise InputError(
            f"guards: the teacher's cross-entropy on the first answers is {mean:.2f} nats a token, a uniform guess has "
            f"{math.log(vocabulary):.2f}; it knows nothing to learn: was it trained on this task, and does its head "
            "belong to its weights?"
        )
    return mean
