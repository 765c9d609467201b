"""What Optuna decides: the values of the next trial, and whether one is worth going on with.

In: the space and the trials that a trial may learn from. Out: values, or the evaluation to stop at. Each decision is
made by a study of its own, built anew from those trials and seeded by the number of the trial that it is about, so that
it depends on these alone and not on how often the search was killed. Source: Akiba et al. 2019.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from kd_rag._config_search import SearchConfig
from kd_rag.commands._search_space import Choices, Range, read_space

optuna.logging.set_verbosity(optuna.logging.WARNING)

State = Literal["open", "done", "pruned", "failed"]
_STATES = {
    "open": TrialState.RUNNING,
    "done": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


@dataclass
class Trial:
    """Values by key, 100 × weighted F1 at each evaluation of its first seed, and, once it is done, its own score.

    It may learn from the first `known` trials: those that had ended before it was begun, whoever was fast or slow.
    """

    values: dict[str, Any]
    state: State = "open"
    scores: list[float] = field(default_factory=list)
    score: float | None = None
    known: int = 0


def next_values(search: SearchConfig, number: int, known: Sequence[Trial]) -> dict[str, Any]:
    """Return the values of trial `number`, drawn from what is `known`."""
    drawn = _study(search, number, known).ask(_distributions(search.space)).params
    space = read_space(search.space)
    return {key: json.loads(value) if isinstance(space[key], Choices) else value for key, value in drawn.items()}


def pruned_after(search: SearchConfig, known: Sequence[Trial], scores: Sequence[float]) -> int | None:
    """Return the number of evaluations after which a trial with these `scores` is not worth going on with, or None."""
    if search.prune == "none":
        return None
    trial = _study(search, len(known), known).ask()  # the pruner draws nothing
    for number, score in enumerate(scores, start=1):
        trial.report(score, number)
        if trial.should_prune():
            return number
    return None


def _study(search: SearchConfig, number: int, known: Sequence[Trial]) -> optuna.Study:
    seed = int(np.random.SeedSequence([search.seed, number]).generate_state(1)[0])
    random = optuna.samplers.RandomSampler(seed=seed)
    tpe = optuna.samplers.TPESampler(seed=seed, n_startup_trials=search.startup)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=search.startup)
    study = optuna.create_study(direction="maximize", sampler=tpe if search.sampler == "tpe" else random, pruner=pruner)
    distributions = _distributions(search.space)
    study.add_trials([_frozen(trial, distributions) for trial in known])
    return study


def _frozen(trial: Trial, distributions: Mapping[str, BaseDistribution]) -> FrozenTrial:
    values = {
        key: json.dumps(value) if isinstance(distributions[key], CategoricalDistribution) else value
        for key, value in trial.values.items()
    }
    return create_trial(
        state=_STATES[trial.state],
        params=values,
        distributions=dict(distributions),
        value=trial.score,
        intermediate_values=dict(enumerate(trial.scores, start=1)),
    )


def _distributions(space: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    return {key: _distribution(dimension) for key, dimension in read_space(space).items()}


def _distribution(dimension: Choices | Range) -> BaseDistribution:
    if isinstance(dimension, Choices):
        return CategoricalDistribution([json.dumps(value) for value in dimension.values])  # they may be mappings
    if dimension.whole:
        step = 1 if dimension.step is None else int(dimension.step)
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log, step=step)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log, step=dimension.step)
