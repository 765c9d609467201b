"""The `reasoning` section of the configuration: reasons before the label, where `prompt.reasoning` is on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass
class ReasoningConfig:
    """Chain of thought as a target (Wei et al. 2022; distilling step by step, Hsieh et al. 2023, arXiv 2305.02301).

    A training record without reasons is trained on its label alone.
    """

    file: str | None = None
    """JSON Lines of `{id, reasons}`, as `kd_rag reason` writes it; they take the place of those that records bring."""
    share: float = 1.0
    """Share of the prompts of training that ask for reasons, drawn from (seed, record id, view); the others ask for the
    label alone, so that a model learns to answer both ways."""
    eval: Literal["direct", "generated"] = "generated"
    """Score the labels right behind a prompt that asks for the label alone, or behind the reasons that the model gives
    to one that asks for both."""
    max_tokens: int = 128
    """Reasons and label that a model says may take so many tokens."""
    reason_weight: float = 1.0
    """Weight of the reasons' tokens in cross-entropy and token KD, which stay means over all tokens of the answers."""
    label_weight: float = 1.0
    """The same for the label's tokens, the end of the turn among them."""
