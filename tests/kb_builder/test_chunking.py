import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_builder.chunking import _SENTENCE, Chunker
from kd_rag.knowledge.content import PIECE_OF, passage_text
from kd_rag.types import InputError, Passage
from tests.knowledge.doubles import word_embedder


def passage(text, title="Title"):
    return Passage("id", "faq", title, text, {"source": "x"})


def chunk(passage, embedder, overlap_tokens=0):
    return Chunker(embedder, overlap_tokens).chunk([passage])


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
    assert {(p.kind, p.title, p.metadata["source"], p.metadata[PIECE_OF]) for p in pieces} == {
        ("faq", "Title", "x", "id")
    }


def test_chinese_sentences_end_without_a_space():
    pieces = chunk(passage("您好。请问有货吗？有的！“明天发货。”谢谢", title=""), word_embedder(max_tokens=10))
    assert [p.text for p in pieces] == ["您好。", "请问有货吗？", "有的！", "“明天发货。”", "谢谢"]


def test_a_sentence_that_is_too_long_is_halved_at_a_space_or_anywhere():
    words = chunk(passage(" ".join(f"w{i}" for i in range(20)), title=""), word_embedder(max_tokens=8))
    assert " ".join(p.text for p in words).split() == [f"w{i}" for i in range(20)]
    signs = chunk(passage("货" * 50, title=""), word_embedder(max_tokens=8))
    assert "".join(p.text for p in signs) == "货" * 50


def test_a_piece_begins_with_the_last_sentences_of_the_one_before():
    """An answer that stands on both sides of a cut would be found in neither piece."""
    text = "One two. Three four. Five six. Seven eight."
    pieces = chunk(passage(text, title=""), word_embedder(max_tokens=11), overlap_tokens=4)
    assert [p.text for p in pieces] == ["One two. Three four. Five six.", "Five six. Seven eight."]
    assert len(chunk(passage(text, title=""), word_embedder(max_tokens=11), overlap_tokens=2)) == 2


@pytest.mark.parametrize("overlap", [-1, 6, 100])
def test_an_overlap_of_half_a_piece_is_refused(overlap):
    with pytest.raises(InputError, match=rf"knowledge\.overlap_tokens={overlap}: must be 0 or more.* 12 tokens"):
        Chunker(word_embedder(max_tokens=12), overlap)


def test_passages_are_counted_in_large_batches():
    """One by one, a second ingestion of what is there would spend its time on the tokenizer."""
    embedder, calls = word_embedder(max_tokens=12), []
    count = embedder.model.tokenizer
    embedder.model.tokenizer = lambda texts, **options: calls.append(len(texts)) or count(texts, **options)
    assert len(Chunker(embedder, 2).chunk([passage("short") for _ in range(1500)])) == 1500
    assert calls == [1000, 500]


def test_a_text_with_fewer_letters_than_tokens_is_not_even_counted():
    embedder = word_embedder(max_tokens=40)
    embedder.model.tokenizer = None
    short = passage("twenty letters or so", title="")
    assert Chunker(embedder, 2).chunk([short]) == [short]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sentence", "size"),
    [("A whole sentence of words. ", 2_000_000), ("word", 1_000_000), ("货", 1_000_000)],
    ids=["sentences of 50 MB", "one word", "signs without a stop"],
)
def test_a_huge_document_is_cut_in_one_pass_over_it(sentence, size):
    """Counting the tokens of the whole text for each cut would take hours."""
    embedder, letters = word_embedder(max_tokens=256), [0]
    count = embedder.model.tokenizer

    def counted(texts, **options):
        letters[0] += sum(map(len, texts))
        return count(texts, **options)

    embedder.model.tokenizer = counted
    pieces = chunk(passage(sentence * size, title=""), embedder)
    assert sum(len(p.text.replace(" ", "")) for p in pieces) == size * len(sentence.replace(" ", ""))
    assert letters[0] < 8 * size * len(sentence)


@given(
    st.text(alphabet="ab .!?。！”\n您", max_size=120),
    st.sampled_from(["Title", "A title. Of many words, more than fit"]),
    st.integers(8, 20),
    st.integers(0, 3),
)
def test_nothing_is_lost_and_every_piece_fits(text, title, limit, overlap):
    embedder = word_embedder(max_tokens=limit)
    pieces = chunk(passage(text, title), embedder, overlap)
    assert max(embedder.count_tokens([passage_text(p) for p in pieces])) <= limit
    whole = text if pieces[0].title == title else f"{title}\n{text}"
    assert all(piece.text in whole for piece in pieces)
    if overlap == 0:
        assert "".join("".join(p.text.split()) for p in pieces) == "".join(whole.split())


def test_a_title_that_leaves_no_room_is_cut_and_heads_the_text():
    """One heading of a page's length stopped the whole ingestion; what is cut off of it must still be found."""
    pieces = chunk(passage("The text.", title="A long title. It has no end"), word_embedder(max_tokens=12))
    assert {p.title for p in pieces} == {"A long title."}
    assert [p.text for p in pieces] == ["A long title.", "It has no end", "The text."]


SENTENCES = {
    "quoted": ('He said "yes." ', "Then he left (really!). ", "«Oui.» ", "Fin"),
    "german": ("Sie sagte: „Nein.“ ", "Er ging."),
    "numbers": ("It costs 3.50 at shop.example today. ", "Buy!"),
    "hindi": ("तीन दिन में डिलीवरी।", "क्या यह मिलेगा? ", "हाँ॥"),
    "arabic": ("هل يصل غدا؟ ", "نعم. ", "شكرا"),
    "urdu": ("یہ اچھا ہے۔", "جی ہاں"),
    "armenian": ("Այո։ ", "Ոչ։"),
    "amharic": ("አዎ።", "አይ።"),
    "greek": ("Πότε έρχεται\u037e ", "Αύριο."),
    "chinese": ("有的！", "“明天发货。”", "谢谢"),
}


@pytest.mark.parametrize("sentences", SENTENCES.values(), ids=SENTENCES)
def test_a_sentence_ends_where_its_script_says(sentences):
    """A script whose marks are not known is one endless sentence, halved in the middle of every one."""
    assert _SENTENCE.findall("".join(sentences)) == list(sentences)
