"""The linear SVM reads characters, and copes with what records may lack."""

from kd_rag.evaluation.baselines import linear_svm

TEXTS = ["退款多少钱", "我要退款", "什么时候发货", "还没发货吗"]
LABELS = ["refund", "refund", "delivery", "delivery"]


def test_parts_of_words_decide_in_a_script_without_spaces():
    assert linear_svm(TEXTS, LABELS, ["能退款吗", "发货了没"], 0) == ["refund", "delivery"]


def test_one_label_is_the_answer_to_all():
    assert linear_svm(["a", "b"], ["x", "x"], ["", "c", "d"], 0) == ["x", "x", "x"]


def test_records_without_a_word_are_answered():
    """A picture sent without a word has no n-gram where OCR is off."""
    assert set(linear_svm(["", "", ""], ["x", "y", "x"], ["", "new"], 0)) <= {"x", "y"}
