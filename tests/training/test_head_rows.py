"""The heads of student and teacher run on the rows that predict an answer or a label, in every step and evaluation."""

from pathlib import Path

import lightning as L  # noqa: N812
import torch

from kd_rag.losses.cross_entropy import CrossEntropy
from kd_rag.losses.divergences import forward_kl
from kd_rag.losses.objective import Objective
from kd_rag.losses.terms import LabelKD, TokenKD
from kd_rag.teachers import Source
from kd_rag.teachers.online import Online
from kd_rag.types import IGNORED
from tests.training.conftest import EXAMPLES, trees_of


class Steps(L.Callback):
    """Keeps the batches that were trained on."""

    def __init__(self):
        self.batches = []

    def on_train_batch_start(self, trainer, module, step, batch_idx):
        self.batches += step


def watched(model, shapes):
    """Write down the shape of everything that the head of `model` is given."""
    head = model.network.get_output_embeddings()
    head.register_forward_pre_hook(lambda module, args: shapes.append(tuple(args[0].shape)))
    return model


def distilled(make_job, load, terms):
    """Return the trained batches and what both heads were given in one step and one evaluation."""
    seen, steps = {"student": [], "teacher": []}, Steps()

    def objective(model, trees):
        processor = model.processor
        source = Source(
            load=lambda path, quantised: watched(load(path), seen["teacher"]),
            processor=lambda path: processor,
            identity=lambda path, quantised: {},
            student_ids=processor.id_digest(),
            trees=trees,
            temperature=2.0,
            cache_dir=Path("unused"),
            device=torch.device("cpu"),
        )
        watched(model, seen["student"])
        rows = {
            "ce": CrossEntropy(processor.vocabulary),
            "token_kd": TokenKD(forward_kl, 2.0, processor.vocabulary),
        }
        sides = {"label_kd": LabelKD(forward_kl, 1.0)}
        rows, sides = ({name: made[name] for name in made if name in terms} for made in (rows, sides))
        weights = dict.fromkeys(terms, (1.0, 1.0))
        return Objective(rows, sides, weights, processor.vocabulary, Online(source, path="teacher"))

    make_job(objective=objective, epochs=0.1, callbacks=[steps]).run()
    return steps.batches, seen


def test_a_step_and_an_evaluation_give_the_heads_no_other_row(make_job, load):
    """One tensor [batch, seq, vocab] anywhere costs what the whole house is built to save."""
    batches, seen = distilled(make_job, load, ("ce", "token_kd"))
    sizes = {name: load(name).state_size for name in seen}
    answers = [int((batch.answers != IGNORED).sum()) for batch in batches]
    assert len(answers) == 2
    nodes = len(trees_of(load("student").processor)["intent"].tokens) + 1
    evaluated = [nodes * records for records in (4, 4, len(EXAMPLES) - 8)]
    assert seen["teacher"] == [(rows, sizes["teacher"]) for rows in answers]
    assert seen["student"] == [(rows, sizes["student"]) for rows in answers + evaluated]


def test_label_kd_gives_the_heads_answers_and_the_nodes_of_the_tree(make_job, load):
    batches, seen = distilled(make_job, load, ("ce", "token_kd", "label_kd"))
    tree = trees_of(load("student").processor)["intent"]
    rows = []
    for batch in batches:
        grown = [tree.with_answer([i for i in row if i != IGNORED]) for row in batch.answers.tolist()]
        rows += [sum(len(one.tokens) + 1 for one in grown), int((batch.answers != IGNORED).sum())]
    assert sorted(shape[0] for shape in seen["teacher"]) == sorted(rows)
    evaluated = {(len(tree.tokens) + 1) * records for records in (4, len(EXAMPLES) - 8)}
    assert all(len(shape) == 2 for shape in seen["student"])
    assert {shape[0] for shape in seen["student"]} == evaluated | set(rows)
