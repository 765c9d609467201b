"""Mixed precision rounds matrix products and no sum; precisions that would not train are refused."""

import pytest
import torch

from kd_rag.types import InputError


@pytest.mark.slow
def test_mixed_precision_trains_to_nearly_the_same_numbers(make_job):
    """Rounding belongs to the matrix products: a loss rounded to bfloat16 would stand still for many steps."""
    found = {}
    for precision in ("32-true", "bf16-mixed"):
        job = make_job(precision, precision=precision, dropout=0.0, epochs=0.4).run()
        found[precision] = job.module.predictions, job.trainer.callback_metrics["train/loss"]
    exact, mixed = (found[precision] for precision in ("32-true", "bf16-mixed"))
    assert mixed[1].dtype == torch.float32
    assert mixed[1] != mixed[1].bfloat16()
    assert mixed[1].item() == pytest.approx(exact[1].item(), rel=0.01)
    for one, other in zip(mixed[0], exact[0], strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=0.05)


@pytest.mark.parametrize("precision", ["bf16-true", "16-mixed", "bfloat16"])
def test_a_precision_that_would_not_train_is_refused(make_job, precision):
    with pytest.raises(InputError, match=f"trainer.precision: expected 32-true or bf16-mixed, found '{precision}'"):
        make_job(precision=precision)
