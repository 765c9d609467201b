"""Which record is seen when must depend on the seed, the epoch and the step alone."""

from collections import Counter
from itertools import chain

import pytest

from kd_rag.data.balance import label_weights
from kd_rag.data.sampling import StepSampler
from kd_rag.types import Record


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


LABELS = ["often"] * 24 + ["rare"] * 6


def balanced(beta, **changes):
    weights = label_weights([Record(str(i), "t", (), (), label) for i, label in enumerate(LABELS)], beta, "key")
    return sampler(records=30, weights=[weights["t", label] for label in LABELS], **changes)


@pytest.mark.parametrize("beta", [0.9, 1 - 1e-9])
def test_labels_are_seen_in_proportion_to_their_records_over_their_effective_number(beta):
    """Rare labels that stay rare, or records of one label that are seen unequally often."""
    epochs = 200
    seen = Counter(index for index, _ in chain(*balanced(beta, epochs=epochs)))
    mass = [n * (1 - beta) / (1 - beta**n) for n in (24, 6)]
    rare = sum(seen[i] for i in range(24, 30))
    assert sum(seen.values()) == 30 * epochs
    assert rare / (30 * epochs) == pytest.approx(mass[1] / sum(mass), abs=0.01)
    assert [seen[i] for i in range(24, 30)] == pytest.approx([rare / 6] * 6, rel=0.1)
    assert min(seen[i] for i in range(24)) > 0


def test_a_record_that_is_seen_twice_in_an_epoch_is_seen_in_two_views():
    """Oversampling that shows one picture again and again, which a network learns by heart."""
    met = list(chain(*balanced(0.99, epochs=4)))
    assert len(set(met)) == len(met)
    assert max(Counter(index for index, view in met).values()) > 4
    assert {view for _, view in chain(*balanced(0.99, epochs=4, views=2))} == {0, 1}


@pytest.mark.parametrize("first", [3, 8, 17])
def test_a_balanced_run_that_continues_sees_what_an_uninterrupted_one_would(first):
    assert list(balanced(0.99, first_step=first)) == list(balanced(0.99))[first:]
    assert list(balanced(0.99, seed=2)) != list(balanced(0.99))


def test_equal_weights_see_every_record_once():
    steps = list(sampler(weights=[3.0] * 10, epochs=1))
    assert sorted(chain(*steps)) == [(i, 0) for i in range(10)]
