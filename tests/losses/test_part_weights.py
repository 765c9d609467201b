"""Reasons and label weigh apart, against formulas in float64; equal weights are the plain loss."""

from types import SimpleNamespace

import pytest
import torch

from kd_rag.losses import objective as objective_module
from kd_rag.losses.cross_entropy import CrossEntropy
from kd_rag.losses.divergences import forward_kl
from kd_rag.losses.objective import Objective
from kd_rag.losses.terms import TokenKD
from kd_rag.types import IGNORED, Batch, Inputs
from tests.losses.test_objective import FixedTeacher, side

VOCABULARY = 7
TARGETS = torch.tensor([1, 6, 0, 2, 5, 3, 3, 4])
REASONS, LENGTHS = [3, 0, 1], [5, 1, 2]
IN_REASONS = torch.tensor([1, 1, 1, 0, 0, 0, 1, 0]).bool()
LABEL_WEIGHTS = {("t", "a"): 1.5, ("t", "b"): 0.5}


def draw(*shape, seed):
    return 2 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def batch_of(rows=slice(None), told=True):
    lengths, empty = LENGTHS[rows], torch.zeros(1, 1, dtype=torch.long)
    ids = torch.full((len(lengths), max(lengths)), IGNORED)
    for row, length in enumerate(lengths):
        ids[row, :length] = 0
    records = [SimpleNamespace(record=SimpleNamespace(task="t", label=label)) for label in ("a", "b", "a")[rows]]
    reason_tokens = torch.tensor(REASONS[rows]) if told else None
    return Batch(tuple(records), Inputs(empty, empty, empty), ids, reason_tokens=reason_tokens)


def terms_of(student, teacher, batch, targets, parts, *, label_weights=None, counts=None):
    rows = {"ce": CrossEntropy(VOCABULARY, 0.0, label_weights), "token_kd": TokenKD(forward_kl, 2.0, VOCABULARY)}
    weights = {"ce": (0.4, 0.4), "token_kd": (0.6, 0.6)}
    objective = Objective(rows, {}, weights, VOCABULARY, FixedTeacher(side(teacher)), part_weights=parts)
    counts = objective.counts(batch) if counts is None else counts
    return objective(batch, targets, side(student), counts, 0.0)


def reference(student, teacher, parts, label_weights):
    """Return both terms in float64: weighted sums over all answer tokens, divided by their number."""
    student, teacher = student[:, :VOCABULARY].double(), teacher[:, :VOCABULARY].double()
    part = torch.where(IN_REASONS, *torch.tensor(parts, dtype=torch.float64))
    label = torch.tensor([1.5] * 5 + [0.5] + [1.5] * 2).double() if label_weights else 1.0
    ce = -(student.log_softmax(1)[torch.arange(8), TARGETS] * part * label).sum() / 8
    p, q = (teacher / 2).softmax(1), (student / 2).softmax(1)
    kd = 4 * ((p * (p / q).log()).sum(1) * part).sum() / 8
    return ce, kd


@pytest.mark.parametrize("label_weights", [None, LABEL_WEIGHTS])
@pytest.mark.parametrize("parts", [(1.0, 1.0), (0.25, 3.0), (0.0, 1.0)])
@pytest.mark.parametrize("chunk", [256, 3])
def test_value_and_gradient_are_those_of_the_formula(parts, label_weights, chunk, monkeypatch):
    """Weights that slip by one token put the reasons' weight on the label's first."""
    monkeypatch.setattr(objective_module, "CHUNK_ROWS", chunk)
    student, teacher = draw(8, 9, seed=0), draw(8, 9, seed=1)
    ours, exact = student.clone().requires_grad_(), student.double().requires_grad_()
    found = terms_of(ours, teacher, batch_of(), TARGETS, parts, label_weights=label_weights)
    ce, kd = reference(exact, teacher, parts, label_weights)
    for value, expected in ((found["ce"], ce), (found["token_kd"], kd), (found["loss"], 0.4 * ce + 0.6 * kd)):
        torch.testing.assert_close(value.double(), expected, atol=1e-6, rtol=1e-5)
    found["loss"].backward()
    (0.4 * ce + 0.6 * kd).backward()
    torch.testing.assert_close(ours.grad.double(), exact.grad, atol=1e-6, rtol=1e-5)


def test_equal_weights_are_the_plain_loss_to_the_bit():
    student, teacher = draw(8, 9, seed=0), draw(8, 9, seed=1)
    plain = terms_of(student, teacher, batch_of(told=False), TARGETS, (1.0, 1.0))
    told = terms_of(student, teacher, batch_of(), TARGETS, (1.0, 1.0))
    assert {name: value.item() for name, value in told.items()} == {name: value.item() for name, value in plain.items()}


def test_micro_batches_add_up_to_one_big_batch():
    """A mean of each micro-batch's own would weigh a label by how long the reasons beside it are."""
    student, teacher, parts = draw(8, 9, seed=0), draw(8, 9, seed=1), (0.25, 3.0)
    whole = terms_of(student, teacher, batch_of(), TARGETS, parts)
    totals = dict.fromkeys(whole, 0.0)
    for rows, tokens in ((slice(0, 1), slice(0, 5)), (slice(1, 3), slice(5, 8))):
        own = student[tokens], teacher[tokens], batch_of(rows), TARGETS[tokens]
        part = terms_of(*own, parts, counts=torch.tensor([8, 8]))
        totals = {name: totals[name] + part[name] for name in totals}
    for name, value in whole.items():
        torch.testing.assert_close(totals[name], value)
