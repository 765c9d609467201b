"""A job small enough to train, stop and resume in a test."""

from dataclasses import dataclass

import pytest
import torch

from kd_rag.config import Config, EvaluationConfig, TrainerConfig
from kd_rag.data.collator import answer_ids
from kd_rag.data.datamodule import Loaders
from kd_rag.data.sampling import StepSampler
from kd_rag.losses.cross_entropy import CrossEntropy
from kd_rag.losses.objective import Objective
from kd_rag.models._lora import adapt
from kd_rag.scoring.label_tree import LabelTree
from kd_rag.training.module import Distiller
from kd_rag.training.trainer import training
from tests.conftest import LABELS, make_example


@dataclass(frozen=True)
class ExampleList:
    items: list

    def __len__(self):
        return len(self.items)

    def __getitem__(self, key):
        return self.items[key[0]]


EXAMPLES = [
    make_example(texts=(f"turn number {i} " * (1 + i % 3),), pictures=i % 2, label=LABELS[i % 4], name=f"r{i}")
    for i in range(10)
]


@dataclass
class Job:
    """Everything a trainer needs, and the trainer."""

    module: Distiller
    loaders: Loaders
    trainer: object

    def run(self, resume=None):
        self.trainer.fit(self.module, self.loaders, ckpt_path=resume)
        return self

    def weights(self):
        return {name: p.detach().clone() for name, p in self.module.model.named_parameters() if p.requires_grad}


def trees_of(processor):
    return {"intent": LabelTree.build({label: answer_ids(processor, label) for label in LABELS})}


def supervised(model):
    vocabulary = model.processor.vocabulary
    return Objective({"ce": CrossEntropy(vocabulary)}, {}, {"ce": (1.0, 1.0)}, vocabulary)


@pytest.fixture
def make_job(load, collator, tmp_path):
    def make(folder="run", *, lora=True, dropout=0.1, objective=None, callbacks=(), **changes):
        options = {"epochs": 2, "batch_size": 4, "micro_batch_size": 2, "learning_rate": 1e-3, **changes}
        config = Config(trainer=TrainerConfig(accelerator="cpu", **options), evaluation=EvaluationConfig(4, 20))
        config.run.name = "test"
        torch.manual_seed(0)
        model = load("student")
        if lora:
            adapt(model, r=4, alpha=8, dropout=dropout, target_modules=None, vision=False)
        model.train()
        sampler = StepSampler(len(EXAMPLES), options["batch_size"], options["epochs"], seed=0)
        loaders = Loaders(
            collator,
            evaluation=ExampleList(EXAMPLES),
            evaluation_batch_size=4,
            training=ExampleList(EXAMPLES),
            sampler=sampler,
            micro_batch_size=options["micro_batch_size"],
        )
        trees = trees_of(model.processor)
        objective = objective(model, trees) if objective else supervised(model)
        module = Distiller(model, trees, config, objective, sampler.total_steps)
        trainer = training(config.trainer, tmp_path / folder, sampler)
        trainer.callbacks[:0] = callbacks
        torch.manual_seed(0)
        return Job(module, loaders, trainer)

    return make
