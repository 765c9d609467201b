"""A page that answers in another precision than the run was scored in shows other probabilities than the report."""

import torch

from kd_rag import config as configuration
from kd_rag.data.collator import answer_ids
from kd_rag.scoring.label_tree import LabelTree
from kd_rag.training.answers import predict
from kd_rag.training.serving import Answers
from tests.conftest import LABELS, make_example


def test_a_model_outside_of_a_trainer_answers_in_the_trainers_precision(load, collator):
    batch = collator.prompts([make_example(), make_example(texts=("a <image> and more",), pictures=1, name="b")])
    trees = {"intent": LabelTree.build({label: answer_ids(collator.processor, label) for label in LABELS})}
    exact, mixed = (
        Answers(
            load("student"),
            trees,
            None,
            configuration.load([], [f"trainer.precision={name}", "trainer.accelerator=cpu"]),
        )
        for name in ("32-true", "bf16-mixed")
    )
    assert exact(batch) == predict(load("student"), batch, trees, None, 0)
    with torch.autocast("cpu", torch.bfloat16):
        assert mixed(batch) == predict(load("student"), batch, trees, None, 0)
    assert mixed(batch) != exact(batch)
