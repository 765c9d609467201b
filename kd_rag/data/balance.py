"""Weights of labels by their effective number: training records -> a weight for each label, mean 1 over the records.

Source: Cui et al. 2019, "Class-balanced loss based on effective number of samples". The n-th record of a label adds
beta^(n - 1) to what is known of it, so n records count as (1 - beta^n) / (1 - beta), and weigh one over that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from kd_rag.types import InputError, Record

LabelWeights = dict[tuple[str, str | None], float]


def label_weights(records: Sequence[Record], beta: float, key: str) -> LabelWeights:
    """Return the weight of each (task, label); beta 0 weighs all alike, beta near 1 by one over the label's records.

    Raises InputError naming `key`, where `beta` is configured, if it is not in [0, 1).
    """
    if not 0 <= beta < 1:
        raise InputError(f"{key}: expected a number from 0 to below 1, such as 0.99, found {beta}")
    counts = Counter((record.task, record.label) for record in records)
    raw = {label: (1 - beta) / (1 - beta**count) for label, count in counts.items()}
    mean = sum(raw[label] * count for label, count in counts.items()) / len(records)
    return {label: weight / mean for label, weight in raw.items()}
