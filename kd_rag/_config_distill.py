"""The `distill` section of the configuration, and how a field declares that it holds a component of a family."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Component = dict[str, Any]


def component(family: str, shared: type | None = None, **chosen: Any) -> Any:
    """Declare a field that holds one component of `family`.

    `shared` is a dataclass whose fields stand beside the options of every member.
    """
    return field(default_factory=lambda: dict(chosen), metadata={"family": family, "shared": shared})


@dataclass
class WeightsConfig:
    """Weight of each term of the student's loss: a number, or `[first, last]`, between which it moves linearly."""

    ce: Any = 0.5
    """Cross-entropy on the gold answer."""
    token_kd: Any = 0.5
    """Divergence from the teacher at each answer token."""
    label_kd: Any = 0.0
    """Divergence from the teacher's posterior over the task's labels."""
    hidden_states: Any = 0.0
    """Distance of decoder layers at the answer rows."""
    visual_tokens: Any = 0.0
    """Distance of the merged picture tokens."""


@dataclass
class HiddenConfig:
    """Which layers follow which, for `weights.hidden_states`, and how distance is measured."""

    layers: list[list[int]] = field(default_factory=list)
    """Pairs of a student's layer and the teacher's that it follows, both numbered from 0: `[[0, 1], [1, 2]]`."""
    distance: str = "cosine"
    """`cosine` or `mse`, for hidden states and picture tokens."""


@dataclass
class OnPolicyConfig:
    """Answers drawn from the student, on which only the teacher is followed (GKD, Agarwal et al. 2024)."""

    share: float = 0.0
    """Share of the micro-batches whose answers the student draws; needs a teacher that runs beside it."""
    temperature: float = 1.0
    max_tokens: int = 16


@dataclass
class DistillConfig:
    """What `distill` minimises."""

    weights: WeightsConfig = field(default_factory=WeightsConfig)
    divergence: Component = component("divergences", name="forward_kl")
    """For tokens and labels."""
    temperature: float = 2.0
    """Softens both sides of `token_kd`, whose loss is multiplied by its square (Hinton et al. 2015)."""
    label_temperature: float = 1.0
    """The same for `label_kd`."""
    hidden: HiddenConfig = field(default_factory=HiddenConfig)
    on_policy: OnPolicyConfig = field(default_factory=OnPolicyConfig)
