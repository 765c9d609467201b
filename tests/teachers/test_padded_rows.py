"""Rows of a head above the tokenizer's ids are noise, and no path to the loss may let them in."""

from functools import partial

import pytest
import torch

from kd_rag.losses.cross_entropy import CrossEntropy
from kd_rag.losses.divergences import forward_kl
from kd_rag.losses.objective import Objective
from kd_rag.losses.terms import LabelKD, TokenKD
from kd_rag.scoring.readout import read
from kd_rag.teachers.cached import Cached
from kd_rag.teachers.online import Online

NAMES = ("ce", "token_kd", "label_kd")


@pytest.mark.parametrize(
    "make",
    [Online, *(partial(Cached, store=store) for store in ("states", "top_k", "logits"))],
    ids=["online", "states", "top_k", "logits"],
)
def test_padded_rows_change_neither_terms_nor_gradients(source, load, batches, tmp_path, make):
    """Through the objective, a cached head and the label tree, on both sides; a cache would keep the noise for ever."""

    def step(shift):
        teacher_network, student = load("teacher"), load("student")
        vocabulary = student.processor.vocabulary
        with torch.no_grad():
            for model in (teacher_network, student):
                assert model.network.lm_head.out_features > vocabulary
                model.network.lm_head.weight[vocabulary:] += shift
        opened = source(load=lambda path, quantised: teacher_network, cache_dir=tmp_path / str(shift))
        teacher = make(opened, path="teacher")
        rows = {"ce": CrossEntropy(vocabulary), "token_kd": TokenKD(forward_kl, 2.0, vocabulary)}
        sides = {"label_kd": LabelKD(forward_kl, 1.0)}
        objective = Objective(rows, sides, dict.fromkeys(NAMES, (1.0, 1.0)), vocabulary, teacher)
        teacher.prepare(batches, objective.teacher_needs, lambda network: None)
        batch = next(batches())
        side, targets = read(student, batch, objective.needs, opened.trees)
        terms = objective(batch, targets, side, objective.counts(batch), 0.0)
        terms["loss"].backward()
        named = student.named_parameters()
        return {n: t.item() for n, t in terms.items()}, {n: p.grad for n, p in named if p.grad is not None}

    (one, gradients), (other, moved) = step(0.0), step(1e3)
    assert one == other
    assert min(one.values()) > 0
    assert gradients.keys() == moved.keys()
    for name, gradient in gradients.items():
        assert torch.equal(gradient, moved[name]), name
