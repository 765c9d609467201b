"""Passages into the knowledge base: long ones are cut for the encoder, then all are encoded and stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kb_builder.chunking import Chunker
from kd_rag.knowledge.embedder import Embedder
from kd_rag.knowledge.encoding import Encode
from kd_rag.knowledge.store import Changes, add_passages
from kd_rag.types import Passage


def ingest(
    passages: Sequence[Passage],
    path: Path,
    embedder: Embedder,
    *,
    overlap_tokens: int,
    prune: bool = False,
    made_ids: Mapping[str, list[str]] | None = None,
    url: str | None = None,
    encode: Encode | None = None,
) -> Changes:
    """Store `passages` in `path`, and return what changed; see `add_passages`."""
    chunker = Chunker(embedder, overlap_tokens)
    pieces = chunker.chunk(passages)
    return add_passages(
        path, embedder, pieces, chunker=str(chunker), prune=prune, made_ids=made_ids, url=url, encode=encode
    )
