"""Similarity of vectors as the members score it: cosine, rounded so that equal passages score equal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Float64
from tqdm import tqdm

from kd_rag.knowledge.store import KnowledgeBase
from kd_rag.types import Query

_SCORE_DIGITS = 6
"""Equal passages must score equal, but a matrix product rounds by position: digits behind these are noise."""


def cosine(
    queries: Float32[np.ndarray, "queries dim"], passages: Float32[np.ndarray, "passages dim"]
) -> Float64[np.ndarray, "queries passages"]:
    """Return the cosine similarity of vectors of length one."""
    similarity: Float64[np.ndarray, "queries passages"] = (queries @ passages.T).astype(np.float64)
    return similarity.round(_SCORE_DIGITS)


def encoded(knowledge: KnowledgeBase, queries: Sequence[Query]) -> Float32[np.ndarray, "queries dim"]:
    """Return the vectors of all queries by the knowledge base's own embedder, in one go."""
    with tqdm(total=len(queries), desc="Encoding queries", unit="query", delay=1) as bar:
        return knowledge.embedder.encode_queries([q.text for q in queries], bar.update)
