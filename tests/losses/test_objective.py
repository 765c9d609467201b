"""Sums over answers, weighted right: temperature reaches the gradient, micro-batches add up."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from kd_rag.losses.divergences import forward_kl
from kd_rag.losses.objective import CrossEntropy, Distillation
from kd_rag.types import Batch, Inputs

EMPTY = torch.zeros(1, 1, dtype=torch.long)
BATCH = Batch(examples=(), inputs=Inputs(EMPTY, EMPTY, EMPTY), labels=EMPTY)
"""The objectives hand a batch on to the teacher; these teachers do not look at it."""


class FixedTeacher:
    def __init__(self, logits):
        self.rows = logits

    def logits(self, batch):
        return self.rows

    def to(self, device):
        pass


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def distillation(teacher, **options):
    return Distillation(
        FixedTeacher(teacher), forward_kl, **{"temperature": 2.0, "weight": 0.5, "vocabulary": 11, **options}
    )


def test_cross_entropy_is_the_sum_over_the_shared_ids():
    logits, targets = draw(4, 13), torch.tensor([1, 10, 0, 5])
    found = CrossEntropy(11)(BATCH, logits, targets)
    torch.testing.assert_close(found["loss"], cross_entropy(logits[:, :11], targets, reduction="sum"))


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_terms_are_mixed_by_weight(weight):
    teacher, student, targets = draw(4, 14), draw(4, 12, seed=1), torch.tensor([1, 10, 0, 5])
    terms = distillation(teacher, weight=weight)(BATCH, student, targets)
    ce = cross_entropy(student[:, :11], targets, reduction="sum")
    soft = [(side[:, :11] / 2).log_softmax(1) for side in (teacher, student)]
    kd = 4 * (soft[0].exp() * (soft[0] - soft[1])).sum()
    torch.testing.assert_close(terms["ce"], ce)
    torch.testing.assert_close(terms["kd"], kd)
    torch.testing.assert_close(terms["loss"], (1 - weight) * ce + weight * kd)


def test_temperature_squared_reaches_the_gradient():
    """Scaling only the reported loss by T^2 leaves the gradient T^2 times too small."""
    teacher, targets = draw(4, 11), torch.tensor([1, 10, 0, 5])
    sizes = []
    for temperature in (50.0, 100.0):
        student = draw(4, 11, seed=1).requires_grad_()
        distillation(teacher, temperature=temperature, weight=1.0)(BATCH, student, targets)["loss"].backward()
        sizes.append(student.grad.norm().item())
    assert sizes[0] == pytest.approx(sizes[1], rel=0.02)


def test_parts_of_a_batch_add_up_to_the_whole():
    teacher, student, targets = draw(6, 11), draw(6, 11, seed=1), torch.arange(6)
    whole = distillation(teacher)(BATCH, student, targets)
    parts = [distillation(teacher[s])(BATCH, student[s], targets[s]) for s in (slice(0, 1), slice(1, 6))]
    for name, value in whole.items():
        torch.testing.assert_close(sum(part[name] for part in parts), value)
