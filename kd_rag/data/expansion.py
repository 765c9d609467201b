"""More views of the training records than one: records and numbers -> a manifest of (record index, view).

No file is copied: a view is made again from (seed, record id, view) whenever it is met.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from kd_rag.config import AugmentConfig
from kd_rag.durable import write_whole
from kd_rag.types import InputError, Record

Manifest = list[tuple[int, int]]


def expands(config: AugmentConfig) -> bool:
    """Return whether `augment` asks for a manifest; raise InputError where its keys do not fit together."""
    if config.expand == 1 and not config.expand_labels and config.focus_on is None:
        return False
    for key, number in {"expand": config.expand, **config.expand_labels}.items():
        if number < 1:
            raise InputError(f"augment: expected a number of views of at least 1 for {key!r}, found {number}")
    if config.focus_strength < 0:
        raise InputError(f"augment.focus_strength: expected a number of at least 0, found {config.focus_strength}")
    if not config.steps:
        raise InputError("augment.steps: is empty, so all views of a record would be alike; name at least one step")
    if config.views is not None:
        raise InputError("augment.views: goes with no expansion, which numbers the views itself; leave it at null")
    return True


def make_manifest(
    records: Sequence[Record],
    config: AugmentConfig,
    metrics: Mapping[str, Any] | None = None,
    unchanged: Collection[str] = (),
) -> Manifest:
    """Return the views of each record; `metrics` are the scores that `augment.focus_on` names.

    Records of the tasks `unchanged`, which no step changes, have one view.

    A label that those scores met in no record is not known to be weak and has `augment.expand` views, as has every
    label without `metrics`. Raises InputError naming a label of `expand_labels` that no record has.
    """
    unknown = config.expand_labels.keys() - {record.label for record in records}
    if unknown:
        raise InputError(f"augment.expand_labels: no training record has the label {min(unknown)!r}")
    views = [1 if record.task in unchanged else _views(record, config, metrics) for record in records]
    return [(index, view) for index, number in enumerate(views) for view in range(number)]


def _views(record: Record, config: AugmentConfig, metrics: Mapping[str, Any] | None) -> int:
    assert record.label is not None
    if record.label in config.expand_labels:
        return config.expand_labels[record.label]
    if metrics is None:
        return config.expand
    if record.task not in metrics["tasks"]:
        raise InputError(f"augment.focus_on: {config.focus_on} has no scores of task {record.task!r}")
    scores = metrics["tasks"][record.task]["per_label"].get(record.label)
    if scores is None or scores["support"] == 0:
        return config.expand
    weakness: float = 1 - scores["f1"]
    return math.floor(config.expand * (1 + config.focus_strength * weakness) + 0.5)


def met_records(records: Sequence[Record], manifest: Manifest | None) -> Sequence[Record]:
    """Return the record of each view that an epoch meets: what labels are counted in, for weights and priors."""
    return records if manifest is None else [records[index] for index, _ in manifest]


def write_manifest(path: Path, manifest: Manifest, records: Sequence[Record]) -> None:
    """Write a line `{"id", "view"}` for each entry."""
    lines = (json.dumps({"id": records[i].id, "view": view}, ensure_ascii=False) + "\n" for i, view in manifest)
    write_whole(path, (line.encode() for line in lines))


def read_manifest(path: Path, records: Sequence[Record]) -> Manifest:
    """Return what `write_manifest` wrote for the same records."""
    places = {record.id: index for index, record in enumerate(records)}
    entries = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [(places[entry["id"]], entry["view"]) for entry in entries]
