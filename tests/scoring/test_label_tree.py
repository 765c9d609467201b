"""One pass over a tree must give what scoring each label alone gives."""

import pytest
import torch

from kd_rag.losses.heads import answer_rows, log_probabilities
from kd_rag.scoring.label_tree import LabelTree, label_log_likelihoods
from tests.conftest import LABELS, make_example

EXAMPLES = [
    make_example(),
    make_example(texts=("a much longer turn about a parcel <image>", "reply", "and <image> again"), pictures=2),
    make_example(texts=("x",), pictures=1, passages=["something"]),
]


def alone(model, collator, example, labels):
    """Score each label as an ordinary answer, one forward pass each."""
    scores = []
    for label in labels:
        (batch,) = collator.micro_batches([make_example_with(example, label)], 1)
        rows, targets = answer_rows(model(batch.inputs), batch.labels)
        log_probs = log_probabilities(model.logits(rows), model.processor.vocabulary)
        scores.append(log_probs.gather(1, targets[:, None]).sum())
    return torch.stack(scores)


def make_example_with(example, label):
    from dataclasses import replace

    return replace(example, record=replace(example.record, label=label))


@pytest.mark.parametrize(
    "labels",
    [LABELS, ("refund",), ("a", "ab", "abc", "abcd"), tuple(f"label {i} of {i % 7}" for i in range(60))],
    ids=["usual", "single", "prefixes", "sixty"],
)
def test_equals_each_label_alone(load, collator, labels):
    model = load("student")
    tree = LabelTree.build({label: collator.answer_ids(label) for label in labels})
    with torch.no_grad():
        together = label_log_likelihoods(
            model, collator.prompts(EXAMPLES).inputs, [tree] * 3, model.processor.vocabulary
        )
        for example, scores in zip(EXAMPLES, together, strict=True):
            torch.testing.assert_close(scores, alone(model, collator, example, labels), rtol=0, atol=1e-4)


def test_rows_of_one_batch_may_have_different_trees(load, collator):
    model = load("student")
    sets = [("a", "b c d e"), LABELS, ("one long label that has many tokens",)]
    trees = [LabelTree.build({label: collator.answer_ids(label) for label in labels}) for labels in sets]
    with torch.no_grad():
        scores = label_log_likelihoods(model, collator.prompts(EXAMPLES).inputs, trees, model.processor.vocabulary)
        for example, labels, found in zip(EXAMPLES, sets, scores, strict=True):
            torch.testing.assert_close(found, alone(model, collator, example, labels), rtol=0, atol=1e-4)


def test_probabilities_of_all_continuations_add_up_to_one(load, collator):
    """A tree over a whole vocabulary is a distribution; a wrong shift or mask breaks that first."""
    model = load("student")
    vocabulary = model.processor.vocabulary
    tree = LabelTree.build({str(token): [token] for token in range(vocabulary)})
    with torch.no_grad():
        (scores,) = label_log_likelihoods(model, collator.prompts(EXAMPLES[:1]).inputs, [tree], vocabulary)
    assert scores.exp().sum().item() == pytest.approx(1.0, abs=1e-5)


def test_shared_prefixes_are_read_once():
    tree = LabelTree.build({"ab": [1, 2, 9], "ac": [1, 3, 9], "a": [1, 9]})
    assert tree.tokens == (1, 2, 3)
    assert tree.parents == (0, 1, 1)
    assert tree.depths == (0, 1, 1)
    assert len(tree.edge_tokens) == 6
    assert tree.visible().tolist() == [[True, False, False], [True, True, False], [True, False, True]]
