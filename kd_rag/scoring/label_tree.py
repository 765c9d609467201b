"""Every label's exact log-likelihood in one forward pass.

The labels of a task, as token sequences that end with the end of the turn, share prefixes: they form a tree. Its nodes
follow the prompt in one sequence; each attends to the prompt and to its own ancestors only, at the position it would
have if its label stood there alone. The state at a node then predicts the node's children, and a label's
log-likelihood is the sum over its path. The end of the turn is part of every path, so a label that is
a prefix of another is scored rightly. Tree attention as such is known from speculative decoding (SpecInfer, arXiv
2305.09781); here it scores a closed label set.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.checkpoint import checkpoint

from kd_rag.models import VisionLanguageModel
from kd_rag.types import Inputs, TokenTree

HEAD_ROWS = 128
"""Rows given to the head at a time: 128 rows of 152k logits are 78 MB."""

_ANSWER = "\x00answer"


@dataclass(frozen=True)
class LabelTree:
    """A label set as a prefix tree; row 0 stands for the prompt's last token, row j + 1 for node j.

    `answers` are the labels' token ids. `tokens`, `parents` (a row) and `depths` describe the nodes; `edge_rows` and
    `edge_tokens` the predictions that scoring needs; `paths` lists the edges of each label from its first token on.
    """

    answers: dict[str, tuple[int, ...]]
    tokens: tuple[int, ...]
    parents: tuple[int, ...]
    depths: tuple[int, ...]
    edge_rows: tuple[int, ...]
    edge_tokens: tuple[int, ...]
    paths: tuple[tuple[int, ...], ...]

    @classmethod
    def build(cls, answers: Mapping[str, Sequence[int]]) -> LabelTree:
        """Make the tree of `{label: token ids ending with the end of the turn}`."""
        edges: dict[tuple[int, int], int] = {}
        nodes: dict[tuple[int, int], int] = {}
        depths, paths = [], []
        for ids in answers.values():
            row, path = 0, []
            for depth, token in enumerate(ids):
                path.append(edges.setdefault((row, token), len(edges)))
                if depth < len(ids) - 1:  # the last token is only predicted, never read
                    if (row, token) not in nodes:
                        nodes[row, token] = len(nodes) + 1
                        depths.append(depth)
                    row = nodes[row, token]
            paths.append(tuple(path))
        return cls(
            answers={label: tuple(ids) for label, ids in answers.items()},
            tokens=tuple(token for _, token in nodes),
            parents=tuple(row for row, _ in nodes),
            depths=tuple(depths),
            edge_rows=tuple(row for row, _ in edges),
            edge_tokens=tuple(token for _, token in edges),
            paths=tuple(paths),
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order of their scores."""
        return tuple(self.answers)

    def with_answer(self, ids: Sequence[int], reasons: int = 0) -> LabelTree:
        """Return the tree with one more path at its end, for an answer that may be a label's or any other.

        Every label stands behind the answer's first `reasons` ids, whose likelihood adds the same to all their scores.
        """
        before = tuple(ids[:reasons])
        return LabelTree.build({label: (*before, *own) for label, own in self.answers.items()} | {_ANSWER: tuple(ids)})

    def visible(self) -> Tensor:
        """Return bool `[nodes, nodes]`: a node sees itself and its ancestors."""
        seen = torch.eye(len(self.tokens), dtype=torch.bool)
        for node, parent in enumerate(self.parents):  # parents come before their children
            if parent:
                seen[node] |= seen[parent - 1]
        return seen


def label_log_likelihoods(
    model: VisionLanguageModel, inputs: Inputs, trees: Sequence[LabelTree]
) -> list[Float[Tensor, " labels"]]:
    """Return, for each row of a prompt batch, log p(label | prompt) in float32 nats in the order of its tree.

    `inputs` are prompts, padded on the left; `trees` has one tree a row.
    """
    states = model(inputs, stacked(trees).to(inputs.input_ids.device))
    return scores_of_paths(model, states, inputs.input_ids.shape[1], trees)


def scores_of_paths(
    model: VisionLanguageModel, states: Float[Tensor, "batch states dim"], prompt: int, trees: Sequence[LabelTree]
) -> list[Float[Tensor, " paths"]]:
    """Return the log-likelihood of every path of each row's tree.

    `states` are those of prompts of `prompt` columns with the trees behind them. The head runs once on each node.
    """
    device = states.device
    rows = torch.cat([states[i, prompt - 1 : prompt + len(tree.tokens)] for i, tree in enumerate(trees)])
    firsts = itertools.accumulate((len(tree.tokens) + 1 for tree in trees), initial=0)
    edge_rows = torch.tensor([f + r for f, tree in zip(firsts, trees, strict=False) for r in tree.edge_rows])
    edge_tokens = torch.tensor([token for tree in trees for token in tree.edge_tokens], device=device)
    order = edge_rows.argsort()
    pieces = []
    for start in range(0, len(rows), HEAD_ROWS):
        chosen = order[(edge_rows[order] >= start) & (edge_rows[order] < start + HEAD_ROWS)]
        here = (edge_rows[chosen] - start).to(device)
        arguments = (model, rows[start : start + HEAD_ROWS], here, edge_tokens[chosen.to(device)])
        grad = torch.is_grad_enabled()
        pieces.append(
            checkpoint(_edge_scores, *arguments, use_reentrant=False, preserve_rng_state=False)
            if grad
            else _edge_scores(*arguments)
        )
    edge_scores = torch.cat(pieces)[order.argsort().to(device)]
    per_tree = torch.split(edge_scores, [len(tree.edge_rows) for tree in trees])
    return [_along_paths(tree, scores) for tree, scores in zip(trees, per_tree, strict=True)]


def path_rows(trees: Sequence[LabelTree], prompt: int) -> tuple[Tensor, Tensor]:
    """Return the index of the states that predict the tokens of each tree's last path, in batch order."""
    edges = [(i, tree.edge_rows[edge]) for i, tree in enumerate(trees) for edge in tree.paths[-1]]
    batch, row = torch.tensor(edges).unbind(1)
    return batch, prompt - 1 + row


def stacked(trees: Sequence[LabelTree]) -> TokenTree:
    """Pad the trees of a batch to one size; a padding node sees only itself and no edge reads it."""
    nodes = max(len(tree.tokens) for tree in trees)
    ids = torch.zeros(len(trees), nodes, dtype=torch.long)
    depth = torch.zeros_like(ids)
    visible = torch.eye(nodes, dtype=torch.bool).repeat(len(trees), 1, 1)
    for i, tree in enumerate(trees):
        n = len(tree.tokens)
        ids[i, :n] = torch.tensor(tree.tokens)
        depth[i, :n] = torch.tensor(tree.depths)
        visible[i, :n, :n] = tree.visible()
    return TokenTree(input_ids=ids, depth=depth, visible=visible)


def _edge_scores(model: VisionLanguageModel, states: Tensor, rows: Tensor, tokens: Tensor) -> Tensor:
    """Return log p(token) at the given rows of `states`."""
    logits = model.logits(states)[:, : model.processor.vocabulary].float()
    return logits[rows, tokens] - logits.logsumexp(dim=1)[rows]


def _along_paths(tree: LabelTree, edge_scores: Tensor) -> Tensor:
    """Return the sum of the edges' scores along each path: no matrix product, which autocast would round."""
    padding = len(edge_scores)
    paths = pad_sequence([torch.tensor(edges) for edges in tree.paths], batch_first=True, padding_value=padding)
    return torch.cat([edge_scores, edge_scores.new_zeros(1)])[paths.to(edge_scores.device)].sum(dim=1)
