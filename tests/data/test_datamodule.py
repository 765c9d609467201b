"""The batch that the guards look at is one that training brings."""

import pytest

from kd_rag.data.datamodule import Loaders
from kd_rag.data.sampling import StepSampler
from tests.conftest import make_example


class Shelf:
    """Examples by (index, view), and their records."""

    def __init__(self, pictures):
        self.items = [
            make_example(texts=(f"r{i} {'<image>' * n}",), pictures=n, name=f"r{i}") for i, n in enumerate(pictures)
        ]
        self.records = [e.record for e in self.items]
        self.seen = []

    def __getitem__(self, key):
        self.seen.append(key)
        return self.items[key[0]]


def loaders(collator, pictures, epochs=2):
    shelf = Shelf(pictures)
    sampler = StepSampler(len(pictures), 2, epochs, seed=0, views=2)
    return Loaders(
        collator,
        evaluation=shelf,
        evaluation_batch_size=1,
        training=shelf,
        sampler=sampler,
        micro_batch_size=3,
    )


def test_the_first_records_with_pictures_are_taken_wherever_they_stand(collator):
    """In data whose pictures come late, the first steps' batches would have none, and nothing would be checked."""
    made = loaders(collator, [0] * 20 + [1, 2, 0, 1, 1])
    batch = made.first_with_pictures()
    assert all(e.dialogue.pictures for e in batch.examples)
    met = [pair for step in made.sampler for pair in step]
    assert made.training.seen == [pair for pair in met if pair[0] in (20, 21, 23, 24)][:3]


@pytest.mark.parametrize(("pictures", "expected"), [([0, 0, 0, 0], 3), ([0, 0, 1, 0], 2)])
def test_without_enough_pictures_it_is_what_there_is(collator, pictures, expected):
    """No pictures: any records; one record with pictures: it alone, in the views that training meets."""
    batch = loaders(collator, pictures).first_with_pictures()
    assert len(batch.examples) == expected
    assert (batch.inputs.image_grid_thw is None) == (not any(pictures))
