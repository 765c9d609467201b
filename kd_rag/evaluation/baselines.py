"""What a model has to beat: guesses that look at no record.

In: the labels of the training set, and the predictions of a model. Out: predictions for the same records.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from kd_rag.evaluation.predictions import Prediction


def majority_class(
    train_label_counts: Mapping[str, Mapping[str, int]], predictions: Sequence[Prediction]
) -> list[Prediction]:
    """Answer every record with the commonest label of its task in the training set.

    The probabilities are the labels' shares in the training set, so that likelihood and calibration can be
    scored too; of labels equally common, the first in prompt order is taken. `train_label_counts` is
    `{task: {label: n}}` and has every task of the predictions.
    """
    return [_guess(train_label_counts[prediction.task], prediction) for prediction in predictions]


def _guess(counts: Mapping[str, int], prediction: Prediction) -> Prediction:
    total = sum(counts.values())
    shares = {label: counts.get(label, 0) / total for label in prediction.probabilities}
    predicted = max(shares, key=shares.__getitem__)
    return dataclasses.replace(prediction, predicted=predicted, probabilities=shares, passages=[], ocr="")
