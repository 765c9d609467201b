"""A record must not find its own label: in itself, in a copy of itself, in a passage made of it."""

import pytest

from kd_rag import registry
from kd_rag.knowledge.content import words_digest
from kd_rag.retrievers import _leak_guard
from kd_rag.retrievers._leak_guard import NEAR, LeakGuard, leak_report
from kd_rag.types import Passage, Query, Retrieved
from tests.retrievers.doubles import example_of, ids, knowledge_of

TEXT = "my coat came torn\nplease send it back"
PASSAGES = [
    example_of("r1", TEXT),
    Passage("r1-piece", "example", "", "my coat came torn", {"record_id": "r1"}),
    example_of("r2", "My coat came torn!  Please, send it back."),
    example_of("r3", "my coat came torn, please send it back today"),
    Passage("policy", "policy", "Returns", "A torn coat may be sent back for a refund."),
]
FOR_EACH = pytest.mark.parametrize("name", ["dense", "bm25", "hybrid", "examples"])


def found(name, query):
    retriever = registry.build("retrievers", {"name": name, "k": 5}, lambda: knowledge_of(*PASSAGES))
    return ids(retriever.retrieve([query])[0])


@FOR_EACH
def test_a_record_finds_neither_itself_nor_its_copy_nor_its_passages(name):
    """With its own example in the prompt a record answers itself, and the score means nothing."""
    asked = found(name, Query("coat torn send back", record_id="r1", record_text=TEXT))
    assert "example-r3" in asked
    assert not {"example-r1", "r1-piece", "example-r2"} & set(asked)


@FOR_EACH
def test_a_question_from_elsewhere_finds_all(name):
    assert {"example-r1", "example-r2", "r1-piece"} <= set(found(name, Query("coat torn send back")))


def test_another_record_of_other_words_finds_all():
    assert "example-r1" in found("dense", Query("coat torn", record_id="r9", record_text="coat torn"))


@pytest.mark.parametrize(
    "metadata",
    [{"record": "r1"}, {"record_id": "r1"}, {"source_record": ["r0", "r1"]}, {"record": 7, "record_id": "r1"}],
)
def test_a_passage_of_any_kind_may_name_its_records_by_several_keys(metadata):
    """Questions and answers taken out of a shop's own dialogues are these dialogues; only their maker knows."""
    passages = [Passage("faq-1", "faq", "cheaper?", "no", metadata), Passage("faq-2", "faq", "", "", {"record": "r2"})]
    assert LeakGuard(passages).forbidden(Query("x", record_id="r1", record_text="is it cheaper")) == [0]
    assert LeakGuard(passages).forbidden(Query("x", record_id="r9", record_text="is it cheaper")) == []


def test_words_that_differ_in_their_vowel_signs_are_not_copies():
    assert words_digest("कि") != words_digest("को")
    assert words_digest("Cafe\u0301, ＡＢＣ!") == words_digest("café abc")


def test_the_report_counts_what_no_rule_forbids(monkeypatch):
    monkeypatch.setattr(_leak_guard, "_RECORDS_AT_ONCE", 2)
    review = Passage("review", "review", "", "My coat came torn today, please send it back now.")
    knowledge = knowledge_of(*PASSAGES, review)
    near = "my coat came torn, please send it back today now"
    queries = [
        Query("x", record_id="r1", record_text=TEXT),
        Query("x", record_id="r8", record_text=near),
        Query("x", record_id="r9", record_text="where is my parcel"),
        Query("x", record_id="r4"),
    ]
    by_id = {passage.id: Retrieved(passage, 0.5) for passage in PASSAGES}
    found = [(by_id["policy"], by_id["example-r3"]), (by_id["policy"],), (), ()]
    report = leak_report(lambda: knowledge, queries, ["refund", "Refund", "delivery", None], found)
    near_vector = knowledge.embedder.encode_passages([Passage("", "example", "", near)])
    assert (near_vector @ knowledge.vectors.T).max() >= NEAR, "the second record is a near-copy of r3"
    assert report == {
        "records": 4,
        "own_passages": 1,
        "near_copies_by_kind": {"example": 2, "review": 1},  # r1 resembles r3 as well
        "near_copy_cosine": NEAR,
        "label_in_passage": {"policy": 1},
    }


def test_records_without_words_are_copies_of_nothing():
    knowledge = knowledge_of(*PASSAGES)
    report = leak_report(lambda: knowledge, [Query("", record_id="r9", record_text="")], ["refund"], [()])
    assert report["near_copies_by_kind"] == {}
