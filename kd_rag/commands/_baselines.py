"""What stands beside a model's scores: a majority class, and a linear SVM that reads the words of the same prompts.

In: the records of train and of a split, and what prepares them. Out: scores, by baseline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kd_rag.commands._parts import Data
from kd_rag.config import Config
from kd_rag.data.prepare import Preparation
from kd_rag.data.queries import dialogue_text
from kd_rag.evaluation.baselines import linear_svm, majority_class
from kd_rag.evaluation.metrics import over_tasks, score, score_answers
from kd_rag.evaluation.predictions import Prediction
from kd_rag.types import InputError, Record, Stage


def baseline_scores(
    config: Config, data: Data, preparation: Preparation, split: str, predictions: Sequence[Prediction]
) -> dict[str, Any]:
    """Return the scores of `split` as those of `predictions` are, without probabilities for the SVM.

    The SVM is trained on the turns and the OCR lines of train, which the task's switches show in training, and reads
    those that they show in evaluation. Raises InputError for a task that train has no record of.
    """
    samples, seed = config.evaluation.bootstrap_samples, config.run.seed
    labels = {name: data.tasks[name].labels for name in dict.fromkeys(p.task for p in predictions)}
    train = {name: [r for r in data.records["train"] if r.task == name] for name in labels}
    for name, records in train.items():
        if not records:
            raise InputError(f"--baselines: data.train has no record of task {name!r} to learn from")
    counts = {name: Counter(str(r.label) for r in records) for name, records in train.items()}
    answered = {}
    for name in labels:
        asked = [r for r in data.records[split] if r.task == name]
        known = _texts(config, preparation, train[name], "train")
        texts = _texts(config, preparation, asked, "eval")
        predicted = linear_svm(known, [str(r.label) for r in train[name]], texts, seed)
        answered[name] = score_answers(labels[name], [str(r.label) for r in asked], predicted, samples, seed)
    return {
        "majority class": score(majority_class(counts, predictions), labels, samples, seed),
        "linear SVM": over_tasks(answered),
    }


def _texts(config: Config, preparation: Preparation, records: Sequence[Record], stage: Stage) -> list[str]:
    """Return the words of each record: its turns, and the lines of its pictures that a prompt of `stage` shows."""
    read = preparation.examples(records, stage, replace(config.student.prompt, passages=False)).lines
    return [
        "\n".join([dialogue_text(r), *(line.text for picture in read.get(r.id, ()) for line in picture)])
        for r in records
    ]
