"""Run folders that no training made: what `fit` leaves, with noise in place of what it learns."""

import json
from argparse import Namespace

import torch
from PIL import Image

from kd_rag import config as configuration
from kd_rag.commands._models import build_model
from kd_rag.commands._prediction import Predictor
from kd_rag.commands._source import open_source
from kd_rag.models._lora import trainable_state
from kd_rag.training.checkpoints import FolderCheckpoints, link


def settings(path, *overrides):
    return configuration.load(
        [], [f"model.path={path}", "model.max_pixels=9408", "trainer.accelerator=cpu", *overrides]
    )


def make_run(folder, path, *overrides, seed=0):
    """Write a run on the model `path` whose trained weights are noise; return its folder as a path names it."""
    config = settings(path, *overrides)
    (folder / "checkpoints").mkdir(parents=True)
    configuration.save(config, folder / "config.yaml")
    torch.manual_seed(seed)
    model = build_model(config)
    state = {name: t + 0.05 * torch.randn_like(t) for name, t in trainable_state(model).items()}
    FolderCheckpoints().save_checkpoint({"state_dict": state}, folder / "checkpoints" / "step-00000001")
    link(folder / "checkpoints" / "step-00000001", "best")
    return str(folder)


def make_shop(folder, path, *overrides):
    """Write `records.jsonl` of two tasks, half of them with a picture, and a run that knows both; return the run."""
    folder.mkdir(exist_ok=True)
    tasks = ("intent", "image_scene")
    rows = []
    for i in range(24):
        Image.linear_gradient("L").resize((40 + 10 * i, 120)).save(folder / f"{i}.png")
        turns = [{"role": "user", "text": f"Where is {'it ' * (i * 5 % 24)}?"}]
        rows.append(
            {"id": f"r{i}", "task": tasks[i % 2], "turns": turns, "label": ("order_page", "refund")[i // 2 % 2]}
        )
        rows[-1] |= {"images": [f"{i}.png"] if i % 2 else []}
    (folder / "records.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    labels = [f"tasks.{task}.labels=[order_page, refund]" for task in tasks]
    small = ("lora.r=4", "ocr.name=none", "evaluation.batch_size=1", f"cache_dir={folder / 'cache'}")
    run = make_run(folder / "run", path, *labels, *small, *overrides)
    facts = {"command": "fit", "train_label_counts": {task: {"order_page": 6, "refund": 6} for task in tasks}}
    (folder / "run" / "run.json").write_text(json.dumps(facts))
    return run


def predictor(run=None, model=None):
    """Open a run or an exported folder as `predict` does."""
    return Predictor.of(
        open_source(Namespace(run=run and str(run), model=model and str(model), config=[], overrides=[]))
    )
