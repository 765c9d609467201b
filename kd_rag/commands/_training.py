"""What `fit` and `distill` share: everything but the objective."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from kd_rag.commands._balance import sampling_weights
from kd_rag.commands._evaluation import write_scores
from kd_rag.commands._expansion import MANIFEST, build_manifest
from kd_rag.commands._models import build_model, model_identity, picture_store
from kd_rag.commands._parts import Data, adjustment, build_preparation, label_trees, read_data
from kd_rag.commands._run_folder import (
    RunFolder,
    check_name,
    check_unchanged,
    data_facts,
    is_first_process,
    label_counts,
)
from kd_rag.config import Config
from kd_rag.data.collator import Collator
from kd_rag.data.datamodule import Loaders
from kd_rag.data.expansion import Manifest, met_records, write_manifest
from kd_rag.data.prepare import Preparation
from kd_rag.data.prompts import either
from kd_rag.data.reasoning import reasoned_tasks, with_reasons
from kd_rag.data.sampling import StepSampler
from kd_rag.losses.objective import Objective
from kd_rag.losses.sides import Needs
from kd_rag.models import VisionLanguageModel
from kd_rag.scoring.label_tree import LabelTree
from kd_rag.teachers import Teacher
from kd_rag.tensor_store import TensorStore
from kd_rag.training import guards
from kd_rag.training.module import Distiller
from kd_rag.training.trainer import descend, score_best, training
from kd_rag.types import Batch, Record

MakeObjective = Callable[
    [Config, VisionLanguageModel, Mapping[str, LabelTree], Sequence[Record]], tuple[Objective, Teacher | None]
]


def train(config: Config, command: str, make_objective: MakeObjective) -> None:
    """Train as the configuration says, keep the best checkpoint, and score it on valid.

    All input is read and checked before the run folder is made.
    """
    path = check_name(config)
    data = read_data(config, ["train", "valid"])
    reasoned = any(stages.train for stages in reasoned_tasks(config).values())
    if reasoned:
        data = _reasoned(config, data)
    if config.run.resume:
        check_unchanged(config, path, data.files)
    manifest = build_manifest(config, data.records["train"], path if config.run.resume else None)
    met = met_records(data.records["train"], manifest)
    torch.manual_seed(config.run.seed)  # the initial weights of adapters and projections
    model = build_model(config).train()  # a loaded network is in evaluation mode, in which dropout sleeps
    if config.trainer.keep_pictures:
        model.keep_pictures(picture_store(config))
    trees = label_trees(model.processor, data.tasks)
    objective, teacher = make_objective(config, model, trees, met)
    preparation = build_preparation(config, data.tasks)
    loaders = _loaders(config, data, model, teacher, preparation, manifest, met)
    assert loaders.sampler is not None
    facts = data_facts(data.files, data.records["train"]) | {"met_label_counts": label_counts(met)}
    if reasoned:
        facts["records_with_reasons"] = sum(record.reasons is not None for record in data.records["train"])
    adjust = adjustment(config, facts["met_label_counts"])
    module = Distiller(model, trees, config, objective, loaders.sampler.total_steps, adjust)
    trainer = training(config.trainer, path, loaders.sampler)
    guarded = loaders.first_with_pictures().to(trainer.strategy.root_device)
    measured = {} if teacher is None else _prepared(teacher, objective.teacher_needs, loaders, guarded.as_teacher())
    measured = _guarded(config, model, guarded) | measured
    shown = (f"{name} {value if isinstance(value, str) else f'{value:.3g}'}" for name, value in measured.items())
    print(f"guards: {', '.join(shown)}")
    folder = RunFolder.make(config, command)
    if manifest is not None:
        write_manifest(folder.path / MANIFEST, manifest, data.records["train"])
    folder.note(
        **facts,
        knowledge_snapshot=preparation.retriever.snapshot,
        model=model_identity(config.model["path"], config),
        trainable_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        guards=measured,
    )
    print(f"{command}: {loaders.sampler.total_steps} steps over {loaders.sampler.records} records -> {folder.path}")
    torch.manual_seed(config.run.seed)
    descend(trainer, module, loaders, str(folder.path / "checkpoints" / "last") if config.run.resume else None)
    if not is_first_process():
        return
    best = score_best(trainer, module, loaders, folder.path / "checkpoints")
    write_scores(folder.path, "valid", module, loaders.evaluation.leaks)
    folder.note(steps=trainer.global_step, best_checkpoint=best.name)


def _reasoned(config: Config, data: Data) -> Data:
    """Return the data with the reasons that training records have, and print how many have some."""
    file = config.reasoning.file
    train = with_reasons(data.records["train"], file)
    known = sum(record.reasons is not None for record in train)
    others = "" if known == len(train) else "; the others are trained on their label alone"
    print(f"reasoning: {known} of {len(train)} training records have reasons{others}")
    files = data.files if file is None else {**data.files, "reasons": Path(file)}
    return dataclasses.replace(data, files=files, records={**data.records, "train": train})


def _prepared(teacher: Teacher, needs: Needs, loaders: Loaders, batch: Batch) -> guards.Measured:
    """Let the teacher do what it does before training; return what its guards measured on `batch`, as it reads it.

    Its network is checked as soon as it is loaded, not after the hours in which its rows are computed.
    """
    measured: guards.Measured = {}
    device, vocabulary = batch.answers.device, teacher.processor.vocabulary

    def inspect(network: VisionLanguageModel) -> None:
        measured.update(guards.check_teacher(network.to(device), batch))

    teacher.prepare(loaders.every_training_batch, needs, inspect)
    teacher.to(device)
    return measured | guards.check_knowledge(teacher(batch, Needs()), batch, vocabulary)


def _guarded(config: Config, model: VisionLanguageModel, batch: Batch) -> guards.Measured:
    """Return what the student's guards measure; the pictures that they make up are kept nowhere."""
    with TemporaryDirectory() as folder:
        if config.trainer.keep_pictures:
            model.keep_pictures(TensorStore.open(Path(folder), {}))
        measured = guards.check_student(model.to(batch.answers.device), batch)
    if config.trainer.keep_pictures:
        model.keep_pictures(picture_store(config))
    return measured


