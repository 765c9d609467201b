"""Words that query and passage share: BM25 (Robertson et al. 1994; Lucene's form), on the terms below.

In: texts. Out: a score a passage, 0 where no term is shared. Terms are words; Chinese, Japanese, Korean, Thai, Lao,
Burmese and Khmer, written without spaces, are taken as letters and pairs of them; a word of letters and digits (a model
name such as `a123pro`) also counts as its pieces of three letters, so that it is found when it is written together or
apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import bm25s
import numpy as np
from jaxtyping import Float64

from kd_rag.knowledge.content import passage_text
from kd_rag.knowledge.words import letters, words
from kd_rag.types import Passage

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
"""Thai and Lao, Burmese, Khmer, kana, Chinese characters with their first extension, Hangul."""
_RUN = re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED}]+")
_MODEL_NAME = re.compile(r"(?=.*[0-9])(?=.*[^\W\d_]).+")
_PIECE = 3


@dataclass(frozen=True)
class TermWeights:
    """The two constants of BM25."""

    k1: float = 0.9
    """How slowly the weight of a repeated term saturates."""
    b: float = 0.4
    """How much a long passage is held back, between 0 and 1."""


class LexicalIndex:
    """The terms of all passages."""

    def __init__(self, texts: Sequence[str], weights: TermWeights) -> None:
        self._numbers: dict[str, int] = {}
        rows = [[self._numbers.setdefault(term, len(self._numbers)) for term in terms(text)] for text in texts]
        self._passages = len(texts)
        self._bm25 = bm25s.BM25(k1=weights.k1, b=weights.b, method="lucene")
        if self._numbers:
            self._bm25.index((rows, self._numbers), show_progress=False)

    def scores(self, queries: Sequence[str]) -> Float64[np.ndarray, "queries passages"]:
        """Return the score of each passage for each query; 0 means that they share no term."""
        return np.array([self._row(query) for query in queries]).reshape(len(queries), self._passages)

    def _row(self, query: str) -> Float64[np.ndarray, " passages"]:
        known = [self._numbers[term] for term in terms(query) if term in self._numbers]
        if not known:
            return np.zeros(self._passages)
        return self._bm25.get_scores_from_ids(known).astype(np.float64)  # type: ignore[no-any-return]


def index_passages(passages: Sequence[Passage], weights: TermWeights) -> LexicalIndex:
    """Index titles and texts."""
    return LexicalIndex([passage_text(passage) for passage in passages], weights)


def terms(text: str) -> list[str]:
    """Return the terms of a text in reading order, repeated ones too."""
    found: list[str] = []
    for word in words(text):
        for run in _RUN.findall(word):
            if re.match(f"[{_UNSPACED}]", run):
                found += [*_pieces(run, 1), *_pieces(run, 2)]
            else:
                found.append(run)
                if len(run) > _PIECE and _MODEL_NAME.fullmatch(run):
                    found += _pieces(run, _PIECE)
    return found


def _pieces(text: str, length: int) -> list[str]:
    units = letters(text)
    return ["".join(units[i : i + length]) for i in range(len(units) - length + 1)]
