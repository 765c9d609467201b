"""Vision-language models by family; a member is a class with the interface of `VisionLanguageModel`.

To add a family: one file with one `nn.Module` whose keyword-only options load it from a folder or a hub id. The rest of
the house reads states, asks the head for rows, and knows nothing of the family's layers, masks or positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from torch import Tensor, nn

    from kd_rag.models._drawing import Following
    from kd_rag.tensor_store import TensorStore
    from kd_rag.types import Inputs, TokenTree


@runtime_checkable
class Processor(Protocol):
    """What turns messages, texts and pictures into ids and patches; picklable."""

    tokenizer: Any
    picture_token: str
    picture_token_id: int
    end_of_turn_id: int
    pad_id: int

    @property
    def vocabulary(self) -> int:
        """Number of ids, special tokens included; the head may have more rows."""

    def pixel_limits(self) -> tuple[int, int]:
        """Return the fewest and the most pixels that a picture is resized to."""

    def render(self, messages: Sequence[dict[str, Any]]) -> str:
        """Fill the chat template, ending where the answer begins."""

    def encode_template(self, text: str) -> list[int]:
        """Encode the template's own text, special tokens recognised."""

    def encode_text(self, text: str) -> list[int]:
        """Encode outside text, from which no special token can come."""

    def pictures(self, images: Sequence[Image]) -> tuple[Tensor, Tensor, list[int]]:
        """Return patches, grids and the number of tokens of each picture."""

    def picture_digest(self) -> str:
        """Return a digest of what makes a picture's patches beside the pixel limits."""

    def id_digest(self) -> str:
        """Return a digest of the table of ids and tokens."""


@runtime_checkable
class VisionLanguageModel(Protocol):
    """A network and its processor; an `nn.Module`, whose usual methods are listed as far as they are used.

    The class also has `open_processor(options)` and `identify(options)`, which tell the processor and what names the
    weights without loading them.
    """

    processor: Processor
    network: Any
    state_size: int
    """Dimensions of the states, and of the merged picture tokens."""

    @property
    def layers(self) -> Sequence[nn.Module]:
        """The decoder layers, whose outputs (or the first of a tuple) are `[batch, states, dim]`."""

    @property
    def merger(self) -> nn.Module:
        """The module whose output are the merged picture tokens `[tokens, dim]` of a batch."""

    def __call__(self, inputs: Inputs, tree: TokenTree | None = None) -> Tensor:
        """Return the last states `[batch, seq + nodes, dim]`, after the final norm and before the head.

        `tree` puts nodes behind each prompt; each gets the state that it would have if its path stood there alone.
        """

    def logits(self, rows: Tensor) -> Tensor:
        """Return the head's output `[rows, head rows]` for states `[rows, dim]`."""

    def positions(self, inputs: Inputs) -> Tensor:
        """Return the positions `[axes, batch, seq]` that the tokens are given."""

    def sample(self, prompts: Inputs, max_tokens: int, temperature: float) -> Tensor:
        """Draw an answer for each prompt: ids `[batch, answer]`, the end of the turn last, -100 behind it."""

    def answer(self, prompts: Inputs, max_tokens: int, following: Following | None = None) -> Tensor:
        """Say the likeliest token at each step, of those that `following` allows; in the form of `sample`."""

    def keep_pictures(self, store: TensorStore) -> None:
        """From now on run the vision tower once on each picture; raises InputError unless the tower is frozen."""

    def lora_targets(self, vision: bool) -> str:
        """Return a regular expression of the layers that adapters go to, with `vision` the vision tower's too."""

    def save(self, folder: Path, dtype: str) -> None:
        """Write network, as `dtype`, and processor as a folder that the family's library loads alone."""

    def identity(self) -> dict[str, str]:
        """Return what names the base weights: path and digest, or path and commit."""

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...  # noqa: D102
    def parameters(self) -> Iterator[nn.Parameter]: ...  # noqa: D102
    def train(self, mode: bool = True) -> VisionLanguageModel: ...  # noqa: D102
    def eval(self) -> VisionLanguageModel: ...  # noqa: D102
    def requires_grad_(self, requires_grad: bool = True) -> VisionLanguageModel: ...  # noqa: D102
    def to(self, device: torch.device) -> VisionLanguageModel: ...  # noqa: D102
