"""Greedy answers, against a loop of whole forward passes, and what of them counts as a label."""

import pytest
import torch

from kd_rag.data.collator import answer_ids
from kd_rag.scoring.decode import constrained_labels, free_texts, label_said, majority
from kd_rag.scoring.label_tree import LabelTree
from kd_rag.types import IGNORED, Inputs
from tests.conftest import LABELS, make_example

EXAMPLES = [
    make_example(),
    make_example(texts=("a much longer turn about a parcel <image>", "reply", "and <image> again"), pictures=2),
    make_example(texts=("x",), pictures=1, passages=["something"]),
]


def tree_of(collator, labels):
    return LabelTree.build({label: answer_ids(collator.processor, label) for label in labels})


def appended(inputs, token):
    one = torch.ones(1, 1, dtype=torch.long)
    return Inputs(
        torch.cat([inputs.input_ids, one * token], 1),
        torch.cat([inputs.attention_mask, one], 1),
        torch.cat([inputs.mm_token_type_ids, one * 0], 1),
        inputs.pixel_values,
        inputs.image_grid_thw,
    )


def by_hand(model, collator, example, max_tokens, answers=None):
    """Take the likeliest allowed token of one record at a time, each step a pass over everything, without a cache."""
    inputs, said = collator.prompts([example]).inputs, []
    special = set(model.processor.tokenizer.get_added_vocab().values()) - {model.processor.end_of_turn_id}
    while len(said) < max_tokens and model.processor.end_of_turn_id not in said:
        scores = model.logits(model(inputs)[0, -1:])[0]
        free = set(range(model.processor.vocabulary)) - special
        fitting = [ids for ids in answers or () if list(ids[: len(said)]) == said]
        allowed = sorted({ids[len(said)] for ids in fitting} if answers else free)
        said.append(allowed[int(scores[allowed].argmax())])
        inputs = appended(inputs, said[-1])
    return said


@pytest.mark.parametrize(
    "labels", [LABELS, ("a", "ab", "abc", "abcd"), ("refund",)], ids=["usual", "prefixes", "single"]
)
def test_constrained_answers_equal_a_loop_without_cache(load, collator, labels):
    """With padding, pictures and M-RoPE in one batch, a cached step's position is easily one off."""
    model, tree = load("student"), tree_of(collator, labels)
    by_ids = {list_ids: label for label, list_ids in tree.answers.items()}
    with torch.no_grad():
        found = constrained_labels(model, collator.prompts(EXAMPLES).inputs, [tree] * 3)
        expected = [by_ids[tuple(by_hand(model, collator, e, 50, list(by_ids)))] for e in EXAMPLES]
    assert found == expected


def test_rows_of_one_batch_may_have_different_trees(load, collator):
    model = load("student")
    sets = [("a", "b c d e"), LABELS, ("one long label that has many tokens",)]
    found = constrained_labels(model, collator.prompts(EXAMPLES).inputs, [tree_of(collator, s) for s in sets])
    assert all(label in labels for label, labels in zip(found, sets, strict=True))
    assert found[2] == sets[2][0]


def test_free_answers_equal_a_loop_without_cache(load, collator):
    model = load("student")
    with torch.no_grad():
        inputs = collator.prompts(EXAMPLES).inputs
        said = [[i for i in row if i != IGNORED] for row in model.answer(inputs, 6).tolist()]
        assert said == [by_hand(model, collator, e, 6) for e in EXAMPLES]
        end = model.processor.end_of_turn_id
        texts = [model.processor.tokenizer.decode([i for i in row if i != end]).strip() for row in said]
    assert free_texts(model, inputs, 6) == texts


def test_a_batch_without_pictures_is_answered(load, collator):
    """The library runs the vision tower on whatever it is given, even on nothing."""
    model = load("student")
    with torch.no_grad():
        said = model.answer(collator.prompts(EXAMPLES[:1]).inputs, 4)[0].tolist()
        assert [i for i in said if i != IGNORED] == by_hand(model, collator, EXAMPLES[0], 4)
        assert model.sample(collator.prompts(EXAMPLES[:1]).inputs, 4, 1.0).shape[0] == 1


def test_a_folders_own_settings_do_not_bend_the_answers(load, collator):
    """A penalty on repetition, in the generation settings of some folders, would score another model."""
    model = load("student")
    inputs = collator.prompts(EXAMPLES).inputs
    plain = model.answer(inputs, 6)
    model.network.generation_config.repetition_penalty = 50.0
    assert torch.equal(model.answer(inputs, 6), plain)


def test_only_a_whole_label_counts(collator):
    """A label that is found inside a sentence would make a talkative model right."""
    tree = tree_of(collator, LABELS)
    assert [label_said(t, tree) for t in (" refund\n", "refund.", "Refund", "a refund", "")] == ["refund", *[None] * 4]


def test_the_first_mode_breaks_ties_and_no_label_has_no_vote():
    assert majority(["a", "b", "b"]) == "b"
    assert majority(["a", "b", "c"]) == "a"
    assert majority(["a", None, None]) == "a"
    assert majority([None, None]) is None
