"""What a run folder that is incomplete, broken or out of step with itself is told."""

import json

import pytest

from kd_rag.evaluation.findings import find
from kd_rag.evaluation.runs import read_run
from kd_rag.types import InputError


@pytest.mark.parametrize("name", ["config.yaml", "run.json", "metrics.json", "predictions-test.jsonl"])
def test_a_missing_file_is_named_with_the_remedy(teacher, name):
    (teacher / name).unlink()
    with pytest.raises(InputError, match=rf"teacher/{name}: is missing; finish the run"):
        read_run(teacher)


@pytest.mark.parametrize("name", ["config.yaml", "run.json", "metrics.json", "predictions-test.jsonl"])
def test_a_broken_file_is_named(teacher, name):
    (teacher / name).write_text("{broken", encoding="utf-8")
    with pytest.raises(InputError, match=f"teacher/{name}"):
        read_run(teacher)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("run.json", {"command": 3}, r"run.json: key 'command' is 3"),
        ("run.json", {"train_label_counts": {"intent": {"refund": 1}}}, "no label of task 'image_scene'"),
        ("metrics.json", {"tasks": {"intent": 3}}, "metrics.json: tasks.intent is 3"),
        ("metrics.json", {"average_score": None}, "key 'average_score' is None"),
        ("metrics.json", {"tasks": {}}, "metrics.json scores the records {}, but predictions-test.jsonl holds"),
    ],
)
def test_a_wrong_value_is_named(teacher, name, changes, message):
    found = json.loads((teacher / name).read_text(encoding="utf-8"))
    (teacher / name).write_text(json.dumps(found | changes), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_run(teacher)


def test_scores_of_other_predictions_are_refused(teacher):
    """A killed evaluation leaves new predictions beside old scores; a page made of both would be false."""
    path = teacher / "predictions-test.jsonl"
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]), encoding="utf-8")
    with pytest.raises(InputError, match="score the run again"):
        read_run(teacher)


def test_paths_of_a_run_lead_from_where_it_was_made(make_run, tmp_path, monkeypatch):
    """A report written from another folder would lose teachers and pictures without a word."""
    teacher = make_run("teacher", {39}, set())
    pupil = make_run("pupil", {1}, set(), ["teacher.path=runs/teacher"], command="distill")
    monkeypatch.chdir(tmp_path.root)
    run = read_run(pupil)
    assert run.path("data/test.jsonl") == tmp_path.resolve() / "data" / "test.jsonl"
    assert run.path("/data/test.jsonl").as_posix() == "/data/test.jsonl"
    assert find([read_run(teacher), run]).taught == {"pupil": "teacher"}
