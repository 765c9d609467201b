"""From a prompt batch to predictions: every label's likelihood, adjusted, as probabilities; or what the model says.

In: a model, a prompt batch and the label trees. Out: a `Prediction` for each row. Where the prompts ask for reasons,
the model gives its own first, and the labels are scored behind them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from kd_rag.data.collator import padded, reason_ids
from kd_rag.evaluation.predictions import Prediction
from kd_rag.losses.heads import continued
from kd_rag.models import VisionLanguageModel
from kd_rag.scoring.adjust import Adjustment
from kd_rag.scoring.decode import constrained_labels, free_texts, label_said, split_answer
from kd_rag.scoring.label_tree import LabelTree, label_log_likelihoods
from kd_rag.types import Batch, Example, Inputs

NO_LABEL = ""
"""What is predicted where a text is no label."""


@torch.no_grad()
def predict(
    model: VisionLanguageModel,
    batch: Batch,
    trees: Mapping[str, LabelTree],
    adjust: Adjustment | None,
    max_answer_tokens: int,
) -> list[Prediction]:
    """Return the prediction of each row; `adjust` None leaves the labels' log-likelihoods as they are.

    `max_answer_tokens` bounds what the model says where reasons are asked for.
    """
    chosen = [trees[example.task.name] for example in batch.examples]
    inputs = batch.inputs
    reasons: Sequence[str | None] = [None] * len(chosen)
    if batch.examples[0].asked == "reasons_and_label":
        inputs, reasons = _reasoned(model, inputs, max_answer_tokens)
    found = label_log_likelihoods(model, inputs, chosen)
    predictions = []
    for example, tree, scores, why in zip(batch.examples, chosen, found, reasons, strict=True):
        final = adjust(scores, tree, example.task.name) if adjust else scores
        predictions.append(_prediction(example, tree.labels, final.softmax(dim=0).tolist(), why))
    return predictions


@torch.no_grad()
def say(
    model: VisionLanguageModel,
    batch: Batch,
    trees: Mapping[str, LabelTree],
    max_answer_tokens: int,
    *,
    constrained: bool,
) -> list[Prediction]:
    """Return what each row says greedily, without probabilities: held to its label tree, or whatever it likes.

    A free answer that is no label to the letter predicts `NO_LABEL`. `max_answer_tokens` bounds the reasons before it.
    """
    chosen = [trees[example.task.name] for example in batch.examples]
    reasoned = batch.examples[0].asked == "reasons_and_label"
    if constrained:
        inputs = _reasoned(model, batch.inputs, max_answer_tokens)[0] if reasoned else batch.inputs
        labels: Sequence[str | None] = constrained_labels(model, inputs, chosen)
    else:
        longest = max(len(ids) for tree in chosen for ids in tree.answers.values())
        texts = free_texts(model, batch.inputs, longest + (max_answer_tokens if reasoned else 0))
        ends = [split_answer(text)[1] if reasoned else text for text in texts]
        labels = [label_said(text, tree) for text, tree in zip(ends, chosen, strict=True)]
    return [
        Prediction(e.record.id, e.task.name, e.record.label, label or NO_LABEL, {}, [], "")
        for e, label in zip(batch.examples, labels, strict=True)
    ]


def _reasoned(model: VisionLanguageModel, prompts: Inputs, max_tokens: int) -> tuple[Inputs, list[str]]:
    """Return the prompts with the model's reasons behind them, and these; a row that says a label at once has none."""
    reasons = [split_answer(text)[0] for text in free_texts(model, prompts, max_tokens)]
    ids = padded([torch.tensor(reason_ids(model.processor, text), dtype=torch.long) for text in reasons])
    return continued(prompts, ids.to(prompts.input_ids.device)), reasons


def _prediction(
    example: Example, labels: Sequence[str], probabilities: Sequence[float], reasons: str | None
) -> Prediction:
    by_label = dict(zip(labels, probabilities, strict=True))
    return Prediction(
        id=example.record.id,
        task=example.task.name,
        label=example.record.label,
        predicted=max(by_label, key=by_label.__getitem__),
        probabilities=by_label,
        passages=[r.passage.id for r in example.passages],
        ocr="\n".join(line.text for lines in example.lines for line in lines),
        reasons=reasons,
    )
