"""`fit`, `distill` and `evaluate` in one process: runs upon runs, guards before the first step, priors at the end."""

import json
import math
import os
import random
import signal
from collections import Counter

import pytest
from PIL import Image

from kd_rag.cli import main
from kd_rag.models.qwen2_vl import Qwen2VL
from kd_rag.training.module import Distiller

pytestmark = pytest.mark.slow
LABELS = ("order_page", "refund")
COMMANDS = {name: f"kd_rag.commands.{name}" for name in ("fit", "distill", "evaluate")}


def command(name, *arguments):
    return main("kd_rag", COMMANDS, [name, *map(str, arguments)])


@pytest.fixture
def shop(tmp_path):
    """Write three splits of one task, three refunds to an order page, half of them with a noisy picture."""
    rng = random.Random(0)
    for split in ("train", "valid", "test"):
        rows = []
        for i in range(8):
            images = [f"{split}{i}.png"] if i % 2 else []
            for name in images:
                Image.frombytes("RGB", (56, 84), rng.randbytes(56 * 84 * 3)).save(tmp_path / name)
            text = f"Where is {i}? {'<image>' * len(images)}"
            turns = [{"role": "user", "text": text}]
            label = LABELS[i % 4 != 3]
            rows.append({"id": f"{split}{i}", "task": "intent", "turns": turns, "images": images, "label": label})
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


@pytest.fixture
def arguments(shop):
    return [
        *(f"data.{split}={shop / split}.jsonl" for split in ("train", "valid", "test")),
        *(f"run.dir={shop / 'runs'}", f"cache_dir={shop / 'cache'}", "ocr.name=none", "lora.r=4", "lora.dropout=0.0"),
        *("trainer.accelerator=cpu", "trainer.batch_size=4", "trainer.micro_batch_size=2", "trainer.epochs=2"),
        *("trainer.learning_rate=1e-2", "evaluation.bootstrap_samples=20"),
    ]


def facts(folder):
    return json.loads((folder / "run.json").read_text())


def probabilities(folder, split="valid"):
    lines = (folder / f"predictions-{split}.jsonl").read_text().splitlines()
    return {row["id"]: row["probabilities"] for row in map(json.loads, lines)}


def stop_at(module, step):
    """Send this process the signal that a cluster sends, once `step` steps are done."""
    if module.global_step == step:
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_student_trains_upon_a_run_resumes_and_is_scored(shop, arguments, folders, monkeypatch, capsys):
    runs = shop / "runs"
    assert command("fit", *arguments, f"model.path={folders['student']}", "run.name=first") == 0
    upon = [*arguments, f"model.path={runs / 'first'}", "run.name=second"]
    assert command("fit", *upon) == 0
    with monkeypatch.context() as patch:
        step = Distiller.training_step
        patch.setattr(Distiller, "training_step", lambda *args: (step(*args), stop_at(args[0], 3))[0])
        assert command("fit", *upon, "run.name=stopped") == 130
    assert (runs / "stopped" / "checkpoints" / "last").resolve().name == "step-00000003"
    capsys.readouterr()
    assert command("fit", *upon, "run.name=stopped", "run.resume=true", "trainer.learning_rate=0.5") == 2
    assert "trainer.learning_rate: is 0.5, but the run to resume began with 0.01" in capsys.readouterr().err
    assert command("fit", *upon, "run.name=stopped", "run.resume=true") == 0
    assert facts(runs / "stopped")["steps"] == 4
    assert probabilities(runs / "stopped") == probabilities(runs / "second")
    assert facts(runs / "second")["model"]["path"] == str(runs / "first")
    fitted = probabilities(runs / "second")
    assert command("evaluate", "--run", runs / "second", "--split", "valid") == 0
    for record, found in probabilities(runs / "second").items():
        assert found == pytest.approx(fitted[record], abs=1e-5)
    assert command("evaluate", "--run", runs / "second") == 0
    metrics = json.loads((runs / "second" / "metrics.json").read_text())
    scores = metrics["tasks"]["intent"]
    assert sum(n for row in scores["confusion"].values() for n in row.values()) == scores["n"] == 8
    assert scores["temperature_scaling"]["fitted_on"] == 8
    assert scores["temperature_scaling"]["before"] == {key: pytest.approx(scores[key]) for key in ("nll", "ece")}
    assert json.loads((runs / "second" / "speed.json").read_text())["records_per_second"] > 0


