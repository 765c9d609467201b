"""Pictures and passages as vectors of one space: a CLIP-style model (Radford et al. 2021).

In: picture files, or passages. Out: float32 vectors of length one. Any sentence-transformers model that reads both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from tqdm import tqdm

from kd_rag.knowledge.content import passage_text
from kd_rag.pictures import load_picture
from kd_rag.types import InputError, Passage

_AT_ONCE = 32
"""Bounds the decoded pictures in memory."""


@dataclass(frozen=True)
class PictureEncoder:
    """A loaded model; `model` is a `SentenceTransformer` of the modalities text and image."""

    model: Any

    def encode_pictures(self, paths: Sequence[Path]) -> Float32[np.ndarray, "pictures dim"]:
        """Return a vector for each picture file, in order; a file that occurs twice is read once."""
        distinct = list(dict.fromkeys(paths))
        vectors = np.zeros((len(distinct), self.model.get_embedding_dimension()), np.float32)
        for start in tqdm(range(0, len(distinct), _AT_ONCE), desc="Encoding pictures", unit="batch", delay=1):
            pictures = [load_picture(path) for path in distinct[start : start + _AT_ONCE]]
            vectors[start : start + len(pictures)] = self._encoded(self.model.encode_query, pictures)
        return vectors[[distinct.index(path) for path in paths]]

    def encode_passages(self, passages: Sequence[Passage]) -> Float32[np.ndarray, "passages dim"]:
        """Return a vector for the title and text of each passage; CLIP reads about the first 60 words."""
        return self._encoded(self.model.encode_document, [passage_text(passage) for passage in passages])

    @staticmethod
    def _encoded(encode: Any, inputs: Sequence[Any]) -> Float32[np.ndarray, "inputs dim"]:
        found = encode(inputs, batch_size=_AT_ONCE, show_progress_bar=False, normalize_embeddings=True)
        return np.asarray(found, np.float32)


def load_picture_encoder(name: str) -> PictureEncoder:
    """Load the folder of a model or a hub id.

    Raises InputError when there is no such model, it cannot be reached, or it reads no pictures.
    """
    from sentence_transformers import SentenceTransformer

    wanted = "name the folder of a sentence-transformers model that reads text and pictures, or a hub id"
    try:
        model = SentenceTransformer(name)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(f"retriever.model={name}: cannot be loaded ({reason}); {wanted}") from None
    if not {"text", "image"} <= set(model.modalities):
        raise InputError(f"retriever.model={name}: reads {', '.join(map(str, model.modalities))} only; {wanted}")
    return PictureEncoder(model)
