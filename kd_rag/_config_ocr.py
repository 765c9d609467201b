"""What the section `ocr` holds beside the options of its engine: which of the lines read are shown."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any


@dataclass
class DenoiseConfig:
    """What becomes of the lines behind the cache, before prompts and queries are made of them.

    All off by default; the steps go in this order, for each task where `tasks.NAME.denoised` says so. Pictures are not
    read again when one changes.
    """

    min_confidence: float = 0.0
    """Drop lines less certain; the engine's own `min_confidence` drops them before they are kept."""
    masks: bool = False
    """Shorten what hides a field (`****`, `XXXX`, `■■`) to `*`, and drop lines that are nothing else."""
    status_bar: bool = False
    """Drop clock, battery, network and carrier at a page's top."""
    mask_numbers: bool = False
    """Put its kind in place of a number that only identifies; prices, dates, sizes, counts and bar codes
    stay."""
    order_number: str = "<order number>"
    tracking_number: str = "<tracking number>"
    phone_number: str = "<phone number>"
    stray: bool = False
    """Drop lines of one character or of punctuation alone; `¥5` and `×1` stay."""
    duplicates: bool = False
    """Drop a line whose words and numbers a line before it has, on any of a record's pictures, and of two whose boxes
    share more than half of their area the less certain."""
    relevance: bool = False
    """Rank lines by their TF-IDF similarity to the nearest label, label description or turn: `prompt.max_ocr_tokens`
    then keeps the most telling lines, in reading order, instead of the first."""


@dataclass
class OcrConfig:
    """What holds for every engine."""

    denoise: DenoiseConfig = field(default_factory=DenoiseConfig)
    of_augmented: bool = False
    """Show in training the text of each augmented view instead of the original picture's: words that a step cuts away
    are gone from the prompt as well. Every new view is read while training waits (`augment.views` bounds them);
    passages stay those of the original."""


def split_ocr(section: dict[str, Any]) -> tuple[dict[str, Any], OcrConfig]:
    """Return the engine's component of the section `ocr`, and the rest of it."""
    shared = {f.name for f in dataclasses.fields(OcrConfig)}
    engine = {key: value for key, value in section.items() if key not in shared}
    rest = {key: value for key, value in section.items() if key in shared}
    return engine, OcrConfig(**{**rest, "denoise": DenoiseConfig(**section.get("denoise", {}))})
