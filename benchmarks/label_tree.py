"""Scoring 23 labels: one pass over the label tree against generating the label, constrained to the same set.

In: the bench pair's student and eight records. Out: records a second of both, and how often they name the same label.
Generation is the network's own `generate` with the labels as the only continuations allowed, greedy, with its cache.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks._models import folder
from benchmarks._workload import collator, draw
from kd_rag.data.collator import answer_ids
from kd_rag.models.qwen2_vl import Qwen2VL
from kd_rag.scoring.label_tree import LabelTree, label_log_likelihoods
from kd_rag.types import Batch

LABELS = 23
PROMPT_TOKENS = 256


def tree_against_generate(cache: Path, rounds: int) -> list[dict[str, Any]]:
    """Return a row for each way, measured in turns after one round to warm up."""
    model = Qwen2VL(path=str(folder("bench", "student", cache))).eval()
    with tempfile.TemporaryDirectory() as scratch:
        examples = draw(PROMPT_TOKENS, model.processor, Path(scratch))
        batch = collator(model.processor).prompts(examples)
    labels = [f"{examples[i % len(examples)].record.label} {i // len(examples)}" for i in range(LABELS)]
    tree = LabelTree.build({label: answer_ids(model.processor, label) for label in labels})
    ways = {"label tree": _by_tree, "constrained generate": _said}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    named: dict[str, list[str]] = {}
    for round_ in range(rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            named[name] = way(model, batch, tree)
            if round_:
                seconds[name].append(time.perf_counter() - start)
    same = sum(one == other for one, other in zip(*named.values(), strict=True))
    return [
        {
            "way": name,
            "labels": LABELS,
            "records_per_second": len(examples) / statistics.median(seconds[name]),
            "times_faster": statistics.median(seconds["constrained generate"]) / statistics.median(seconds[name]),
            "same label": f"{same} of {len(examples)}",
        }
        for name in ways
    ]


@torch.no_grad()
def _by_tree(model: Qwen2VL, batch: Batch, tree: LabelTree) -> list[str]:
    scores = label_log_likelihoods(model, batch.inputs, [tree] * len(batch.examples))
    return [tree.labels[int(row.argmax())] for row in scores]


@torch.no_grad()
def _said(model: Qwen2VL, batch: Batch, tree: LabelTree) -> list[str]:
    inputs, prompt = batch.inputs, batch.inputs.input_ids.shape[1]
    by_ids = {ids: label for label, ids in tree.answers.items()}

    def allowed(_: int, ids: torch.Tensor) -> list[int]:
        said = tuple(ids[prompt:].tolist())
        following = {answer[len(said)] for answer in by_ids if len(answer) > len(said) and answer[: len(said)] == said}
        return sorted(following) or [model.processor.pad_id]

    drawn = model.network.generate(
        input_ids=inputs.input_ids,
        attention_mask=inputs.attention_mask,
        mm_token_type_ids=inputs.mm_token_type_ids,
        pixel_values=inputs.pixel_values,
        image_grid_thw=inputs.image_grid_thw,
        do_sample=False,
        prefix_allowed_tokens_fn=allowed,
        max_new_tokens=max(map(len, by_ids)),
        eos_token_id=model.processor.end_of_turn_id,
        pad_token_id=model.processor.pad_id,
    )[:, prompt:].tolist()
    end = model.processor.end_of_turn_id
    return [by_ids[tuple(row[: row.index(end) + 1])] for row in drawn]
