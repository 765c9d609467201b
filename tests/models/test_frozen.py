"""Kept picture tokens give the very states, and the tower runs once on each picture."""

import pytest
import torch

from kd_rag.losses.heads import with_answers
from kd_rag.models._lora import adapt
from kd_rag.tensor_store import TensorStore
from kd_rag.types import InputError
from tests.conftest import make_example

EXAMPLES = [make_example(texts=("a <image> b <image>",), pictures=2), make_example(texts=("<image>",), pictures=1)]


@pytest.fixture
def student(load):
    model = load("student")
    adapt(model, r=4, alpha=8, dropout=0.0, target_modules=None, vision=False)
    return model


def test_states_and_gradients_are_the_same(student, collator, tmp_path):
    (batch,) = collator.micro_batches(EXAMPLES, 2)
    inputs, results = with_answers(batch.inputs, batch.answers), []
    for kept in (False, True, True):  # the third time they are read back
        if kept:
            student.keep_pictures(TensorStore.open(tmp_path, {}))
        states = student(inputs)
        student.zero_grad()
        states.square().sum().backward()
        results.append((states.detach(), [p.grad.clone() for p in student.parameters() if p.grad is not None]))
    for states, gradients in results[1:]:
        torch.testing.assert_close(states, results[0][0], rtol=1e-5, atol=1e-6)
        for found, expected in zip(gradients, results[0][1], strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_tower_runs_once_on_each_picture(student, collator, tmp_path):
    """The pictures are alike in two records: grey ones of the same size."""
    patches = []
    student.keep_pictures(TensorStore.open(tmp_path, {}))
    tower = student.network.get_base_model().model.visual
    tower.register_forward_pre_hook(lambda module, args: patches.append(len(args[0])))
    prompts = collator.prompts(EXAMPLES).inputs
    with torch.no_grad():
        student(prompts)
        student(prompts)
    sizes = prompts.image_grid_thw.prod(dim=1).tolist()
    assert sizes[0] == sizes[2]
    assert patches == [sizes[0] + sizes[1]]


def test_a_trained_tower_is_refused(load, tmp_path):
    with pytest.raises(InputError, match=r"trainer\.keep_pictures: the vision tower is trained"):
        load("student").keep_pictures(TensorStore.open(tmp_path, {}))
