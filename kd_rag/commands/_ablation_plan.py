"""From the `ablation` section to jobs: one run for each variant and seed, every key checked before the first begins.

In: YAML files and overrides. Out: `Plan`.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kd_rag import _config_layers as layers
from kd_rag._config_ablation import AblationConfig, VariantConfig
from kd_rag.commands._ablation_variants import expand, shown
from kd_rag.commands._search_space import read_space
from kd_rag.config import Config
from kd_rag.registry import FAMILIES
from kd_rag.types import InputError

COMMANDS = ("fit", "distill")
SPLITS = ("train", "valid", "test")
SAMPLERS = ("tpe", "random")
PRUNERS = ("median", "none")


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
class Source:
    """What every run is told, whatever its variant: YAML files, overrides, and the output folder."""

    files: Sequence[str]
    overrides: Sequence[str]
    out: Path

    def job(self, name: str, variant: VariantConfig, seed: int) -> Job:
        """Return the run of a variant and seed, every key checked; raises InputError naming the variant and the key."""
        runs = self.out / "runs"
        teacher = None if variant.teacher is None else run_name(variant.teacher, seed)
        own = [f"run.dir={json.dumps(str(runs))}", f"run.name={run_name(name, seed)}", f"run.seed={seed}"]
        if teacher:
            own.append(f"teacher.path={json.dumps(str(runs / teacher))}")
        changes = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in variant.set.items()]
        try:
            files, overrides = [*self.files, *variant.configs], [*self.overrides, *changes, *own]
            settings = _settings(files, overrides, tuple(FAMILIES))
        except InputError as error:
            raise InputError(f"variant {name!r}: {error}") from None
        return Job(name, seed, command_of(variant), plain(settings), teacher)


@dataclass(frozen=True, slots=True)
class Plan:
    """`jobs` are in an order in which teachers come before their students; `base` is one of `variants`."""

    section: AblationConfig
    variants: dict[str, VariantConfig]
    base: str
    jobs: list[Job]
    source: Source

    def trial(self, number: int, values: Mapping[str, Any]) -> list[Job]:
        """Return the runs of one trial of the search: the base with other values, a run for each seed."""
        base = self.variants[self.base]
        variant = dataclasses.replace(base, set={**base.set, **values})
        return [self.source.job(trial_name(number), variant, seed) for seed in self.section.seeds]


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
    source = Source(layered, overrides, out)
    names = sorted(variants, key=lambda name: _depth(name, variants))
    jobs = [source.job(name, variants[name], seed) for seed in section.seeds for name in names]
    plan = Plan(section, variants, section.base or next(iter(variants)), jobs, source)
    _check_search(plan)
    return plan


def trial_name(number: int) -> str:
    """Return the name under which a trial of the search stands among the variants."""
    return f"trial {number}"


def command_of(variant: VariantConfig) -> str:
    """Return the command that makes the variant's runs."""
    return variant.command or ("distill" if variant.teacher else "fit")


def plain(settings: Settings) -> Config:
    """Return the configuration without the section that runs do not have."""
    return Config(**{f.name: getattr(settings, f.name) for f in dataclasses.fields(Config)})


def _settings(files: Sequence[str], overrides: Sequence[str], families: Sequence[str]) -> Settings:
    return layers.merged(Settings, [Path(file) for file in files], overrides, families)


def _depth(name: str, variants: dict[str, VariantConfig], below: tuple[str, ...] = ()) -> int:
    """Return how many teachers must come first."""
    if name in below:
        raise InputError(f"ablation.variants.{name}.teacher: {' -> '.join([*below, name])} is a circle")
    teacher = variants[name].teacher
    return 0 if teacher is None else 1 + _depth(teacher, variants, (*below, name))


def _known(key: str, value: Any, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise InputError(f"{key}: expected one of {', '.join(allowed) or 'none'}, found {value!r}")


def _check(section: AblationConfig, variants: dict[str, VariantConfig]) -> None:
    if not variants:
        raise InputError("ablation.variants: there is none; name at least one, or set ablation.leave_one_out=true")
    if not section.seeds or len(set(section.seeds)) != len(section.seeds):
        raise InputError(f"ablation.seeds: expected different numbers, at least one, found {section.seeds}")
    _known("ablation.split", section.split, SPLITS)
    _known("ablation.base", section.base or next(iter(variants)), list(variants))
    folders: dict[str, str] = {}
    for name, variant in variants.items():
        _known(f"ablation.variants.{name}.command", command_of(variant), COMMANDS)
        if variant.teacher is not None:
            _known(f"ablation.variants.{name}.teacher", variant.teacher, list(variants))
        other = folders.setdefault(run_name(name, 0), name)
        if other != name:
            raise InputError(f"ablation.variants: {other!r} and {name!r} would share a run folder; rename one")


def _check_search(plan: Plan) -> None:
    """Try the ends of every range and every choice, each alone, so that no trial meets a wrong key or type."""
    search = plan.section.search
    _known("ablation.search.sampler", search.sampler, SAMPLERS)
    _known("ablation.search.prune", search.prune, PRUNERS)
    tasks = next(job.config.tasks for job in plan.jobs if job.variant == plan.base)
    if tasks:  # otherwise they are known when the records are read
        _known("ablation.search.metric", search.metric, ["average", *tasks])
    base = plan.variants[plan.base]
    for key, dimension in read_space(search.space).items():
        for value in dimension.ends:
            tried = dataclasses.replace(base, set={**base.set, key: value})
            plan.source.job(f"trial, {key}={shown(value)}", tried, plan.section.seeds[0])
    for variant in plan.variants if search.space else ():
        if re.fullmatch(r"trial-\d+", run_name(variant, 0).removesuffix("-seed0")):
            raise InputError(f"ablation.variants.{variant}: is the name of a trial of the search; rename it")
