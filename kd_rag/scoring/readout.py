"""One pass of a model over a batch: everything that an objective reads of one side.

Without label scores the prompt is followed by the answer. With them it is followed by the tree of the task's labels, of
which the answer is one more path, so that the answer's rows and every label's likelihood come from the same pass.
An answer with reasons has the labels behind these: there it is decided, and there evaluation scores it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxtyping import Int
from torch import Tensor, nn

from kd_rag.losses.heads import answer_rows, with_answers
from kd_rag.losses.sides import Needs, Side, StateRows
from kd_rag.models import VisionLanguageModel
from kd_rag.models._capture import captured
from kd_rag.scoring.label_tree import LabelTree, path_rows, scores_of_paths, stacked
from kd_rag.types import IGNORED, Batch

_PICTURES = "pictures"


def read(
    model: VisionLanguageModel, batch: Batch, needs: Needs, trees: Mapping[str, LabelTree]
) -> tuple[Side, Int[Tensor, " answers"]]:
    """Return the model's side of `batch` and its answer tokens; `trees` holds a label tree for each task."""
    with captured(_modules(model, needs)) as seen:
        if needs.labels:
            side, targets = _read_tree(model, batch, needs, trees, seen)
        else:
            states = model(with_answers(batch.inputs, batch.answers))
            rows, targets = answer_rows(states, batch)
            hidden = {layer: answer_rows(seen[layer], batch)[0] for layer in needs.layers}
            side = Side(StateRows(rows, model.logits), hidden=hidden, pictures=seen.get(_PICTURES))
    return side, targets


def _read_tree(
    model: VisionLanguageModel, batch: Batch, needs: Needs, trees: Mapping[str, LabelTree], seen: dict[Any, Tensor]
) -> tuple[Side, Int[Tensor, " answers"]]:
    """Read prompt, labels and answer in one pass."""
    answers = [row[row != IGNORED].tolist() for row in batch.answers]
    reasons = [0] * len(answers) if batch.reason_tokens is None else batch.reason_tokens.tolist()
    rows = zip(batch.examples, answers, reasons, strict=True)
    grown = [trees[example.task.name].with_answer(ids, before) for example, ids, before in rows]
    prompt = batch.inputs.input_ids.shape[1]
    states = model(batch.inputs, stacked(grown).to(batch.answers.device))
    scores = scores_of_paths(model, states, prompt, grown)
    index = path_rows(grown, prompt)
    side = Side(
        StateRows(states[index], model.logits),
        label_scores=tuple(row[:-1] for row in scores),  # the last path is the answer itself
        hidden={layer: seen[layer][index] for layer in needs.layers},
        pictures=seen.get(_PICTURES),
    )
    return side, batch.answers[batch.answers != IGNORED]


def _modules(model: VisionLanguageModel, needs: Needs) -> dict[Any, nn.Module]:
    chosen: dict[Any, nn.Module] = {layer: model.layers[layer] for layer in needs.layers}
    return {**chosen, _PICTURES: model.merger} if needs.pictures else chosen
