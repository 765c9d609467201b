"""What all members share behind their scores: filters, floor, reranking, diversity."""

from functools import partial

import numpy as np
import pytest

from kd_rag import config, registry
from kd_rag.retrievers import _search
from kd_rag.retrievers._search import best_first
from kd_rag.retrievers._selection import diverse
from kd_rag.types import InputError, Passage, Query
from tests.retrievers.doubles import ids, knowledge_of

PASSAGES = [
    Passage("a", "product", "", "red coat", {"language": "en", "year": 2024}),
    Passage("b", "product", "", "red coat red coat", {"language": "en"}),
    Passage("c", "faq", "", "red shoe", {"language": "de", "size": "38"}),
    Passage("d", "faq", "", "blue hat box"),
]


def found(query, k=4, name="dense", **selection):
    retriever = registry.build("retrievers", {"name": name, "k": k, "selection": selection}, lambda: knowledge)
    return retriever.retrieve([Query(query)])[0]


knowledge = knowledge_of(*PASSAGES)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({}, "abcd"),
        ({"kinds": ["faq"]}, "cd"),
        ({"kinds": ["faq", "product"], "where": {"language": "de"}}, "c"),
        ({"where": {"language": "en", "year": 2024}}, "a"),
        ({"where": {"size": 38}}, "c"),
        ({"where": {"size": "38"}}, "c"),
    ],
)
def test_filters_apply_before_the_best_are_taken(selection, expected):
    """Behind it, a kind that is rarely among the best would leave prompts empty."""
    assert ids(found("red coat", **selection)) == list(expected)


def test_filters_that_leave_nothing_are_a_mistake():
    with pytest.raises(InputError, match=r"kinds=\['policy'\], where=\{\} leave no passage.*kind faq, product"):
        found("red", kinds=["policy"])
    with pytest.raises(InputError, match=r"where=\{'language': 'fr'\}"):
        found("red", where={"language": "fr"})


def test_a_configuration_may_set_all_of_it_and_a_wrong_option_is_named():
    load = partial(config.load, [])
    chosen = load(["retriever.name=bm25", "retriever.selection.kinds=[faq]", "retriever.selection.where.language=de"])
    retriever = registry.build("retrievers", chosen.retriever, lambda: knowledge)
    assert ids(retriever.retrieve([Query("red")])[0]) == ["c"]
    with pytest.raises(
        InputError, match=r"retriever\.selection\.kind: .*no such option; it has: kinds, where, min_score"
    ):
        load(["retriever.name=bm25", "retriever.selection.kind=faq"])


def test_the_floor_leaves_out_what_scores_less():
    scores = {r.passage.id: r.score for r in found("red coat")}
    assert scores["a"] > 0.99 > scores["c"] > scores["d"]
    assert ids(found("red coat", min_score=scores["c"])) == ["a", "b", "c"]
    assert found("red coat", min_score=1.1) == ()


def test_equal_scores_come_in_the_order_of_ids():
    """Else two machines would show two prompts."""
    assert best_first(np.array([1.0, 2.0, 2.0, 2.0, -np.inf]), 2).tolist() == [1, 2]
    assert best_first(np.array([1.0, -np.inf, 3.0]), 5).tolist() == [2, 0]


def test_diverse_by_hand():
    relevance = np.array([1.0, 0.9, 0.5, 0.0])
    vectors = np.array([[1, 0], [1, 0], [0.6, 0.8], [0, 1]], np.float32)
    # After 0: candidate 1 is worth .5*.9 - .5*1 = -.05, 2 is .5*.5 - .5*.6 = -.05 (the first of equals), 3 is 0.
    assert diverse(relevance, vectors, 3, 0.5) == [0, 3, 1]
    # After 0: 1 is .8*.9 - .2*1 = .52, 2 is .8*.5 - .2*.6 = .28, 3 is 0.
    assert diverse(relevance, vectors, 3, 0.2) == [0, 1, 2]
    assert diverse(relevance, vectors, 9, 0.0) == [0, 1, 2, 3]


def test_diversity_takes_another_passage_instead_of_a_near_copy():
    assert ids(found("red coat", k=2)) == ["a", "b"]
    assert ids(found("red coat", k=2, diversity=0.9)) == ["a", "d"]
    with pytest.raises(InputError, match=r"retriever\.selection\.diversity=2: must be between 0 and 1"):
        found("red coat", diversity=2)


class ShortestFirst:
    """Stands for a cross-encoder; `asked` keeps what it read."""

    def __init__(self):
        self.asked = []

    def score(self, pairs):
        self.asked.append(pairs)
        return np.array([-float(len(text)) for _, text in pairs])


@pytest.mark.parametrize("name", ["dense", "hybrid"])
def test_a_reranker_orders_the_candidates_and_gives_their_scores(monkeypatch, name):
    reranker = ShortestFirst()
    monkeypatch.setattr(_search, "load_reranker", lambda _: reranker)
    options = {"name": name, "k": 2, "selection": {"reranker": "model", "candidates": 3}}
    retriever = registry.build("retrievers", options, lambda: knowledge)
    coat, hat = retriever.retrieve([Query("red coat red coat"), Query("hat")])
    assert [(r.passage.id, r.score) for r in coat] == [("a", -8.0), ("c", -8.0)]
    assert len(coat) == len(hat) == 2
    plain = registry.build("retrievers", {"name": name, "k": 3}, lambda: knowledge)
    scores = {r.passage.id: r.score for r in plain.retrieve([Query("red coat red coat")])[0]}
    assert [r.before_reranking for r in coat] == [scores["a"], scores["c"]]
    assert {r.before_reranking for r in plain.retrieve([Query("hat")])[0]} == {None}
    (pairs,) = reranker.asked
    assert [query for query, _ in pairs] == ["red coat red coat"] * 3 + ["hat"] * 3, "all pairs in one call"
