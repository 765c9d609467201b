"""What may distract from the passages of a record: nothing that answers it, nothing that was made of it."""

from kd_rag.retrievers._distractors import find_distractors
from kd_rag.types import Passage, Query, Retrieved
from tests.retrievers.doubles import example_of, knowledge_of

TEXT = "my coat came torn"
LONG = [Passage(f"guide#{i}", "policy", "Guide", f"part {i}", {"piece_of": "guide"}) for i in range(2)]
PASSAGES = [
    example_of("r1", TEXT),
    example_of("r2", "My coat came torn!"),
    example_of("r3", "where is my parcel"),
    Passage("faq", "faq", "", "Opening hours."),
    Passage("policy", "policy", "", "Returns."),
    *LONG,
]


def test_the_record_its_copies_what_it_found_and_other_pieces_of_that_are_barred():
    """With its own example as a distractor a record reads its label."""
    knowledge = knowledge_of(*PASSAGES)
    by_id = {p.id: p for p in knowledge.passages}
    queries = [Query("coat", record_id="r1", record_text=TEXT), Query("parcel", record_id="r9", record_text="parcel")]
    found = [(Retrieved(by_id["guide#0"], 0.5),), (Retrieved(by_id["example-r3"], 0.5),)]
    pool, barred = find_distractors(lambda: knowledge, queries, found)
    assert [p.id for p in pool] == ["example-r1", "example-r2", "example-r3", "guide#0", "guide#1", "policy"]
    assert barred == [{"example-r1", "example-r2", "guide#0", "guide#1"}, {"example-r3"}]


def test_without_anything_found_no_knowledge_base_is_opened():
    assert find_distractors(lambda: 1 / 0, [Query("coat")], [()]) == ((), [frozenset()])
