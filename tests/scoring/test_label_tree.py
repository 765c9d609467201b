"""One pass over a tree must give what scoring each label alone gives."""

import pytest
import torch

from kd_rag.data.collator import answer_ids
from kd_rag.losses.heads import answer_rows, log_probabilities, with_answers
from kd_rag.losses.sides import Needs
from kd_rag.scoring.label_tree import HEAD_ROWS, LabelTree, label_log_likelihoods, stacked
from kd_rag.scoring.readout import read
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
        rows, targets = answer_rows(model(with_answers(batch.inputs, batch.answers)), batch)
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
    tree = LabelTree.build({label: answer_ids(collator.processor, label) for label in labels})
    with torch.no_grad():
        together = label_log_likelihoods(model, collator.prompts(EXAMPLES).inputs, [tree] * 3)
        for example, scores in zip(EXAMPLES, together, strict=True):
            torch.testing.assert_close(scores, alone(model, collator, example, labels), rtol=0, atol=1e-4)


def test_rows_of_one_batch_may_have_different_trees(load, collator):
    model = load("student")
    sets = [("a", "b c d e"), LABELS, ("one long label that has many tokens",)]
    trees = [LabelTree.build({label: answer_ids(collator.processor, label) for label in labels}) for labels in sets]
    with torch.no_grad():
        scores = label_log_likelihoods(model, collator.prompts(EXAMPLES).inputs, trees)
        for example, labels, found in zip(EXAMPLES, sets, scores, strict=True):
            torch.testing.assert_close(found, alone(model, collator, example, labels), rtol=0, atol=1e-4)


def test_autocast_does_not_round_sums_of_scores(load, collator):
    """A matrix product would: behind reasons of 200 nats, labels would differ by whole nats only."""
    model, labels = load("student"), LABELS
    tree = LabelTree.build({label: answer_ids(collator.processor, label) for label in labels})
    inputs = collator.prompts(EXAMPLES[:1]).inputs
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model.logits(model(inputs, stacked([tree]))[0, inputs.input_ids.shape[1] - 1 :])
        (scores,) = label_log_likelihoods(model, inputs, [tree])
    assert logits.dtype == torch.bfloat16
    assert scores.dtype == torch.float32
    each = log_probabilities(logits, model.processor.vocabulary).double()
    edges = each[list(tree.edge_rows), list(tree.edge_tokens)]
    expected = torch.stack([edges[list(path)].sum() for path in tree.paths])
    torch.testing.assert_close(scores.double(), expected, rtol=1e-6, atol=1e-6)


def test_probabilities_of_all_continuations_add_up_to_one(load, collator):
    """A tree over a whole vocabulary is a distribution; a wrong shift or mask breaks that first."""
    model = load("student")
    vocabulary = model.processor.vocabulary
    tree = LabelTree.build({str(token): [token] for token in range(vocabulary)})
    with torch.no_grad():
        (scores,) = label_log_likelihoods(model, collator.prompts(EXAMPLES[:1]).inputs, [tree])
    assert scores.exp().sum().item() == pytest.approx(1.0, abs=1e-5)


def test_shared_prefixes_are_read_once():
    tree = LabelTree.build({"ab": [1, 2, 9], "ac": [1, 3, 9], "a": [1, 9]})
    assert tree.tokens == (1, 2, 3)
    assert tree.parents == (0, 1, 1)
    assert tree.depths == (0, 1, 1)
    assert len(tree.edge_tokens) == 6
    assert tree.visible().tolist() == [[True, False, False], [True, True, False], [True, False, True]]


def test_five_hundred_labels_equal_each_alone(load, collator):
    """More nodes than the head takes at a time, deep and shallow branches, labels that are prefixes of others."""
    model = load("student")
    labels = [" ".join(["order", "refund", "page", "delivery"][: 1 + i % 4] + list(str(i))) for i in range(500)]
    tree = LabelTree.build({label: answer_ids(collator.processor, label) for label in labels})
    assert len(tree.tokens) > 3 * HEAD_ROWS
    chosen = [0, 1, 2, 3, 10, 63, 64, 127, 128, 255, 256, 411, 498, 499]
    with torch.no_grad():
        together = label_log_likelihoods(model, collator.prompts(EXAMPLES).inputs, [tree] * 3)
        for example, scores in zip(EXAMPLES, together, strict=True):
            expected = alone(model, collator, example, [labels[i] for i in chosen])
            torch.testing.assert_close(scores[chosen], expected, rtol=0, atol=1e-4)


def trees_and_batch(collator):
    """Return the tree of each task and a batch whose answers are, in turn, a label's, a prefix's and no label's."""
    trees = {"intent": LabelTree.build({label: answer_ids(collator.processor, label) for label in LABELS})}
    answers = ("refund_request", "refund", "something else")
    examples = [make_example_with(e, answer) for e, answer in zip(EXAMPLES, answers, strict=True)]
    return trees, collator.micro_batches(examples, 3)[0]


def test_the_answer_in_the_tree_is_the_answer_behind_the_prompt(load, collator):
    """With label scores in the objective, the answer's rows come from another pass; both must say the same."""
    model = load("student")
    trees, batch = trees_and_batch(collator)
    with torch.no_grad():
        plain, targets = read(model, batch, Needs(layers=(0,)), trees)
        grown, found = read(model, batch, Needs(labels=True, layers=(0,)), trees)
        scores = label_log_likelihoods(model, batch.inputs, [trees["intent"]] * 3)
    assert torch.equal(found, targets)
    torch.testing.assert_close(grown.answers.states, plain.answers.states, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(grown.hidden[0], plain.hidden[0], rtol=1e-4, atol=1e-5)
    assert plain.label_scores == ()
    for own, expected in zip(grown.label_scores, scores, strict=True):
        assert own.shape == (len(LABELS),)
        torch.testing.assert_close(own, expected, rtol=1e-5, atol=1e-4)


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_same_gradients(found, expected):
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert (found[name] - gradient).norm() <= 1e-4 * gradient.norm() + 1e-6, name


def test_both_passes_have_one_gradient(load, collator):
    """A tree whose nodes are cut from the graph trains the prompt alone, at the very same loss."""
    model = load("student")
    trees, batch = trees_and_batch(collator)
    answers = []
    for needs in (Needs(), Needs(labels=True)):
        side, targets = read(model, batch, needs, trees)
        log_probs, _ = side.answers.outcomes(slice(0, len(targets)), model.processor.vocabulary, 1.0)
        answers.append(gradients(model, -log_probs.gather(1, targets[:, None]).sum()))
    assert_same_gradients(answers[1], answers[0])
    side, _ = read(model, batch, Needs(labels=True), trees)
    labels = gradients(model, torch.stack(side.label_scores).log_softmax(1)[:, 0].sum())
    alone_scores = torch.stack([alone(model, collator, example, LABELS) for example in batch.examples])
    assert_same_gradients(labels, gradients(model, alone_scores.log_softmax(1)[:, 0].sum()))
