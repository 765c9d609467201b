"""Which scores a manifest may follow, and that a resumed run keeps its own."""

from types import SimpleNamespace

import pytest

from kd_rag.commands._expansion import MANIFEST, build_manifest
from kd_rag.config import AugmentConfig, Config, TaskConfig
from kd_rag.evaluation import runs
from kd_rag.types import InputError, Record

RECORDS = [Record("a", "intent", (), (), "refund"), Record("b", "intent", (), (), "delivery")]
FOCUSED = Config(augment=AugmentConfig(steps=[{"name": "grey"}], focus_on="runs/first"))


def scored(split):
    labels = {"refund": {"f1": 0.0, "support": 3}, "delivery": {"f1": 1.0, "support": 3}}
    return lambda folder: SimpleNamespace(metrics={"split": split, "tasks": {"intent": {"per_label": labels}}})


def test_the_labels_of_the_named_run_lead(monkeypatch):
    monkeypatch.setattr(runs, "read_run", scored("valid"))
    assert build_manifest(FOCUSED, RECORDS) == [(0, 0), (0, 1), (1, 0)]
    assert build_manifest(Config(), RECORDS) is None


def test_records_of_a_task_that_no_step_changes_have_one_view():
    """The same prompt three times an epoch under the name of augmentation."""
    tasks = {"image_scene": TaskConfig(augment=False)}
    config = Config(augment=AugmentConfig(steps=[{"name": "grey"}], expand=3), tasks=tasks)
    records = [*RECORDS[:1], Record("s", "image_scene", (), (), "page")]
    assert build_manifest(config, records) == [(0, 0), (0, 1), (0, 2), (1, 0)]


def test_scores_of_test_are_refused(monkeypatch):
    """A test split that tells training where to look is no test any more."""
    monkeypatch.setattr(runs, "read_run", scored("test"))
    with pytest.raises(InputError, match="runs/first holds scores of the test split"):
        build_manifest(FOCUSED, RECORDS)


def test_a_resumed_run_keeps_its_manifest(monkeypatch, tmp_path):
    """A run whose steps change because the run it focused on was scored again."""
    monkeypatch.setattr(runs, "read_run", scored("valid"))
    (tmp_path / MANIFEST).write_text('{"id": "b", "view": 4}\n', encoding="utf-8")
    assert build_manifest(FOCUSED, RECORDS, tmp_path) == [(1, 4)]
