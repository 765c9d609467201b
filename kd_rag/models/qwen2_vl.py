"""Qwen2-VL (Wang et al. 2024, arXiv 2409.12191): prompts with pictures in, last hidden states out.

The language-model head is a second step, `logits`, for the rows that a loss or a score reads. M-RoPE positions are
given explicitly, so padding and neighbours in the batch never move a row's tokens. With a tree of answers behind
the prompt, one pass computes what every path of the tree would get alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from peft import PeftModel
from torch import Tensor, nn

from kd_rag.models import Processor, _loading
from kd_rag.models._drawing import Following, drawn_answers, greedy_answers
from kd_rag.models._frozen import KeptPictures
from kd_rag.models._tree_attention import node_positions, tree_mask
from kd_rag.tensor_store import TensorStore
from kd_rag.types import InputError, Inputs, TokenTree

_LANGUAGE_LAYERS = r"language_model\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)"
_VISION_LAYERS = r"visual\.(blocks\.\d+\.(attn\.(qkv|proj)|mlp\.fc[12])|merger\.mlp\.[02])"


class Qwen2VL(nn.Module):
    """A Qwen2-VL network with its processor, from a local folder or a hub id.

    `dtype` is that of the weights; `attention` the kernel; a picture is resized to between `min_pixels` and
    `max_pixels`, 784 of which make a token; `gradient_checkpointing` trades a second forward pass for memory;
    `quantised` holds the weights of linear layers in 8 or 4 bits (bitsandbytes), for a teacher or a frozen base.
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
        quantised: Literal["none", "8bit", "4bit"] = "none",
    ) -> None:
        super().__init__()
        self.path = str(Path(path).expanduser())
        self.attention = attention
        self.config = _loading.load_config(self.path, "qwen2_vl")
        self.processor = _loading.load_processor(self.path, self.config, min_pixels, max_pixels)
        self.state_size: int = self.config.get_text_config().hidden_size
        self.network: Any = _loading.load_network(self.path, self.config, dtype, attention, quantised)
        self._kept_pictures: KeptPictures | None = None
        if gradient_checkpointing:
            self._checkpoint_activations()

    @staticmethod
    def open_processor(options: Mapping[str, Any]) -> Processor:
        """Return the processor of a model with these options, without its network."""
        path = str(Path(options["path"]).expanduser())
        config = _loading.load_config(path, "qwen2_vl")
        return _loading.load_processor(path, config, options["min_pixels"], options["max_pixels"])

    @staticmethod
    def identify(options: Mapping[str, Any]) -> dict[str, str]:
        """Return what names the weights of a model with these options, and how they are held; see `identity`."""
        path = str(Path(options["path"]).expanduser())
        held = {"dtype": str(options["dtype"]), "quantised": str(options["quantised"])}
        return {**_loading.identity(path, _loading.load_config(path, "qwen2_vl")), **held}

    def forward(self, inputs: Inputs, tree: TokenTree | None = None) -> Float[Tensor, "batch states dim"]:
        """Return the states after the final norm: of the prompt's columns, then of the tree's nodes if there is one.

        A node stands `depth` + 1 behind the prompt's last token and sees the prompt and its visible nodes. Raises
        InputError for a tree under flash attention, which knows no such masks.
        """
        base = self._base().model
        ids, mask, positions = inputs.input_ids, _mask_to_pass(inputs.attention_mask), self.positions(inputs)
        if tree is not None:
            ids = torch.cat([ids, tree.input_ids], dim=1)
            positions = torch.cat([positions, node_positions(positions, tree)], dim=2)
            mask = self._kernel_mask(tree_mask(inputs.attention_mask.bool(), tree.visible))
        states: Tensor = base(
            **self._tokens_and_pictures(ids, inputs),
            attention_mask=mask,
            position_ids=positions,
            use_cache=False,
        ).last_hidden_state
        return states

    def keep_pictures(self, store: TensorStore) -> None:
        """From now on run the vision tower once on each picture; raises InputError unless the tower is frozen."""
        tower = self._base().model.visual
        if any(p.requires_grad for p in tower.parameters()):
            raise InputError(
                "trainer.keep_pictures: the vision tower is trained, so its tokens change; set it to false, or adapt "
                "the language model only (lora, with lora.vision=false)"
            )
        self._kept_pictures = KeptPictures(store, tower.spatial_merge_size**2)

    def logits(self, rows: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows vocab"]:
        """Return the head's output on `rows`; those from `processor.vocabulary` on are padding of the head."""
        scores: Tensor = self._base().lm_head(rows)
        return scores

    def positions(self, inputs: Inputs) -> Int[Tensor, "3 batch seq"]:
        """Return the M-RoPE positions: time, height and width of each token, alike where it is text."""
        positions, _ = self._base().model.get_rope_index(
            inputs.input_ids,
            inputs.mm_token_type_ids,
            image_grid_thw=inputs.image_grid_thw,
            attention_mask=inputs.attention_mask,
        )
        moved: Tensor = positions
        return moved

    def sample(self, prompts: Inputs, max_tokens: int, temperature: float) -> Int[Tensor, "batch answer"]:
        """Draw answers, without dropout; -100 behind the end of the turn, which one of `max_tokens` may lack."""
        training = self.training
        self.eval()
        rows = self.config.get_text_config().vocab_size
        drawn = drawn_answers(self.network, self.processor, rows, prompts, max_tokens, temperature)
        self.train(training)
        return drawn

    def answer(self, prompts: Inputs, max_tokens: int, following: Following | None = None) -> Int[Tensor, "batch said"]:
        """Say the likeliest token at each step, of those that `following` allows; in the form of `sample`."""
        rows = self.config.get_text_config().vocab_size
        return greedy_answers(self.network, self.processor, rows, prompts, max_tokens, following)

    @property
    def layers(self) -> nn.ModuleList:
        """The decoder layers."""
        layers: nn.ModuleList = self._base().model.language_model.layers
        return layers

    @property
    def merger(self) -> nn.Module:
        """The module that merges 2 x 2 patches into a token of the language model's size."""
        merger: nn.Module = self._base().model.visual.merger
        return merger

    def lora_targets(self, vision: bool) -> str:
        """Return a regular expression of the layers to adapt: attention and MLP, with `vision` also the tower's."""
        return rf".*({_LANGUAGE_LAYERS}|{_VISION_LAYERS})" if vision else rf".*{_LANGUAGE_LAYERS}"

    def identity(self) -> dict[str, str]:
        """Return the path with the digest of a folder's config and weights, or with the commit of a hub id."""
        return _loading.identity(self.path, self.config)

    def save(self, folder: Path, dtype: str) -> None:
        """Write a folder that the library loads alone, its weights as `dtype`; adapters must have been merged."""
        assert not isinstance(self.network, PeftModel)
        self.network.to(getattr(torch, dtype)).save_pretrained(folder)
        self.processor.save(folder)

    def _tokens_and_pictures(self, ids: Tensor, inputs: Inputs) -> dict[str, Any]:
        """Return ids and patches as the network takes them, or, where pictures are kept, the embeddings of both."""
        if self._kept_pictures is None or inputs.pixel_values is None:
            pixels = {"pixel_values": inputs.pixel_values, "image_grid_thw": inputs.image_grid_thw}
            return {"input_ids": ids, **pixels}
        assert inputs.image_grid_thw is not None
        base = self._base().model
        tokens = self._kept_pictures(
            inputs.pixel_values,
            inputs.image_grid_thw,
            lambda patches, grids: base.visual(patches.to(base.visual.dtype), grid_thw=grids).pooler_output,
        )
        embeddings = base.get_input_embeddings()(ids)
        pictures = (ids == self.config.image_token_id)[..., None].expand_as(embeddings)
        return {"inputs_embeds": embeddings.masked_scatter(pictures, tokens.to(embeddings.dtype))}

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


def _mask_to_pass(mask: Int[Tensor, "batch seq"]) -> Tensor | None:
    """Return no mask where padding stands only behind the tokens, which causal attention cannot see from there."""
    return None if bool(mask[:, 0].all()) else mask
