"""`reason`: what a model says is kept where it argues for the gold label, and the file is whole after any kill."""

import json

import pytest

from kd_rag.cli import main
from kd_rag.data.reasoning import read_reasons_file
from tests.conftest import LABELS


def reason(*arguments):
    return main("kd_rag", {"reason": "kd_rag.commands.reason"}, ["reason", *map(str, arguments)])


@pytest.fixture
def source(tmp_path):
    rows = [
        {"id": f"r{i}", "task": "intent", "turns": [{"role": "user", "text": f"Where {'is ' * (i % 5)}it?"}]}
        | {"label": LABELS[i % 2]}
        for i in range(20)
    ]
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def arguments(tmp_path, source, folders):
    return [
        *("--data", source, "--out", tmp_path / "reasons.jsonl", f"model.path={folders['student']}", "ocr.name=none"),
        *("evaluation.batch_size=1", "reasoning.max_tokens=4", f"cache_dir={tmp_path / 'cache'}"),
    ]


@pytest.fixture
def answers(monkeypatch):
    """What the model says where its prompt shows a label: two steps, then that label."""
    asked = []

    def said(model, inputs, max_tokens):
        texts = [model.processor.tokenizer.decode(row) for row in inputs.input_ids]
        asked.extend(texts)
        shown = [text.partition("right label is: ")[2].partition("\n")[0] for text in texts]
        return [f"1. It asks.\n2. {len(text)} letters.\n{label}" for text, label in zip(texts, shown, strict=True)]

    monkeypatch.setattr("kd_rag.commands._reasoning.free_texts", said)
    return asked


def test_a_file_cut_at_any_line_is_completed_to_the_same_bytes(tmp_path, arguments, answers):
    assert reason(*arguments) == 0
    out = tmp_path / "reasons.jsonl"
    whole = out.read_bytes()
    assert list(read_reasons_file(out)) == [f"r{i}" for i in range(20)]
    assert all(text.endswith("letters.") for text in read_reasons_file(out).values())
    for size in range(0, len(whole), len(whole) // 7):
        out.write_bytes(whole[:size])
        assert reason(*arguments) == 0
        assert out.read_bytes() == whole
    answers.clear()
    assert reason(*arguments) == 0
    assert answers == []


def test_another_request_does_not_continue_a_file(arguments, answers, capsys):
    assert reason(*arguments) == 0
    assert reason(*arguments, "prompt.reasons_request=Why {label}?") == 2
    assert "was begun with prompt.reasons_request" in capsys.readouterr().err


def test_answers_that_do_not_argue_for_the_label_are_left_out_and_named(tmp_path, arguments, monkeypatch, capsys):
    """Reasons for another label, or half of a text that was cut, would be trained on as if they were right."""
    said = ["1. It asks.\norder_page", "1. It asks.\norder_page", "refund", "1. It\n2. Is cu", ""]
    texts = iter([*said, *["1. It asks.\nrefund", "1. It asks.\norder_page"] * 20])
    monkeypatch.setattr("kd_rag.commands._reasoning.free_texts", lambda *_: [next(texts)])
    monkeypatch.setattr("kd_rag.data.collator.Collator.prompts_by_length", in_order)
    assert reason(*arguments) == 3
    rejected = [json.loads(line) for line in (tmp_path / "reasons.jsonl.rejected.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rejected[:4]] == ["r1", "r2", "r3", "r4"]
    assert "ends with \"order_page\", not with the label 'refund'" in rejected[0]["reasons"][0]
    assert "ends with \"refund\", not with the label 'order_page'" in rejected[1]["reasons"][0]
    assert 'ends with "2. Is cu"' in rejected[2]["reasons"][0]
    assert 'ends with ""' in rejected[3]["reasons"][0]
    assert next(iter(read_reasons_file(tmp_path / "reasons.jsonl"))) == "r0"
    assert "r1" not in read_reasons_file(tmp_path / "reasons.jsonl")
    assert f"rejected: {len(rejected)} records" in capsys.readouterr().err


def in_order(self, examples, size):
    return [self.prompts([example]) for example in examples]


def test_a_record_without_a_label_is_left_out_and_strict_stops(tmp_path, source, arguments, answers, capsys):
    rows = [json.loads(line) for line in source.read_text().splitlines()]
    rows[3]["label"] = None
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert reason(*arguments) == 3
    (rejected,) = (tmp_path / "reasons.jsonl.rejected.jsonl").read_text().splitlines()
    assert json.loads(rejected) == {"id": "r3", "place": None, "reasons": ["has no label to give reasons for"]}
    arguments[3] = tmp_path / "strict.jsonl"
    assert reason(*arguments, "--strict") == 2
    assert "record 'r3': has no label to give reasons for" in capsys.readouterr().err


def test_the_models_own_words_come_through(arguments, capsys):
    """An untrained model ends nothing with a label, so every record is named and none written."""
    assert reason(*arguments) == 3
    assert "0 records with reasons" in capsys.readouterr().out
