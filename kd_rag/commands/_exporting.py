"""From a run folder to a plain Hugging Face folder, checked against the run before it gets its name.

In: a run folder. Out: the folder with weights, tokenizer, template, picture preprocessor, recipe, facts and model card.
"""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Moved:
    """By how much a logit moved at most, from those of the run in float32: when adapters were merged, and as written.

    What was written is loaded and run in its own `dtype`; any but float32 rounds weights and logits.
    """

    merged: float
    written: float
    dtype: str

    def __str__(self) -> str:
        return f"by at most {self.merged:.1e} when merged in float32, and {self.written:.1e} as written in {self.dtype}"


def export(folder: Path, out: Path) -> Moved:
    """Write the run `folder` as `out` and return how far the logits moved.

    Adapters are merged in float32 into unquantised weights, which are then kept in the run's own dtype.
    """
    run = read_run(folder)
    dtype = run.config.model["dtype"]
    model = open_model(str(folder), run.config, dtype="float32", quantised="none").eval()
    before = _logits(model, run.config)
    merge(model)
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    merged = float((_logits(model, run.config) - before).abs().max())
    model.save(partial, dtype)
    del model  # two of them may be more than there is memory for
    written = open_model(str(partial), run.config, quantised="none").eval()
    moved = Moved(merged, float((_logits(written, run.config) - before).abs().max()), dtype)
    exact = max(moved.merged, moved.written) if dtype == "float32" else moved.merged
    assert exact <= TOLERANCE, f"logits moved {moved}"
    recipe_model = {**run.config.model, "path": str(out), "quantised": "none"}
    recipe = dataclasses.replace(run.config, lora=None, model=recipe_model)
    configuration.save(recipe, partial / RECIPE)
    write_json(partial / FACTS, {**run.facts, "metrics": run.metrics})
    (partial / "README.md").write_text(model_card(run, out.name, str(moved)), encoding="utf-8")
    partial.replace(out)
    return moved


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
