"""What is asked of the records: configuration and records -> the tasks with their closed label sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from kd_rag.config import TaskConfig
from kd_rag.data._formats_fields import closest
from kd_rag.types import InputError, Record, Task


def resolve_tasks(
    configured: Mapping[str, TaskConfig], train: Sequence[Record], others: Mapping[str, Sequence[Record]]
) -> dict[str, Task]:
    """Return the tasks by name: the configured ones, or, where none is, every task that a record has.

    A task's labels are the configured ones, else the list in its records' `metadata["labels"]`, else the sorted labels
    of `train`. `others` maps the names of further splits to their records.

    Raises InputError naming the record whose task or label is not among them, or the task that has no labels.
    """
    records = [*train, *chain.from_iterable(others.values())]
    chosen = configured or {name: TaskConfig() for name in sorted({record.task for record in records})}
    for record in records:
        if record.task not in chosen:
            raise InputError(
                f"record {record.id!r}: task {record.task!r} is not configured; the nearest that is, is "
                f"{closest(record.task, chosen)!r}"
            )
    tasks = {}
    for name, config in chosen.items():
        own = [record for record in records if record.task == name]
        labels = _labels(name, config, own, [record for record in train if record.task == name])
        _check_labels(own, labels)
        tasks[name] = Task(name, labels, config.instruction, _descriptions(name, config, labels))
    return tasks


def _labels(name: str, config: TaskConfig, own: list[Record], train: list[Record]) -> tuple[str, ...]:
    """Return the label set of a task, from the first source that has one."""
    key = f"tasks.{name}.labels"
    if config.labels is not None:
        labels = tuple(config.labels)
        if not labels or len(set(labels)) < len(labels):
            raise InputError(f"{key}: expected different labels and at least one, found {config.labels}")
        return labels
    labels = _listed_labels(own, key) or tuple(sorted({r.label for r in train if r.label is not None}))
    if not labels:
        raise InputError(f"{key}: is needed, since no record of this task lists labels and none of train has one")
    return labels


def _descriptions(name: str, config: TaskConfig, labels: tuple[str, ...]) -> dict[str, str]:
    for label in config.descriptions:
        if label not in labels:
            raise InputError(
                f"tasks.{name}.descriptions: {label!r} is not one of the {len(labels)} labels; the nearest is "
                f"{closest(label, labels)!r}"
            )
    return dict(config.descriptions)


def _listed_labels(records: Iterable[Record], key: str) -> tuple[str, ...] | None:
    """Return the label list that records bring along, or None where none does."""
    listing = [record for record in records if "labels" in record.metadata]
    for record in listing:
        if record.metadata["labels"] != listing[0].metadata["labels"]:
            raise InputError(
                f"records {listing[0].id!r} and {record.id!r} list different labels in metadata.labels; "
                f"set {key} to the ones that hold"
            )
    return tuple(listing[0].metadata["labels"]) if listing else None


def _check_labels(records: Iterable[Record], labels: tuple[str, ...]) -> None:
    for record in records:
        if record.label is not None and record.label not in labels:
            raise InputError(
                f"record {record.id!r}: label {record.label!r} is not one of the {len(labels)} labels of task "
                f"{record.task!r}; the nearest is {closest(record.label, labels)!r}"
            )
