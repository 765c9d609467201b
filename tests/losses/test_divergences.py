"""The contract of every divergence. A peer has broken each clause, with a loss that looked normal."""

import functools
import math

import numpy as np
import pytest
import torch

from kd_rag import registry
from kd_rag.losses import divergences
from kd_rag.losses.heads import log_probabilities

NAMES = registry.names("divergences")


def pair(rows=6, vocabulary=40, scale=3.0, dtype=torch.float64, seed=0):
    draw = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(2, rows, vocabulary, generator=draw, dtype=torch.float64)
    return tuple(side.to(dtype).log_softmax(-1) for side in logits)


def kl(p, q):
    return np.where(p > 0, p * np.log(np.where(p > 0, p, 1) / q), 0).sum(-1)


def reference(name, p, q):
    """Each divergence from its formula, in plain numpy and float64."""
    if name == "adaptive_kl":
        values = []
        for a, b in zip(p, q, strict=True):
            order = np.argsort(-a)
            size = int(np.searchsorted(np.cumsum(a[order]), 0.5)) + 1
            gap = np.abs(a - b)
            share = gap[order[:size]].sum() / gap.sum()
            values.append(share * kl(a, b) + (1 - share) * kl(b, a))
        return np.array(values)
    if name == "top_k_kl":
        kept = np.argsort(-p)[:, :64]
        merged = [
            np.concatenate(
                [np.take_along_axis(x, kept, 1), 1 - np.take_along_axis(x, kept, 1).sum(1, keepdims=True)], 1
            )
            for x in (p, q)
        ]
        return kl(*merged)
    m, a, b = (p + q) / 2, 0.2, 0.7
    return {
        "forward_kl": lambda: kl(p, q),
        "reverse_kl": lambda: kl(q, p),
        "jensen_shannon": lambda: (kl(p, m) + kl(q, m)) / 2,
        "skew_kl": lambda: kl(p, 0.1 * p + 0.9 * q),
        "skew_reverse_kl": lambda: kl(q, 0.9 * p + 0.1 * q),
        "total_variation": lambda: np.abs(p - q).sum(-1) / 2,
        "alpha_beta": lambda: (
            -(p**a * q**b - a / (a + b) * p ** (a + b) - b / (a + b) * q ** (a + b)).sum(-1) / (a * b)
        ),
    }[name]()


