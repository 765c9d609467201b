"""From a configuration to the objects that a command works with: the only place that knows every room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kd_rag import config as configuration
from kd_rag import ocr, registry
from kd_rag.augmentations import augment
from kd_rag.config import Config, TaskConfig
from kd_rag.data import sample
from kd_rag.data.collator import Collator
from kd_rag.data.prepare import Preparation
from kd_rag.data.records import read_records
from kd_rag.data.tasks import resolve_tasks
from kd_rag.knowledge.embedder import load_embedder
from kd_rag.knowledge.store import KnowledgeBase
from kd_rag.models import VisionLanguageModel
from kd_rag.models._embedded import materialise
from kd_rag.models._lora import adapt, load_trainable
from kd_rag.scoring.label_tree import LabelTree
from kd_rag.training.checkpoints import load_weights, verified
from kd_rag.types import InputError, Record, Task

SAMPLE_SEED = 0
"""The embedded tokenizer is trained on the bundled sample of this seed, whatever seed a run has."""


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
    cache = Path(config.cache_dir).expanduser() / "ocr"
    steps = [registry.build("augmentations", step) for step in config.augmentations]
    return Preparation(
        tasks=tasks,
        switches=config.tasks,
        read_pictures=partial(ocr.read_pictures, component=config.ocr, cache_dir=cache),
        retriever=registry.build("retrievers", config.retriever, partial(open_knowledge, config)),
        augment=partial(augment, steps=steps, seed=config.run.seed),
    )


def open_knowledge(config: Config) -> KnowledgeBase:
    """Open the knowledge base that `knowledge.path` names."""
    if config.knowledge.path is None:
        raise InputError(
            "knowledge.path: is not set; name the folder of the knowledge base, or set retriever.name=none"
        )
    return KnowledgeBase.open(Path(config.knowledge.path), load_embedder(config.knowledge.embedder))


def build_model(config: Config) -> VisionLanguageModel:
    """Load `model.path` and make it trainable as `lora` says."""
    component = {**config.model, "path": _model_folder(config.model["path"], config)}
    model: VisionLanguageModel = registry.build("models", component)
    if config.lora is not None:
        adapt(model, **vars(config.lora))
    return model


def open_model(path: str, config: Config) -> VisionLanguageModel:
    """Open a trained run (its best checkpoint), a model folder, `embedded:NAME`, or a hub id.

    A run brings its own model settings; anything else is loaded with those of `config`.
    """
    folder = Path(path)
    if (folder / "config.yaml").is_file() and (folder / "checkpoints").is_dir():
        trained = build_model(configuration.load([folder / "config.yaml"]))
        load_trainable(trained, load_weights(verified(folder / "checkpoints" / "best")))
        return trained
    model: VisionLanguageModel = registry.build("models", {**config.model, "path": _model_folder(path, config)})
    return model


def _model_folder(path: str, config: Config) -> str:
    """Return the folder of `embedded:NAME`, writing it if it is not there yet; any other path as it is."""
    kind, _, name = path.partition(":")
    if kind != "embedded":
        return path
    cache = Path(config.cache_dir).expanduser() / "embedded"
    return str(materialise(name, cache, texts=partial(sample.texts, SAMPLE_SEED)))


def label_trees(collator: Collator, tasks: Mapping[str, Task]) -> dict[str, LabelTree]:
    """Return the label tree of each task."""
    return {
        name: LabelTree.build({label: collator.answer_ids(label) for label in task.labels})
        for name, task in tasks.items()
    }
