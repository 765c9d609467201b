"""From the `distill` section to the objective: the terms whose weight is not 0, and the teacher they follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, get_args

from kd_rag import registry
from kd_rag.commands._balance import gold_term
from kd_rag.commands._models import device_of, is_run, model_identity, open_model, open_processor
from kd_rag.config import Config, DistillConfig
from kd_rag.losses.objective import Objective, Weight
from kd_rag.losses.terms import (
    Distance,
    HiddenStates,
    LabelKD,
    RowTerm,
    SideTerm,
    TokenKD,
    VisualTokens,
)
from kd_rag.models import VisionLanguageModel
from kd_rag.scoring.label_tree import LabelTree
from kd_rag.teachers import Source, Teacher
from kd_rag.types import InputError, Record

Made = tuple[Objective, Teacher | None]

BESIDE = ("hidden_states", "visual_tokens")
"""Terms that read more of the teacher than a cache keeps."""


def cross_entropy(
    config: Config, model: VisionLanguageModel, trees: Mapping[str, LabelTree], met: Sequence[Record]
) -> Made:
    """Return the objective of `fit`, which has no teacher."""
    vocabulary = model.processor.vocabulary
    gold = {"ce": gold_term(config, vocabulary, met)}
    return Objective(gold, {}, {"ce": (1.0, 1.0)}, vocabulary, part_weights=_part_weights(config)), None


def distillation(
    config: Config, model: VisionLanguageModel, trees: Mapping[str, LabelTree], met: Sequence[Record]
) -> Made:
    """Return the objective of `distill` and its teacher.

    Raises InputError where terms, teacher and student do not fit together.
    """
    weights = _weights(config.distill)
    teacher = build_teacher(config, model, trees)
    _check(config, weights, teacher, model)
    objective = Objective(
        rows=_row_terms(config, weights, model.processor.vocabulary, met),
        sides=_side_terms(config.distill, weights, model, teacher),
        weights=weights,
        vocabulary=model.processor.vocabulary,
        teacher=teacher,
        part_weights=_part_weights(config),
    )
    return objective, teacher


def _part_weights(config: Config) -> tuple[float, float]:
    """Return the weights of reasons and label in an answer; without reasons a label is all there is."""
    reasoning = config.reasoning
    return (reasoning.reason_weight, reasoning.label_weight) if config.prompt.reasoning else (1.0, 1.0)


def build_teacher(config: Config, model: VisionLanguageModel, trees: Mapping[str, LabelTree]) -> Teacher:
    """Return the teacher that `teacher` describes."""

    def changes(path: str, quantised: str) -> dict[str, str]:
        """Hold a run as it was trained unless bits are asked for, anything else as asked, whatever the student is."""
        return {} if quantised == "none" and is_run(path) else {"quantised": quantised}

    source = Source(
        load=lambda path, quantised: open_model(path, config, **changes(path, quantised)),
        processor=partial(open_processor, config=config),
        identity=lambda path, quantised: model_identity(path, config, **changes(path, quantised)),
        student_ids=model.processor.id_digest(),
        trees=trees,
        temperature=config.distill.temperature,
        cache_dir=Path(config.cache_dir).expanduser() / "teachers",
        device=device_of(config),
    )
    teacher: Teacher = registry.build("teachers", config.teacher, source)
    return teacher


def _weights(distill: DistillConfig) -> dict[str, Weight]:
    """Return the weights that are not 0 throughout, by term."""
    weights = {name: _weight(name, value) for name, value in vars(distill.weights).items()}
    chosen = {name: weight for name, weight in weights.items() if weight != (0.0, 0.0)}
    if not chosen:
        raise InputError("distill.weights: are all 0; give at least one term a weight")
    return chosen


def _weight(name: str, value: Any) -> Weight:
    ends = value if isinstance(value, list) else [value, value]
    if len(ends) != 2 or not all(isinstance(e, int | float) and not isinstance(e, bool) and e >= 0 for e in ends):
        raise InputError(f"distill.weights.{name}: expected a number of at least 0, or [first, last], found {value!r}")
    return float(ends[0]), float(ends[1])


def _check(config: Config, weights: Mapping[str, Weight], teacher: Teacher, model: VisionLanguageModel) -> None:
    distill = config.distill
    live = [f"distill.weights.{name}" for name in BESIDE if name in weights]
    live += ["distill.on_policy.share"] * (distill.on_policy.share > 0)
    if live and not teacher.beside_student:
        raise InputError(f"{live[0]}: needs a teacher that runs beside the student; set teacher.name=online")
    if distill.on_policy.share > 0 and config.prompt.reasoning:
        raise InputError(
            "distill.on_policy.share: answers that the student draws do not tell where their reasons end; set it to 0, "
            "or prompt.reasoning=false"
        )
    for name in ("temperature", "label_temperature", "on_policy.temperature", "on_policy.max_tokens"):
        if not (found := attrgetter(name)(distill)) > 0:
            raise InputError(f"distill.{name}: expected a number above 0, found {found}")
    if not 0 <= distill.on_policy.share <= 1:
        raise InputError(f"distill.on_policy.share: expected a share between 0 and 1, found {distill.on_policy.share}")
    if distill.hidden.distance not in get_args(Distance):
        raise InputError(f"distill.hidden.distance: expected cosine or mse, found {distill.hidden.distance!r}")
    if "hidden_states" in weights and (
        not distill.hidden.layers or any(len(pair) != 2 for pair in distill.hidden.layers)
    ):
        raise InputError(
            f"distill.hidden.layers: expected pairs of a student's and a teacher's layer, as [[1, 2]], found "
            f"{distill.hidden.layers}"
        )
    if "visual_tokens" in weights:
        _check_towers(teacher, model)


def _check_towers(teacher: Teacher, model: VisionLanguageModel) -> None:
    if not any(p.requires_grad for p in model.merger.parameters()):
        raise InputError(
            "distill.weights.visual_tokens: the student's vision tower is frozen, so nothing would be learnt; set "
            "lora.vision=true or lora=null, or the weight to 0"
        )
    if teacher.processor.pixel_limits() != model.processor.pixel_limits():
        raise InputError(
            f"distill.weights.visual_tokens: pictures are resized to {teacher.processor.pixel_limits()} pixels for the "
            f"teacher and to {model.processor.pixel_limits()} for the student; both need the same tokens: set "
            "model.min_pixels and model.max_pixels to the teacher's"
        )


def _row_terms(
    config: Config, weights: Mapping[str, Weight], vocabulary: int, met: Sequence[Record]
) -> dict[str, RowTerm]:
    divergence = registry.build("divergences", config.distill.divergence)
    terms: dict[str, RowTerm] = {
        "ce": gold_term(config, vocabulary, met),
        "token_kd": TokenKD(divergence, config.distill.temperature, vocabulary),
    }
    return {name: term for name, term in terms.items() if name in weights}


def _side_terms(
    distill: DistillConfig, weights: Mapping[str, Weight], model: VisionLanguageModel, teacher: Teacher
) -> dict[str, SideTerm]:
    terms: dict[str, SideTerm] = {}
    distance: Any = distill.hidden.distance
    if "label_kd" in weights:
        divergence = registry.build("divergences", distill.divergence)
        terms["label_kd"] = LabelKD(divergence, distill.label_temperature)
    if "hidden_states" in weights:
        layers = _layers(distill.hidden.layers, model, teacher)
        terms["hidden_states"] = HiddenStates(layers, model.state_size, teacher.state_size, distance)
    if "visual_tokens" in weights:
        terms["visual_tokens"] = VisualTokens(model.state_size, teacher.state_size, distance)
    return terms


def _layers(pairs: Sequence[Sequence[int]], model: VisionLanguageModel, teacher: Teacher) -> dict[int, int]:
    """Return the teacher's layer that each of the student's follows."""
    layers: dict[int, int] = {}
    for own, followed in pairs:
        for whose, layer, count in (("student", own, len(model.layers)), ("teacher", followed, teacher.layer_count)):
            if not 0 <= layer < count:
                raise InputError(f"distill.hidden.layers: the {whose} has layers 0 to {count - 1}, not {layer}")
        if own in layers:
            raise InputError(f"distill.hidden.layers: layer {own} is to follow {layers[own]} and {followed}; name one")
        layers[own] = followed
    return layers
