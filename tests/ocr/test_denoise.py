"""What is left of the lines of a page, Chinese and English, and what no step may do to them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from kd_rag.config import DenoiseConfig
from kd_rag.ocr import denoise
from kd_rag.ocr._relevance import relevances
from kd_rag.types import InputError, TextLine

STEPS = ("status_bar", "masks", "mask_numbers", "stray", "duplicates", "relevance")


def page(*texts, top=0.1):
    """Return lines below one another, none touching the next."""
    height = (1 - top) / max(len(texts), 1)
    return tuple(TextLine(t, 0.9, (0.1, top + i * height, 0.9, top + (i + 0.5) * height)) for i, t in enumerate(texts))


def shown(*pages, queries=(), **steps):
    return [[line.text for line in lines] for lines in denoise(pages, queries, DenoiseConfig(**steps))]


def test_nothing_is_touched_by_default():
    noisy = page("12:20", "*", "****", "13800001111", "13800001111", top=0.0)
    assert denoise([noisy, ()], ["order"], DenoiseConfig()) == (noisy, ())


def test_lines_less_certain_are_dropped():
    lines = tuple(TextLine(str(c), c, (0, c, 1, c + 0.05)) for c in (0.5, 0.79, 0.8, 0.99))
    assert shown(lines, min_confidence=0.8) == [["0.8", "0.99"]]


def test_a_confidence_in_percent_is_refused():
    """All text of a run dropped without a word."""
    with pytest.raises(InputError, match=r"ocr\.denoise\.min_confidence: is a number from 0 to 1, found 80"):
        denoise([], [], DenoiseConfig(min_confidence=80))


@pytest.mark.parametrize(
    "text",
    ["12:20", "中午12:36", "9:41 AM", "85%", "4G", "HD: 5G5G 38", "5G 43", "12.5 KB/s", "0.00 5G HD", "中国移动 4G",
     "CHINA MOBILE", "Verizon LTE", "ull", "<", "16:44800", "98.5%"],
)  # fmt: skip
def test_the_status_bar_goes_from_the_top_alone(text):
    box = (0.1, 0.015, 0.3, 0.042)
    assert shown((TextLine(text, 0.9, box),), status_bar=True) == [[]]
    assert shown((TextLine(text, 0.9, (0.1, 0.215, 0.3, 0.242)),), status_bar=True) == [[text]]


@pytest.mark.parametrize(
    "text",
    ["购物车(266)", "¥59.4", "40905粉丝", "9月26日20点", "订单详情", "Order 12:20", "部分发货", "1.99", "¥ 25", "11.11",
     "$5"],
)  # fmt: skip
def test_other_words_at_the_top_stay(text):
    assert shown((TextLine(text, 0.9, (0.1, 0.015, 0.3, 0.042)),), status_bar=True) == [[text]]


def test_a_number_with_a_point_is_a_speed_beside_a_clock_and_a_price_alone():
    """A price cut off a page's top, or the speed of the network, whose unit is mostly read as another line, shown."""
    speed, clock = TextLine("10.3", 0.9, (0.6, 0.015, 0.7, 0.042)), TextLine("12:20", 0.9, (0.1, 0.015, 0.3, 0.042))
    arrow = TextLine("<", 0.9, (0.1, 0.015, 0.2, 0.042))
    assert shown((clock, speed), (arrow, speed), status_bar=True) == [[], ["10.3"]]


def test_blacked_out_fields_become_one_sign_and_sizes_stay():
    texts = ("收货人：张**", "■■■■", "****", "name: XXXXXX", "XXXL/190", "30*60*10cm", "游************", "...")
    assert shown(page(*texts), masks=True) == [["收货人：张*", "name: *", "XXXL/190", "30*60*10cm", "游*", "..."]]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("订单编号：2024060412345678", "订单编号：<order number>"),
        ("订单号: 13812345678", "订单号: <order number>"),
        ("Order No. 48213977", "Order No. <order number>"),
        ("Refund ID: R-20934851", "Refund ID: <order number>"),
        ("587371117174，订单中发货问题", "<order number>，订单中发货问题"),
        ("240604-123456789012345", "<order number>"),
        ("运单号 SF1234567890123", "运单号 <tracking number>"),
        ("YT7412345678901 已签收", "<tracking number> 已签收"),
        ("Tracking number: 1Z999AA10123456784", "Tracking number: <tracking number>"),
        ("电话13800001111", "电话<phone number>"),
        ("X1月86-138****5099", "X1月86-138****5099"),
        ("手机 138****5099", "手机 <phone number>"),
        ("可出示虚拟号178****5569-7650", "可出示虚拟号<phone number>"),
        ("call 400-821-8888 or +44 20 7946 0958", "call <phone number> or <phone number>"),
        ("客服 010-88888888", "客服 <phone number>"),
        ("客服 4008218888", "客服 <phone number>"),
        ("订单 3840512345678901234", "订单 <order number>"),
    ],
)
def test_numbers_that_only_identify_become_their_kind(text, masked):
    assert shown(page(text), mask_numbers=True) == [[masked]]


