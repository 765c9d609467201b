"""What the sampler decides must follow from the trials alone, or a killed search ends elsewhere than a whole one."""

import pytest

from kd_rag._config_search import SearchConfig
from kd_rag.commands._search_study import Trial, next_values, pruned_after

SPACE = {
    "trainer.learning_rate": {"low": "1e-5", "high": 1e-2, "log": True},
    "lora.r": {"low": 4, "high": 16, "step": 4},
    "distill.weights": [{"ce": 1.0}, {"ce": 0.5, "token_kd": 0.5}],
    "lora": [None, {"r": 2}],
}


def searched(search, count):
    """Draw trials whose score falls with the distance of the learning rate from 0.001."""
    trials = []
    for _ in range(count):
        values = next_values(search, len(trials), trials)
        score = 100 - 1e4 * abs(values["trainer.learning_rate"] - 1e-3)
        trials.append(Trial(values, "done", [score / 2, score], score))
    return trials


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_values_lie_in_the_space_and_are_drawn_alike_again(sampler):
    search = SearchConfig(SPACE, sampler=sampler, startup=3, seed=4)
    trials = searched(search, 8)
    for number, trial in enumerate(trials):
        assert 1e-5 <= trial.values["trainer.learning_rate"] <= 1e-2
        assert trial.values["lora.r"] in (4, 8, 12, 16)
        assert trial.values["distill.weights"] in SPACE["distill.weights"]
        assert trial.values["lora"] in SPACE["lora"]
        assert next_values(search, number, trials[:number]) == trial.values
    assert len({trial.values["trainer.learning_rate"] for trial in trials}) == 8
    assert next_values(SearchConfig(SPACE, sampler=sampler, seed=5), 0, []) != trials[0].values
    assert next_values(search, 1, []) != trials[0].values, "beside each other, trials know as much but are not alike"


def test_the_sampler_learns_from_what_trials_scored():
    """A sampler that is given no history, or the wrong direction, draws as at random."""

    def late(sampler):
        trials = searched(SearchConfig(SPACE, sampler=sampler, startup=5), 40)[20:]
        return sum(abs(trial.values["trainer.learning_rate"] - 1e-3) < 5e-4 for trial in trials)

    assert late("tpe") > 2 * late("random")


def test_a_trial_below_the_median_of_as_many_evaluations_is_pruned():
    space = {"lora.r": [1, 2]}
    done = [Trial({"lora.r": 1}, "done", [first, first + 40], first + 40) for first in (10.0, 20.0, 30.0)]
    others = [*done, Trial({"lora.r": 2}, "pruned", [90.0]), Trial({"lora.r": 2}, "failed"), Trial({"lora.r": 2})]
    search = SearchConfig(space, startup=3)
    assert pruned_after(search, others, [19.0]) == 1
    assert pruned_after(search, others, [21.0]) is None
    assert pruned_after(search, others, [21.0, 59.0, 100.0]) == 2
    assert pruned_after(search, others, []) is None
    assert pruned_after(SearchConfig(space, startup=4), others, [0.0, 0.0]) is None
    assert pruned_after(SearchConfig(space, startup=3, prune="none"), others, [0.0, 0.0]) is None
