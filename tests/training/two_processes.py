"""Train two steps in as many processes as asked and save the weights; run by `test_processes.py`."""

import sys
from pathlib import Path

import torch

from kd_rag.config import Config, EvaluationConfig, PromptConfig, PromptParts, TrainerConfig
from kd_rag.data.collator import Collator
from kd_rag.data.datamodule import Loaders
from kd_rag.data.sampling import StepSampler
from kd_rag.losses.cross_entropy import CrossEntropy
from kd_rag.losses.divergences import forward_kl
from kd_rag.losses.objective import Objective
from kd_rag.losses.terms import LabelKD, TokenKD
from kd_rag.models.qwen2_vl import Qwen2VL
from kd_rag.scoring.readout import read
from kd_rag.training.module import Distiller
from kd_rag.training.trainer import training
from tests.training.conftest import EXAMPLES, ExampleList, trees_of


class Teacher:
    """The embedded teacher, as `online` would run it."""

    def __init__(self, folder, trees):
        self.model = Qwen2VL(path=folder, min_pixels=3136, max_pixels=28 * 28 * 12).eval().requires_grad_(False)
        self.trees = trees

    @torch.no_grad()
    def __call__(self, batch, needs):
        return read(self.model, batch, needs, self.trees)[0]

    def to(self, device):
        pass


def main(teacher, student, processes, micro_batch_size, out):
    options = {"epochs": 0.4, "batch_size": 5, "micro_batch_size": micro_batch_size, "learning_rate": 1e-3}
    config = Config(
        trainer=TrainerConfig(accelerator="cpu", devices=processes, **options), evaluation=EvaluationConfig(4, 20)
    )
    model = Qwen2VL(path=student, min_pixels=3136, max_pixels=28 * 28 * 12).train()
    collator = Collator(model.processor, PromptConfig(), PromptParts())
    sampler = StepSampler(len(EXAMPLES), options["batch_size"], options["epochs"], seed=0, max_steps=2)
    loaders = Loaders(
        collator,
        evaluation=ExampleList(EXAMPLES[:2]),
        evaluation_batch_size=2,
        training=ExampleList(EXAMPLES),
        sampler=sampler,
        micro_batch_size=micro_batch_size,
    )
    trees, vocabulary = trees_of(model.processor), model.processor.vocabulary
    objective = Objective(
        {"ce": CrossEntropy(vocabulary), "token_kd": TokenKD(forward_kl, 2.0, vocabulary)},
        {"label_kd": LabelKD(forward_kl, 1.0)},
        dict.fromkeys(("ce", "token_kd", "label_kd"), (0.5, 0.5)),
        vocabulary,
        Teacher(teacher, trees),
    )
    module = Distiller(model, trees, config, objective, sampler.total_steps)
    trainer = training(config.trainer, Path(out).with_suffix(""), sampler)
    trainer.fit(module, loaders)
    if trainer.is_global_zero:
        losses = {name: value.item() for name, value in trainer.callback_metrics.items() if name.startswith("train/")}
        torch.save({"weights": {n: p.detach().clone() for n, p in model.named_parameters()}, "losses": losses}, out)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
