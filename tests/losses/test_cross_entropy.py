"""Focal and class-balanced cross-entropy against a float64 reference, value and gradient."""

from types import SimpleNamespace

import pytest
import torch

from kd_rag.losses import objective as objective_module
from kd_rag.losses.cross_entropy import CrossEntropy
from kd_rag.losses.objective import Objective
from kd_rag.losses.sides import Side, StateRows
from kd_rag.types import IGNORED, Batch, Inputs

VOCABULARY, ROWS = 7, 5
TARGETS = torch.tensor([1, 6, 0, 3, 3])
WEIGHTS = {("t", "rare"): 1.75, ("t", "often"): 0.25}


def batch(tasks=("t", "t")):
    """Two answer tokens of a rare label, three of a frequent one."""
    ids = torch.tensor([[1, 6, IGNORED], [0, 3, 3]])
    empty = torch.zeros(1, 1, dtype=torch.long)
    records = [SimpleNamespace(task=task, label=label) for task, label in zip(tasks, ("rare", "often"), strict=True)]
    examples = tuple(SimpleNamespace(record=record) for record in records)
    return Batch(examples, Inputs(empty, empty, empty), ids)


def loss(logits, gamma, weights, step=None, unfocused=()):
    term, step = CrossEntropy(VOCABULARY, gamma, weights, unfocused), step or batch()
    objective = Objective({"ce": term}, {}, {"ce": (1.0, 1.0)}, VOCABULARY)
    side = Side(StateRows(logits, lambda rows: rows))
    return objective(step, TARGETS, side, objective.counts(step), 0.0)["loss"]


def reference(logits, gamma, weights):
    q = logits[:, :VOCABULARY].double().softmax(1)[torch.arange(ROWS), TARGETS]
    importance = torch.ones(ROWS) if weights is None else torch.tensor([1.75, 1.75, 0.25, 0.25, 0.25])
    return -(importance * (1 - q) ** gamma * q.log()).sum() / ROWS


@pytest.mark.parametrize("rows_at_a_time", [256, 2])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_value_and_gradient_are_those_of_the_formula(gamma, weights, rows_at_a_time, monkeypatch):
    """A weight on another record's tokens where the chunks begin, or a focal factor without gradient."""
    monkeypatch.setattr(objective_module, "CHUNK_ROWS", rows_at_a_time)
    logits = 2 * torch.randn(ROWS, 9, generator=torch.Generator().manual_seed(0))
    ours, exact = logits.clone().requires_grad_(), logits.double().requires_grad_()
    found, expected = loss(ours, gamma, weights), reference(exact, gamma, weights)
    found.backward()
    expected.backward()
    torch.testing.assert_close(found.double(), expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(ours.grad.double(), exact.grad, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("rows_at_a_time", [256, 2])
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_the_focal_factor_leaves_out_the_rows_of_an_unfocused_task(gamma, rows_at_a_time, monkeypatch):
    """A task that is to be learnt at full weight, and fades as soon as the student is sure of it."""
    monkeypatch.setattr(objective_module, "CHUNK_ROWS", rows_at_a_time)
    logits = 2 * torch.randn(ROWS, 9, generator=torch.Generator().manual_seed(0))
    ours, exact = logits.clone().requires_grad_(), logits.double().requires_grad_()
    found = loss(ours, gamma, None, batch(("plain", "t")), unfocused={"plain"})
    expected = reference(exact, torch.tensor([0, 0, gamma, gamma, gamma], dtype=torch.float64), None)
    found.backward()
    expected.backward()
    torch.testing.assert_close(found.double(), expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(ours.grad.double(), exact.grad, atol=1e-6, rtol=1e-5)


def test_a_sure_token_has_a_finite_gradient():
    """(1 - q)^0.5 at q = 1, which makes every weight of the network NaN."""
    logits = torch.zeros(ROWS, VOCABULARY)
    logits[torch.arange(ROWS), TARGETS] = 200.0
    logits.requires_grad_()
    loss(logits, 0.5, None, batch(("plain", "t")), unfocused={"plain"}).backward()
    assert logits.grad.abs().max() < 1e-3
