import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_builder.chunking import chunk
from kd_rag.types import InputError, Passage
from tests.knowledge.doubles import word_embedder


def passage(text, title="Title"):
    return Passage("id", "faq", title, text, {"source": "x"})


def test_a_passage_that_fits_stays_as_it_is():
    whole = passage("One two. " * 3)
    assert chunk(whole, word_embedder(max_tokens=12)) == [whole]
    assert chunk(passage("word " * 9999), word_embedder()) == [passage("word " * 9999)]


def test_a_long_passage_is_cut_between_sentences_and_keeps_its_title():
    """What an encoder cuts off can never be found."""
    pieces = chunk(
        passage("One two three. Four five! Six is 3.5 long? Seven.\n\nEight nine."), word_embedder(max_tokens=12)
    )
    assert [p.text for p in pieces] == ["One two three. Four five!", "Six is 3.5 long? Seven.", "Eight nine."]
    assert [p.id for p in pieces] == ["id#0", "id#1", "id#2"]
    assert {(p.kind, p.title, p.metadata["source"]) for p in pieces} == {("faq", "Title", "x")}


def test_chinese_sentences_end_without_a_space():
    pieces = chunk(passage("您好。请问有货吗？有的！“明天发货。”谢谢", title=""), word_embedder(max_tokens=10))
    assert [p.text for p in pieces] == ["您好。", "请问有货吗？", "有的！", "“明天发货。”", "谢谢"]


def test_a_sentence_that_is_too_long_is_halved_at_a_space_or_anywhere():
    words = chunk(passage(" ".join(f"w{i}" for i in range(20)), title=""), word_embedder(max_tokens=8))
    assert " ".join(p.text for p in words).split() == [f"w{i}" for i in range(20)]
    signs = chunk(passage("货" * 50, title=""), word_embedder(max_tokens=8))
    assert "".join(p.text for p in signs) == "货" * 50


@given(st.text(alphabet="ab .!?。！”\n您", max_size=120), st.integers(6, 20))
def test_nothing_is_lost_and_every_piece_fits(text, limit):
    embedder = word_embedder(max_tokens=limit)
    pieces = chunk(passage(text), embedder)
    assert "".join("".join(p.text.split()) for p in pieces) == "".join(text.split())
    assert all(embedder.count_tokens(p) <= limit for p in pieces)


def test_a_title_that_leaves_no_room_is_the_users_fault():
    with pytest.raises(InputError, match="passage 'id': its title has 22 tokens and words reads 12"):
        chunk(passage("text", title="long " * 20), word_embedder(max_tokens=12))
