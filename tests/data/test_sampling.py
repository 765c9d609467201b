"""Which record is seen when must depend on the seed, the epoch and the step alone."""

from itertools import chain

import pytest

from kd_rag.data.sampling import StepSampler


def sampler(**changes):
    return StepSampler(**{"records": 10, "batch_size": 4, "epochs": 3, "seed": 1, **changes})


def test_every_epoch_sees_every_record_once_in_its_own_view_and_order():
    steps = list(sampler())
    assert len(steps) == sampler().total_steps == len(sampler()) == 9
    assert [len(s) for s in steps] == [4, 4, 2] * 3
    orders = [[i for i, _ in chain(*steps[e * 3 : e * 3 + 3])] for e in range(3)]
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert [{view for _, view in chain(*steps[e * 3 : e * 3 + 3])} for e in range(3)] == [{0}, {1}, {2}]


@pytest.mark.parametrize("first", range(10))
def test_a_run_that_continues_sees_what_an_uninterrupted_one_would(first):
    assert list(sampler(first_step=first)) == list(sampler())[first:]


def test_processes_share_each_step_without_overlap_or_loss():
    whole = list(sampler())
    parts = [list(sampler(rank=rank, processes=2)) for rank in range(2)]
    assert [sorted(a + b) for a, b in zip(*parts, strict=True)] == [sorted(step) for step in whole]


def test_half_epochs_and_a_step_limit_bound_the_run():
    assert sampler(epochs=0.5).total_steps == 2
    assert sampler(max_steps=5).total_steps == len(list(sampler(max_steps=5))) == 5


def test_another_seed_is_another_order():
    assert list(sampler(seed=2)) != list(sampler(seed=1))
