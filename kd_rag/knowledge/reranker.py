"""Query and passage, read together by a cross-encoder (Nogueira and Cho 2019): slower than vectors and surer.

In: pairs of texts. Out: a score a pair. Any sentence-transformers `CrossEncoder` with one output.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from kd_rag.types import InputError

_PAIRS_AT_ONCE = 32
_SCORE_DIGITS = 5
"""The padding of a batch moves the digits behind these."""


@dataclass(frozen=True)
class Reranker:
    """A loaded cross-encoder; `model` is a `CrossEncoder`."""

    model: Any

    def score(self, pairs: Sequence[tuple[str, str]]) -> Float64[np.ndarray, " pairs"]:
        """Return how well each passage answers its query; higher is better."""
        if not pairs:
            return np.zeros(0)
        scores = self.model.predict(list(pairs), batch_size=_PAIRS_AT_ONCE, show_progress_bar=False)
        return np.asarray(scores, np.float64).round(_SCORE_DIGITS)


def load_reranker(name: str) -> Reranker:
    """Load the folder of a cross-encoder, or a hub id.

    Raises InputError when there is no such model, it cannot be reached, or it gives more than one score a pair.
    """
    from sentence_transformers import CrossEncoder

    wanted = "name the folder of a sentence-transformers CrossEncoder, or a hub id that can be reached"
    try:
        model = CrossEncoder(name)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(f"retriever.selection.reranker={name}: cannot be loaded ({reason}); {wanted}") from None
    if model.num_labels != 1:
        raise InputError(
            f"retriever.selection.reranker={name}: gives {model.num_labels} scores a pair, one is needed; {wanted}"
        )
    return Reranker(model)
