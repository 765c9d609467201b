"""Adapters: on the layers meant, float32, alone trainable; and weights that load into their own model only."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from kd_rag.models._lora import adapt, load_trainable, trainable_state
from kd_rag.models.qwen2_vl import Qwen2VL
from kd_rag.types import InputError, Inputs


def adapted_layers(model: Qwen2VL) -> set[str]:
    names = trainable_state(model)
    return {name.partition("base_model.model.model.")[2].partition(".lora_")[0] for name in names}


def randomise(model: Qwen2VL) -> None:
    """Give the adapters' second halves, which start at zero, something to say."""
    with torch.no_grad():
        for tensor in trainable_state(model).values():
            tensor.normal_(std=0.1)


def test_adapters_go_to_the_language_model_only(student: Qwen2VL) -> None:
    """An adapted vision tower costs memory that the recipe does not ask for."""
    adapt(student, r=4, alpha=8, dropout=0.0, target_modules=None, vision=False)
    layers = adapted_layers(student)
    assert len(layers) == 2 * 7
    assert all(layer.startswith("language_model.layers.") for layer in layers)


def test_with_vision_the_tower_and_its_merger_are_adapted_too(student: Qwen2VL) -> None:
    """`vision=true` that reaches no tower layer would be a switch without a wire."""
    adapt(student, r=4, alpha=8, dropout=0.0, target_modules=None, vision=True)
    tower = {layer for layer in adapted_layers(student) if layer.startswith("visual.")}
    assert len(adapted_layers(student) - tower) == 2 * 7
    assert tower == {
        *(f"visual.blocks.{i}.{name}" for i in range(2) for name in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")),
        "visual.merger.mlp.0",
        "visual.merger.mlp.2",
    }


def test_own_target_modules_are_suffixes(student: Qwen2VL) -> None:
    """The option must win over the family's own list."""
    adapt(student, r=4, alpha=8, dropout=0.0, target_modules=["q_proj"], vision=False)
    assert adapted_layers(student) == {f"language_model.layers.{i}.self_attn.q_proj" for i in range(2)}


@pytest.mark.parametrize(
    ("targets", "vision", "message"),
    [
        (["q_porj"], False, r"lora\.target_modules: \['q_porj'\] cannot be adapted"),
        (["q_proj"], True, r"lora\.vision: has no effect beside lora\.target_modules"),
    ],
)
def test_targets_that_mean_nothing_are_refused(
    student: Qwen2VL, targets: list[str], vision: bool, message: str
) -> None:
    """A setting that is skipped in silence is a run that answers another question."""
    with pytest.raises(InputError, match=message):
        adapt(student, r=4, alpha=8, dropout=0.0, target_modules=targets, vision=vision)


def test_the_base_is_frozen_and_adapters_are_float32(student_folder: Path) -> None:
    """Adapters in bfloat16 lose small updates; a base that trains along is not LoRA."""
    model = Qwen2VL(path=str(student_folder), dtype="bfloat16")
    adapt(model, r=4, alpha=8, dropout=0.0, target_modules=None, vision=False)
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert all(".lora_" in name for name in trainable)
    assert {p.dtype for p in trainable.values()} == {torch.float32}
    assert {p.dtype for name, p in model.named_parameters() if name not in trainable} == {torch.bfloat16}


@torch.no_grad()
def test_fresh_adapters_change_nothing_and_trained_ones_do(
    student: Qwen2VL, prompt: Callable[..., list[int]], batch: Callable[..., Inputs], wide: Image.Image
) -> None:
    """States computed past the adapters would train nothing, at a loss that never moves."""
    inputs = batch([prompt("with a picture", [wide])], [wide])
    plain = student(inputs)
    adapt(student, r=4, alpha=8, dropout=0.0, target_modules=None, vision=False)
    assert torch.equal(student(inputs), plain)
    head = student.logits(plain[0, -1:])
    randomise(student)
    assert (student(inputs) - plain).abs().max() > 0.01
    assert torch.equal(student.logits(plain[0, -1:]), head)


def test_gradients_reach_every_adapter_through_checkpoints(
    student_folder: Path, prompt: Callable[..., list[int]], batch: Callable[..., Inputs], wide: Image.Image
) -> None:
    """On a frozen base, re-entrant checkpointing gives no gradient at all; and the frozen tower needs no backward."""
    model = Qwen2VL(path=str(student_folder), gradient_checkpointing=True).train()
    adapt(model, r=4, alpha=8, dropout=0.0, target_modules=None, vision=False)
    randomise(model)
    tower = []
    model.network.get_base_model().model.visual.merger.register_forward_hook(lambda *a: tower.append(a[2]))
    model(batch([prompt("a picture", [wide])], [wide])).square().mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters() if p.requires_grad)
    assert len(tower) == 1
    assert not tower[0].requires_grad


@pytest.mark.parametrize("lora", [True, False])
def test_weights_round_trip(
    student_folder: Path, lora: bool, prompt: Callable[..., list[int]], batch: Callable[..., Inputs]
) -> None:
    """What a checkpoint keeps must be all that training changed, a tied weight once."""
    one, other = (Qwen2VL(path=str(student_folder)).eval() for _ in range(2))
    if lora:
        for model in (one, other):
            adapt(model, r=4, alpha=8, dropout=0.1, target_modules=None, vision=False)
            model.eval()
    randomise(one)
    state = {name: tensor.clone() for name, tensor in trainable_state(one).items()}
    assert not any(name.endswith("lm_head.weight") for name in state)
    load_trainable(other, state)
    inputs = batch([prompt("where is my order")])
    with torch.no_grad():
        assert torch.equal(one(inputs), other(inputs))
        assert torch.equal(one.logits(one(inputs)[0]), other.logits(other(inputs)[0]))


def test_weights_of_another_model_are_refused(student: Qwen2VL, student_folder: Path) -> None:
    """`strict=False` accepts renamed keys and another base without a word; the outputs are then anything."""
    adapt(student, r=4, alpha=8, dropout=0.0, target_modules=None, vision=False)
    state = trainable_state(student)
    renamed = {name.replace("lora_A", "lora_a"): tensor for name, tensor in state.items()}
    with pytest.raises(
        InputError, match=r"14 are missing, 14 unexpected, first network\.base_model.*lora_A.*\(missing\)"
    ):
        load_trainable(student, renamed)
    other = Qwen2VL(path=str(student_folder))
    adapt(other, r=8, alpha=8, dropout=0.0, target_modules=None, vision=False)
    with pytest.raises(InputError, match=r"they have the shape \(8, 96\), expected \(4, 96\)"):
        load_trainable(student, trainable_state(other))
    before = {name: tensor.clone() for name, tensor in state.items()}
    assert all(torch.equal(trainable_state(student)[name], before[name]) for name in before)
