"""From the `ablation` section to variants by name: grids multiplied out, parts left out and added.

In: `AblationConfig`. Out: `VariantConfig`s without grids.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Collection, Sequence
from typing import Any

from kd_rag._config_ablation import AblationConfig, VariantConfig
from kd_rag.types import InputError


def expand(section: AblationConfig) -> dict[str, VariantConfig]:
    """Return every variant by name: those listed, with grids multiplied out, and those that `parts` ask for."""
    found: dict[str, VariantConfig] = {}
    for name, variant in section.variants.items():
        for values in itertools.product(*variant.grid.values()):
            chosen = dict(zip(variant.grid, values, strict=True))
            full = ", ".join([name, *(f"{_short(key, chosen)}={shown(value)}" for key, value in chosen.items())])
            found[full] = dataclasses.replace(variant, set={**variant.set, **chosen}, grid={})
    parts = set(section.parts)
    chosen_parts: dict[str, set[str]] = {}
    if section.leave_one_out:
        chosen_parts |= {"all parts": parts} | {f"without {name}": parts - {name} for name in section.parts}
    if section.add_one:
        chosen_parts |= {"no part": set()} | {f"{name} alone": {name} for name in section.parts}
    for name, present in chosen_parts.items():
        if name in found:
            raise InputError(f"ablation.variants.{name}: is the name of a variant that ablation.parts make; rename it")
        found[name] = _joined([part.present if p in present else part.absent for p, part in section.parts.items()])
    return found


def _short(key: str, keys: Collection[str]) -> str:
    """Return the end of a dotted key that no other has: `distill.divergence.name` is `divergence`."""
    parts = [k.removesuffix(".name").split(".") for k in keys]
    own = key.removesuffix(".name").split(".")
    length = next(n for n in range(1, len(own) + 1) if n == len(own) or [p[-n:] for p in parts].count(own[-n:]) == 1)
    return ".".join(own[-length:])


def shown(value: Any) -> str:
    """Return a value as a name or a table shows it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _joined(states: Sequence[VariantConfig]) -> VariantConfig:
    """Return one variant with the changes of several; the last one that sets something wins."""
    joined = VariantConfig()
    for state in states:
        joined.command = state.command or joined.command
        joined.teacher = state.teacher or joined.teacher
        joined.configs = [*joined.configs, *state.configs]
        joined.set = {**joined.set, **state.set}
    return joined
