"""What stands between a prompt and a Qwen2-VL network: chat template, tokenizer and picture preprocessor.

In: chat messages, outside text, RGB pictures. Out: text, token ids, patches. The template and outside text have two
doors: only `encode_template` knows special tokens, so a user's `<|im_end|>` stays the letters it is written with.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxtyping import Float, Int
from PIL import Image, ImageOps
from torch import Tensor
from transformers import AutoProcessor

from kd_rag.types import InputError

_MAX_ASPECT = 200
"""Sides' ratio above which Qwen2-VL's resizing refuses a picture."""

_SIZES = ("size", "min_pixels", "max_pixels")
"""Options of a folder's picture preprocessor that `min_pixels` and `max_pixels` stand in for."""


class PromptProcessor:
    """The processor of a model folder or hub id; picklable, for DataLoader workers.

    A picture is resized to between `min_pixels` and `max_pixels`; 28 x 28 pixels become one token. Not to be shared
    by threads: the tokenizer keeps as its state whether it splits special tokens.
    """

    def __init__(self, path: str, min_pixels: int, max_pixels: int) -> None:
        if not 0 < min_pixels <= max_pixels:
            raise InputError(f"model.max_pixels: is {max_pixels}, expected at least min_pixels ({min_pixels} > 0)")
        self._processor: Any = AutoProcessor.from_pretrained(path)  # type: ignore[no-untyped-call]
        self._size = {"shortest_edge": min_pixels, "longest_edge": max_pixels}
        self.tokenizer = self._processor.tokenizer
        self.picture_token: str = self._processor.image_token
        self.picture_token_id: int = self._processor.image_token_id
        self.end_of_turn_id: int = self.tokenizer.convert_tokens_to_ids("<|im_end|>")
        self.pad_id: int = self.tokenizer.pad_token_id

    @property
    def vocabulary(self) -> int:
        """Number of ids the tokenizer knows, special tokens included; the network's head may have more rows."""
        return len(self.tokenizer)

    def pixel_limits(self) -> tuple[int, int]:
        """Return the fewest and the most pixels that a picture is resized to."""
        return self._size["shortest_edge"], self._size["longest_edge"]

    def save(self, folder: Path) -> None:
        """Write the tokenizer, the template and the picture preprocessor, which has our pixel limits from then on."""
        pictures = self._processor.image_processor
        pictures.size = dict(self._size)
        pictures.min_pixels, pictures.max_pixels = self.pixel_limits()
        self._processor.save_pretrained(folder)

    def render(self, messages: Sequence[dict[str, Any]]) -> str:
        """Fill the chat template, ending where the assistant's answer begins."""
        text: str = self._processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return text

    def encode_template(self, text: str) -> list[int]:
        """Encode the template's own text: special tokens are recognised."""
        return self._ids(text, split_special_tokens=False)

    def encode_text(self, text: str) -> list[int]:
        """Encode outside text: no special token can come out, whatever the text says."""
        return self._ids(text, split_special_tokens=True)

    def pictures(
        self, images: Sequence[Image.Image]
    ) -> tuple[Float[Tensor, "patches channels"], Int[Tensor, "pictures 3"], list[int]]:
        """Return the patches, each picture's grid (time, height, width in patches) and its number of tokens.

        A picture more than 200 times as long as wide, which Qwen2-VL refuses, is padded with white to that ratio.
        """
        made = self._processor.image_processor(
            images=[_padded(image) for image in images], size=self._size, return_tensors="pt"
        )
        grids = made["image_grid_thw"]
        patches_a_token = self._processor.image_processor.merge_size**2
        return made["pixel_values"], grids, (grids.prod(dim=1) // patches_a_token).tolist()

    def picture_digest(self) -> str:
        """Return a digest of what makes a picture's patches beside the pixel limits: their size, mean, deviation."""
        options = self._processor.image_processor.to_dict()
        made = {name: value for name, value in options.items() if name not in _SIZES}
        return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()

    def id_digest(self) -> str:
        """Return a digest of the whole table of ids and tokens; teacher and student must have the same."""
        table = sorted(self.tokenizer.get_vocab().items(), key=lambda entry: entry[1])
        return hashlib.sha256(json.dumps(table).encode()).hexdigest()

    def _ids(self, text: str, *, split_special_tokens: bool) -> list[int]:
        ids: list[int] = self.tokenizer(
            text, add_special_tokens=False, split_special_tokens=split_special_tokens
        ).input_ids
        return ids


def _padded(image: Image.Image) -> Image.Image:
    """Return the picture with white added to its short side where its sides differ too much."""
    shortest = math.ceil(max(image.size) / _MAX_ASPECT)
    if min(image.size) >= shortest:
        return image
    missing = (max(0, shortest - image.width), max(0, shortest - image.height))
    return ImageOps.expand(image, border=(0, 0, *missing), fill="white")
