"""The weights of reasons and label reach the objective of both training commands, and only where there are reasons."""

import pytest

from kd_rag import config as configuration
from kd_rag.commands._objective import cross_entropy, distillation
from kd_rag.data.collator import answer_ids
from kd_rag.scoring.label_tree import LabelTree
from tests.conftest import LABELS


@pytest.mark.parametrize(("reasoning", "expected"), [("true", (0.5, 3.0)), ("false", (1.0, 1.0))])
@pytest.mark.parametrize("make", [cross_entropy, distillation])
def test_weights_hold_where_answers_have_reasons(load, folders, make, reasoning, expected):
    """A label's weight that holds without reasons would only scale the loss, and with it the learning rate."""
    model = load("student")
    trees = {"intent": LabelTree.build({label: answer_ids(model.processor, label) for label in LABELS})}
    paths = [f"model.path={folders['student']}", f"teacher.path={folders['teacher']}", "teacher.name=online"]
    weights = [f"prompt.reasoning={reasoning}", "reasoning.reason_weight=0.5", "reasoning.label_weight=3"]
    objective, _ = make(configuration.load([], [*paths, *weights]), model, trees, [])
    assert objective.part_weights == expected
