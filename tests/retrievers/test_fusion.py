"""Two rankings into one, by hand."""

import numpy as np
import pytest

from kd_rag import registry
from kd_rag.retrievers._fusion import among_best, blended, reciprocal_ranks
from kd_rag.types import InputError, Passage, Query
from tests.retrievers.doubles import ids, knowledge_of

NOT = -np.inf


def test_reciprocal_ranks_by_hand():
    first = np.array([[0.9, 0.5, 0.7, NOT]])
    second = np.array([[1.0, 8.0, NOT, NOT]])
    (fused,) = reciprocal_ranks(first, second, 0.25, depth=2)
    assert fused.tolist() == pytest.approx([0.75 / 61 + 0.25 / 62, 0.25 / 61, 0.75 / 62, NOT])


def test_blended_by_hand():
    """Scaled over what is allowed: the forbidden outlier would squeeze the others together."""
    first, second = np.array([[0.2, 0.6, 0.4, 99.0]]), np.array([[0.0, 0.0, 5.0, 0.0]])
    allowed = np.array([[True, True, True, False]])
    (fused,) = blended(first, second, 0.3, allowed)
    assert fused[:3].tolist() == pytest.approx([0.0, 0.7, 0.7 * 0.5 + 0.3])


def test_blended_equal_scores_say_nothing():
    """A query that shares no word has BM25 0 everywhere; dividing by the width would give NaN."""
    allowed = np.ones((1, 3), bool)
    assert blended(np.array([[0.1, 0.3, 0.2]]), np.zeros((1, 3)), 0.2, allowed).tolist() == [
        pytest.approx([0.0, 0.8, 0.4])
    ]


def test_among_best_keeps_the_scores_of_what_the_judge_prefers():
    scores, judge = np.array([[0.1, 0.2, 0.3]]), np.array([[9.0, 8.0, 7.0]])
    assert among_best(scores, judge, depth=2).tolist() == [[0.1, 0.2, NOT]]


# The rare name decides by words, the frequent word by vectors.
PASSAGES = [
    Passage("named", "product", "", "zx9 lamp"),
    Passage("meant", "product", "", "lamp lamp lamp lamp"),
    Passage("other", "product", "", "garden chair"),
]
QUERY = Query("zx9 lamp lamp lamp")


def found_by_hybrid(**options):
    retriever = registry.build("retrievers", {"name": "hybrid", **options}, lambda: knowledge_of(*PASSAGES))
    return retriever.retrieve([QUERY])[0]


@pytest.mark.parametrize("mode", ["blend", "rrf"])
def test_the_share_moves_the_ranking_from_vectors_to_words(mode):
    alone = {
        name: ids(registry.build("retrievers", {"name": name}, lambda: knowledge_of(*PASSAGES)).retrieve([QUERY])[0])
        for name in ("dense", "bm25")
    }
    assert alone["dense"][:2] == alone["bm25"][1::-1], "the two disagree, or the test shows nothing"
    assert ids(found_by_hybrid(mode=mode, bm25_share=0.0))[:2] == alone["dense"][:2]
    assert ids(found_by_hybrid(mode=mode, bm25_share=1.0))[:2] == alone["bm25"]


def test_rescore_orders_the_best_words_by_their_vectors():
    dense = registry.build("retrievers", {"name": "dense"}, lambda: knowledge_of(*PASSAGES)).retrieve([QUERY])[0]
    found = found_by_hybrid(mode="rescore")
    assert found == dense[:2], "what shares no word is no candidate"


def test_bounds_are_checked():
    with pytest.raises(InputError, match=r"retriever\.bm25_share=1\.5: must be between 0 and 1"):
        found_by_hybrid(bm25_share=1.5)
    with pytest.raises(InputError, match=r"retriever\.depth=2: must be at least retriever\.k, which is 3"):
        found_by_hybrid(mode="rrf", depth=2)
