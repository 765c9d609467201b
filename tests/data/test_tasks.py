"""Label sets: where they come from, and that no record may have another label."""

import pytest

from kd_rag.config import TaskConfig
from kd_rag.data.tasks import resolve_tasks
from kd_rag.types import InputError, Record, Turn


def record(identity, label, task="intent", labels=None):
    metadata = {} if labels is None else {"labels": labels}
    return Record(identity, task, (Turn("user", "hi"),), (), label, metadata)


def test_configured_labels_come_first_and_keep_their_order():
    configured = {"intent": TaskConfig(instruction="What is wanted?", labels=["b", "a"])}
    tasks = resolve_tasks(configured, [record("r1", "a", labels=["a", "b", "c"])], {})
    assert (tasks["intent"].labels, tasks["intent"].instruction) == (("b", "a"), "What is wanted?")


def test_listed_labels_come_before_those_that_occur():
    """A label that is listed but rare may be missing in train; the prompt and the scores still need it."""
    tasks = resolve_tasks({}, [record("r1", "b")], {"valid": [record("r2", "b", labels=["b", "a"])]})
    assert tasks["intent"].labels == ("b", "a")
    assert tasks["intent"].instruction == TaskConfig().instruction


def test_labels_of_train_are_the_last_resort_and_sorted():
    train = [record("r1", "b"), record("r2", "a"), record("r3", None), record("r4", "z", task="image_scene")]
    tasks = resolve_tasks({}, train, {})
    assert list(tasks) == ["image_scene", "intent"]
    assert (tasks["intent"].labels, tasks["image_scene"].labels) == (("a", "b"), ("z",))


def test_labels_of_other_splits_never_enter_the_set():
    """A label set that is read off the test split tells the model what to expect there."""
    with pytest.raises(InputError, match="record 'r2': label 'refunds' is not one of the 1 labels of task 'intent'"):
        resolve_tasks({}, [record("r1", "refund")], {"test": [record("r2", "refunds")]})


def test_a_foreign_label_is_named_with_the_nearest():
    configured = {"intent": TaskConfig(labels=["delivery", "refund"])}
    message = "record 'r1': label 'delivrey' is not one of the 2 labels of task 'intent'; the nearest is 'delivery'"
    with pytest.raises(InputError, match=message):
        resolve_tasks(configured, [record("r1", "delivrey")], {})


def test_a_task_that_is_not_configured_is_named_with_the_nearest():
    configured = {"intent": TaskConfig(), "image_scene": TaskConfig()}
    with pytest.raises(InputError, match=r"record 'r1': task 'image-scene' is not configured; .* 'image_scene'"):
        resolve_tasks(configured, [record("r1", "x", task="image-scene")], {})


def test_records_that_list_different_labels_are_not_merged():
    """Two lists for one task mean two label sets, and a score over their union would compare nothing."""
    train = [record("r1", "a", labels=["a", "b"]), record("r2", "a", labels=["b", "a"])]
    with pytest.raises(InputError, match=r"records 'r1' and 'r2' list different labels .*; set tasks\.intent\.labels"):
        resolve_tasks({}, train, {})


@pytest.mark.parametrize("labels", [[], ["a", "a"]])
def test_configured_labels_are_different_and_not_empty(labels):
    with pytest.raises(InputError, match=r"tasks\.intent\.labels: expected different labels and at least one, found"):
        resolve_tasks({"intent": TaskConfig(labels=labels)}, [record("r1", None)], {})


@pytest.mark.parametrize("train", [[], [record("r1", None)]])
def test_a_task_without_any_label_needs_a_list(train):
    with pytest.raises(InputError, match=r"tasks\.intent\.labels: is needed, since no record of this task lists"):
        resolve_tasks({"intent": TaskConfig()}, train, {})
