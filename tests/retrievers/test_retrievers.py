import pytest
from PIL import Image

from kd_rag import registry
from kd_rag.retrievers._selection import DEFAULT_K, Selection
from kd_rag.types import InputError, Passage, Query
from tests.knowledge.doubles import make_passages, word_embedder
from tests.retrievers.doubles import example_of, ids, knowledge_of

COAT = Passage("coat", "product", "Rain coat", "Keeps the rain out.")
EXAMPLES = [
    example_of("r1", "send the rain coat back please", "refund"),
    example_of("r2", "the rain coat must go back", "refund"),
    example_of("r3", "rain coat where is it", "delivery"),
]


@pytest.fixture
def knowledge():
    return knowledge_of(COAT, *EXAMPLES, *make_passages(10))


@pytest.fixture
def build(knowledge, clip):
    """Build a member by its name and options; `image` needs a model beside them."""
    needed = {"image": {"model": clip}}
    return lambda name, **options: registry.build(
        "retrievers", {"name": name, **needed.get(name, {}), **options}, lambda: knowledge
    )


@pytest.mark.parametrize("name", registry.names("retrievers"))
def test_every_member_answers_each_query_in_order(name, build, tmp_path):
    """A member that drops a query shifts every later record's passages."""
    Image.new("RGB", (40, 30), "red").save(tmp_path / "red.png")
    retriever = build(name)
    assert isinstance(retriever.snapshot, str)
    assert retriever.retrieve([]) == []
    texts = ["rain coat", "item 7", "", "rain coat", "zzz"]
    queries = [Query(text, (tmp_path / "red.png",) * (text == "item 7")) for text in texts]
    found = retriever.retrieve(queries)
    assert [type(passages) for passages in found] == [tuple] * 5
    assert found[0] == found[3]
    assert found[2] == ()
    for passages, query in zip(found, queries, strict=True):
        alone = retriever.retrieve([query])[0]
        assert [r.passage for r in passages] == [r.passage for r in alone]
        assert [r.score for r in passages] == pytest.approx([r.score for r in alone], abs=2e-6)
    for passages in found:
        assert len(passages) <= DEFAULT_K
        assert sorted(passages, key=lambda r: -r.score) == list(passages)


@pytest.mark.parametrize("name", [name for name in registry.names("retrievers") if name != "none"])
def test_every_member_filters_alike(name, build, tmp_path):
    """A filter that one member forgets lets an excluded kind into its prompts alone."""
    Image.new("RGB", (40, 30), "red").save(tmp_path / "red.png")
    where = {"label": "delivery"} if name == "examples" else {"row": 7}
    (found,) = build(name, selection={"where": where}).retrieve([Query("rain coat item 7", (tmp_path / "red.png",))])
    assert ids(found) == (["example-r3"] if name == "examples" else ["p0007"])


def test_dense_finds_the_nearest(build, knowledge):
    dense = build("dense", k=2, selection={"kinds": ["product", "faq"]})
    (found,) = dense.retrieve([Query("does this coat keep out rain")])
    assert len(found) == 2
    assert found[0].passage == COAT
    assert found[0].score > found[1].score
    assert dense.snapshot == knowledge.snapshot


def test_dense_scores_are_cosines(build, knowledge):
    (found,) = build("dense", k=1).retrieve([Query("rain coat red")])
    encode = knowledge.embedder
    expected = float(encode.encode_queries(["rain coat red"])[0] @ encode.encode_passages([found[0].passage])[0])
    assert found[0].score == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", ["dense", "bm25", "hybrid"])
def test_ties_go_by_id_wherever_they_stand(name):
    """A matrix product rounds by position: two stores of the same passages would give two prompts."""
    same = [Passage(f"{i:03d}", "faq", "Coat", "red") for i in range(150)]
    knowledge = knowledge_of(*same, *make_passages(50))
    retriever = registry.build("retrievers", {"name": name, "k": 4}, lambda: knowledge)
    found = retriever.retrieve([Query("a red coat")] * 70)
    assert [ids(passages) for passages in found] == [["000", "001", "002", "003"]] * 70


def test_asking_for_more_than_there_is_gives_what_there_is(build):
    assert len(build("dense", k=99).retrieve([Query("rain")])[0]) == 14


def test_dense_encodes_all_queries_in_one_go():
    """One by one they cost three times as much."""
    embedder = word_embedder()
    knowledge = knowledge_of(COAT, embedder=embedder)
    embedder.model.batches.clear()
    registry.build("retrievers", {"name": "dense"}, lambda: knowledge).retrieve([Query(text) for text in "abac"])
    assert embedder.model.batches == [["a", "b", "c"]]


def test_dense_takes_three_passages_by_default_and_at_least_one(build):
    assert registry.options("retrievers", "dense") == {"k": (int, 3), "selection": (Selection, Selection())}
    with pytest.raises(InputError, match=r"retriever\.k=0: must be at least 1"):
        build("dense", k=0)


def test_examples_are_labelled_neighbours_and_a_limit_keeps_rarer_labels_in_sight(build):
    query = Query("the rain coat must go back please")
    (nearest,) = build("examples", k=2).retrieve([query])
    (varied,) = build("examples", k=2, per_label=1).retrieve([query])
    assert ids(nearest) == ["example-r2", "example-r1"]
    assert ids(varied) == ["example-r2", "example-r3"]
    with pytest.raises(InputError, match=r"retriever\.per_label=0: must be at least 1"):
        build("examples", per_label=0)


def test_none_never_opens_the_knowledge_base():
    def open_knowledge():
        raise AssertionError("opened")

    none = registry.build("retrievers", {"name": "none"}, open_knowledge)
    assert none.retrieve([Query("a"), Query("b")]) == [(), ()]
    assert none.snapshot == "none"