@pytest.mark.parametrize(
    "text",
    ["2024-06-15 14:30:16", "付款时间:2024-05-2717:09:10", "20240615143016", "¥1299.00", "62.9万粉丝", "100+人付款",
     "满1000减200", "标价20170120", "1075*710*95MM", "SC10612011612041", "128GB", "取件码7-4-6009", "订单数量 12",
     "total $1,299.00 for 3 orders", "ISBN 9787111213826", "条码 6901234567892", "price 400-600-800"],
)  # fmt: skip
def test_prices_dates_sizes_and_counts_stay(text):
    assert shown(page(text), mask_numbers=True) == [[text]]


def test_kinds_are_named_as_configured():
    names = {"order_number": "某订单", "phone_number": "某电话", "tracking_number": "某运单"}
    lines = page("订单编号: 2024060412345678", "13800001111", "SF1234567890123")
    assert shown(lines, mask_numbers=True, **names) == [["订单编号: 某订单", "某电话", "某运单"]]


def test_stray_characters_and_punctuation_go():
    texts = ("<", "三", "X", "...", "m>", "8", "¥5", "×1", "退款", "OK")
    assert shown(page(*texts), stray=True) == [["¥5", "×1", "退款", "OK"]]


def test_words_that_stand_before_are_dropped_on_all_pictures():
    assert shown(page("Order details", "退款成功", "order  details:"), page("退款成功。", "new"), duplicates=True) == [
        ["Order details", "退款成功"],
        ["new"],
    ]


def test_prices_that_share_their_digits_are_different_words():
    """A refund of 199 shown where 1.99 is meant: a point, a range or a time is part of its number."""
    texts = ["¥1.99", "¥199", "满100-20", "满10020", "12:30", "1230", "1,299.00元"]
    assert shown(page(*texts, "¥ 1.99", "1,299.00 元。"), duplicates=True) == [texts]


def test_of_two_lines_in_one_place_the_surer_stays():
    first, over = (0.1, 0.1, 0.5, 0.2), (0.1, 0.1, 0.5, 0.17)
    beside = (0.1, 0.16, 0.5, 0.26)  # shares a quarter
    lines = (TextLine("0rder", 0.6, first), TextLine("Order", 0.9, over), TextLine("81", 0.5, beside))
    assert shown(lines, duplicates=True) == [["Order", "81"]]


def test_ranks_are_the_nearest_query_by_tf_idf():
    queries = ["退款页面", "物流页面-物流跟踪页面", "Where is my Order?", ""]
    texts = ["退款成功", "首页 客服 购物车", "order details", "物流信息", "我的页面", "退款成功"]
    model = TfidfVectorizer(analyzer="char", ngram_range=(2, 3))
    expected = (model.fit_transform(texts) @ model.transform(queries).T).toarray().max(axis=1)
    assert relevances(texts, queries) == pytest.approx(expected, abs=1e-5)
    assert relevances(texts, []) == [0] * 6
    (lines,) = denoise([page(*texts)], queries, DenoiseConfig(relevance=True))
    assert [line.text for line in lines] == texts, "reading order"
    assert [line.relevance for line in lines] == relevances(texts, queries)


@pytest.mark.parametrize("piece", [" ", "1", "*", "x", "订单号", "订单号: ", "1-", "a", "+1 "])
def test_a_line_of_any_length_takes_no_longer_than_it_is_long(piece):
    """A pattern that tries again at every place would need days for one record."""
    long = TextLine("订单号" + piece * (300_000 // len(piece)) + "。", 0.9, (0, 0, 1, 0.04))
    (lines,) = denoise([(long,)], ["refund", long.text], DenoiseConfig(**dict.fromkeys(STEPS, True)))
    assert len(lines) == 1


pieces = st.sampled_from(["12:20", "5G", "****", "XXX", "138", "00001111", "订单号", ":", " ", "退款", "1", "-",
                          "refund", "202406041234", "■■", "SF", "¥5", ".", "*"])  # fmt: skip
texts = st.lists(pieces, min_size=1, max_size=6).map("".join)
sides = st.tuples(*[st.integers(0, 9).map(lambda tenth: tenth / 10)] * 4)
boxes = sides.map(lambda s: (min(s[0], s[2]), min(s[1], s[3]), max(s[0], s[2]) + 0.02, max(s[1], s[3]) + 0.02))
pages_of_lines = st.lists(
    st.lists(st.builds(TextLine, texts, st.sampled_from([0.4, 0.6, 0.9]), boxes), max_size=6).map(tuple), max_size=3
)
configs = st.fixed_dictionaries({step: st.booleans() for step in STEPS}).map(
    lambda steps: DenoiseConfig(min_confidence=0.5, **steps)
)


@given(pages_of_lines, configs)
def test_lines_keep_their_order_and_a_second_time_changes_nothing(pages, config):
    """A cached and a fresh prompt that differ, or a page whose rows are shuffled."""
    once = denoise(pages, ["refund", "退款页面"], config)
    assert len(once) == len(pages)
    for before, after in zip(pages, once, strict=True):
        left = iter(before)
        assert all(any((line.box, line.confidence) == (old.box, old.confidence) for old in left) for line in after)
        assert all(line.text for line in after)
    assert denoise(once, ["refund", "退款页面"], config) == once
