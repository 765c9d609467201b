"""The head runs on answer rows only, over the shared ids only; and nothing is lost by it."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy, kl_div, pad

from kd_rag import registry
from kd_rag.losses.divergences import forward_kl
from kd_rag.losses.heads import answer_rows, log_probabilities, with_answers, with_rest
from kd_rag.losses.objective import Objective
from kd_rag.losses.sides import Needs
from kd_rag.losses.terms import TokenKD
from kd_rag.scoring.readout import read
from kd_rag.types import IGNORED
from tests.conftest import make_example
from tests.losses.doubles import FixedTeacher


@pytest.fixture
def batch(collator):
    examples = [
        make_example(label="refund"),
        make_example(texts=("longer turn <image>",), pictures=1, label="order_page"),
    ]
    return collator.micro_batches(examples, 2)[0]


def answered(batch):
    """Return prompts and whole answers, the last token too, padded where the prompts are and behind the answers."""
    given = batch.answers != IGNORED
    return replace(
        batch.inputs,
        input_ids=torch.cat([batch.inputs.input_ids, batch.answers.where(given, 0)], dim=1),
        attention_mask=torch.cat([batch.inputs.attention_mask, given.long()], dim=1),
        mm_token_type_ids=pad(batch.inputs.mm_token_type_ids, (0, given.shape[1])),
    )


def naive(model, batch, vocabulary):
    """Full logits at every position, shifted as usual: what everybody writes first."""
    labels = torch.cat([torch.full_like(batch.inputs.input_ids, IGNORED), batch.answers], dim=1)
    logits = model.logits(model(answered(batch)).flatten(0, 1)).unflatten(0, labels.shape)
    return logits[:, :-1, :vocabulary].flatten(0, 1), labels[:, 1:].flatten()


def gradients(model):
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


def assert_near(found, expected):
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert (found[name] - gradient).norm() <= 1e-5 * gradient.norm() + 1e-9, name


def test_loss_and_gradients_equal_those_of_full_logits(load, batch):
    model = load("student")
    vocabulary = model.processor.vocabulary
    logits, targets = naive(model, batch, vocabulary)
    full = cross_entropy(logits, targets, ignore_index=IGNORED)
    full.backward()
    expected = gradients(model)
    rows, targets = answer_rows(model(with_answers(batch.inputs, batch.answers)), batch)
    ours = cross_entropy(log_probabilities(model.logits(rows), vocabulary), targets)
    ours.backward()
    torch.testing.assert_close(ours, full, rtol=1e-5, atol=0)
    assert_near(gradients(model), expected)


@pytest.mark.parametrize("name", ["forward_kl", "reverse_kl", "jensen_shannon"])
def test_distillation_and_its_gradients_equal_those_of_full_logits(load, batch, name):
    """The naive step, in which both models give logits at every position and a mask picks the answer's."""
    student, teacher = load("student"), load("teacher")
    vocabulary, divergence = student.processor.vocabulary, registry.find("divergences", name)
    with torch.no_grad():
        target, _ = naive(teacher, batch, vocabulary)
        told, _ = read(teacher, batch, Needs(), {})
    logits, targets = naive(student, batch, vocabulary)
    soft = ((side / 2).log_softmax(dim=1) for side in (target, logits))
    full = 4 * divergence(*soft)[targets != IGNORED].mean()
    full.backward()
    expected = gradients(student)
    rows = {"token_kd": TokenKD(divergence, 2.0, vocabulary)}
    objective = Objective(rows, {}, {"token_kd": (1.0, 1.0)}, vocabulary, FixedTeacher(told))
    side, targets = read(student, batch, Needs(), {})
    ours = objective(batch, targets, side, objective.counts(batch), 0.0)["loss"]
    ours.backward()
    torch.testing.assert_close(ours, full, rtol=1e-5, atol=0)
    assert_near(gradients(student), expected)


def test_all_padding_stands_behind_the_answers(batch):
    """One row's padding in front of its tokens would cost every row the kernels' causal shortcut."""
    whole = with_answers(batch.inputs, batch.answers)
    lengths = batch.inputs.attention_mask.sum(1) + (batch.answers[:, :-1] != IGNORED).sum(1)
    assert len(set(lengths.tolist())) == 2
    for row, length in enumerate(lengths.tolist()):
        assert whole.attention_mask[row].tolist() == [1] * length + [0] * (whole.input_ids.shape[1] - length)
        prompt = batch.inputs.input_ids[row][batch.inputs.attention_mask[row].bool()].tolist()
        answer = [token for token in batch.answers[row, :-1].tolist() if token != IGNORED]
        assert whole.input_ids[row, :length].tolist() == prompt + answer
        pictures = batch.inputs.input_ids[row][batch.inputs.mm_token_type_ids[row].bool()]
        assert torch.equal(whole.input_ids[row][whole.mm_token_type_ids[row].bool()], pictures)


def test_the_head_never_sees_a_row_that_predicts_no_answer(load, batch):
    model, shapes = load("student"), []
    model.network.lm_head.register_forward_hook(lambda module, args, output: shapes.append(tuple(output.shape)))
    rows, targets = answer_rows(model(with_answers(batch.inputs, batch.answers)), batch)
    model.logits(rows)
    assert shapes == [((batch.answers != IGNORED).sum().item(), model.network.lm_head.out_features)]
    assert targets.tolist() == [t for t in batch.answers.flatten().tolist() if t != IGNORED]


def test_end_of_turn_is_inside_the_vocabulary(load):
    """tokenizer.vocab_size leaves the special tokens out, and the end of the answer with them."""
    processor = load("student").processor
    assert processor.tokenizer.vocab_size <= processor.end_of_turn_id < processor.vocabulary


def test_heads_of_different_width_give_the_divergence_of_the_shared_ids(load):
    teacher, student = load("teacher"), load("student")
    assert teacher.network.lm_head.out_features == student.network.lm_head.out_features + 128
    vocabulary = student.processor.vocabulary
    draw = torch.Generator().manual_seed(0)
    wide, narrow = (torch.randn(5, m.network.lm_head.out_features, generator=draw) for m in (teacher, student))
    p, q = wide[:, :vocabulary].double().log_softmax(1), narrow[:, :vocabulary].double().log_softmax(1)
    expected = kl_div(q, p, log_target=True, reduction="none").sum(1)
    ours = forward_kl(log_probabilities(wide, vocabulary), log_probabilities(narrow, vocabulary))
    torch.testing.assert_close(ours.double(), expected, rtol=1e-5, atol=1e-6)


def test_the_rest_is_one_more_outcome():
    """A peer renormalises over the kept ids, and the student's mass elsewhere is then free."""
    log_probs = torch.tensor([[0.5, 0.2, 0.2, 0.1], [0.1, 0.1, 0.1, 0.7]]).log()
    found = with_rest(log_probs, torch.tensor([[0, 2], [3, 1]])).exp()
    torch.testing.assert_close(found, torch.tensor([[0.5, 0.2, 0.3], [0.7, 0.1, 0.2]]))
