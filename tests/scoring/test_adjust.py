"""What predictions are made of: the log-likelihoods, unless an option says otherwise."""

import math

import pytest
import torch

from kd_rag.scoring.adjust import Adjustment
from kd_rag.scoring.label_tree import LabelTree

TREE = LabelTree.build({"short": [1, 9], "long one": [2, 3, 4, 9], "never": [5, 9]})
SCORES = torch.tensor([-3.0, -4.0, -5.0])
COUNTS = {"intent": {"short": 7, "long one": 2}}


def test_both_options_off_leave_every_bit():
    """Published numbers must not move because an option exists."""
    assert torch.equal(Adjustment(False, 0.0, COUNTS)(SCORES, TREE, "intent"), SCORES)


def test_per_token_of_the_label():
    """The end of the turn is a token of every label."""
    found = Adjustment(True, 0.0, COUNTS)(SCORES, TREE, "intent")
    assert found.tolist() == [-1.5, -1.0, -2.5]


def test_prior_correction_subtracts_the_smoothed_log_share():
    """Of 9 records and 3 labels the shares are 8/12, 3/12 and 1/12: a label that never occurs stays finite."""
    found = Adjustment(False, 1.0, COUNTS)(SCORES, TREE, "intent")
    expected = [-3 - math.log(8 / 12), -4 - math.log(3 / 12), -5 - math.log(1 / 12)]
    assert found.tolist() == pytest.approx(expected)
    assert found.argmax() == 2
    half = Adjustment(False, 0.5, COUNTS)(SCORES, TREE, "intent")
    torch.testing.assert_close(half, (SCORES + found) / 2)


def test_the_correction_undoes_a_prior():
    """A model that says only what train's shares say is left with nothing to say."""
    shares = torch.tensor([8 / 12, 3 / 12, 1 / 12]).log()
    posterior = Adjustment(False, 1.0, COUNTS)(shares, TREE, "intent").softmax(dim=0)
    assert posterior.tolist() == pytest.approx([1 / 3] * 3)


def test_both_together_and_a_task_without_records():
    found = Adjustment(True, 1.0, COUNTS)(SCORES, TREE, "intent")
    assert found[1].item() == pytest.approx(-1.0 - math.log(3 / 12))
    other = Adjustment(False, 1.0, COUNTS)(SCORES, TREE, "another task")
    torch.testing.assert_close(other, SCORES + math.log(3))
