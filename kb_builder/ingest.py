"""Passages into the knowledge base: long ones are split for the encoder, then all are encoded and stored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kb_builder.chunking import chunk
from kd_rag.knowledge.embedder import load_embedder
from kd_rag.knowledge.store import Changes, add_passages
from kd_rag.types import Passage


def ingest(passages: Sequence[Passage], path: Path, embedder_name: str) -> Changes:
    """Store `passages` in `path`, and return what changed."""
    embedder = load_embedder(embedder_name)
    return add_passages(path, embedder, [piece for passage in passages for piece in chunk(passage, embedder)])
