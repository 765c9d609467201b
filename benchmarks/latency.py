"""How long one query takes: p50 and p99 for 1,000, 10,000 and 100,000 passages, encoding apart from search.

In: a folder with kb.jsonl and queries.jsonl, as `kb_builder evaluate` reads it. Out: a Markdown table. Passages are
those of the folder, numbered where they repeat; their vectors are random ones of length one, since search takes as long
for any. The query is encoded by the packaged English model. Each size is measured in a process of its own, so that
memory is that size's alone. Example:
  python -m benchmarks.latency FOLDER
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from jaxtyping import Float32

from benchmarks import _memory
from benchmarks.ingest import texts
from kd_rag import registry
from kd_rag.knowledge.embedder import PACKAGED, Embedder, load_embedder
from kd_rag.knowledge.store import KnowledgeBase
from kd_rag.types import Passage, Query

SIZES = (1_000, 10_000, 100_000)
MEMBERS = ("dense", "bm25", "hybrid")
_DIMENSION = 384


class ReadyVectors:
    """In the place of an embedder: random vectors of length one for whatever is asked."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def encode_queries(
        self, queries: Sequence[str], advance: Callable[[int], object]
    ) -> Float32[np.ndarray, "queries dim"]:
        """Return a random vector for each query."""
        return unit_vectors(self._rng, len(queries))


def unit_vectors(rng: np.random.Generator, count: int) -> Float32[np.ndarray, "count dim"]:
    """Return random vectors of length one."""
    vectors = rng.standard_normal((count, _DIMENSION), np.float32)
    scaled: Float32[np.ndarray, "count dim"] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled


def milliseconds(work: Callable[[str], object], queries: Sequence[str]) -> dict[str, float]:
    """Return how long `work` takes on the first query, and the p50 and p99 of all others, one by one."""
    taken = []
    for query in queries:
        start = time.perf_counter()
        work(query)
        taken.append(1000 * (time.perf_counter() - start))
    p50, p99 = np.percentile(taken[1:], [50, 99])
    return {"first": taken[0], "p50": float(p50), "p99": float(p99)}


def measured(folder: Path, size: int, queries: Sequence[str]) -> dict[str, Any]:
    """Return the milliseconds of each member, and the memory in MiB that passages, vectors and indexes take."""
    rng = np.random.default_rng(0)
    before = _memory.reset_peak()
    passages = tuple(Passage(t.id, t.kind, t.title, t.text) for t in texts(folder / "kb.jsonl", size))
    knowledge = KnowledgeBase(cast(Embedder, ReadyVectors(rng)), passages, unit_vectors(rng, size), "random")
    found: dict[str, Any] = {"size": size, "data_mib": (_memory.reset_peak() - before) / 2**20}
    for name in MEMBERS:
        before = _memory.reset_peak()
        retriever = registry.build("retrievers", {"name": name}, lambda: knowledge)
        found[name] = milliseconds(lambda text, member=retriever: member.retrieve([Query(text)]), queries)  # type: ignore[misc]
        found[name]["peak_mib"] = (_memory.peak() - before) / 2**20
    return found


def table(results: Sequence[dict[str, Any]]) -> str:
    """Return the Markdown table."""
    columns = ("passages", "in memory", "retriever", "first query", "p50", "p99", "at most, on top")
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for result in results:
        for name in MEMBERS:
            times = result[name]
            lines.append(
                f"| {result['size']:,} | {result['data_mib']:.0f} MiB | {name} | {times['first'] / 1000:.2f} s "
                f"| {times['p50']:.1f} ms | {times['p99']:.1f} ms | {times['peak_mib']:.0f} MiB |"
            )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with kb.jsonl and queries.jsonl")
    parser.add_argument("--queries", type=int, default=300, help="queries for each number")
    parser.add_argument("--size", type=int, help="measure this many passages in this process, and print JSON")
    args = parser.parse_args()
    lines = (args.folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    queries = [json.loads(line)["text"] for line in lines][: args.queries]
    if args.size:
        print(json.dumps(measured(args.folder, args.size, queries)))
        return
    results = []
    for size in SIZES:
        command = [sys.executable, "-m", "benchmarks.latency", str(args.folder), "--size", str(size)]
        told = subprocess.run(
            [*command, "--queries", str(args.queries)], stdout=subprocess.PIPE, text=True, check=True
        ).stdout
        results.append(json.loads(told))
    embedder = load_embedder(PACKAGED)
    encoding = milliseconds(lambda text: embedder.encode_queries([text]), queries)
    print(table(results))
    print(f"encoding one query: p50 {encoding['p50']:.1f} ms, p99 {encoding['p99']:.1f} ms")


if __name__ == "__main__":
    main()