def _loaders(
    config: Config,
    data: Data,
    model: VisionLanguageModel,
    teacher: Teacher | None,
    preparation: Preparation,
    manifest: Manifest | None,
    met: Sequence[Record],
) -> Loaders:
    """Return the loaders, whose training examples hold what the student's or the teacher's prompts show."""
    own = config.student.prompt
    shown = own if teacher is None else either(own, teacher.prompt)
    sampler = StepSampler(
        records=len(met),
        batch_size=config.trainer.batch_size,
        epochs=config.trainer.epochs,
        seed=config.run.seed,
        max_steps=config.trainer.max_steps,
        views=config.augment.views,
        weights=sampling_weights(config, met),
        manifest=manifest,
    )
    return Loaders(
        Collator(model.processor, config.prompt, own, _teacher_collator(config, model, teacher)),
        evaluation=preparation.examples(data.records["valid"], "eval", own),
        evaluation_batch_size=config.evaluation.batch_size,
        training=preparation.examples(data.records["train"], "train", shown),
        sampler=sampler,
        micro_batch_size=config.trainer.micro_batch_size,
        num_workers=config.trainer.num_workers,
    )


def _teacher_collator(config: Config, model: VisionLanguageModel, teacher: Teacher | None) -> Collator | None:
    """Return what makes the teacher's prompts, None where they are the student's own."""
    if teacher is None:
        return None
    own, told = ((p.pixel_limits(), p.picture_digest()) for p in (model.processor, teacher.processor))
    if own == told and teacher.prompt == config.student.prompt:
        return None
    return Collator(teacher.processor, config.prompt, teacher.prompt)
