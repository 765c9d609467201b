"""Where the nodes of an answer tree stand behind a prompt, and what they attend to."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from kd_rag.types import TokenTree


def node_positions(prompt: Int[Tensor, "3 batch seq"], tree: TokenTree) -> Int[Tensor, "3 batch nodes"]:
    """Return time, height and width of the nodes; text moves along all three alike, from behind what came before."""
    behind = prompt[:, :, -1].amax(dim=0) + 1
    return (behind[:, None] + tree.depth).expand(3, -1, -1)


def tree_mask(
    prompt: Bool[Tensor, "batch seq"], visible: Bool[Tensor, "batch nodes nodes"]
) -> Bool[Tensor, "batch 1 states states"]:
    """Return which state (row) attends to which (column): the prompt causally, a node to the prompt and its own."""
    seq, nodes = prompt.shape[1], visible.shape[1]
    mask = torch.ones(seq + nodes, seq + nodes, dtype=torch.bool, device=prompt.device).tril()[None]
    mask = mask & torch.nn.functional.pad(prompt, (0, nodes), value=True)[:, None]
    mask[:, seq:, seq:] = visible
    # A row of padding would see nothing, and a softmax over nothing is NaN.
    return (mask | torch.eye(seq + nodes, dtype=torch.bool, device=prompt.device))[:, None]
