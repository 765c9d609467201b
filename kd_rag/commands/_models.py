"""Opening models for a command: a fresh one to train, a trained run, a folder, a hub id, an embedded one."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from kd_rag import config as configuration
from kd_rag import registry
from kd_rag.config import Config
from kd_rag.data import sample
from kd_rag.models import Processor, VisionLanguageModel
from kd_rag.models._embedded import materialise
from kd_rag.models._lora import adapt, load_trainable, merge
from kd_rag.tensor_store import TensorStore
from kd_rag.training.checkpoints import load_weights, verified
from kd_rag.types import InputError

SAMPLE_SEED = 0
"""The embedded tokenizer is trained on the bundled sample of this seed, whatever seed a run has."""


def build_model(config: Config) -> VisionLanguageModel:
    """Load `model.path` and make it trainable as `lora` says; a run's adapters are merged first.

    Raises InputError where weights in 8 or 4 bits would have to be trained or merged into.
    """
    _check_quantised(config)
    model = open_model(config.model["path"], config)
    if is_run(config.model["path"]):
        merge(model)
        model.requires_grad_(True)
    if config.lora is not None:
        adapt(model, **vars(config.lora))
    return model


def open_model(path: str, config: Config, **changes: Any) -> VisionLanguageModel:
    """Open a trained run (its best checkpoint), a model folder, `embedded:NAME`, or a hub id.

    A run brings its own model settings; anything else is loaded with those of `config`. `changes` are model options
    that hold whatever those say.
    """
    if is_run(path):
        own = _run_config(path)
        own.model.update(changes)
        trained = build_model(own)
        load_trainable(trained, load_weights(_best(path)))
        return trained
    model: VisionLanguageModel = registry.build("models", {**_component(path, config), **changes})
    return model


def open_processor(path: str, config: Config) -> Processor:
    """Return the processor of what `open_model` would open, without its network."""
    component = _base_component(path, config)
    processor: Processor = registry.find("models", component["name"]).open_processor(component)  # type: ignore[attr-defined]
    return processor


def model_identity(path: str, config: Config, **changes: Any) -> dict[str, str]:
    """Return what names the weights that `open_model` would open, without loading them."""
    component = {**_base_component(path, config), **changes}
    identity: dict[str, str] = registry.find("models", component["name"]).identify(component)  # type: ignore[attr-defined]
    trained: list[Any] = []
    base = path
    while is_run(base):
        manifest = json.loads((_best(base) / "manifest.json").read_text(encoding="utf-8"))
        own = _run_config(base)
        trained.append([manifest["weights.safetensors"], own.lora and vars(own.lora)])
        base = own.model["path"]
    if trained:
        digest = hashlib.sha256(json.dumps(trained, sort_keys=True).encode()).hexdigest()
        identity = {**identity, "path": path, "trained": digest}
    return identity


def device_of(config: Config) -> torch.device:
    """Return where a network runs that no trainer moves."""
    return torch.device("cuda" if torch.cuda.is_available() and config.trainer.accelerator != "cpu" else "cpu")


def picture_store(config: Config) -> TensorStore:
    """Return where the picture tokens of the vision tower of `model.path`, in the run's precision, are kept."""
    identity = model_identity(config.model["path"], config)
    header = {name: value for name, value in identity.items() if name != "path" or "sha256" not in identity}
    header |= {"precision": config.trainer.precision, "transformers": version("transformers")}
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()[:16]
    return TensorStore.open(Path(config.cache_dir).expanduser() / "pictures" / digest, header)


def is_run(path: str) -> bool:
    """Return whether `path` is a run folder."""
    return (Path(path) / "config.yaml").is_file() and (Path(path) / "checkpoints").is_dir()


def _check_quantised(config: Config) -> None:
    path = config.model["path"]
    own = _run_config(path).model if is_run(path) else config.model
    for component in (own, config.model):
        if (bits := component.get("quantised", "none")) != "none" and (config.lora is None or is_run(path)):
            why = "the adapters of a run are merged into them" if is_run(path) else "they are trained (lora=null)"
            raise InputError(
                f"model {path}: {bits} weights stay as they are under fresh adapters; here {why}: set quantised=none"
            )


def _base_component(path: str, config: Config) -> dict[str, Any]:
    """Return the settings of the model at the bottom of a chain of runs."""
    while is_run(path):
        config = _run_config(path)
        path = config.model["path"]
    return _component(path, config)


def _component(path: str, config: Config) -> dict[str, Any]:
    return {**config.model, "path": _model_folder(path, config)}


def _run_config(path: str) -> Config:
    return configuration.load([Path(path) / "config.yaml"])


def _best(path: str) -> Path:
    return verified(Path(path) / "checkpoints" / "best")


def _model_folder(path: str, config: Config) -> str:
    """Return the folder of `embedded:NAME`, writing it if it is not there yet; any other path as it is."""
    kind, _, name = path.partition(":")
    if kind != "embedded":
        return path
    cache = Path(config.cache_dir).expanduser() / "embedded"
    return str(materialise(name, cache, texts=partial(sample.texts, SAMPLE_SEED)))
