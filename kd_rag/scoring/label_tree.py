"""Every label's exact log-likelihood in one forward pass.

The labels of a task, as token sequences that end with the end of the turn, share prefixes: they form a tree. Its nodes
follow the prompt in one sequence; each attends to the prompt and to its own ancestors only, at the position it would
have if its label stood there alone. The state at a node then predicts the node's children, and a label's
log-likelihood is the sum over its path. The end of the turn is part of every path, so a label that is
a prefix of another is scored rightly. Tree attention as such is known from speculative decoding (SpecInfer, arXiv
2305.09781); here it scores a closed label set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kd_rag.models import VisionLanguageModel
from kd_rag.types import Inputs, TokenTree

HEAD_ROWS = 128
"""Rows given to the head at a time: 128 rows of 152k logits are 78 MB."""


@dataclass(frozen=True)
class LabelTree:
    """A label set as a prefix tree; row 0 stands for the prompt's last token, row j + 1 for node j.

    `tokens`, `parents` (a row) and `depths` describe the nodes; `edge_rows` and `edge_tokens` the predictions that
    scoring needs; `paths` float32 `[labels, edges]` is 1 where a label's path takes an edge.
    """

    labels: tuple[str, ...]
    tokens: tuple[int, ...]
    parents: tuple[int, ...]
    depths: tuple[int, ...]
    edge_rows: tuple[int, ...]
    edge_tokens: tuple[int, ...]
    paths: Float[Tensor, "labels edges"]

    @classmethod
    def build(cls, answers: dict[str, Sequence[int]]) -> LabelTree:
        """Make the tree of `{label: token ids ending with the end of the turn}`."""
        edges: dict[tuple[int, int], int] = {}
        nodes: dict[tuple[int, int], int] = {}
        depths, taken = [], []
        for ids in answers.values():
            row, path = 0, []
            for depth, token in enumerate(ids):
                path.append(edges.setdefault((row, token), len(edges)))
                if depth < len(ids) - 1:  # the last token is only predicted, never read
                    if (row, token) not in nodes:
                        nodes[row, token] = len(nodes) + 1
                        depths.append(depth)
                    row = nodes[row, token]
            taken.append(path)
        paths = torch.zeros(len(answers), len(edges))
        for label, path in enumerate(taken):
            paths[label, path] = 1.0
        return cls(
            labels=tuple(answers),
            tokens=tuple(token for _, token in nodes),
            parents=tuple(row for row, _ in nodes),
            depths=tuple(depths),
            edge_rows=tuple(row for row, _ in edges),
            edge_tokens=tuple(token for _, token in edges),
            paths=paths,
        )

    def visible(self) -> Tensor:
        """Return bool `[nodes, nodes]`: a node sees itself and its ancestors."""
        seen = torch.eye(len(self.tokens), dtype=torch.bool)
        for node, parent in enumerate(self.parents):  # parents come before their children
            if parent:
                seen[node] |= seen[parent - 1]
        return seen


def label_log_likelihoods(
    model: VisionLanguageModel, inputs: Inputs, trees: Sequence[LabelTree], vocabulary: int
) -> list[Float[Tensor, " labels"]]:
    """Return, for each row of a prompt batch, log p(label | prompt) in float32 nats in the order of its tree.

    `inputs` are prompts, padded on the left; `trees` has one tree a row.
    """
    device, prompt_length = inputs.input_ids.device, inputs.input_ids.shape[1]
    hidden = model(inputs, _stacked(trees).to(device))
    # Column of tree row r: the prompt's last token for r = 0, then the nodes.
    columns = [[prompt_length - 1 + r for r in tree.edge_rows] for tree in trees]
    batch_index = [i for i, c in enumerate(columns) for _ in c]
    states = hidden[batch_index, [c for row in columns for c in row]]
    tokens = torch.tensor([t for tree in trees for t in tree.edge_tokens], device=device)
    edge_scores = torch.cat(
        [
            _token_log_probabilities(model, s, t, vocabulary)
            for s, t in zip(torch.split(states, HEAD_ROWS), torch.split(tokens, HEAD_ROWS), strict=True)
        ]
    )
    per_tree = torch.split(edge_scores, [len(tree.edge_rows) for tree in trees])
    return [tree.paths.to(device) @ scores for tree, scores in zip(trees, per_tree, strict=True)]


def _token_log_probabilities(model: VisionLanguageModel, states: Tensor, tokens: Tensor, vocabulary: int) -> Tensor:
    logits = model.logits(states)[:, :vocabulary].float()
    return logits.gather(1, tokens[:, None])[:, 0] - logits.logsumexp(dim=1)


def _stacked(trees: Sequence[LabelTree]) -> TokenTree:
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
