"""The `ablation` section, which only `ablate` reads: which variants of one configuration to train, and how often."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kd_rag._config_search import SearchConfig


@dataclass
class VariantConfig:
    """What one variant changes."""

    command: str | None = None
    """`fit` or `distill`; null takes `distill` where `teacher` is set and `fit` where it is not."""
    teacher: str | None = None
    """The variant whose run of the same seed is this one's teacher."""
    configs: list[str] = field(default_factory=list)
    """YAML files of this variant alone; the command line's overrides win over them, and `set` wins over both."""
    set: dict[str, Any] = field(default_factory=dict)
    """Values by dotted key: `{trainer.epochs: 7}`."""
    grid: dict[str, list[Any]] = field(default_factory=dict)
    """Lists of values by dotted key; each combination is a variant of its own."""
    published: dict[str, float] = field(default_factory=dict)
    """Figures of others to stand beside this variant's, by task or `average`: `{average: 81.19}`."""
    published_by_epoch: dict[float, dict[str, float]] = field(default_factory=dict)
    """The same while others trained, by epoch: `{5.0: {intent: 88.28}}`; a row of its own in the tables by epoch."""


@dataclass
class PartConfig:
    """What turns one part of the system on, and what turns it off."""

    present: VariantConfig = field(default_factory=VariantConfig)
    absent: VariantConfig = field(default_factory=VariantConfig)


@dataclass
class AblationConfig:
    """The variants, each trained with every seed; the first is the one that the others are compared with."""

    configs: list[str] = field(default_factory=list)
    """YAML files that all variants share, read before those of the command line."""
    seeds: list[int] = field(default_factory=lambda: [0])
    split: str = "test"
    """The split that finished runs are scored on."""
    epochs: list[float] = field(default_factory=list)
    """Columns of the tables by epoch; empty takes every evaluation on valid."""
    variants: dict[str, VariantConfig] = field(default_factory=dict)
    base: str | None = None
    """The variant that the others are compared with; null takes the first."""
    parts: dict[str, PartConfig] = field(default_factory=dict)
    """Named parts for the two switches below."""
    leave_one_out: bool = False
    """Add a variant with all parts, and one without each."""
    add_one: bool = False
    """Add a variant with no part, and one with each alone."""
    search: SearchConfig = field(default_factory=SearchConfig)
    """Trials of the base variant with values that a sampler draws, beside the variants."""
