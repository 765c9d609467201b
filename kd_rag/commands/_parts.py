"""From a configuration to the objects that a command works with: the only place that knows every room."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kd_rag import ocr, registry
from kd_rag.augmentations import augment
from kd_rag.config import Config, TaskConfig, split_ocr
from kd_rag.data.collator import Processor, answer_ids
from kd_rag.data.prepare import Preparation
from kd_rag.data.reasoning import Asking, reasoned_tasks
from kd_rag.data.records import read_records
from kd_rag.data.tasks import resolve_tasks
from kd_rag.knowledge.opening import open_configured
from kd_rag.knowledge.store import KnowledgeBase
from kd_rag.retrievers._cache import open_retriever
from kd_rag.retrievers._distractors import find_distractors
from kd_rag.retrievers._leak_guard import leak_report
from kd_rag.scoring.adjust import Adjustment
from kd_rag.scoring.label_tree import LabelTree
from kd_rag.types import InputError, Record, Task


@dataclass(frozen=True)
class Data:
    """The records of the splits that a command needs, their files, and what is asked of them."""

    files: Mapping[str, Path]
    records: Mapping[str, list[Record]]
    tasks: Mapping[str, Task]


def read_data(config: Config, splits: Sequence[str]) -> Data:
    """Read `splits`, settle the label sets, and write them into `config`, so that a run records them.

    Train is read as well when a task's labels are neither configured nor brought by the records.
    """
    wanted = list(splits)
    if "train" not in wanted and (not config.tasks or any(t.labels is None for t in config.tasks.values())):
        wanted.append("train")
    files = {split: _file(config, split) for split in wanted}
    records = {split: read_records(path) for split, path in files.items()}
    for split, path in files.items():
        for record in records[split]:
            if record.label is None:
                raise InputError(f"{path}: record {record.id!r} has no label; every record of {split} needs one")
    others = {split: r for split, r in records.items() if split != "train"}
    tasks = resolve_tasks(config.tasks, records.get("train", []), others)
    for name, task in tasks.items():
        config.tasks.setdefault(name, TaskConfig()).labels = list(task.labels)
    return Data(files, records, tasks)


def _file(config: Config, split: str) -> Path:
    path = getattr(config.data, split)
    if path is None:
        raise InputError(f"data.{split}: is not set; name the record file with data.{split}=FILE")
    return Path(path)


def build_preparation(config: Config, tasks: Mapping[str, Task]) -> Preparation:
    """Return what turns records into examples."""
    cache = Path(config.cache_dir).expanduser()
    steps = [registry.build("augmentations", step) for step in config.augment.steps]
    engine, reading = split_ocr(config.ocr)
    opened = functools.cache(partial(open_knowledge, config))
    return Preparation(
        tasks=tasks,
        switches=config.tasks,
        read_lines=partial(ocr.read_records, component=engine, cache_dir=cache / "ocr"),
        denoise=partial(ocr.denoise, config=reading.denoise),
        retriever=open_retriever(config.retriever, opened, cache / "retrieval"),
        query=config.query,
        find_leaks=partial(leak_report, opened),
        find_distractors=partial(find_distractors, opened),
        augment=partial(augment, steps=steps, seed=config.run.seed),
        raft=config.raft,
        seed=config.run.seed,
        read_view=ocr.ViewReader(engine, cache / "ocr") if reading.of_augmented else None,
        asked=Asking(config.reasoning, reasoned_tasks(config), config.run.seed),
    )


def open_knowledge(config: Config) -> KnowledgeBase:
    """Open the knowledge base that `knowledge.path` or `knowledge.url` names."""
    return open_configured(config.knowledge)


def label_trees(processor: Processor, tasks: Mapping[str, Task]) -> dict[str, LabelTree]:
    """Return the label tree of each task, of the ids that the collator gives the labels as answers."""
    return {
        name: LabelTree.build({label: answer_ids(processor, label) for label in task.labels})
        for name, task in tasks.items()
    }


def adjustment(config: Config, train_counts: Mapping[str, Mapping[str, int]]) -> Adjustment:
    """Return how evaluation makes predictions of log-likelihoods, as `evaluation` says."""
    return Adjustment(config.evaluation.length_normalised, config.evaluation.prior_correction, train_counts)