@pytest.mark.parametrize("name", NAMES)
class TestEveryDivergence:
    def test_is_zero_at_equality(self, name):
        """A 'forward KL' that is a soft cross-entropy is not, and hides whether the student has converged."""
        same, _ = pair(dtype=torch.float32)
        assert registry.find("divergences", name)(same, same).abs().max() < 1e-6

    def test_equals_the_float64_reference(self, name):
        teacher, student = pair(vocabulary=200)
        value = registry.find("divergences", name)(teacher, student).numpy()
        np.testing.assert_allclose(value, reference(name, teacher.exp().numpy(), student.exp().numpy()), rtol=1e-9)

    @pytest.mark.parametrize("scale", [1e-4, 1.0, 20.0])
    def test_is_never_negative_from_bfloat16_logits(self, name, scale):
        """Computed in bfloat16, a Jensen-Shannon went negative and training chased it."""
        logits = scale * torch.randn(2, 64, 500, generator=torch.Generator().manual_seed(1))
        teacher, student = (log_probabilities(side.bfloat16(), 500) for side in logits)
        value = registry.find("divergences", name)(teacher, student)
        assert value.dtype == torch.float32
        assert (value >= 0).all()

    def test_gradient_equals_the_numerical_one(self, name):
        logits = torch.randn(3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
        teacher = pair(3, 7)[0]
        function = registry.find("divergences", name)
        if name == "adaptive_kl":  # its weights are constants of the gradient, which differencing would move
            weights = _weights_of_adaptive_kl(teacher, logits.log_softmax(-1))

            def frozen(x):
                forward, reverse = divergences.forward_kl(teacher, x), divergences.reverse_kl(teacher, x)
                return (weights * forward + (1 - weights) * reverse).sum()

            one, other = (logits.clone().requires_grad_() for _ in range(2))
            function(teacher, one.log_softmax(-1)).sum().backward()
            frozen(other.log_softmax(-1)).backward()
            torch.testing.assert_close(one.grad, other.grad)
        else:
            assert torch.autograd.gradcheck(lambda x: function(teacher, x.log_softmax(-1)), logits.requires_grad_())

    def test_is_finite_with_finite_gradient_where_the_teacher_is_certain(self, name):
        """0 * log 0 is NaN, and one such row ruins every weight."""
        teacher = torch.full((2, 9), -math.inf)
        teacher[:, 3] = 0.0
        logits = torch.randn(2, 9, generator=torch.Generator().manual_seed(3)).requires_grad_()
        value = registry.find("divergences", name)(teacher, logits.log_softmax(-1))
        value.sum().backward()
        assert torch.isfinite(value).all()
        assert torch.isfinite(logits.grad).all()

    def test_rows_are_independent_so_chunks_add_up(self, name):
        teacher, student = pair(rows=10)
        function = registry.find("divergences", name)
        parts = torch.cat([function(t, s) for t, s in zip(teacher.split(3), student.split(3), strict=True)])
        torch.testing.assert_close(parts, function(teacher, student))


def _weights_of_adaptive_kl(teacher, student):
    p, q = teacher.exp(), student.exp()
    weights = []
    for a, b in zip(p, q, strict=True):
        order = a.argsort(descending=True)
        size = int((a[order].cumsum(0) < 0.5).sum()) + 1
        gap = (a - b).abs()
        weights.append(gap[order[:size]].sum() / gap.sum())
    return torch.stack(weights)


def test_limits_of_the_families():
    teacher, student = pair(scale=1.0)
    forward, reverse = divergences.forward_kl(teacher, student), divergences.reverse_kl(teacher, student)
    near = functools.partial(torch.testing.assert_close, rtol=1e-3, atol=1e-4)
    near(divergences.jensen_shannon(teacher, student, beta=1e-5) / 1e-5, forward)
    near(divergences.jensen_shannon(teacher, student, beta=1 - 1e-5) / 1e-5, reverse)
    near(divergences.skew_kl(teacher, student, skew=1e-5), forward)
    near(divergences.skew_reverse_kl(teacher, student, skew=1e-5), reverse)
    near(divergences.alpha_beta(teacher, student, alpha=1.0, beta=1e-5), forward)
    near(divergences.alpha_beta(teacher, student, alpha=1e-5, beta=1.0), reverse)
    near(divergences.top_k_kl(teacher, student, k=40), forward)


@pytest.mark.parametrize("name", ["forward_kl", "top_k_kl", "adaptive_kl"])
def test_a_student_that_is_surely_wrong_is_still_moved(name):
    """Below a floor of log-probabilities the largest losses of a run had no gradient at all."""
    teacher, logits = torch.full((1, 5), -math.inf), torch.zeros(1, 5)
    teacher[0, 3], logits[0, 0] = 0.0, 150.0
    value = registry.find("divergences", name)(teacher, logits.requires_grad_().log_softmax(-1))
    value.sum().backward()
    share = 0.5 if name == "adaptive_kl" else 1.0
    assert value.item() >= share * 150 - 1
    torch.testing.assert_close(logits.grad, share * torch.tensor([[1.0, 0.0, 0.0, -1.0, 0.0]]))


def test_top_k_feels_the_mass_outside_its_k():
    """Renormalising both sides over the top k leaves the student free to put any mass elsewhere."""
    teacher = torch.tensor([[0.5, 0.3, 0.1, 0.1]]).log()
    student = torch.tensor([[0.25, 0.15, 0.3, 0.3]]).log()
    assert divergences.top_k_kl(teacher, student, k=2).item() == pytest.approx(
        0.8 * math.log(2) + 0.2 * math.log(0.2 / 0.6), abs=1e-6
    )


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [("jensen_shannon", "beta", 0.0), ("jensen_shannon", "beta", 1.0), ("skew_kl", "skew", 0.0),
     ("skew_reverse_kl", "skew", 1.0), ("adaptive_kl", "head_share", 1.5), ("alpha_beta", "alpha", 0.0)],
)  # fmt: skip
def test_an_option_out_of_range_is_refused(name, option, value):
    with pytest.raises(ValueError, match=option):
        registry.find("divergences", name)(*pair(), **{option: value})
