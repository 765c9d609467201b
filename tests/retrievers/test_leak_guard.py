"""A record must not find its own label: in itself, in a copy of itself, in a passage made of it."""

import pytest

from kd_rag import registry
from kd_rag.retrievers._leak_guard import NEAR, leak_report
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


def test_the_report_counts_what_no_rule_forbids():
    knowledge = knowledge_of(*PASSAGES)
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
        "near_copies": 2,  # r1 resembles r3 as well
        "near_copy_cosine": NEAR,
        "label_in_passage": {"policy": 1},
    }


def test_without_examples_nothing_is_encoded():
    knowledge = knowledge_of(PASSAGES[-1])
    knowledge.embedder.model.batches.clear()
    report = leak_report(lambda: knowledge, [Query("x", record_id="r1", record_text=TEXT)], ["refund"], [()])
    assert report["near_copies"] == 0
    assert knowledge.embedder.model.batches == []
