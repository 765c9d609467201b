"""Labels behind reasons: the scores are those of the whole text, whatever the model said before."""

from dataclasses import replace

import pytest
import torch

from kd_rag.data.collator import answer_ids, reason_ids
from kd_rag.losses.heads import continued
from kd_rag.losses.sides import Needs
from kd_rag.scoring.decode import split_answer
from kd_rag.scoring.label_tree import LabelTree
from kd_rag.scoring.readout import read
from kd_rag.training.answers import NO_LABEL, predict, say
from kd_rag.types import IGNORED
from tests.conftest import LABELS, make_example

EXAMPLES = [
    make_example(name="short"),
    make_example(texts=("a longer turn about a parcel <image>", "reply"), pictures=1, name="picture"),
    make_example(texts=("x",), name="silent"),
]
SAID = ["1. It asks.\n2. No picture.\nrefund", "1. A parcel is broken\nrefund_re", "order_page"]
REASONS = ["1. It asks.\n2. No picture.", "1. A parcel is broken", ""]


def trees(collator):
    return {"intent": LabelTree.build({label: answer_ids(collator.processor, label) for label in LABELS})}


def whole_scores(model, collator, example, reasons):
    """Return log p(label | prompt, reasons), each label in a pass of its own."""
    scores = []
    for label in LABELS:
        ids = torch.tensor([reason_ids(collator.processor, reasons) + answer_ids(collator.processor, label)])
        inputs = continued(collator.prompts([example]).inputs, ids)
        own = len(answer_ids(collator.processor, label))
        logits = model.logits(model(inputs)[0, -own - 1 : -1])[:, : model.processor.vocabulary].double()
        scores.append(logits.log_softmax(1)[torch.arange(own), ids[0, -own:]].sum())
    return torch.stack(scores)


def asking(examples):
    return [replace(e, asked="reasons_and_label") for e in examples]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (SAID[0], (REASONS[0], "refund")),
        ("refund", ("", "refund")),
        ("", ("", "")),
        ("a\n\n refund ", ("a", "refund")),
    ],
)
def test_the_last_line_is_the_label_and_the_rest_are_reasons(text, parts):
    assert split_answer(text) == parts


def test_labels_are_scored_behind_what_the_model_said(load, collator, monkeypatch):
    """One row's padding, or its cut last line, among the reasons would move every score of that row."""
    model = load("student")
    monkeypatch.setattr("kd_rag.training.answers.free_texts", lambda *arguments: SAID)
    batch = collator.prompts(asking(EXAMPLES))
    found = predict(model, batch, trees(collator), None, 64)
    assert [p.reasons for p in found] == REASONS
    with torch.no_grad():
        for example, p, reasons in zip(batch.examples, found, REASONS, strict=True):
            expected = whole_scores(model, collator, example, reasons).softmax(0).tolist()
            assert list(p.probabilities.values()) == pytest.approx(expected, abs=1e-5)


def test_what_a_model_says_is_bounded_and_asked_for_only_where_wanted(load, collator):
    model = load("student")
    said = predict(model, collator.prompts(asking(EXAMPLES)), trees(collator), None, 5)
    assert all(len(collator.processor.encode_text(p.reasons)) <= 5 for p in said)
    plain = predict(model, collator.prompts(EXAMPLES), trees(collator), None, 5)
    assert [p.reasons for p in plain] == [None] * 3


def test_label_scores_of_training_stand_behind_the_gold_reasons(load, collator):
    """Label KD right behind the prompt would teach what the label is before the reasons that it follows from."""
    model = load("student")
    examples = [replace(e, record=replace(e.record, reasons=r)) for e, r in zip(EXAMPLES, REASONS, strict=True)]
    (batch,) = collator.micro_batches(asking(examples), 3)
    assert sorted(batch.reason_tokens.tolist())[0] == 0
    with torch.no_grad():
        plain, targets = read(model, batch, Needs(), {})
        side, found = read(model, batch, Needs(labels=True), trees(collator))
        assert torch.equal(found, targets)
        torch.testing.assert_close(side.answers.states, plain.answers.states, rtol=1e-4, atol=1e-5)
        for example, scores in zip(batch.examples, side.label_scores, strict=True):
            expected = whole_scores(model, collator, example, example.record.reasons)
            torch.testing.assert_close(scores.double().softmax(0), expected.softmax(0), rtol=1e-4, atol=1e-5)


def test_prompts_go_on_as_prompts(collator):
    """Padding between a prompt and its reasons would shift positions and be attended to."""
    prompts = collator.prompts(EXAMPLES).inputs
    behind = torch.tensor([[5, 6, 7], [8, IGNORED, IGNORED], [IGNORED] * 3])
    whole = continued(prompts, behind)
    for row, said in enumerate(([5, 6, 7], [8], [])):
        ids = prompts.input_ids[row][prompts.attention_mask[row].bool()].tolist() + said
        assert whole.attention_mask[row].tolist() == [0] * (whole.input_ids.shape[1] - len(ids)) + [1] * len(ids)
        assert whole.input_ids[row][-len(ids) :].tolist() == ids
    assert int(whole.mm_token_type_ids.sum()) == int(prompts.mm_token_type_ids.sum())


def test_a_free_answer_is_a_label_to_the_letter_or_none(load, collator, monkeypatch):
    """Finding a label inside a sentence would make a talkative model right."""
    model, texts = load("student"), ["refund", "I think: refund", "Refund"]
    monkeypatch.setattr("kd_rag.training.answers.free_texts", lambda *args: texts)
    found = say(model, collator.prompts(EXAMPLES), trees(collator), 32, constrained=False)
    assert [p.predicted for p in found] == ["refund", NO_LABEL, NO_LABEL]
    assert [p.id for p in found] == ["short", "picture", "silent"]
    monkeypatch.setattr("kd_rag.training.answers.free_texts", lambda *args: SAID)
    found = say(model, collator.prompts(asking(EXAMPLES)), trees(collator), 32, constrained=False)
    assert [p.predicted for p in found] == ["refund", NO_LABEL, "order_page"], "behind reasons, the last line counts"
