"""Texts that have no vector yet get one, here or elsewhere, and each portion is on disk before the next begins.

In: passages, and the vectors that are kept. Out: the vectors of all of them, kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import Float32
from tqdm import tqdm

from kd_rag.knowledge.content import passage_text, text_key
from kd_rag.knowledge.embedder import Embedder
from kd_rag.knowledge.vectors import VectorShards
from kd_rag.types import Passage

TEXTS_AT_ONCE = 512
"""So many vectors a kill loses at most."""

Encode = Callable[
    [Sequence[str], Callable[[int], object]], Iterator[tuple[Sequence[str], Float32[np.ndarray, "texts dim"]]]
]
"""`encode(texts, advance)` yields all texts with their vectors, TEXTS_AT_ONCE or fewer at a time and in any order;
`advance` is told how many more are done. Like lengths stand beside each other, the longest first."""


def encode_missing(shards: VectorShards, passages: Iterable[Passage], encode: Encode) -> int:
    """Encode and store each text that has no vector yet; return how many there were.

    Like lengths share a batch; the longest come first, so that the time left is not understated.
    """
    texts = {passage_text(p) for p in passages}
    missing = sorted((text for text in texts if text_key(text) not in shards), key=lambda text: (-len(text), text))
    with tqdm(total=len(missing), desc="Encoding passages", unit="passage", disable=not missing) as bar:
        for done, vectors in encode(missing, bar.update):
            shards.append([text_key(text) for text in done], vectors)
    return len(missing)


def encode_here(
    embedder: Embedder, texts: Sequence[str], advance: Callable[[int], object]
) -> Iterator[tuple[Sequence[str], Float32[np.ndarray, "texts dim"]]]:
    """Encode in this process."""
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        window = texts[start : start + TEXTS_AT_ONCE]
        yield window, embedder.encode_texts(window, advance)
