"""Divergences between teacher and student, each one function: `(teacher, student) -> nats per row`.

Both arguments are float32 log-probabilities over the same ids. A keyword-only parameter is an option that
`distill.divergence` may set.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def forward_kl(
    teacher: Float[Tensor, "answers vocab"], student: Float[Tensor, "answers vocab"]
) -> Float[Tensor, " answers"]:
    """KL(teacher || student): the student must cover whatever the teacher deems likely.

    sum_v p(v) (log p(v) - log q(v)), with p the teacher and q the student (Hinton et al. 2015, arXiv 1503.02531, whose
    soft cross-entropy differs from it by the teacher's entropy, a constant).
    """
    return (teacher.exp() * (teacher - student)).sum(dim=-1)
