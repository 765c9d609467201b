"""Low-rank adapters (Hu et al. 2021, arXiv 2106.09685) on a frozen network, and the weights that training changes.

In: a model. Out: the same model with a `PeftModel` in the place of its network; its trainable weights by name.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor

from kd_rag.models import VisionLanguageModel
from kd_rag.types import InputError


def adapt(
    model: VisionLanguageModel,
    r: int,
    alpha: int,
    dropout: float,
    target_modules: list[str] | None,
    vision: bool,
) -> None:
    """Freeze the model's network and give it trainable adapters, in float32 whatever the base's dtype is.

    `target_modules` are names or suffixes of linear layers; None takes the family's own, with `vision` also those of
    the vision tower. Raises InputError when both are given, or when no layer has such a name.
    """
    if target_modules is not None and vision:
        raise InputError("lora.vision: has no effect beside lora.target_modules; name the tower's layers there")
    settings = LoraConfig(
        r=r,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=target_modules if target_modules is not None else model.lora_targets(vision),
    )
    network = model.network
    try:
        with warnings.catch_warnings():
            # PEFT 0.21 asks transformers 5.23 by a name that the latter is about to drop.
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            model.network = get_peft_model(network, settings)
    except ValueError as error:
        reason = str(error).partition(". ")[0]
        raise InputError(f"lora.target_modules: {target_modules} cannot be adapted ({reason})") from error
    # See `Qwen2VL`: PEFT sets these marks again on a network with checkpointed activations.
    network.disable_input_require_grads()


def merge(model: VisionLanguageModel) -> None:
    """Add the adapters, if there are any, to the weights they adapt, in those weights' dtype."""
    if isinstance(model.network, PeftModel):
        model.network = model.network.merge_and_unload()


def trainable_state(model: VisionLanguageModel) -> dict[str, Tensor]:
    """Return the parameters that training changes, by name: the model's own tensors, a tied weight once."""
    return {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}


def load_trainable(model: VisionLanguageModel, state: Mapping[str, Tensor]) -> None:
    """Copy `state` into the parameters that training changes.

    Raises InputError unless names and shapes are exactly those: a part that is silently left out is a wrong model.
    """
    own = trainable_state(model)
    missing, unexpected = own.keys() - state.keys(), state.keys() - own.keys()
    if missing or unexpected:
        first = min(missing | unexpected)
        raise InputError(
            f"these weights belong to another model or other LoRA settings: {len(missing)} are missing, "
            f"{len(unexpected)} unexpected, first {first} ({'missing' if first in missing else 'unexpected'})"
        )
    for name, parameter in own.items():
        if parameter.shape != state[name].shape:
            raise InputError(
                f"{name}: these weights belong to another model or other LoRA settings: they have the shape "
                f"{tuple(state[name].shape)}, expected {tuple(parameter.shape)}"
            )
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(state[name])
