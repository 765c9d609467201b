"""What `distill` is told reaches its objective, or is refused: weights of reasons and label, pairs of layers."""

import re

import pytest

from kd_rag import config as configuration
from kd_rag.commands._objective import cross_entropy, distillation
from kd_rag.data.collator import answer_ids
from kd_rag.scoring.label_tree import LabelTree
from kd_rag.types import InputError
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


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("[[0,1],[0,2]]", "layer 0 is to follow 1 and 2; name one"),
        ("[[2,1]]", "the student has layers 0 to 1, not 2"),
        ("[[0,3]]", "the teacher has layers 0 to 2, not 3"),
        ("[[0,-1]]", "the teacher has layers 0 to 2, not -1"),
    ],
)
def test_pairs_of_layers_that_cannot_all_be_followed_are_refused(load, folders, layers, message):
    """Of two pairs with one student's layer the first was dropped in silence; it is a setting that was skipped."""
    paths = [f"model.path={folders['student']}", f"teacher.path={folders['teacher']}", "teacher.name=online"]
    config = configuration.load([], [*paths, "distill.weights.hidden_states=1", f"distill.hidden.layers={layers}"])
    with pytest.raises(InputError, match=f"distill.hidden.layers: {message}"):
        distillation(config, load("student"), {}, [])


def test_rare_labels_are_balanced_once(load, folders):
    """In loss and sampling at once, a label of ten records weighs as much as if it had a thousand."""
    betas = ["balance.loss_beta=0.9", "balance.sampling_beta=0.9"]
    config = configuration.load([], [f"model.path={folders['student']}", *betas])
    with pytest.raises(InputError, match=r"balance\.loss_beta: balances what balance\.sampling_beta has balanced"):
        cross_entropy(config, load("student"), {}, [])


@pytest.mark.parametrize("name", ["temperature", "label_temperature", "on_policy.temperature", "on_policy.max_tokens"])
def test_what_leaves_nothing_to_learn_from_is_refused(load, folders, name):
    """At a temperature of 0 the first loss is no number, and the advice would be another learning rate."""
    paths = [f"model.path={folders['student']}", f"teacher.path={folders['teacher']}", "teacher.name=online"]
    config = configuration.load([], [*paths, f"distill.{name}=0"])
    with pytest.raises(InputError, match=rf"distill\.{re.escape(name)}: expected a number above 0, found 0"):
        distillation(config, load("student"), {}, [])
