"""Divergences between teacher and student, each one function: `(teacher, student) -> nats per row`.

Both arguments are log-probabilities over the same ids (float32 in training), p the teacher and q the student. All are 0
where the two agree and positive elsewhere; a keyword-only parameter is an option that `distill.divergence` may set.

    forward_kl       covers every mode of the teacher
    reverse_kl       settles on modes the teacher is sure of
    jensen_shannon   between the two, bounded
    skew_kl, skew_reverse_kl   the two KLs against a mixture: gentler gradients where q or p vanish
    adaptive_kl      weighs the two KLs by where the student is still wrong
    total_variation  bounded, blind to how wrong a ratio is
    alpha_beta       a two-parameter family around all of them
    top_k_kl         forward KL on the teacher's k likeliest tokens and one bucket for the rest
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from kd_rag.losses.heads import with_rest
from kd_rag.types import InputError

LogProbs = Float[Tensor, "answers vocab"]
Nats = Float[Tensor, " answers"]

LOG_FLOOR = -100.0
"""What the log-probability of the impossible counts as: e^-100 is nothing, yet a certain teacher's KL stays finite."""


def forward_kl(teacher: LogProbs, student: LogProbs) -> Nats:
    """KL(p || q): the student must cover whatever the teacher deems likely.

    sum_v p_v (log p_v - log q_v). Hinton et al. 2015 (arXiv 1503.02531); their soft cross-entropy differs from it by
    the teacher's entropy, which is constant in the student.
    """
    return _kl(teacher, student)


def reverse_kl(teacher: LogProbs, student: LogProbs) -> Nats:
    """KL(q || p): the student avoids what the teacher deems unlikely, and may leave out modes.

    sum_v q_v (log q_v - log p_v). MiniLLM, Gu et al. 2024 (arXiv 2306.08543), here token by token.
    """
    return _kl(student, teacher)


def jensen_shannon(teacher: LogProbs, student: LogProbs, *, beta: float = 0.5) -> Nats:
    """Generalised Jensen-Shannon: beta KL(p || m) + (1 - beta) KL(q || m) with m = beta p + (1 - beta) q.

    GKD, Agarwal et al. 2024 (arXiv 2306.13649). 0 < beta < 1. Divided by beta it tends to forward KL for beta -> 0, and
    divided by 1 - beta to reverse KL for beta -> 1; itself it tends to 0 at both ends, so the ends are refused instead
    of being switched to a KL of another size.
    """
    _between(beta, "beta")
    mixture = _mixture(teacher, student, beta)
    return beta * _kl(teacher, mixture) + (1 - beta) * _kl(student, mixture)


def skew_kl(teacher: LogProbs, student: LogProbs, *, skew: float = 0.1) -> Nats:
    """KL(p || skew p + (1 - skew) q): forward KL whose gradient stays bounded where q vanishes.

    DistiLLM, Ko et al. 2024 (arXiv 2402.03898). 0 < skew < 1; it tends to forward KL for skew -> 0.
    """
    _between(skew, "skew")
    return _kl(teacher, _mixture(teacher, student, skew))


def skew_reverse_kl(teacher: LogProbs, student: LogProbs, *, skew: float = 0.1) -> Nats:
    """KL(q || (1 - skew) p + skew q): reverse KL that stays finite where p vanishes.

    DistiLLM, Ko et al. 2024 (arXiv 2402.03898). 0 < skew < 1; it tends to reverse KL for skew -> 0.
    """
    _between(skew, "skew")
    return _kl(student, _mixture(student, teacher, skew))


def adaptive_kl(teacher: LogProbs, student: LogProbs, *, head_share: float = 0.5) -> Nats:
    """Forward and reverse KL, weighed by the gap |p - q| in the teacher's head and in its tail.

    The head is the smallest set of likeliest tokens whose mass reaches `head_share`. Forward KL, which fits the head
    first, gets the head's share of the gap; reverse KL gets the tail's. The weights are no part of the gradient.
    AKL, Wu et al. 2025 (arXiv 2404.02657). 0 < head_share < 1.
    """
    _between(head_share, "head_share")
    p, q = teacher.detach().exp(), student.detach().exp()
    sorted_p, order = p.sort(dim=-1, descending=True)
    before = sorted_p.cumsum(dim=-1) - sorted_p
    head = torch.zeros_like(p, dtype=torch.bool).scatter(-1, order, before < head_share)
    gap = (p - q).abs()
    in_head, total = (gap * head).sum(dim=-1), gap.sum(dim=-1)
    weight = torch.where(total > 0, in_head / total, torch.full_like(total, 0.5))
    return weight * _kl(teacher, student) + (1 - weight) * _kl(student, teacher)


def total_variation(teacher: LogProbs, student: LogProbs) -> Nats:
    """Half the sum of |p - q|: the largest difference in the probability of any event; between 0 and 1.

    f-distill, Wen et al. 2023 (arXiv 2307.15190).
    """
    return 0.5 * (teacher.exp() - student.exp()).abs().sum(dim=-1)


def alpha_beta(teacher: LogProbs, student: LogProbs, *, alpha: float = 0.2, beta: float = 0.7) -> Nats:
    """The alpha-beta divergence: alpha weighs by the teacher's confidence, beta by the student's.

    -1/(a b) sum_v [p^a q^b - a/(a+b) p^(a+b) - b/(a+b) q^(a+b)], Cichocki et al. 2011; for distillation ABKD, Wang et
    al. 2025 (arXiv 2505.04560). alpha, beta > 0; it tends to forward KL for (1, 0), to reverse KL for (0, 1).
    """
    if min(alpha, beta) <= 0:
        raise InputError(f"alpha and beta must be positive, found {alpha} and {beta}")
    total = alpha + beta
    cross = alpha * _finite(teacher) + beta * student
    own = alpha / total * (total * teacher).exp() + beta / total * (total * student).exp()
    return ((own - cross.exp()).sum(dim=-1) / (alpha * beta)).clamp(min=0)


def top_k_kl(teacher: LogProbs, student: LogProbs, *, k: int = 64) -> Nats:
    """Forward KL over the teacher's k likeliest tokens and one bucket that holds the rest.

    Merging outcomes can only lower a KL, so this is a lower bound of `forward_kl` and 0 at equality; without the
    bucket, the student's mass outside the k would be free. k at or above the vocabulary is `forward_kl` itself.
    """
    if k >= teacher.shape[-1]:
        return _kl(teacher, student)
    kept = teacher.topk(k, dim=-1).indices
    return _kl(with_rest(teacher, kept), with_rest(student, kept))


def _kl(one: Tensor, other: Tensor) -> Tensor:
    """Return sum one (log one - log other); rounding can leave -1e-8 near equality, which is clamped to 0."""
    return (one.exp() * (_finite(one) - _finite(other))).sum(dim=-1).clamp(min=0)


def _finite(log_probs: Tensor) -> Tensor:
    """Return them without -inf; what is merely unlikely keeps its value, or a student far off has no gradient."""
    return log_probs.masked_fill(log_probs == -torch.inf, LOG_FLOOR)


def _mixture(one: Tensor, other: Tensor, share: float) -> Tensor:
    """Return log(share * one + (1 - share) * other)."""
    return torch.logaddexp(one + math.log(share), other + math.log1p(-share))


def _between(value: float, name: str) -> None:
    if not 0 < value < 1:
        raise InputError(f"{name} must lie between 0 and 1, both excluded; found {value}")
