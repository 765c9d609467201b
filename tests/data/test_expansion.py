"""How many views each training record has, and that they are met as the manifest says."""

from collections import Counter
from itertools import chain

import pytest

from kd_rag.config import AugmentConfig
from kd_rag.data.expansion import expands, make_manifest, read_manifest, write_manifest
from kd_rag.data.sampling import StepSampler
from kd_rag.types import InputError, Record

RECORDS = [Record(f"记录-{i}", "intent", (), (), label) for i, label in enumerate(["often"] * 3 + ["rare", "unseen"])]
STEP = {"name": "grey"}
METRICS = {
    "tasks": {
        "intent": {
            "per_label": {
                "often": {"f1": 0.9, "support": 5},
                "rare": {"f1": 0.2, "support": 2},
                "unseen": {"f1": 0.0, "support": 0},
            }
        }
    }
}


def views(metrics=None, **options):
    config = AugmentConfig(steps=[STEP], **options)
    assert expands(config)
    return Counter(RECORDS[index].label for index, _ in make_manifest(RECORDS, config, metrics))


def test_each_record_has_as_many_views_as_its_label_is_given():
    assert views(expand=5) == {"often": 15, "rare": 5, "unseen": 5}
    assert views(expand=2, expand_labels={"rare": 7}) == {"often": 6, "rare": 7, "unseen": 2}
    assert not expands(AugmentConfig(steps=[STEP]))


def test_weak_labels_get_more_views_and_unmeasured_ones_do_not():
    """A label that no validation record has taken for the weakest of all."""
    assert views(METRICS, expand=5, focus_on="run") == {"often": 3 * 6, "rare": 9, "unseen": 5}, "5 * 1.1 and 5 * 1.8"
    assert views(METRICS, expand=5, focus_on="run", focus_strength=3.0)["rare"] == 17
    assert views(METRICS, expand=5, focus_on="run", expand_labels={"rare": 1})["rare"] == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"expand": 0, "steps": [STEP]}, "at least 1 for 'expand', found 0"),
        ({"expand": 2}, "augment.steps: is empty"),
        ({"expand": 2, "views": 3, "steps": [STEP]}, "augment.views: goes with no expansion"),
        ({"focus_on": "run", "focus_strength": -1.0, "steps": [STEP]}, "at least 0, found -1.0"),
    ],
)
def test_keys_that_do_not_fit_are_named(options, said):
    with pytest.raises(InputError, match=said):
        expands(AugmentConfig(**options))


def test_a_label_that_no_record_has_is_named():
    with pytest.raises(InputError, match="no training record has the label 'raer'"):
        views(expand_labels={"raer": 3})
    with pytest.raises(InputError, match="run has no scores of task 'intent'"):
        views({"tasks": {}}, focus_on="run")


def test_a_manifest_comes_back_from_its_file(tmp_path):
    manifest = make_manifest(RECORDS, AugmentConfig(expand=3))
    write_manifest(tmp_path / "m.jsonl", manifest, RECORDS)
    assert (tmp_path / "m.jsonl").read_text(encoding="utf-8").startswith('{"id": "记录-0", "view": 0}\n')
    assert read_manifest(tmp_path / "m.jsonl", RECORDS) == manifest


def test_an_epoch_meets_each_entry_once_and_continues_where_it_stopped():
    manifest = make_manifest(RECORDS, AugmentConfig(expand=3))

    def sampler(first_step=0):
        return StepSampler(len(manifest), 4, epochs=2, seed=0, manifest=manifest, first_step=first_step)

    steps = list(sampler())
    epochs = [list(chain(*steps[:4])), list(chain(*steps[4:]))]
    assert [sorted(epoch) for epoch in epochs] == [manifest, manifest]
    assert epochs[0] != epochs[1]
    assert [list(sampler(first)) for first in range(8)] == [steps[first:] for first in range(8)]
    assert sampler().pairs() == manifest
