"""Answers kept on disk: asked once, and never given for another knowledge base, option or picture."""

import pytest

from kd_rag.retrievers import _cache
from kd_rag.retrievers._cache import CachedRetriever, open_retriever
from kd_rag.types import InputError, Passage, Query, Retrieved
from tests.retrievers.doubles import ids, knowledge_of

COAT = Passage("coat", "product", "", "red coat")
SHOE = Passage("shoe", "product", "", "red shoe")
DENSE = {"name": "dense", "k": 1, "selection": {"reranker": None}}


class Counting:
    """A retriever that finds `passage` and keeps what it was asked."""

    def __init__(self, knowledge, passage):
        self.snapshot = knowledge.snapshot
        self.passage = passage
        self.asked = []

    def retrieve(self, queries):
        self.asked += queries
        return [(Retrieved(self.passage, 0.25),) for _ in queries]


@pytest.fixture
def cached(tmp_path):
    """Return a retriever behind the cache, and the one that it asks."""

    def build(*passages, component=DENSE, finds=COAT):
        knowledge = knowledge_of(*passages)
        inner = Counting(knowledge, finds)
        return CachedRetriever(inner, component, lambda: knowledge, tmp_path / "kept"), inner

    return build


def test_an_answer_is_kept_and_given_again(cached):
    first, inner = cached(COAT)
    query = Query("coat", record_id="r")
    assert first.retrieve([query, query, Query("x")])[1] == (Retrieved(COAT, 0.25),)
    assert inner.asked == [query, Query("x")], "equal queries are asked once"
    again, second = cached(COAT)
    assert again.retrieve([Query("x"), query]) == first.retrieve([Query("x"), query])
    assert second.asked == []


def test_a_changed_knowledge_base_never_gives_an_old_answer(cached):
    before, _ = cached(COAT)
    before.retrieve([Query("shoe")])
    after, inner = cached(COAT, SHOE, finds=SHOE)
    assert ids(after.retrieve([Query("shoe")])[0]) == ["shoe"]
    assert inner.asked == [Query("shoe")]
    replaced, inner = cached(Passage("coat", "product", "", "blue coat"))
    replaced.retrieve([Query("shoe")])
    assert inner.asked == [Query("shoe")], "the same id with another text is another knowledge base"


@pytest.mark.parametrize(
    "component", [{**DENSE, "k": 2}, {**DENSE, "name": "bm25"}, {**DENSE, "selection": {"reranker": "other"}}]
)
def test_other_options_are_other_answers(cached, component):
    cached(COAT)[0].retrieve([Query("coat")])
    other, inner = cached(COAT, component=component)
    other.retrieve([Query("coat")])
    assert inner.asked == [Query("coat")]


def test_all_of_a_query_counts(cached, tmp_path):
    """A record's guard and its pictures change the answer, so they belong to the question."""
    picture = tmp_path / "p.png"
    picture.write_bytes(b"one")
    retriever, inner = cached(COAT)
    variants = [
        Query("a"),
        Query("b"),
        Query("a", record_id="r"),
        Query("a", record_text="t"),
        Query("a", pictures=(picture,)),
    ]
    retriever.retrieve(variants)
    assert inner.asked == variants
    picture.write_bytes(b"two")
    retriever.retrieve(variants)
    assert inner.asked == [*variants, variants[-1]]


def test_replaced_weights_of_a_reranker_are_other_answers(cached, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"one")
    component = {**DENSE, "selection": {"reranker": str(tmp_path / "model")}}
    cached(COAT, component=component)[0].retrieve([Query("coat")])
    (tmp_path / "model" / "weights").write_bytes(b"other")
    other, inner = cached(COAT, component=component)
    other.retrieve([Query("coat")])
    assert inner.asked == [Query("coat")]


def test_another_commit_of_a_hub_id_is_other_answers(cached, tmp_path, monkeypatch):
    """The hub's `main` moves, and its id stays the same."""
    monkeypatch.setattr(_cache, "HF_HUB_CACHE", str(tmp_path))
    commit = tmp_path / "models--shop--reranker" / "refs" / "main"
    commit.parent.mkdir(parents=True)
    component = {**DENSE, "selection": {"reranker": "shop/reranker"}}
    asked = []
    for now in ("a1", "b2", "a1"):
        commit.write_text(now)
        retriever, inner = cached(COAT, component=component)
        retriever.retrieve([Query("coat")])
        asked.append(len(inner.asked))
    assert asked == [1, 1, 0]


def test_a_damaged_file_is_written_anew(cached, tmp_path, caplog):
    cached(COAT)[0].retrieve([Query("coat")])
    (file,) = (tmp_path / "kept").iterdir()
    file.write_text(file.read_text()[:-9])
    again, inner = cached(COAT)
    assert ids(again.retrieve([Query("coat")])[0]) == ["coat"]
    assert inner.asked == [Query("coat")]
    assert "is damaged" in caplog.text
    assert list((tmp_path / "kept").iterdir()) == [file], "no half file stays behind"
    assert cached(COAT)[0].retrieve([Query("coat")]) == again.retrieve([Query("coat")])


def test_none_keeps_nothing_and_a_folder_that_cannot_be_made_is_named(tmp_path):
    none = open_retriever({"name": "none"}, lambda: pytest.fail("opened"), tmp_path / "kept")
    assert none.retrieve([Query("a")]) == [()]
    assert not (tmp_path / "kept").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/kept: cannot keep retrieved passages there"):
        open_retriever(DENSE, lambda: knowledge_of(COAT), tmp_path / "file" / "kept")
