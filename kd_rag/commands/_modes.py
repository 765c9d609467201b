"""The same model and prompts asked for words instead of likelihoods, and a vote of all ways.

In: a module that has scored a split by label tree. Out: scores by mode, without probabilities.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from kd_rag.commands.evaluate import MODES
from kd_rag.evaluation.metrics import over_tasks, score_answers
from kd_rag.scoring.decode import majority
from kd_rag.training.answers import NO_LABEL, say
from kd_rag.training.module import Distiller
from kd_rag.training.trainer import evaluating
from kd_rag.types import Batch


def mode_scores(mode: str, module: Distiller, batches: Iterable[Batch]) -> dict[str, Any]:
    """Return the scores of what the model says, by mode, and for `vote` those of the commonest of the three answers.

    `batches` are those of `module.predictions`, in their order. Each task has `no_label_share`, in [0, 1].
    """
    answered = {"label_tree": module.predictions}
    for way in MODES[mode]:
        limit = module.config.reasoning.max_tokens
        answer = partial(say, trees=module.trees, max_answer_tokens=limit, constrained=way == "generate")
        speaker = Distiller(module.model, module.trees, module.config, answer=answer)
        evaluating(module.config.trainer).predict(speaker, batches, return_predictions=False)
        answered[way] = speaker.predictions
    labels = {way: [p.predicted or None for p in found] for way, found in answered.items()}
    said: dict[str, Sequence[str | None]] = {way: labels[way] for way in MODES[mode]}
    if mode == "vote":
        said["vote"] = [majority(votes) for votes in zip(*labels.values(), strict=True)]
    return {way: _scored(module, found) for way, found in said.items()}


def _scored(module: Distiller, said: Sequence[str | None]) -> dict[str, Any]:
    rows: dict[str, list[tuple[str, str | None]]] = {}
    for p, label in zip(module.predictions, said, strict=True):
        rows.setdefault(p.task, []).append((str(p.label), label))
    settings = module.config.evaluation.bootstrap_samples, module.config.run.seed
    scored = {}
    for task, pairs in rows.items():
        gold, labels = zip(*pairs, strict=True)
        scores = score_answers(module.trees[task].labels, gold, [label or NO_LABEL for label in labels], *settings)
        scored[task] = {**scores, "no_label_share": labels.count(None) / len(labels)}
    return over_tasks(scored)
