"""One distillation step, ours against the naive one and against peers, side by side in one run.

    python -m benchmarks.distill --out benchmarks/distill.json [--peers FOLDER] [--rounds 5]

The contestants take turns, step by step, so that a slow minute of the machine meets all of them; a ratio is that of the
medians. Every step is a whole one: encoded batch in, optimiser step out. `--peers` names the folder that
`benchmarks/peers/install.sh` filled; beside peers our step keeps freed memory, as our commands do.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks import _memory
from benchmarks._conversations import write
from benchmarks._models import Pair, folder, with_rows
from benchmarks._ours import OurStep
from benchmarks._settings import BATCH_RECORDS, THREADS
from benchmarks._workload import conversations, draw
from benchmarks.naive import NaiveStep
from benchmarks.peers import NAMES, run
from benchmarks.peers._job import Job
from kd_rag._allocator import keep_freed_memory
from kd_rag.data.collator import answer_ids
from kd_rag.teachers.cached import Format
from kd_rag.types import Example

PROMPTS = (256, 1024)
TEACHERS: dict[str, Format | None] = {
    "online": None,
    "cached states": "states",
    "cached logits": "logits",
    "cached top 64": "top_k",
}
STUDENT_ROWS = 151936
PAIRS: tuple[Pair, ...] = ("bench", "replica")
Step = Callable[[], float]


def contestants(pair: Pair, prompt_tokens: int, cache: Path, scratch: Path) -> dict[str, Step]:
    """Return the steps that take turns, each on the same four records."""
    teacher, student = (folder(pair, side, cache) for side in ("teacher", "student"))
    naive = NaiveStep(teacher, student)
    online = OurStep(teacher, student, scratch, None)
    examples = draw(prompt_tokens, online.processor, scratch)[:BATCH_RECORDS]
    inputs, labels = naive.batch(conversations(examples))
    cached = OurStep(teacher, student, scratch, "states")
    frozen = OurStep(teacher, student, scratch, "states", vision=True)
    picking = NaiveStep(teacher, student, answers_only=True)
    steps: dict[str, Step] = {
        "naive": lambda: naive(inputs, labels),
        "naive, softmax on answers only": lambda: picking(inputs, labels),
    }
    for name, ours in (("online", online), ("cached", cached), ("cached, vision kept", frozen)):
        steps[name] = ours.step_on(examples)
    return steps


def measured(steps: Mapping[str, Step], rounds: int) -> list[dict[str, Any]]:
    """Return median seconds and the memory that a step takes on top, for steps in turns, after one round to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    memory: dict[str, list[int]] = {name: [] for name in steps}
    for round_ in range(rounds + 1):
        for name, step in steps.items():
            before, start = _memory.reset_peak(), time.perf_counter()
            step()
            if round_:
                seconds[name].append(time.perf_counter() - start)
                memory[name].append(_memory.peak() - before)
    return [
        {
            "contestant": name,
            "step_seconds": statistics.median(seconds[name]),
            "step_memory_mib": statistics.median(memory[name]) / 2**20,
            "times_faster": statistics.median(seconds["naive"]) / statistics.median(seconds[name]),
            "memory_share": statistics.median(memory[name]) / max(1, statistics.median(memory["naive"])),
        }
        for name in steps
    ]


def against_peers(environments: Path, cache: Path, rounds: int) -> list[dict[str, Any]]:
    """Return records a second of each peer and of ours on the bench pair with 256-token prompts, run after each other.

    TRL refuses a teacher whose head is wider than the student's, so it gets one cut to the same width; it stands
    there once with the recorded answers and once as it is, with answers of the longest one's length from its student.
    """
    keep_freed_memory()
    teacher, student = (folder("bench", side, cache) for side in ("teacher", "student"))
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        processor = OurStep(teacher, student, Path(scratch), None).processor
        examples = draw(PROMPTS[0], processor, Path(scratch))
        file = Path(scratch) / "records.jsonl"
        write(conversations(examples), file)
        longest = max(len(answer_ids(processor, example.record.label or "")) for example in examples)
        for peer, generated in (*((name, 0) for name in NAMES), ("trl", longest)):
            theirs = with_rows(teacher, STUDENT_ROWS) if peer == "trl" else teacher
            job = Job(str(theirs), str(student), str(file), PROMPTS[0], rounds + 1, generated)
            found = run(peer, job, environments)
            ours = {name: _records_per_second(theirs, student, examples, TEACHERS[name], rounds) for name in TEACHERS}
            rows.append(
                {
                    "peer": f"{found['peer']} {found['version']}" + (", generating its answers" if generated else ""),
                    "its records/s": found["records_per_second"],
                    **{f"ours, {name}": speed for name, speed in ours.items()},
                    **{f"times faster, {name}": speed / found["records_per_second"] for name, speed in ours.items()},
                }
            )
    return rows


def _records_per_second(
    teacher: Path, student: Path, examples: list[Example], store: Format | None, rounds: int
) -> float:
    """Return our speed with encoding in the step, as the peers' steps have it."""
    with tempfile.TemporaryDirectory() as scratch:
        ours = OurStep(teacher, student, Path(scratch), store)
        batches = [examples[i : i + BATCH_RECORDS] for i in range(0, len(examples), BATCH_RECORDS)]
        for batch in batches:
            ours.step_on(batch)()
        start = time.perf_counter()
        for i in range(rounds):
            ours.encoded_step(batches[i % len(batches)])
        return rounds * BATCH_RECORDS / (time.perf_counter() - start)


def table(rows: list[dict[str, Any]]) -> str:
    """Return rows as a Markdown table."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_cell(row.get(name, "")) for name in names] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in (names, ["---"] * len(names), *cells))


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> None:
    """Measure, print the tables and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/distill.json"))
    parser.add_argument("--peers", type=Path, help="folder with the peers' environments")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/kd_rag/embedded").expanduser())
    args = parser.parse_args()
    torch.set_num_threads(THREADS)
    found: dict[str, list[dict[str, Any]]] = {"steps": [], "peers": []}

    def tell(part: str, rows: list[dict[str, Any]]) -> None:
        found[part] += rows
        print(table(rows), flush=True)
        args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

    for pair in PAIRS:
        for prompt_tokens in PROMPTS:
            with tempfile.TemporaryDirectory() as scratch:
                rows = measured(contestants(pair, prompt_tokens, args.cache, Path(scratch)), args.rounds)
            tell("steps", [{"pair": pair, "prompt_tokens": prompt_tokens, **row} for row in rows])
    if args.peers:  # behind the others, which share one process and give freed memory back
        tell("peers", against_peers(args.peers, args.cache, args.rounds))


if __name__ == "__main__":
    main()
