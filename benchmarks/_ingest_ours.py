"""kd_rag's own ingestion in the benchmark: `python -m benchmarks._ingest_ours JOB.json`, a dtype behind it or not."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import torch

from benchmarks._ingest_job import Text, measure, read_job, tell
from kb_builder.ingest import ingest
from kd_rag.config import KnowledgeConfig
from kd_rag.knowledge.embedder import load_embedder
from kd_rag.types import Passage


def main() -> None:
    """Ingest as the command does, without reading files."""
    job, texts = read_job()
    torch.set_num_threads(job.threads)
    embedder, overlap = load_embedder(job.model, *sys.argv[2:]), KnowledgeConfig().overlap_tokens

    def store(batch: Sequence[Text]) -> int:
        # The peers get title and text in one; here they are one as well, so that all encode the same.
        passages = [Passage(t.id, t.kind, "", t.text, {"title": t.title}) for t in batch]
        return ingest(passages, Path(job.store) / "kb", embedder, overlap_tokens=overlap).total

    tell(", ".join(["kd_rag", *sys.argv[2:]]), version("kd-rag"), measure(job, texts, store))


if __name__ == "__main__":
    main()
