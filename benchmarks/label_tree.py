"""Scoring 23 labels: one pass over the label tree against what others do for the same answer.

In: a pair's student and eight records. Out: records a second of each way, all together and one at a time, and how often
a way names the label that the tree finds likeliest. The ways: the network's own greedy `generate` with its cache,
constrained to the labels or free (to the longest label's tokens: a model that never ends its turn goes on to the
caller's limit, 1,024 as a rule); and a pass for each label alone. Beside them stands what bounds all that read
each prompt anew: the prompt alone, with the head on its last token. Freed memory is kept, as our commands keep it.
Example:
  python -m benchmarks.label_tree --out tree.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks._models import Pair, folder
from benchmarks._settings import THREADS
from benchmarks._workload import collator, draw
from kd_rag._allocator import keep_freed_memory
from kd_rag.data.collator import answer_ids
from kd_rag.models.qwen2_vl import Qwen2VL
from kd_rag.scoring.label_tree import LabelTree, label_log_likelihoods
from kd_rag.types import Batch

LABELS = 23
PROMPTS = (256, 1024)
PAIRS: tuple[Pair, ...] = ("bench", "replica")
TREE = "label tree"
Way = Callable[[Qwen2VL, Batch, LabelTree], list[str]]


def tree_against_generate(pair: Pair, prompt_tokens: int, cache: Path, rounds: int) -> list[dict[str, Any]]:
    """Return a row for each way, measured in turns after one round to warm up; `times_faster` is the tree's gain."""
    model = Qwen2VL(path=str(folder(pair, "student", cache))).eval()
    with tempfile.TemporaryDirectory() as scratch:
        examples = draw(prompt_tokens, model.processor, Path(scratch))
        together = [collator(model.processor).prompts(examples)]
        singly = [collator(model.processor).prompts([example]) for example in examples]
    labels = [f"{examples[i % len(examples)].record.label} {i // len(examples)}" for i in range(LABELS)]
    tree = LabelTree.build({label: answer_ids(model.processor, label) for label in labels})
    rows = []
    for batches in (together, singly):
        seconds, named = _measured(partial(_answers, model, batches, tree), rounds)
        tree_seconds = statistics.median(seconds[TREE])
        rows += [
            {
                "pair": pair,
                "prompt_tokens": prompt_tokens,
                "records at once": len(batches[0].examples),
                "way": name,
                "records_per_second": len(examples) / statistics.median(spent),
                "tree is times faster": statistics.median(spent) / tree_seconds,
                "same label": sum(a == b for a, b in zip(named[name], named[TREE], strict=True)),
            }
            for name, spent in seconds.items()
        ]
    return rows


def _measured(answers: Callable[[Way], list[str]], rounds: int) -> tuple[dict[str, list[float]], dict[str, list[str]]]:
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    named: dict[str, list[str]] = {}
    for round_ in range(rounds + 1):
        for name, way in WAYS.items():
            start = time.perf_counter()
            named[name] = answers(way)
            if round_:
                seconds[name].append(time.perf_counter() - start)
    return seconds, named


def _answers(model: Qwen2VL, batches: list[Batch], tree: LabelTree, way: Way) -> list[str]:
    return [label for batch in batches for label in way(model, batch, tree)]


@torch.no_grad()
def _by_tree(model: Qwen2VL, batch: Batch, tree: LabelTree) -> list[str]:
    scores = label_log_likelihoods(model, batch.inputs, [tree] * len(batch.examples))
    return [tree.labels[int(row.argmax())] for row in scores]


@torch.no_grad()
def _each_alone(model: Qwen2VL, batch: Batch, tree: LabelTree) -> list[str]:
    alone = [LabelTree.build({label: ids}) for label, ids in tree.answers.items()]
    scores = [torch.stack(label_log_likelihoods(model, batch.inputs, [one] * len(batch.examples))) for one in alone]
    return [tree.labels[int(i)] for i in torch.cat(scores, dim=1).argmax(dim=1)]


@torch.no_grad()
def _prompt_alone(model: Qwen2VL, batch: Batch, tree: LabelTree) -> list[str]:
    model.logits(model(batch.inputs)[:, -1])
    return ["no label"] * len(batch.examples)


@torch.no_grad()
def _said(model: Qwen2VL, batch: Batch, tree: LabelTree, *, constrained: bool) -> list[str]:
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
        prefix_allowed_tokens_fn=allowed if constrained else None,
        max_new_tokens=max(map(len, by_ids)),
        eos_token_id=model.processor.end_of_turn_id,
        pad_token_id=model.processor.pad_id,
    )[:, prompt:].tolist()
    end = model.processor.end_of_turn_id
    cut = [tuple(row[: row.index(end) + 1]) if end in row else tuple(row) for row in drawn]
    return [by_ids.get(ids, "no label") for ids in cut]


WAYS: dict[str, Way] = {
    TREE: _by_tree,
    "constrained generate": partial(_said, constrained=True),
    "free generate": partial(_said, constrained=False),
    "each label alone": _each_alone,
    "prompt alone": _prompt_alone,
}


def main() -> None:
    """Measure both pairs at both lengths, print the rows and write them as JSON after each setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the measurements as JSON")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/kd_rag/embedded").expanduser())
    args = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(THREADS)
    found: list[dict[str, Any]] = []
    for pair in PAIRS:
        for prompt_tokens in PROMPTS:
            for row in tree_against_generate(pair, prompt_tokens, args.cache, args.rounds):
                found.append(row)
                print(" | ".join(f"{value:.2f}" if isinstance(value, float) else f"{value}" for value in row.values()))
            args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
