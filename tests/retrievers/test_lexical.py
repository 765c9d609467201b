"""BM25 by hand, and terms of scripts without spaces."""

import math

import pytest

from kd_rag import registry
from kd_rag.retrievers._lexical import LexicalIndex, TermWeights, terms
from kd_rag.types import Passage, Query
from tests.retrievers.doubles import ids, knowledge_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Rain-coat, RAIN!", ["rain", "coat", "rain"]),
        ("snake_case 12", ["snake", "case", "12"]),
        ("蓝牙耳机", ["蓝", "牙", "耳", "机", "蓝牙", "牙耳", "耳机"]),
        ("USB充电器", ["usb", "充", "电", "器", "充电", "电器"]),
        ("A123Pro", ["a123pro", "a12", "123", "23p", "3pr", "pro"]),
        ("x5 1024 größe", ["x5", "1024", "grösse"]),
        ("cafe\u0301 ＡＢＣ", ["café", "abc"]),
        ("तीन दिन में डिलीवरी।", ["तीन", "दिन", "में", "डिलीवरी"]),
        ("ส่งวัน", ["ส่", "ง", "วั", "น", "ส่ง", "งวั", "วัน"]),
        ("❤️ 1️⃣", ["1"]),
        ("…!?", []),
    ],
)
def test_terms(text, expected):
    assert terms(text) == expected


def test_scores_are_bm25_by_hand():
    index = LexicalIndex(["red coat", "red red shoe box", "blue shoe"], TermWeights(k1=1.5, b=0.75))
    mean_terms = 8 / 3

    def part(times, length, containing):
        idf = math.log(1 + (3 - containing + 0.5) / (containing + 0.5))
        return idf * times / (times + 1.5 * (1 - 0.75 + 0.75 * length / mean_terms))

    (row,) = index.scores(["red shoe"])
    expected = [part(1, 2, 2), part(2, 4, 2) + part(1, 4, 2), part(1, 2, 2)]
    assert row == pytest.approx(expected, rel=1e-5)


def test_a_text_without_known_terms_scores_nothing_also_in_an_index_without_terms():
    """bm25s itself raises on both."""
    assert LexicalIndex(["red coat"], TermWeights()).scores(["blue", ""]).tolist() == [[0.0], [0.0]]
    assert LexicalIndex(["…", ""], TermWeights()).scores(["blue"]).tolist() == [[0.0, 0.0]]


def found_by_bm25(query, *texts, **options):
    passages = [Passage(f"p{i}", "faq", "", text) for i, text in enumerate(texts)]
    retriever = registry.build("retrievers", {"name": "bm25", **options}, lambda: knowledge_of(*passages))
    return ids(retriever.retrieve([Query(query)])[0])


def test_the_rarer_word_decides_and_what_shares_no_word_is_not_found():
    texts = ["the coat is red", "the coat is waterproof", "the shoe is red", "a hat"]
    assert found_by_bm25("is the waterproof", *texts, k=4) == ["p1", "p0", "p2"]


def test_a_chinese_query_finds_the_passage_that_shares_its_words():
    """Taken as words, a Chinese sentence is one term that no passage shares."""
    texts = ["这款手机支持快充", "蓝牙耳机可以连接两台设备", "退货需要七天"]
    assert found_by_bm25("耳机怎么连接手机", *texts, k=1) == ["p1"]


PASSAGES_AND_QUESTIONS = {
    "latin": ("Der Mantel ist wasserdicht.", "wasserdicht?"),
    "greek": ("Το παλτό είναι αδιάβροχο.", "Είναι ΑΔΙΆΒΡΟΧΟ;"),
    "cyrillic": ("Пальто не промокает.", "промокает ли"),
    "arabic": ("المعطف مقاوم للماء.", "مقاوم للماء؟"),
    "hebrew": ("המעיל עמיד במים.", "עמיד במים?"),
    "devanagari": ("कोट पानी से बचाता है।", "पानी?"),
    "thai": ("เสื้อโค้ทกันน้ำได้", "กันน้ำไหม"),
    "burmese": ("ကုတ်အင်္ကျီ ရေလုံသည်။", "ရေလုံလား"),
    "hangul": ("코트는 방수입니다.", "방수인가요"),
    "chinese": ("这件外套防水。", "防水吗"),
}
"""A passage in each of ten scripts, and a question that shares a word with it."""


@pytest.mark.parametrize("script", PASSAGES_AND_QUESTIONS)
def test_a_question_finds_the_passage_of_its_script_and_no_other(script):
    """Cut at vowel signs, words of half of these scripts are single consonants, which most passages share."""
    texts = [passage for passage, _ in PASSAGES_AND_QUESTIONS.values()]
    question = PASSAGES_AND_QUESTIONS[script][1]
    assert found_by_bm25(question, *texts, k=10) == [f"p{list(PASSAGES_AND_QUESTIONS).index(script)}"]


def test_vowel_signs_tell_words_apart():
    """`दिन` is a day and `दान` a gift; without their signs both are `दन`."""
    assert found_by_bm25("दिन", "तीन दान", "तीन दिन", k=2) == ["p1"]


def test_a_model_name_is_found_however_it_is_joined():
    texts = ["Aurora A123 Pro phone", "Nimbus B456 Pro phone", "a phone"]
    assert found_by_bm25("auroraa123pro worth it?", *texts, k=1) == ["p0"]
    assert found_by_bm25("a123pro", *texts, k=1) == ["p0"]