def test_a_teacher_may_be_told_more_beside_the_student_and_from_its_cache(
    shop, arguments, folders, monkeypatch, capsys
):
    """What is costly at serving time is for the teacher; were it in the student's prompt too, nothing is distilled."""
    runs, prompts, batches = shop / "runs", set(), Distiller.training_step

    def step(module, step, batch_idx):
        text = module.model.processor.tokenizer.decode
        prompts.update((text(b.inputs.input_ids[0]), text(b.as_teacher().inputs.input_ids[0])) for b in step)
        return batches(module, step, batch_idx)

    student = f"model.path={folders['student']}"
    assert command("fit", *arguments, f"model.path={folders['teacher']}", "run.name=teacher", "lora=null") == 0
    assert facts(runs / "teacher")["guards"].keys() == {"student_picture_tokens", "student_blanked", "student_swapped"}
    monkeypatch.setattr(Distiller, "training_step", step)
    taught = [*arguments, student, f"teacher.path={runs / 'teacher'}", "student.prompt.descriptions=false"]
    taught += ["tasks.intent.descriptions.refund=the money comes back"]
    assert command("distill", *taught, "run.name=online") == 0
    found = facts(runs / "online")["guards"]
    assert found["student_picture_tokens"] == found["teacher_picture_tokens"] == 2 * 6
    assert min(found[f"{side}_{how}"] for side in ("student", "teacher") for how in ("blanked", "swapped")) > 0
    assert found["teacher_cross_entropy"] < found["uniform_cross_entropy"]
    assert "guards: student_picture_tokens 12, student_blanked " in capsys.readouterr().out
    assert command("distill", *taught, "run.name=cached", "teacher.name=cached") == 0
    kept = facts(runs / "cached")["guards"]
    assert kept == pytest.approx(found, rel=0.02)
    assert command("distill", *taught, "run.name=again", "teacher.name=cached", "trainer.micro_batch_size=1") == 0
    assert "8 rows in" in (said := capsys.readouterr().out)
    assert ", 0 of them new;" in said
    assert "teacher_blanked" not in facts(runs / "again")["guards"]
    assert not any("money comes back" in own for own, _ in prompts)
    assert all("money comes back" in told for _, told in prompts)
    for run in ("cached", "again"):
        for record, expected in probabilities(runs / "online").items():
            assert probabilities(runs / run)[record] == pytest.approx(expected, abs=0.02)


def test_weak_and_rare_labels_are_met_more_often(shop, arguments, folders, monkeypatch, capsys):
    """Views that an epoch leaves out, and a prior of records where training met views."""
    runs, student = shop / "runs", f"model.path={folders['student']}"
    first = ["run.name=first", "trainer.max_steps=1", "balance.sampling_beta=0.9"]
    assert command("fit", *arguments, student, *first) == 0
    more = ["augment.steps=[{name: grey}]", "augment.expand=2", "augment.expand_labels={order_page: 5}"]
    more += [f"augment.focus_on={runs / 'first'}", "balance.loss_beta=0.9", "balance.focal_gamma=1", student]
    with monkeypatch.context() as patch:
        step = Distiller.training_step
        patch.setattr(Distiller, "training_step", lambda *args: (step(*args), stop_at(args[0], 2))[0])
        assert command("fit", *arguments, *more, "run.name=more", "trainer.epochs=1") == 130
    views = [json.loads(line) for line in (runs / "more" / "manifest.jsonl").read_text().splitlines()]
    f1 = json.loads((runs / "first" / "metrics.json").read_text())["tasks"]["intent"]["per_label"]["refund"]["f1"]
    each = math.floor(2 * (2 - f1) + 0.5)
    assert Counter(view["id"] for view in views) == {f"train{i}": 5 if i % 4 == 3 else each for i in range(8)}
    assert facts(runs / "more")["met_label_counts"] == {"intent": {"refund": 6 * each, "order_page": 10}}
    assert facts(runs / "more")["train_label_counts"] == {"intent": {"refund": 6, "order_page": 2}}
    text = (shop / "train.jsonl").read_text()
    (shop / "train.jsonl").write_text(text.replace("Where", "Why", 1))
    again = [*arguments, *more, "run.name=more", "trainer.epochs=1", "run.resume=true"]
    assert command("fit", *again) == 2
    assert "train.jsonl: is not the file that the run to resume began with" in capsys.readouterr().err
    (shop / "train.jsonl").write_text(text)
    assert command("fit", *again) == 0
    assert facts(runs / "more")["steps"] == math.ceil(len(views) / 4)


