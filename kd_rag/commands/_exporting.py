"""From a run folder to a plain Hugging Face folder, checked against the run before it gets its name.

In: a run folder. Out: the folder with weights, tokenizer, template, picture preprocessor, recipe, facts and model card.
"""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from kd_rag import config as configuration
from kd_rag.commands._card import model_card
from kd_rag.commands._models import open_model
from kd_rag.commands._run_folder import write_json
from kd_rag.commands._source import FACTS, RECIPE
from kd_rag.config import Config
from kd_rag.data.collator import Collator
from kd_rag.data.tasks import resolve_tasks
from kd_rag.evaluation.runs import read_run
from kd_rag.models import VisionLanguageModel
from kd_rag.models._lora import merge
from kd_rag.types import Dialogue, Example, Record, Turn

TOLERANCE = 1e-3
"""Largest difference of a logit, in float32, between the run and its merged weights."""


def export(folder: Path, out: Path) -> float:
    """Write the run `folder` as `out` and return the largest difference between their logits in float32.

    Adapters are merged in float32 into unquantised weights, which are then kept in the run's own dtype.
    """
    run = read_run(folder)
    dtype = run.config.model["dtype"]
    model = open_model(str(folder), run.config, dtype="float32", quantised="no").eval()
    before = _logits(model, run.config)
    merge(model)
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    difference = float((_logits(model, run.config) - before).abs().max())
    model.save(partial, dtype)
    if dtype == "float32":  # any other dtype rounds the weights that are written
        difference = max(difference, _difference(partial, run.config, before))
    assert difference <= TOLERANCE, f"merged logits differ from the run's by {difference}"
    recipe = dataclasses.replace(run.config, lora=None, model={**run.config.model, "path": str(out), "quantised": "no"})
    configuration.save(recipe, partial / RECIPE)
    write_json(partial / FACTS, {**run.facts, "metrics": run.metrics})
    (partial / "README.md").write_text(model_card(run, out.name, difference), encoding="utf-8")
    partial.replace(out)
    return difference


def _difference(folder: Path, config: Config, expected: Tensor) -> float:
    """Return how far the logits of what was written are from those of the run."""
    written = open_model(str(folder), config).eval()
    return float((_logits(written, config) - expected).abs().max())


@torch.no_grad()
def _logits(model: VisionLanguageModel, config: Config) -> Tensor:
    """Return the logits `[tokens, head rows]` at every token of a prompt of each task, with a picture in it."""
    picture = Image.linear_gradient("L").convert("RGB")
    examples = []
    for task in resolve_tasks(config.tasks, [], {}).values():
        turns = (Turn("user", f"<image> {task.instruction}"),)
        record = Record("probe", task.name, turns, (Path("probe.png"),), None)
        examples.append(Example(record, task, Dialogue(turns, (picture,)), (), ()))
    collator = Collator(model.processor, config.prompt, config.student.prompt)
    rows = [model.logits(model(collator.prompts([example]).inputs).flatten(0, 1)) for example in examples]
    return torch.cat(rows)
