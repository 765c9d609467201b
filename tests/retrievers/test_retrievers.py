import pytest

from kd_rag import registry
from kd_rag.knowledge.store import KnowledgeBase, add_passages
from kd_rag.types import InputError, Passage
from tests.knowledge.doubles import make_passages, word_embedder

COAT = Passage("coat", "product", "Rain coat", "Keeps the rain out.")


@pytest.fixture
def open_knowledge(tmp_path):
    embedder = word_embedder()
    add_passages(tmp_path, embedder, [COAT, *make_passages(10)])
    return lambda: KnowledgeBase.open(tmp_path, embedder)


@pytest.mark.parametrize("name", registry.names("retrievers"))
def test_every_member_answers_each_query_in_order(name, open_knowledge):
    """A member that drops a query shifts every later record's passages."""
    retriever = registry.build("retrievers", {"name": name}, open_knowledge)
    assert isinstance(retriever.snapshot, str)
    assert retriever.retrieve([]) == []
    queries = ["rain coat", "item 7", "", "rain coat"]
    found = retriever.retrieve(queries)
    assert [type(passages) for passages in found] == [tuple] * 4
    assert found[0] == found[3]
    assert found == [retriever.retrieve([query])[0] for query in queries]


def test_dense_finds_the_nearest(open_knowledge):
    dense = registry.build("retrievers", {"name": "dense", "k": 2}, open_knowledge)
    (found,) = dense.retrieve(["does this coat keep out rain"])
    assert len(found) == 2
    assert found[0].passage == COAT
    assert found[0].score > found[1].score
    assert dense.snapshot == open_knowledge().snapshot


def test_dense_encodes_all_queries_in_one_go(tmp_path):
    """One by one they cost three times as much."""
    embedder = word_embedder()
    add_passages(tmp_path, embedder, [COAT])
    embedder.model.batches.clear()
    registry.build("retrievers", {"name": "dense"}, lambda: KnowledgeBase.open(tmp_path, embedder)).retrieve(
        ["a", "b", "a", "c"]
    )
    assert embedder.model.batches == [["a", "b", "c"]]


def test_dense_takes_three_passages_by_default_and_at_least_one(open_knowledge):
    assert registry.options("retrievers", "dense") == {"k": (int, 3)}
    with pytest.raises(InputError, match=r"retriever\.k=0: must be at least 1"):
        registry.build("retrievers", {"name": "dense", "k": 0}, open_knowledge)


def test_none_never_opens_the_knowledge_base():
    def open_knowledge():
        raise AssertionError("opened")

    none = registry.build("retrievers", {"name": "none"}, open_knowledge)
    assert none.retrieve(["a", "b"]) == [(), ()]
    assert none.snapshot == "none"
