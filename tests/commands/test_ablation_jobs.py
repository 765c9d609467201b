"""What stands on disk decides what is done again: too little costs days, too much mixes two settings in one table."""

import json

import pytest

from kd_rag.commands import _ablation_jobs as made
from kd_rag.commands._ablation_memory import Places
from kd_rag.commands._ablation_plan import Job, read_plan
from kd_rag.types import InputError


@pytest.fixture
def jobs(tmp_path):
    """Return a function that plans a teacher and its student, with overrides."""
    (tmp_path / "a.yaml").write_text(
        "model: {path: x}\nocr: {name: none}\nablation: {variants: {t: {}, s: {teacher: t}}}\n"
    )
    return lambda *overrides: read_plan([str(tmp_path / "a.yaml")], overrides, tmp_path / "out").jobs


def finished(out, job, split):
    folder = out / "runs" / job.name
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"best_checkpoint": "step-1"}')
    (folder / "metrics.json").write_text(json.dumps({"split": split}))


def test_other_settings_are_never_mixed_into_what_was_begun(jobs, tmp_path):
    made.check_unchanged(jobs(), tmp_path)
    made.check_unchanged(jobs("trainer.num_workers=2"), tmp_path)
    with pytest.raises(InputError, match=r"variant 't': trainer.epochs is 9.0, but .*runs/t-seed0 was begun with 3.0"):
        made.check_unchanged(jobs("trainer.epochs=9"), tmp_path)


def test_a_finished_run_is_not_made_again_and_a_failure_is_told_and_stops_its_students_alone(jobs, tmp_path, capsys):
    out = tmp_path / "out"
    teacher, student = jobs()
    other = Job("other", 0, "fit", teacher.config, None)
    made.check_unchanged([teacher, student, other], out)
    (out / "configs" / "t-seed0.yaml").write_text("trainer: {epoch: 1}\n")
    finished(out, other, "test")
    errors = made.make_all([teacher, student, other], out, "test", Places(2))
    assert errors["other-seed0"] is None
    assert errors["s-seed0"] == "its teacher t-seed0 failed"
    assert "fit exited with 2: " in errors["t-seed0"]
    assert "did you mean 'trainer.epochs'?" in errors["t-seed0"]
    assert "other-seed0: done" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("before", "commands"),
    [
        ("nothing", ["fit run.resume=false", "evaluate"]),
        ("no checkpoint", ["fit run.resume=false", "evaluate"]),
        ("checkpoint", ["fit run.resume=true", "evaluate"]),
        ("trained", ["evaluate"]),
        ("scored", []),
    ],
)
def test_what_is_missing_is_made_and_nothing_else(jobs, tmp_path, monkeypatch, before, commands):
    """A folder without a checkpoint would stop `fit`, which refuses one that exists."""
    job, out = jobs()[0], tmp_path / "out"
    folder = out / "runs" / job.name
    if before in ("no checkpoint", "checkpoint"):
        folder.mkdir(parents=True)
    if before == "checkpoint":
        (folder / "checkpoints" / "last").mkdir(parents=True)
        (folder / "checkpoints" / "last" / "manifest.json").write_text("{}")
    if before in ("trained", "scored"):
        finished(out, job, "test" if before == "scored" else "valid")
    told = []
    monkeypatch.setattr(made, "_kd_rag", lambda words, *rest: told.append((words[0], words[-1], folder.exists())))
    assert made.make_all([job], out, "test", Places(1)) == {"t-seed0": None}
    shown = [f"{name} {last}" if name == "fit" else name for name, last, _ in told]
    assert shown == commands
    if before == "no checkpoint":
        assert not told[0][2]
