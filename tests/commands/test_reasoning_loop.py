"""From records with reasons to a student that gives its own: training, scoring and labelling in one process."""

import json

import pytest

from kd_rag.cli import main

pytestmark = pytest.mark.slow
COMMANDS = {name: f"kd_rag.commands.{name}" for name in ("fit", "distill", "evaluate", "predict")}
TOLD = {"order_page": ("Where is it?", "1. It asks where."), "refund": ("Money back!", "1. It asks for money.")}


def command(name, *arguments):
    return main("kd_rag", COMMANDS, [name, *map(str, arguments)])


@pytest.fixture
def arguments(tmp_path):
    for split in ("train", "valid"):
        rows = []
        for i, (label, (text, reasons)) in enumerate(list(TOLD.items()) * 4):
            row = {"id": f"{split}{i}", "task": "intent", "turns": [{"role": "user", "text": text}], "label": label}
            rows.append(row | {"reasons": reasons} if split == "train" and i > 0 else row)
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [
        *(f"data.{split}={tmp_path / split}.jsonl" for split in ("train", "valid")),
        *(f"run.dir={tmp_path / 'runs'}", f"cache_dir={tmp_path / 'cache'}", "ocr.name=none", "lora=null"),
        *("trainer.accelerator=cpu", "trainer.batch_size=8", "trainer.micro_batch_size=4", "trainer.epochs=20"),
        *("trainer.val_check_interval=20", "trainer.learning_rate=1e-2", "evaluation.bootstrap_samples=20"),
        *("prompt.reasoning=true", "reasoning.max_tokens=24", "reasoning.label_weight=2"),
    ]


def predictions(folder, split="valid"):
    return [json.loads(line) for line in (folder / f"predictions-{split}.jsonl").read_text().splitlines()]


def test_a_student_gives_reasons_and_its_label_follows_from_them(tmp_path, arguments, folders, capsys):
    runs, student = tmp_path / "runs", f"model.path={folders['student']}"
    assert command("fit", *arguments, student, "run.name=first") == 0
    assert "reasoning: 7 of 8 training records have reasons; the others are trained" in capsys.readouterr().out
    assert json.loads((runs / "first" / "run.json").read_text())["records_with_reasons"] == 7
    for row in predictions(runs / "first"):
        assert row["reasons"] == TOLD[row["label"]][1]
        assert row["probabilities"][row["label"]] > 0.9

    assert command("predict", tmp_path / "valid.jsonl", "--run", runs / "first", "--out", tmp_path / "out.jsonl") == 0
    said = [json.loads(line)["reasons"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert said == [row["reasons"] for row in predictions(runs / "first")]

    direct = ["--run", runs / "first", "--split", "valid", "--out", runs / "direct", "reasoning.eval=direct"]
    assert command("evaluate", *direct) == 0
    assert all("reasons" not in row for row in predictions(runs / "direct"))
    assert predictions(runs / "direct")[0]["probabilities"] != predictions(runs / "first")[0]["probabilities"]

    taught = [*arguments, student, f"teacher.path={runs / 'first'}", "distill.weights.label_kd=0.5", "trainer.epochs=2"]
    assert command("distill", *taught, "run.name=online") == 0
    assert command("distill", *taught, "run.name=cached", "teacher.name=cached", "teacher.dtype=float32") == 0
    for one, other in zip(predictions(runs / "online"), predictions(runs / "cached"), strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-4)


def test_what_does_not_go_with_reasons_is_refused_before_a_run(tmp_path, arguments, folders, capsys):
    student = f"model.path={folders['student']}"
    assert command("fit", *arguments, student, "run.name=never", f"data.train={tmp_path / 'valid.jsonl'}") == 2
    assert "none of the 8 training records has reasons" in capsys.readouterr().err
    drawn = ["run.name=never", f"teacher.path={folders['teacher']}", "distill.on_policy.share=0.5"]
    assert command("distill", *arguments, student, *drawn) == 2
    assert "answers that the student draws do not tell where their reasons end" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
