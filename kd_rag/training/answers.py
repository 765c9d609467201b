"""From a prompt batch to predictions: every label's likelihood, adjusted, as probabilities.

In: a model, a prompt batch and the label trees. Out: a `Prediction` for each row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from kd_rag.evaluation.predictions import Prediction
from kd_rag.models import VisionLanguageModel
from kd_rag.scoring.adjust import Adjustment
from kd_rag.scoring.label_tree import LabelTree, label_log_likelihoods
from kd_rag.types import Batch, Example


@torch.no_grad()
def predict(
    model: VisionLanguageModel, batch: Batch, trees: Mapping[str, LabelTree], adjust: Adjustment | None
) -> list[Prediction]:
    """Return the prediction of each row; `adjust` None leaves the labels' log-likelihoods as they are."""
    chosen = [trees[example.task.name] for example in batch.examples]
    found = label_log_likelihoods(model, batch.inputs, chosen)
    predictions = []
    for example, tree, scores in zip(batch.examples, chosen, found, strict=True):
        final = adjust(scores, tree, example.task.name) if adjust else scores
        predictions.append(_prediction(example, tree.labels, final.softmax(dim=0).tolist()))
    return predictions


def _prediction(example: Example, labels: Sequence[str], probabilities: Sequence[float]) -> Prediction:
    by_label = dict(zip(labels, probabilities, strict=True))
    return Prediction(
        id=example.record.id,
        task=example.task.name,
        label=example.record.label,
        predicted=max(by_label, key=by_label.__getitem__),
        probabilities=by_label,
        passages=[r.passage.id for r in example.passages],
        ocr="\n".join(line.text for lines in example.lines for line in lines),
    )
