"""From the `augment` section to the manifest of a run: what `fit`, `distill` and `data stats` share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kd_rag.config import Config
from kd_rag.data.expansion import Manifest, expands, make_manifest, read_manifest
from kd_rag.types import InputError, Record

MANIFEST = "manifest.jsonl"
"""Name of the manifest in a run folder."""


def build_manifest(config: Config, train: Sequence[Record], resumed: Path | None = None) -> Manifest | None:
    """Return the views that training meets, None where nothing is expanded.

    A run in the folder `resumed` keeps the manifest that it began with, whatever became of the run it focused on.
    """
    augment, unchanged = config.augment, [name for name, task in config.tasks.items() if not task.augment]
    if not expands(augment):
        return None
    if resumed is not None:
        return read_manifest(resumed / MANIFEST, train)
    if augment.focus_on is None:
        return make_manifest(train, augment, unchanged=unchanged)
    from kd_rag.evaluation.runs import read_run

    metrics = read_run(Path(augment.focus_on)).metrics
    if metrics["split"] == "test":
        raise InputError(
            f"augment.focus_on: {augment.focus_on} holds scores of the test split, which training may not look at; "
            "score valid with `evaluate --split valid`"
        )
    return make_manifest(train, augment, metrics, unchanged)
