"""A teacher that is frozen, in no checkpoint, and speaks the student's ids."""

import pytest
import torch

from kd_rag.losses.divergences import forward_kl
from kd_rag.losses.heads import answer_rows
from kd_rag.losses.objective import Distillation
from kd_rag.teachers.online import Online
from kd_rag.training.module import Distiller
from kd_rag.types import InputError
from tests.conftest import make_example


@pytest.fixture
def teacher(load):
    return Online(load, load("student").processor.id_digest(), path="teacher")


def test_logits_are_those_of_the_answer_rows(teacher, load, collator):
    (batch,) = collator.micro_batches([make_example(), make_example(texts=("x <image>",), pictures=1)], 2)
    model = load("teacher")
    rows, _ = answer_rows(model(batch.inputs), batch.labels)
    found = teacher.logits(batch)
    torch.testing.assert_close(found, model.logits(rows))
    assert not found.requires_grad


def test_a_teacher_with_other_ids_is_refused(load):
    """Its logits would teach every id another token's probability, at a loss that falls as usual."""
    with pytest.raises(InputError, match="teacher teacher: its tokenizer gives some ids another meaning"):
        Online(load, "another digest", path="teacher")


def test_no_checkpoint_can_carry_the_teacher(teacher, load):
    student = load("student")
    objective = Distillation(teacher, forward_kl, temperature=2.0, weight=0.5, vocabulary=student.processor.vocabulary)
    module = Distiller(student, {}, None, objective)
    assert {id(p) for p in module.parameters()} == {id(p) for p in student.parameters()}
    assert not any(p.requires_grad for p in teacher.model.parameters())
