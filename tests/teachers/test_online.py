"""The teacher beside the student: answer rows only, never in a checkpoint, the student's ids."""

import pytest
import torch

from kd_rag.config import Config
from kd_rag.losses.divergences import forward_kl
from kd_rag.losses.heads import answer_rows, with_answers
from kd_rag.losses.objective import Objective
from kd_rag.losses.sides import Needs
from kd_rag.losses.terms import TokenKD
from kd_rag.teachers.online import Online
from kd_rag.training.module import Distiller
from kd_rag.types import InputError
from tests.conftest import make_example


@pytest.fixture
def teacher(source):
    return Online(source(), path="teacher")


def test_outcomes_are_those_of_the_answer_rows(teacher, load, collator):
    (batch,) = collator.micro_batches([make_example(), make_example(texts=("x <image>",), pictures=1)], 2)
    model = load("teacher")
    rows, _ = answer_rows(model(with_answers(batch.inputs, batch.answers)), batch)
    vocabulary = model.processor.vocabulary
    found, kept = teacher(batch, Needs()).answers.outcomes(slice(0, len(rows)), vocabulary, 2.0)
    torch.testing.assert_close(found, (model.logits(rows)[:, :vocabulary] / 2).log_softmax(1))
    assert kept is None
    assert not found.requires_grad


def test_a_teacher_with_other_ids_is_refused(source):
    """Its logits would teach every id another token's probability, at a loss that falls as usual."""
    with pytest.raises(InputError, match="teacher teacher: its tokenizer gives some ids another meaning"):
        Online(source(student_ids="another digest"), path="teacher")


def test_no_checkpoint_can_carry_the_teacher(teacher, load):
    student = load("student")
    vocabulary = student.processor.vocabulary
    rows = {"token_kd": TokenKD(forward_kl, 2.0, vocabulary)}
    module = Distiller(student, {}, Config(), Objective(rows, {}, {"token_kd": (1.0, 1.0)}, vocabulary, teacher))
    assert {id(p) for p in module.parameters()} == {id(p) for p in student.parameters()}
    assert not any(p.requires_grad for p in teacher.model.parameters())
