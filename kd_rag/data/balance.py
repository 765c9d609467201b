"""Weights of labels by their effective number: training records -> a weight for each label, mean 1 over the records.

Source: Cui et al. 2019, "Class-balanced loss based on effective number of samples". The n-th record of a label adds
beta^(n - 1) to what is known of it, so n records count as (1 - beta^n) / (1 - beta), and weigh one over that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from kd_rag.types import InputError, Record

LabelWeights = dict[tuple[str, str | None], float]


def label_weights(records: Sequence[Record], beta: float, key: str, left_alone: Collection[str] = ()) -> LabelWeights:
    """Return the weight of each (task, label); beta 0 weighs all alike, beta near 1 by one over the label's records.

    The labels of the tasks `left_alone` weigh 1, and so do all others on average over their records.

    Raises InputError naming `key`, where `beta` is configured, if it is not in [0, 1).
    """
    if not 0 <= beta < 1:
        raise InputError(f"{key}: expected a number from 0 to below 1, such as 0.99, found {beta}")
    counts = Counter((record.task, record.label) for record in records)
    raw = {(task, label): (1 - beta) / (1 - beta**n) for (task, label), n in counts.items() if task not in left_alone}
    total, mass = sum(counts[label] for label in raw), sum(weight * counts[label] for label, weight in raw.items())
    return {label: raw[label] * total / mass if label in raw else 1.0 for label in counts}
