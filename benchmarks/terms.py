"""What each term of distillation is worth: several seeds, mean and standard deviation.

    python -m benchmarks.terms --folder runs/terms [--recipe sample] [--out FILE.json] [--seeds 3] [key.sub=value …]

`--recipe mdsirc` takes the embedded small models to the challenge's records, which `data.train=`, `data.valid=` and
`data.test=` name.

For each seed a teacher is fitted, and students of every variant are trained for as many steps and scored on the test
split. A run that is there already is not made again. Two runs go on at a time, a thread each.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.distill import table

RECIPES = {
    "sample": ("configs/demo/base.yaml", "configs/demo/teacher.yaml", "configs/demo/student.yaml"),
    "mdsirc": ("configs/mdsirc/base.yaml", "configs/mdsirc/small_teacher.yaml", "configs/mdsirc/small_student.yaml"),
}
"""What all runs share, the teacher's own and the students' own."""
BARE = ("student.prompt.passages=false", "student.prompt.ocr=false")


def _weights(ce: float, token_kd: float, label_kd: float) -> tuple[str, ...]:
    pairs = {"ce": ce, "token_kd": token_kd, "label_kd": label_kd}
    return tuple(f"distill.weights.{name}={weight}" for name, weight in pairs.items())


VARIANTS: dict[str, tuple[str, ...]] = {
    "labels alone": (),
    "token KD": _weights(0.3, 0.7, 0.0),
    "label KD": _weights(0.3, 0.0, 0.7),
    "token and label KD": _weights(0.3, 0.35, 0.35),
    "labels alone, no passages, no OCR": BARE,
    "privileged teacher, no passages, no OCR": (*BARE, *_weights(0.3, 0.35, 0.35)),
}


def main() -> None:
    """Train what is missing, score it, print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the runs go")
    parser.add_argument("--recipe", choices=RECIPES, default="sample")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/terms.json"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("overrides", nargs="*", metavar="key.sub=value", help="for every run")
    args = parser.parse_args()
    seeds = range(args.seeds)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda seed: _run(args, f"teacher-{seed}", seed, "fit", ()), seeds))
        jobs = [(name, seed) for seed in seeds for name in VARIANTS]
        found = list(pool.map(lambda job: _student(args, *job), jobs))
    rows = [_row(name, [s for (n, _), s in zip(jobs, found, strict=True) if n == name]) for name in VARIANTS]
    teachers = [_scores(args.folder / f"teacher-{seed}") for seed in seeds]
    rows.insert(0, _row("teacher", teachers))
    print(table(rows))
    args.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def _student(args: argparse.Namespace, variant: str, seed: int) -> dict[str, float]:
    changes = VARIANTS[variant]
    command = "distill" if any("_kd=" in change for change in changes) else "fit"
    teacher = (f"teacher.path={args.folder}/teacher-{seed}",) if command == "distill" else ()
    name = f"{variant.replace(',', '').replace(' ', '-')}-{seed}"
    return _run(args, name, seed, command, (*teacher, *changes))


def _run(args: argparse.Namespace, name: str, seed: int, command: str, changes: tuple[str, ...]) -> dict[str, float]:
    """Train and score a run that is not there yet, and return its scores."""
    folder = args.folder / name
    if not (folder / "predictions-test.jsonl").exists():
        base, teacher, student = RECIPES[args.recipe]
        own_recipe = teacher if name.startswith("teacher-") else student
        configs = ["--config", base, "--config", own_recipe]
        own = [f"run.dir={args.folder}", f"run.name={name}", f"run.seed={seed}", *changes, *args.overrides]
        _kd_rag(command, *configs, *own)
        _kd_rag("evaluate", "--run", str(folder))
    return _scores(folder)


def _kd_rag(*words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kd_rag", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)} exited with {done.returncode}:\n{done.stderr[-2000:]}")


def _scores(folder: Path) -> dict[str, float]:
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    nll = statistics.fmean(task["nll"] for task in metrics["tasks"].values())
    return {name: value for name, value in metrics.items() if name.endswith("_score")} | {"nll": nll}


def _row(variant: str, scores: list[dict[str, float]]) -> dict[str, Any]:
    """Return mean and standard deviation over the seeds."""
    cells = {}
    for name in scores[0]:
        values = [score[name] for score in scores]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        digits = 2 if name == "nll" else 1
        cells[name] = f"{statistics.fmean(values):.{digits}f} ± {spread:.{digits}f}"
    return {"variant": variant, **cells}


if __name__ == "__main__":
    main()
