"""The `augment` section of the configuration: other views of the training records, and how many."""

from __future__ import annotations

from dataclasses import dataclass, field

from kd_rag._config_distill import Component


@dataclass
class AugmentConfig:
    """Other views of the training records."""

    steps: list[Component] = field(default_factory=list, metadata={"family": "augmentations"})
    """Applied in this order, drawn from (seed, record id, view). Text read from the pictures and passages are those of
    the original record: a crop or a patch hides words from the model's eye, not from its prompt, unless
    `ocr.of_augmented` says so."""
    views: int | None = None
    """Views of a record, which the epochs cycle through; null draws a new one in every epoch. A cached teacher is asked
    once for each."""
    expand: int = 1
    """Make a data set of so many views of each record: an epoch sees each once, every epoch the same ones. 1 leaves
    an epoch as long as the records are many. The views stand in the run folder's `manifest.jsonl`."""
    expand_labels: dict[str, int] = field(default_factory=dict)
    """Another number for the records of some labels: `{refund: 8}`."""
    focus_on: str | None = None
    """Run folder whose scores say which labels need more: a label's `expand` is multiplied by
    1 + `focus_strength` * (1 - F1), unless `expand_labels` names it."""
    focus_strength: float = 1.0
