"""How near the lines of a record's pictures are to what is asked: TF-IDF over pieces of two and three characters.

In: texts. Out: for each the cosine to the nearest query. Pieces of characters need no word segmentation, so Chinese
and English go alike. Frequencies are counted on the record's own lines: what stands on each of them tells nothing, and
a record is ranked alike in training, in evaluation and alone. Source: Salton and Buckley 1988; the weights are those of
scikit-learn's TfidfVectorizer.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

_SIZES = (2, 3)
Vector = dict[str, float]


def relevances(texts: Sequence[str], queries: Sequence[str]) -> list[float]:
    """Return for each text its largest cosine to a query, from 0 to 1."""
    counts = [_pieces(text) for text in texts]
    met = Counter(piece for own in counts for piece in own)
    rarity = {piece: math.log((1 + len(texts)) / (1 + number)) + 1 for piece, number in met.items()}
    asked = [vector for query in queries if (vector := _vector(_pieces(query), rarity))]
    return [max((_dot(_vector(own, rarity), query) for query in asked), default=0.0) for own in counts]


def _pieces(text: str) -> Counter[str]:
    text = " ".join(text.casefold().split())
    return Counter(text[i : i + size] for size in _SIZES for i in range(len(text) - size + 1))


def _vector(counts: Counter[str], rarity: Mapping[str, float]) -> Vector:
    """Return the weights of the known pieces, scaled to length 1; nothing where none is known."""
    weights = {piece: number * rarity[piece] for piece, number in counts.items() if piece in rarity}
    length = math.sqrt(sum(weight * weight for weight in weights.values()))
    return {piece: weight / length for piece, weight in weights.items()}


def _dot(one: Vector, other: Vector) -> float:
    # Rounded, so that lines of the same words stay equal whatever the order of summing.
    return round(sum(weight * other.get(piece, 0.0) for piece, weight in one.items()), 6)
