"""The `raft` section of the configuration: what training prompts show of the passages that were retrieved."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class RaftConfig:
    """RAFT (Zhang et al. 2024, arXiv 2403.10131) and retrieval dropout: how a model learns to doubt its passages.

    Drawn from (seed, record id, view), in training only. A prompt for which nothing was retrieved stays as it is.
    """

    dropout: float = 0.0
    """Share of prompts without passages."""
    distractors: int = 0
    """So many passages, drawn at random from those of the kinds that are retrieved, stand among the retrieved ones."""
    oracle_share: float = 1.0
    """Share of the other prompts that keep what was retrieved; the rest have distractors alone."""
    shuffle: bool = False
    """Show the passages in random order instead of best first."""
