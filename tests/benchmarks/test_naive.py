"""The naive step is slow, not wrong."""

from pathlib import Path

import pytest
import torch

from benchmarks import _workload
from benchmarks.naive import IGNORED, NaiveStep
from kd_rag.models.qwen2_vl import Qwen2VL
from kd_rag.types import Example, Inputs

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


def test_the_first_loss_is_the_divergence_at_the_answers(
    pair: dict[str, Path], models: dict[str, Qwen2VL], examples: list[Example]
) -> None:
    """A baseline with a fault would make every ratio against it worthless."""
    step = NaiveStep(pair["teacher"], pair["student"])
    batch, labels = step.batch(_workload.conversations(examples[:4]))
    predicts = labels[:, 1:] != IGNORED
    with torch.no_grad():
        teacher, student = (
            models[name].logits(models[name](Inputs(**batch))[:, :-1][predicts])[:, :3072].double().log_softmax(dim=-1)
            for name in ("teacher", "student")
        )
    expected = (teacher.exp() * (teacher - student)).sum(dim=-1).mean()
    assert predicts.sum() == 4 + 5 + 6 + 7
    assert step(batch, labels) == pytest.approx(expected.item(), rel=1e-5)


def test_a_step_changes_the_adapters_and_nothing_else(pair: dict[str, Path], examples: list[Example]) -> None:
    """A step that also trained the body would be slower than what it is compared with."""
    step = NaiveStep(pair["teacher"], pair["student"])
    before = {name: weight.detach().clone() for name, weight in step.student.named_parameters()}
    batch = step.batch(_workload.conversations(examples[:4]))
    losses = [step(*batch) for _ in range(3)]
    assert losses == sorted(losses, reverse=True)
    changed = {name for name, weight in step.student.named_parameters() if not torch.equal(weight, before[name])}
    assert changed == {name for name in before if "lora_" in name}
    assert not any("visual" in name for name in changed)