@pytest.mark.parametrize(("scores", "evaluations"), [((1.0, 2.0), 2), ((2.0, 1.0), 3)])
def test_the_best_checkpoint_is_scored_again_only_where_it_is_not_the_last(
    shop, arguments, folders, monkeypatch, scores, evaluations
):
    """A pass over valid for what is known already; or the scores of the last step under the name of the best one."""
    made, end = [], Distiller.on_validation_epoch_end

    def told(module):
        end(module)
        made.append([(p.id, p.probabilities) for p in module.predictions])
        module.scores["average_score"] = ([*scores, 0.0])[len(made) - 1]

    student = [*arguments, f"model.path={folders['student']}", "run.name=run", "trainer.learning_rate=0.1"]
    student += ["trainer.epochs=1", "trainer.val_check_interval=0.5"]
    with monkeypatch.context() as patch:
        patch.setattr(Distiller, "on_validation_epoch_end", told)
        assert command("fit", *student) == 0
    best = scores.index(max(scores))
    assert len(made) == evaluations
    assert made[0] != made[1]
    assert list(probabilities(shop / "runs" / "run").items()) == made[best]


def test_scores_that_were_at_hand_have_the_bytes_of_scores_made_anew(shop, arguments, folders, monkeypatch):
    """A run that was killed behind its last checkpoint would end with other files."""
    passes, found, validate = [], [], Distiller.validation_step
    monkeypatch.setattr(Distiller, "validation_step", lambda *args: passes.append(validate(*args)))
    fit = [*arguments, f"model.path={folders['student']}", "run.name=run", "trainer.epochs=1"]
    for resume in (False, True):
        assert command("fit", *fit, f"run.resume={str(resume).lower()}") == 0
        files = [shop / "runs" / "run" / name for name in ("metrics.json", "predictions-valid.jsonl", "metrics.jsonl")]
        found.append([file.read_bytes() for file in files])
        assert len(passes) == 1 + resume
    assert found[0] == found[1]


def test_a_failed_guard_costs_no_run(shop, arguments, folders, monkeypatch, capsys):
    """The name of the run must be free for the next try."""
    count = lambda self, inputs: inputs.attention_mask.cumsum(dim=1).expand(3, -1, -1)  # noqa: E731
    monkeypatch.setattr(Qwen2VL, "positions", count)
    assert command("fit", *arguments, f"model.path={folders['student']}", "run.name=never") == 2
    assert "guards: the student's positions are not three-dimensional" in capsys.readouterr().err
    assert not (shop / "runs").exists()


def test_prior_correction_reads_the_labels_that_the_run_was_trained_on(shop, arguments, folders):
    """Scored on other files, a run still has the prior that it learnt."""
    runs = shop / "runs"
    assert command("fit", *arguments, f"model.path={folders['student']}", "run.name=run") == 0
    assert facts(runs / "run")["train_label_counts"] == {"intent": {"refund": 6, "order_page": 2}}
    plain = probabilities(runs / "run")
    other = ["--run", runs / "run", "--split", "valid", f"data.train={shop / 'few.jsonl'}"]
    few = (shop / "train.jsonl").read_text().splitlines()[3::4]
    (shop / "few.jsonl").write_text("\n".join(few) + "\n")
    assert command("evaluate", *other, "--out", runs / "even", "evaluation.prior_correction=1") == 0
    for record, found in probabilities(runs / "even").items():
        odds = plain[record]["refund"] / plain[record]["order_page"] * (3 / 10) / (7 / 10)
        assert found["refund"] / found["order_page"] == pytest.approx(odds, rel=1e-3)
    assert command("evaluate", *other, "--out", runs / "long", "evaluation.length_normalised=true") == 0
    assert probabilities(runs / "long") != plain
