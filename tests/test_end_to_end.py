"""The commands one after another on a part of the bundled sample, as a user types them."""

import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
CONFIGS = Path(__file__).resolve().parents[1] / "configs" / "demo"


def run(*argv, program="kd_rag"):
    return subprocess.run([sys.executable, "-m", program, *map(str, argv)], capture_output=True, text=True, check=False)


def succeed(*argv, **kwargs):
    done = run(*argv, **kwargs)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A folder with 12 records a split, a knowledge base, and the arguments that point every command at them."""
    folder = tmp_path_factory.mktemp("shop")
    succeed("data", "sample", "--out", folder / "data", "--seed", 0)
    for split in ("train", "valid", "test"):
        path = folder / "data" / f"{split}.jsonl"
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(islice(lines, 12)))
    labels = {"intent": set(), "image_scene": set()}
    for split in ("train", "valid", "test"):
        for line in (folder / "data" / f"{split}.jsonl").read_text().splitlines():
            labels[json.loads(line)["task"]].add(json.loads(line)["label"])
    arguments = [
        "--config", CONFIGS / "base.yaml",
        *(f"data.{split}={folder / 'data' / split}.jsonl" for split in ("train", "valid", "test")),
        *(f"tasks.{task}.labels=[{','.join(sorted(names))}]" for task, names in labels.items()),
        f"run.dir={folder / 'runs'}", f"cache_dir={folder / 'cache'}", f"knowledge.path={folder / 'knowledge'}",
        "trainer.max_steps=2", "trainer.batch_size=4", "evaluation.bootstrap_samples=20",
    ]  # fmt: skip
    succeed("ingest", folder / "data" / "knowledge.jsonl", *arguments[:2], arguments[-4], program="kb_builder")
    succeed("fit", *arguments, "--config", CONFIGS / "teacher.yaml")
    return folder, arguments


def scores(folder):
    return (folder / "metrics.json").read_bytes()


def test_fit_distill_evaluate_report(shop):
    folder, arguments = shop
    student = ["--config", CONFIGS / "student.yaml"]
    succeed(
        "distill",
        *arguments,
        *student,
        "--config",
        CONFIGS / "distill.yaml",
        f"teacher.path={folder / 'runs' / 'teacher'}",
    )
    shown = succeed("evaluate", "--run", folder / "runs" / "distilled")
    assert "average" in shown
    metrics = json.loads(scores(folder / "runs" / "distilled"))
    assert metrics["split"] == "test"
    assert {"intent_score", "image_scene_score", "average_score"} <= metrics.keys()
    predictions = [
        json.loads(line) for line in (folder / "runs" / "distilled" / "predictions-test.jsonl").read_text().splitlines()
    ]
    assert len(predictions) == 12
    assert all(abs(sum(p["probabilities"].values()) - 1) < 1e-5 for p in predictions)
    assert any(p["passages"] for p in predictions)
    assert any(p["ocr"] for p in predictions)
    facts = json.loads((folder / "runs" / "distilled" / "run.json").read_text())
    assert facts["command"] == "distill"
    assert len(facts["knowledge_snapshot"]) > 8
    succeed("evaluate", "--run", folder / "runs" / "teacher")
    runs = [folder / "runs" / "teacher", folder / "runs" / "distilled"]
    assert "majority class" in succeed("report", *runs, "--out", folder / "report")
    assert (folder / "report" / "report.md").is_file()
    assert (folder / "report" / "report.html").is_file()
    without = folder / "runs" / "without"
    succeed(
        "evaluate",
        "--run",
        runs[1],
        "--out",
        without,
        "tasks.image_scene.ocr.eval=false",
        "tasks.intent.retrieval.eval=false",
    )
    changed = [json.loads(line) for line in (without / "predictions-test.jsonl").read_text().splitlines()]
    assert not any(p["passages"] for p in changed)
    assert not any(p["ocr"] for p in changed if p["task"] == "image_scene")


def test_one_seed_gives_the_same_scores_to_the_last_digit_and_another_does_not(shop):
    folder, arguments = shop
    for name, seed in (("again", 0), ("other", 1)):
        succeed("fit", *arguments, "--config", CONFIGS / "teacher.yaml", f"run.name={name}", f"run.seed={seed}")
        succeed("evaluate", "--run", folder / "runs" / name, "--split", "valid")
    succeed("evaluate", "--run", folder / "runs" / "teacher", "--split", "valid")
    first, again, other = (scores(folder / "runs" / name) for name in ("teacher", "again", "other"))
    assert first == again
    assert first != other


def test_what_is_wrong_is_one_sentence_and_costs_no_run(shop, tmp_path):
    folder, arguments = shop
    teacher = ["--config", CONFIGS / "teacher.yaml"]
    record = json.loads((folder / "data" / "train.jsonl").read_text().splitlines()[0])
    turns = [{"role": "user", "text": "x"}]
    broken = {
        "malformed": ("{", "line 1"),
        "empty": ("", "empty"),
        "label": (json.dumps({**record, "images": [], "turns": turns, "label": "nonsense"}), "nonsense"),
        "picture": (json.dumps({**record, "images": ["absent.jpg"]}), "absent.jpg"),
        "outside": (json.dumps({**record, "images": ["../../etc/passwd"]}), "../../etc/passwd"),
    }  # fmt: skip
    for name, (text, part) in broken.items():
        path = tmp_path / f"{name}.jsonl"
        path.write_text(text)
        done = run("fit", *arguments, *teacher, f"data.train={path}", "run.name=never")
        assert done.returncode == 2, done.stderr
        assert part in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert not (folder / "runs" / "never").exists()
    done = run("fit", *arguments, *teacher)
    assert done.returncode == 2
    assert "exists" in done.stderr
