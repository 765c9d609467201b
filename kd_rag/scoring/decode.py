"""Answers said token by token, greedily: to compare the label tree with, and to have texts that are no labels.

In: a prompt batch. Out: a text for each row. Greedy decoding takes the likeliest token at each step, which need not
lead to the likeliest label: only the tree compares whole labels. It gives no probabilities of the labels either, so an
answer has none. Free answers are what LLaMA-Factory scores; `label_said` says which label such a text is, if any.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from kd_rag.models import VisionLanguageModel
from kd_rag.scoring.label_tree import LabelTree
from kd_rag.types import IGNORED, Inputs


def constrained_labels(model: VisionLanguageModel, inputs: Inputs, trees: Sequence[LabelTree]) -> list[str]:
    """Return the label that each row says when at each step only the tokens of its tree may follow.

    `inputs` are prompts, padded on the left; `trees` has one tree a row.
    """
    branches = [_branches(tree) for tree in trees]
    longest = max(len(ids) for tree in trees for ids in tree.answers.values())
    said = model.answer(inputs, longest, lambda row, ids: branches[row][tuple(ids)])
    by_ids = [{ids: label for label, ids in tree.answers.items()} for tree in trees]
    rows = [tuple(i for i in row if i != IGNORED) for row in said.tolist()]
    return [labels[row] for labels, row in zip(by_ids, rows, strict=True)]


def free_texts(model: VisionLanguageModel, inputs: Inputs, max_tokens: int) -> list[str]:
    """Return what each row says when anything may follow, stripped; `max_tokens` may cut it short."""
    end = model.processor.end_of_turn_id
    said = model.answer(inputs, max_tokens).tolist()
    texts = [model.processor.tokenizer.decode([i for i in row if i not in (IGNORED, end)]) for row in said]
    return [str(text).strip() for text in texts]


def split_answer(text: str) -> tuple[str, str]:
    """Return the reasons of a free text, which are all but its last line, and that line: the label's, or cut short."""
    reasons, _, last = text.rpartition("\n")
    return reasons.rstrip(), last.strip()


def label_said(text: str, tree: LabelTree) -> str | None:
    """Return the label that a free text is, to the letter but for space around it; None where it is no label."""
    return next((label for label in tree.labels if label.strip() == text.strip()), None)


def majority(answers: Sequence[str | None]) -> str | None:
    """Return the commonest of one record's answers by several modes, of equals the first; no label has no vote."""
    votes = Counter(answer for answer in answers if answer is not None)
    return max(votes, key=votes.__getitem__, default=None)


def _branches(tree: LabelTree) -> dict[tuple[int, ...], list[int]]:
    """Return the ids that may follow each beginning of an answer."""
    branches: dict[tuple[int, ...], list[int]] = {}
    for ids in tree.answers.values():
        for length, following in enumerate(ids):
            found = branches.setdefault(ids[:length], [])
            if following not in found:
                found.append(following)
    return branches
