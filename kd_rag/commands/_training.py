"""What `fit` and `distill` share: everything but the objective."""

from __future__ import annotations

from collections.abc import Callable

import torch

from kd_rag.commands._evaluation import write_scores
from kd_rag.commands._parts import build_model, build_preparation, label_trees, read_data
from kd_rag.commands._run_folder import RunFolder, check_name, data_facts
from kd_rag.config import Config
from kd_rag.data.collator import Collator
from kd_rag.data.datamodule import Loaders
from kd_rag.data.sampling import StepSampler
from kd_rag.losses.objective import Objective
from kd_rag.models import VisionLanguageModel
from kd_rag.models._lora import load_trainable
from kd_rag.training.checkpoints import load_weights, verified
from kd_rag.training.module import Distiller
from kd_rag.training.trainer import descend, evaluating, training

MakeObjective = Callable[[VisionLanguageModel], Objective]


def train(config: Config, command: str, make_objective: MakeObjective) -> None:
    """Train as the configuration says, keep the best checkpoint, and score it on valid.

    All input is read and checked before the run folder is made.
    """
    check_name(config)
    data = read_data(config, ["train", "valid"])
    torch.manual_seed(config.run.seed)  # the adapters' initial weights
    model = build_model(config).train()  # a loaded network is in evaluation mode, in which dropout sleeps
    objective = make_objective(model)
    preparation = build_preparation(config, data.tasks)
    collator = Collator(model.processor, config.prompt)
    trainer_config = config.trainer
    sampler = StepSampler(
        records=len(data.records["train"]),
        batch_size=trainer_config.batch_size,
        epochs=trainer_config.epochs,
        seed=config.run.seed,
        max_steps=trainer_config.max_steps,
    )
    loaders = Loaders(
        collator,
        evaluation=preparation.examples(data.records["valid"], "eval"),
        evaluation_batch_size=config.evaluation.batch_size,
        training=preparation.examples(data.records["train"], "train"),
        sampler=sampler,
        micro_batch_size=trainer_config.micro_batch_size,
        num_workers=trainer_config.num_workers,
    )
    module = Distiller(model, label_trees(collator, data.tasks), config, objective, sampler.total_steps)
    folder = RunFolder.make(config, command)
    folder.note(
        **data_facts(data.files, data.records["train"]),
        knowledge_snapshot=preparation.retriever.snapshot,
        model=model.identity(),
        trainable_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
    )
    print(f"{command}: {sampler.total_steps} steps over {sampler.records} records -> {folder.path}")
    trainer = training(trainer_config, folder.path, sampler)
    torch.manual_seed(config.run.seed)
    descend(trainer, module, loaders, str(folder.path / "checkpoints" / "last") if config.run.resume else None)
    best = verified(folder.path / "checkpoints" / "best")
    load_trainable(model, load_weights(best))
    evaluating(trainer_config).validate(module, loaders.val_dataloader(), verbose=False)
    write_scores(folder.path, "valid", module)
    folder.note(steps=trainer.global_step, best_checkpoint=best.resolve().name)
