"""The file of predictions: what is written comes back, and what is broken is named by its line."""

import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kd_rag.evaluation.predictions import Prediction, read_predictions, write_predictions
from kd_rag.types import InputError

GOOD = {
    "id": "r1",
    "task": "intent",
    "label": "退款",
    "predicted": "退款",
    "probabilities": {"退款": 0.75, "other": 0.25},
    "passages": ["faq-1"],
    "ocr": "订单号 | 42",
}
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
probability = st.floats(0, 1)


def test_lines_are_as_the_contract_says(tmp_path):
    """Scripts outside read this file: keys, their order and unescaped Chinese are promised."""
    write_predictions(tmp_path / "p.jsonl", [Prediction(**GOOD), Prediction(**GOOD | {"id": "r2", "label": None})])
    lines = (tmp_path / "p.jsonl").read_text(encoding="utf-8").splitlines()
    assert lines[0] == json.dumps(GOOD, ensure_ascii=False)
    assert json.loads(lines[1])["label"] is None
    assert [p.name for p in tmp_path.iterdir()] == ["p.jsonl"]


@given(st.lists(st.builds(lambda i, t, p, q, o: (i, t, p, q, o), text, text, probability, probability, text)))
@example([("r1", "intent", 0.1, 0.9, "one\u2028two\x85three\rfour")])
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_comes_back_unchanged(tmp_path, rows):
    """Separators that only Unicode knows (U+2028 in text from a picture) must not split a line."""
    predictions = [Prediction(i, t, None, "a", {"a": p, "b": q}, [i], o) for i, t, p, q, o in rows]
    write_predictions(tmp_path / "p.jsonl", predictions)
    assert read_predictions(tmp_path / "p.jsonl") == predictions


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    """Half a file of predictions would be scored as if it were the whole."""
    path = tmp_path / "p.jsonl"
    write_predictions(path, [Prediction(**GOOD)])

    def interrupted():
        yield Prediction(**GOOD)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_predictions(path, interrupted())
    assert read_predictions(path) == [Prediction(**GOOD)]


def test_other_keys_are_passed_over(tmp_path):
    (tmp_path / "p.jsonl").write_text(json.dumps(GOOD | {"latency_seconds": 0.1}) + "\n", encoding="utf-8")
    assert read_predictions(tmp_path / "p.jsonl") == [Prediction(**GOOD)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "r1"', "is not JSON"),
        ('["r1"]', "a prediction is a JSON object, found list"),
        (json.dumps({k: v for k, v in GOOD.items() if k != "ocr"}), "key 'ocr' is missing; it should be a string"),
        (json.dumps(GOOD | {"id": 7}), "key 'id' is 7, it should be a string"),
        (json.dumps(GOOD | {"probabilities": {"退款": float("nan")}}), "the probability of '退款' is nan"),
        (json.dumps(GOOD | {"probabilities": {"退款": 1.5}}), "the probability of '退款' is 1.5, not in"),
        (json.dumps(GOOD | {"predicted": "?"}), "'predicted' is '[?]', which is not among"),
        (json.dumps(GOOD | {"label": "?"}), "'label' is '[?]', which is not among"),
    ],
)
def test_a_broken_line_is_named(tmp_path, line, message):
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=rf"p\.jsonl, line 2: {message}"):
        read_predictions(path)


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "p.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"p\.jsonl: is not UTF-8"):
        read_predictions(tmp_path / "p.jsonl")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"p\.jsonl: cannot be read"):
        read_predictions(tmp_path / "p.jsonl")
