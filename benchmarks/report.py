"""A report of many runs: how long the whole command takes, and how large its page is.

In: drawn runs, each wrong in its own records, and records with pictures of noise, the worst that JPEG can meet. Out:
seconds and megabytes. Use: `python -m benchmarks.report`
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from kd_rag import config
from kd_rag.evaluation.metrics import score
from kd_rag.evaluation.predictions import Prediction, write_predictions

LABELS = {task: [f"{task} label {i}" for i in range(23)] for task in ("intent", "image_scene")}
PIXELS = (360, 560)


def draw_records(folder: Path, records: int) -> list[dict[str, Any]]:
    """Write `test.jsonl` with its pictures, one a record, and return its lines."""
    rng = random.Random(0)
    lines: list[dict[str, Any]] = []
    for i in range(records):
        name = f"{i}.jpg"
        Image.frombytes("RGB", PIXELS, rng.randbytes(3 * PIXELS[0] * PIXELS[1])).save(folder / name)
        task = rng.choice(list(LABELS))
        turns = [{"role": role, "text": f"{role} says something, {i}. " * 5} for role in ("user", "agent")]
        lines.append({"id": f"r{i}", "task": task, "turns": turns, "images": [name], "label": rng.choice(LABELS[task])})
    (folder / "test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return lines


def draw_run(folder: Path, lines: Sequence[dict[str, Any]], records: Path, number: int) -> None:
    """Write a finished run folder, distilled from run 0 where it is another one."""
    folder.mkdir(parents=True)
    rng = random.Random(number)
    predictions = []
    for line in lines:
        weights = {label: rng.random() ** 6 for label in LABELS[line["task"]]}
        weights[line["label"]] += rng.random() * (0.8 + number / 40)
        shares = {label: weight / sum(weights.values()) for label, weight in weights.items()}
        answer = max(shares, key=shares.__getitem__)
        predictions.append(Prediction(line["id"], line["task"], line["label"], answer, shares, ["faq-1"], "text"))
    for split in ("valid", "test"):
        write_predictions(folder / f"predictions-{split}.jsonl", predictions)
    scores = {"split": "test", **score(predictions, LABELS, 1000, 0)}
    (folder / "metrics.json").write_text(json.dumps(scores), encoding="utf-8")
    curve = (json.dumps({"step": i, "epoch": i / 2, **scores}) + "\n" for i in range(1, 15))
    (folder / "metrics.jsonl").write_text("".join(curve), encoding="utf-8")
    counts = {task: dict.fromkeys(labels, 3) for task, labels in LABELS.items()}
    facts = {"command": "distill" if number else "fit", "train_label_counts": counts, "wall_seconds": 60.0}
    (folder / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    teacher = [f"teacher.path={folder.parent / 'run-00'}"] if number else []
    settings = [f"run.name={folder.name}", f"run.seed={number}", f"data.test={records}", "ocr.name=none", *teacher]
    config.save(config.load(overrides=settings), folder / "config.yaml")


def measure(folder: Path, runs: int, records: int) -> tuple[float, int]:
    """Return the seconds of the command in a process of its own, and the bytes of its page."""
    lines = draw_records(folder, records)
    folders = [folder / "runs" / f"run-{i:02d}" for i in range(runs)]
    for i, run in enumerate(folders):
        draw_run(run, lines, folder / "test.jsonl", i)
    began = time.perf_counter()
    words = [sys.executable, "-m", "kd_rag", "report", *map(str, folders), "--out", str(folder / "out")]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began, (folder / "out" / "report.html").stat().st_size


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--records", type=int, default=1000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        seconds, size = measure(Path(name), chosen.runs, chosen.records)
    print(f"{chosen.runs} runs of {chosen.records} predictions: {seconds:.1f} s, {size / 1e6:.1f} MB")
