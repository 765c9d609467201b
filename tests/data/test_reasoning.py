"""Reasons find their records, prompts ask for them as often as they should, and no prompt ever shows them."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from kd_rag.config import Config, PromptConfig, PromptParts, ReasoningConfig, Stages, TaskConfig
from kd_rag.data.collator import Collator, answer_ids
from kd_rag.data.reasoning import Asking, read_reasons_file, reasoned_tasks, with_reasons
from kd_rag.types import IGNORED, InputError, Record
from tests.conftest import make_example

RECORDS = [
    Record("a", "intent", (), (), "refund", reasons="1. Own."),
    Record("b", "intent", (), (), "refund"),
    Record("c", "intent", (), (), "refund"),
]

EVERYWHERE = {"intent": Stages()}


def written(folder, *rows):
    path = folder / "reasons.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return str(path)


def reasoned_example(asked="reasons_and_label", reasons="1. It asks for money.\n2. No picture.", **options):
    example = make_example(**options)
    return replace(example, asked=asked, record=replace(example.record, reasons=reasons))


def test_a_file_wins_over_the_record_and_leaves_the_others_alone(tmp_path):
    rows = [{"id": "a", "reasons": "1. File. "}, {"id": "b", "reasons": "1. New."}, {"id": "z", "reasons": "1. Else."}]
    found = with_reasons(RECORDS, written(tmp_path, *rows))
    assert [record.reasons for record in found] == ["1. File.", "1. New.", None]
    assert [record.reasons for record in with_reasons(RECORDS, None)] == ["1. Own.", None, None]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["{"], "line 1: is not JSON"),
        ([3], r"line 1: expected an object \{id, reasons\}, found 3"),
        ([{"id": "a", "reasons": " "}], "line 1: reasons: is empty"),
        ([{"id": "a", "reason": "x"}], "line 1: reasons: is missing"),
        ([{"id": "a", "reasons": "x"}, {"id": "a", "reasons": "y"}], "line 2: 'a' stands in an earlier line"),
    ],
)
def test_a_bad_line_is_named(tmp_path, rows, message):
    path = written(tmp_path, *rows)
    with pytest.raises(InputError, match=message) as error:
        read_reasons_file(Path(path))
    assert str(error.value).startswith(path)


def test_a_run_without_any_reasons_does_not_start(tmp_path):
    """It would train on labels alone, hours long, under the name of a run with reasons."""
    with pytest.raises(InputError, match="none of the 2 training records has reasons; write"):
        with_reasons(RECORDS[1:], None)
    path = written(tmp_path, {"id": "z", "reasons": "1."})
    with pytest.raises(InputError, match=r"none of the 2 .* and .*reasons\.jsonl has none for them"):
        with_reasons(RECORDS[1:], path)


def test_prompts_ask_for_reasons_as_often_as_they_should():
    asking = Asking(ReasoningConfig(share=0.3), EVERYWHERE, seed=0)
    drawn = [asking(RECORDS[0], view, "train") for view in range(1000)]
    assert Counter(drawn) == {"label": 715, "reasons_and_label": 285}
    assert drawn == [asking(RECORDS[0], view, "train") for view in range(1000)]
    assert Asking(ReasoningConfig(), EVERYWHERE, seed=0)(RECORDS[1], 0, "train") == "label"
    for record in RECORDS:
        assert asking(record, 0, "eval") == "reasons_and_label"
        assert Asking(ReasoningConfig(eval="direct"), EVERYWHERE, seed=0)(record, 0, "eval") == "label"
        for stage in ("train", "eval"):
            assert Asking(ReasoningConfig(), {}, seed=0)(record, 0, stage) == "label"


def test_a_task_has_reasons_where_its_switches_say_so():
    """Reasons in the answers of a task that needs none cost a generation for each of its records."""
    tasks = {"intent": TaskConfig(reasoning=Stages(eval=False)), "image_scene": TaskConfig()}
    config = Config(prompt=PromptConfig(reasoning=True), tasks=tasks)
    asking = Asking(config.reasoning, reasoned_tasks(config), seed=0)
    found = [asking(record, 0, stage) for record in (RECORDS[0], replace(RECORDS[0], task="image_scene"))
             for stage in ("train", "eval")]  # fmt: skip
    assert found == ["reasons_and_label", "label", "reasons_and_label", "reasons_and_label"]
    assert reasoned_tasks(Config(tasks=tasks)) == {}


@pytest.mark.parametrize("wrong", [{"share": 1.5}, {"max_tokens": 0}, {"reason_weight": -1.0}, {"label_weight": -1.0}])
def test_a_number_out_of_range_is_named(wrong):
    ((key, _),) = wrong.items()
    with pytest.raises(InputError, match=rf"reasoning\.{key}="):
        Asking(ReasoningConfig(**wrong), EVERYWHERE, seed=0)


def test_an_answer_is_the_reasons_then_the_very_ids_of_the_label(collator):
    """Were reasons and label encoded as one text, the label's ids would not be those that evaluation scores."""
    examples = [reasoned_example(), make_example(texts=("a longer turn " * 30,), label="order_page")]
    (batch,) = collator.micro_batches(examples, 2)
    rows = [row[row != IGNORED].tolist() for row in batch.answers]
    reasons, none = batch.reason_tokens.tolist()
    assert none == 0
    assert collator.processor.tokenizer.decode(rows[0][:reasons]) == "1. It asks for money.\n2. No picture.\n"
    assert rows[0][reasons:] == answer_ids(collator.processor, "refund")
    assert rows[1] == answer_ids(collator.processor, "order_page")


def test_prompts_say_what_they_ask_for_and_never_show_the_reasons(collator):
    """A prompt that shows why a record has its label shows the label."""
    prompt = PromptConfig(labels_heading="LABEL", reasoning_heading="BOTH", reasons_request="WHY {label}")
    shown = {}
    for asked in ("label", "reasons_and_label", "reasons"):
        encoded = Collator(collator.processor, prompt, PromptParts()).encode(reasoned_example(asked))
        shown[asked] = collator.processor.tokenizer.decode(encoded.prompt)
        assert "money" not in shown[asked]
    assert ("LABEL" in shown["label"], "BOTH" in shown["label"]) == (True, False)
    assert ("LABEL" in shown["reasons_and_label"], "BOTH" in shown["reasons_and_label"]) == (False, True)
    assert "delivery_time\nWHY refund" in shown["reasons"]
    assert "WHY" not in shown["label"] + shown["reasons_and_label"]
