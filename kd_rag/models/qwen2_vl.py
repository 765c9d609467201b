"""Qwen2-VL (Wang et al. 2024, arXiv 2409.12191): prompts with pictures in, last hidden states out.

The language-model head is a second step, `logits`, for the rows that a loss or a score reads. M-RoPE positions are
given explicitly, so padding and neighbours in the batch never move a row's tokens. With a tree of answers behind
the prompt, one pass computes what every path of the tree would get alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from peft import PeftModel
from torch import Tensor, nn

from kd_rag.models import _loading
from kd_rag.types import InputError, Inputs, TokenTree

_LANGUAGE_LAYERS = r"language_model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)"
_VISION_LAYERS = r"visual\.(blocks\.\d+\.(attn\.(qkv|proj)|mlp\.fc[12])|merger\.mlp\.[02])"


class Qwen2VL(nn.Module):
    """A Qwen2-VL network with its processor, from a local folder or a hub id.

    `dtype` is that of the weights; `attention` the kernel; a picture is resized to between `min_pixels` and
    `max_pixels`, 784 of which make a token; `gradient_checkpointing` trades a second forward pass for memory.
    Raises InputError when `path` cannot be loaded as it stands.
    """

    def __init__(
        self,
        *,
        path: str,
        dtype: Literal["float32", "bfloat16"] = "float32",
        attention: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa",
        min_pixels: int = 3136,
        max_pixels: int = 401408,
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.path = str(Path(path).expanduser())
        self.attention = attention
        self.config = _loading.load_config(self.path, "qwen2_vl")
        self.processor = _loading.load_processor(self.path, self.config, min_pixels, max_pixels)
        self.network: Any = _loading.load_network(self.path, self.config, dtype, attention)
        if gradient_checkpointing:
            self._checkpoint_activations()

    def forward(self, inputs: Inputs, tree: TokenTree | None = None) -> Float[Tensor, "batch states dim"]:
        """Return the states after the final norm: of the prompt's columns, then of the tree's nodes if there is one.

        A node stands `depth` + 1 behind the prompt's last token and sees the prompt and its visible nodes. Raises
        InputError for a tree under flash attention, which knows no such masks.
        """
        base = self._base().model
        ids, mask = inputs.input_ids, inputs.attention_mask
        positions, _ = base.get_rope_index(
            ids, inputs.mm_token_type_ids, image_grid_thw=inputs.image_grid_thw, attention_mask=mask
        )
        if tree is not None:
            ids = torch.cat([ids, tree.input_ids], dim=1)
            positions = torch.cat([positions, _node_positions(positions, tree)], dim=2)
            mask = self._kernel_mask(_tree_mask(mask.bool(), tree.visible))
        states: Tensor = base(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            pixel_values=inputs.pixel_values,
            image_grid_thw=inputs.image_grid_thw,
            use_cache=False,
        ).last_hidden_state
        return states

    def logits(self, rows: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows vocab"]:
        """Return the head's output on `rows`; those from `processor.vocabulary` on are padding of the head."""
        scores: Tensor = self._base().lm_head(rows)
        return scores

    def lora_targets(self, vision: bool) -> str:
        """Return a regular expression of the layers to adapt: attention and MLP, with `vision` also the tower's."""
        return rf".*({_LANGUAGE_LAYERS}|{_VISION_LAYERS})" if vision else rf".*{_LANGUAGE_LAYERS}"

    def identity(self) -> dict[str, str]:
        """Return the path with the digest of a folder's config and weights, or with the commit of a hub id."""
        return _loading.identity(self.path, self.config)

    def _base(self) -> Any:
        """Return the Qwen2-VL network itself, whose layers carry the adapters if there are any."""
        return self.network.get_base_model() if isinstance(self.network, PeftModel) else self.network

    def _checkpoint_activations(self) -> None:
        self.network.activation_checkpointing_enable({"use_reentrant": False})
        # The library marks embeddings and patches as needing gradients, for re-entrant checkpointing only; with that
        # mark the backward pass would walk through a frozen vision tower.
        self.network.disable_input_require_grads()

    def _kernel_mask(self, mask: Bool[Tensor, "batch 1 n n"]) -> Tensor:
        """Return the mask in the form that the attention kernel takes."""
        if self.attention == "flash_attention_2":
            raise InputError("model.attention: flash_attention_2 cannot score label trees; set it to sdpa or eager")
        if self.attention == "sdpa":
            return mask
        dtype = self._base().dtype
        return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, torch.finfo(dtype).min)


def _node_positions(prompt: Int[Tensor, "3 batch seq"], tree: TokenTree) -> Int[Tensor, "3 batch nodes"]:
    """Return time, height and width of the nodes; text moves along all three alike, from behind what came before."""
    behind = prompt[:, :, -1].amax(dim=0) + 1
    return (behind[:, None] + tree.depth).expand(3, -1, -1)


def _tree_mask(
    prompt: Bool[Tensor, "batch seq"], visible: Bool[Tensor, "batch nodes nodes"]
) -> Bool[Tensor, "batch 1 states states"]:
    """Return which state (row) attends to which (column): the prompt causally, a node to the prompt and its own."""
    seq, nodes = prompt.shape[1], visible.shape[1]
    mask = torch.ones(seq + nodes, seq + nodes, dtype=torch.bool, device=prompt.device).tril()[None]
    mask = mask & torch.nn.functional.pad(prompt, (0, nodes), value=True)[:, None]
    mask[:, seq:, seq:] = visible
    # A row of padding would see nothing, and a softmax over nothing is NaN.
    return (mask | torch.eye(seq + nodes, dtype=torch.bool, device=prompt.device))[:, None]
