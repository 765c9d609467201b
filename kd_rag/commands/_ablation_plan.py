"""From the `ablation` section to jobs: one run for each variant and seed, every key checked before the first begins.

In: YAML files and overrides. Out: `Plan`.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kd_rag import _config_layers as layers
from kd_rag._config_ablation import AblationConfig, VariantConfig
from kd_rag.config import Config
from kd_rag.registry import FAMILIES
from kd_rag.types import InputError

COMMANDS = ("fit", "distill")
SPLITS = ("train", "valid", "test")


@dataclass
class Settings(Config):
    """A configuration with the one section that runs themselves do not have."""

    ablation: AblationConfig = field(default_factory=AblationConfig)


@dataclass(frozen=True, slots=True)
class Job:
    """One run: `config` is all that its command is told; `teacher` is the name of the run that it needs first."""

    variant: str
    seed: int
    command: str
    config: Config
    teacher: str | None

    @property
    def name(self) -> str:
        """Name of the run folder."""
        return run_name(self.variant, self.seed)


@dataclass(frozen=True, slots=True)
class Plan:
    """`jobs` are in an order in which teachers come before their students."""

    section: AblationConfig
    variants: dict[str, VariantConfig]
    jobs: list[Job]


def run_name(variant: str, seed: int) -> str:
    """Return a name that is fit for a folder: `token KD, 2` with seed 0 is `token-KD-2-seed0`."""
    plain_name = re.sub(r"[^\w.=+]+", "-", variant).strip("-")
    return f"{plain_name}-seed{seed}"


def read_plan(files: Sequence[str], overrides: Sequence[str], out: Path) -> Plan:
    """Read and check everything; runs go to `out`/runs. Raises InputError naming the variant and the key."""
    shared = [name for file in files for name in _settings([file], [], ()).ablation.configs]
    layered = [*shared, *files]
    section = _settings(layered, overrides, ()).ablation
    variants = expand(section)
    _check(section, variants)
    jobs = []
    for seed in section.seeds:
        for name in sorted(variants, key=lambda name: _depth(name, variants)):
            variant = variants[name]
            teacher = None if variant.teacher is None else run_name(variant.teacher, seed)
            own = [f"run.dir={json.dumps(str(out / 'runs'))}", f"run.name={run_name(name, seed)}", f"run.seed={seed}"]
            if teacher:
                own.append(f"teacher.path={json.dumps(str(out / 'runs' / teacher))}")
            changes = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in variant.set.items()]
            try:
                settings = _settings([*layered, *variant.configs], [*overrides, *changes, *own], tuple(FAMILIES))
            except InputError as error:
                raise InputError(f"variant {name!r}: {error}") from None
            jobs.append(Job(name, seed, command_of(variant), plain(settings), teacher))
    return Plan(section, variants, jobs)


def command_of(variant: VariantConfig) -> str:
    """Return the command that makes the variant's runs."""
    return variant.command or ("distill" if variant.teacher else "fit")


def plain(settings: Settings) -> Config:
    """Return the configuration without the section that runs do not have."""
    return Config(**{f.name: getattr(settings, f.name) for f in dataclasses.fields(Config)})


def expand(section: AblationConfig) -> dict[str, VariantConfig]:
    """Return every variant by name: those listed, with grids multiplied out, and those that `parts` ask for."""
    found: dict[str, VariantConfig] = {}
    for name, variant in section.variants.items():
        for values in itertools.product(*variant.grid.values()):
            chosen = dict(zip(variant.grid, values, strict=True))
            full = ", ".join([name, *(f"{_short(key, chosen)}={_shown(value)}" for key, value in chosen.items())])
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


def _settings(files: Sequence[str], overrides: Sequence[str], families: Sequence[str]) -> Settings:
    return layers.merged(Settings, [Path(file) for file in files], overrides, families)


def _short(key: str, keys: Collection[str]) -> str:
    """Return the end of a dotted key that no other has: `distill.divergence.name` is `divergence`."""
    parts = [k.removesuffix(".name").split(".") for k in keys]
    own = key.removesuffix(".name").split(".")
    length = next(n for n in range(1, len(own) + 1) if n == len(own) or [p[-n:] for p in parts].count(own[-n:]) == 1)
    return ".".join(own[-length:])


def _shown(value: Any) -> str:
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


def _depth(name: str, variants: dict[str, VariantConfig], below: tuple[str, ...] = ()) -> int:
    """Return how many teachers must come first."""
    if name in below:
        raise InputError(f"ablation.variants.{name}.teacher: {' -> '.join([*below, name])} is a circle")
    teacher = variants[name].teacher
    return 0 if teacher is None else 1 + _depth(teacher, variants, (*below, name))


def _check(section: AblationConfig, variants: dict[str, VariantConfig]) -> None:
    def known(key: str, value: Any, allowed: Sequence[str]) -> None:
        if value not in allowed:
            raise InputError(f"{key}: expected one of {', '.join(allowed) or 'none'}, found {value!r}")

    if not variants:
        raise InputError("ablation.variants: there is none; name at least one, or set ablation.leave_one_out=true")
    if not section.seeds or len(set(section.seeds)) != len(section.seeds):
        raise InputError(f"ablation.seeds: expected different numbers, at least one, found {section.seeds}")
    known("ablation.split", section.split, SPLITS)
    known("ablation.base", section.base or next(iter(variants)), list(variants))
    folders: dict[str, str] = {}
    for name, variant in variants.items():
        known(f"ablation.variants.{name}.command", command_of(variant), COMMANDS)
        if variant.teacher is not None:
            known(f"ablation.variants.{name}.teacher", variant.teacher, list(variants))
        other = folders.setdefault(run_name(name, 0), name)
        if other != name:
            raise InputError(f"ablation.variants: {other!r} and {name!r} would share a run folder; rename one")
