"""The merged picture tokens of a frozen vision tower, kept on disk: each picture goes through the tower once.

In: the patches of a batch's pictures. Out: the tokens that the tower would give. A picture's tokens are kept under the
bytes of its patches and its grid; the store's header names the tower's weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kd_rag.tensor_store import Row, TensorStore

Tower = Callable[[Tensor, Tensor], Tensor]
"""Patches `[patches, channels]` and grids `[pictures, 3]` to merged tokens `[tokens, dim]`, picture after picture."""


class KeptPictures:
    """A vision tower that remembers; safe to share by processes, each of which writes files of its own."""

    def __init__(self, store: TensorStore, patches_a_token: int) -> None:
        self.store = store
        self.patches_a_token = patches_a_token

    def __call__(
        self, pixel_values: Float[Tensor, "patches channels"], grids: Int[Tensor, "pictures 3"], tower: Tower
    ) -> Float[Tensor, "tokens dim"]:
        """Return the merged tokens of all pictures; `tower` is asked for those that are new."""
        pictures = torch.split(pixel_values, grids.prod(dim=1).tolist())
        keys = [_key(patches, grid) for patches, grid in zip(pictures, grids, strict=True)]
        new = [i for i, key in enumerate(keys) if key not in self.store and key not in keys[:i]]
        if new:
            with torch.no_grad():
                tokens = tower(torch.cat([pictures[i] for i in new]), grids[new])
            sizes = [len(pictures[i]) // self.patches_a_token for i in new]
            parts = zip(new, torch.split(tokens, sizes), strict=True)
            self.store.append([Row(keys[i], {"tokens": kept}, {"picture": keys[i]}) for i, kept in parts])
        return torch.cat([self.store.read(key)["tokens"] for key in keys]).to(pixel_values.device)


def _key(patches: Tensor, grid: Tensor) -> str:
    content = hashlib.sha256(repr((grid.tolist(), str(patches.dtype), list(patches.shape))).encode())
    content.update(patches.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return content.hexdigest()
