"""Merge the layers of a configuration: the schema's defaults, YAML files, overrides; then check the components.

In: a dataclass tree, file paths and override strings. Out: an instance of the tree. OmegaConf checks keys and types;
the options of a component are checked against the signature of the member that its `name` means.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Collection, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from kd_rag import _config_errors as errors
from kd_rag import registry
from kd_rag.types import InputError

T = TypeVar("T")


def merged(schema: type[T], files: Sequence[Path], overrides: Sequence[str], families: Collection[str]) -> T:
    """Return `schema` with every layer merged in and every component of `families` checked."""
    config = OmegaConf.structured(schema)
    for path in files:
        config = _merge(schema, config, _read_yaml(path), str(path), families)
    for override in overrides:
        key, equals, _ = override.partition("=")
        if not equals or not key:
            raise InputError(f"{override!r} is not an override; write key.sub=value")
        config = _merge(schema, config, OmegaConf.from_dotlist([override]), override, families)
    _check_components(schema, config, families)
    return OmegaConf.to_object(config)  # type: ignore[return-value]


def to_yaml(config: Any) -> str:
    """Return a dataclass tree as YAML."""
    return OmegaConf.to_yaml(OmegaConf.structured(config))


def flat(config: Any) -> dict[str, Any]:
    """Return `{dotted key: value}` for the leaves of a dataclass tree."""
    return errors.flatten(dataclasses.asdict(config))


def _read_yaml(path: Path) -> DictConfig:
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(loaded, dict):
        raise InputError(f"{path}: a configuration is a mapping of keys, found {type(loaded).__name__}")
    return OmegaConf.create(loaded)


def _merge(schema: type, base: DictConfig, layer: DictConfig, source: str, families: Collection[str]) -> DictConfig:
    wrong = errors.misplaced(base, layer)
    if wrong:
        raise InputError(f"{source}: {wrong}")
    for key, family, shared in _component_fields(schema):
        new, old = OmegaConf.select(layer, key), OmegaConf.select(base, key)
        if isinstance(new, DictConfig) and "name" in new and new["name"] != old["name"]:
            kept = _alike(family, old["name"], new["name"]) if family in families else set()
            kept |= _shared_fields(shared).keys()
            OmegaConf.update(base, key, {k: v for k, v in old.items() if k in kept}, merge=False)
    try:
        return OmegaConf.merge(base, layer)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise InputError(errors.explain(error, base, source)) from None


def _alike(family: str, one: str, other: str) -> set[str]:
    """Return the options that two members declare alike, by name, type and default."""
    first, second = registry.options(family, one), registry.options(family, other)
    return {name for name in first.keys() & second.keys() if first[name] == second[name]}


def _component_fields(section: Any, prefix: str = "") -> list[tuple[str, str, type | None]]:
    """Return `(dotted key, family, what its members share)` of every field that holds one component."""
    found = []
    for f in dataclasses.fields(section):
        if "family" in f.metadata and f.type == "Component":
            found.append((prefix + f.name, f.metadata["family"], f.metadata["shared"]))
        elif isinstance(f.default_factory, type) and dataclasses.is_dataclass(f.default_factory):
            found += _component_fields(f.default_factory, f"{prefix}{f.name}.")
    return found


def _check_components(schema: type, config: DictConfig, families: Collection[str]) -> None:
    """Fill in and check the options of every component of `families`, in place."""
    for key, family, shared in _component_fields(schema):
        if family in families:
            OmegaConf.update(config, key, _checked(family, OmegaConf.select(config, key), key, shared), merge=False)
    for i, step in enumerate(config.augment.steps if "augmentations" in families else ()):
        config.augment.steps[i] = _checked("augmentations", step, f"augment.steps[{i}]")


def _shared_fields(shared: type | None) -> dict[str, Any]:
    """Return `{name: type}` of the fields that stand beside the options of a component."""
    return {} if shared is None else get_type_hints(shared)


def _checked(family: str, component: Any, key: str, shared: type | None = None) -> dict[str, Any]:
    """Return a component with every option filled in, or raise InputError naming the option."""
    if not isinstance(component, DictConfig) or not isinstance(component.get("name"), str):
        raise InputError(f"{key}: expected a mapping with a name, such as {{name: {registry.names(family)[0]}}}")
    name = component["name"]
    fields: list[Any] = [("name", str, name)]
    for option, (kind, default) in registry.options(family, name).items():
        missing = default is inspect.Parameter.empty
        fields.append((option, kind, field(default=MISSING) if missing else _default(default)))
    fields += [(option, kind, field(default_factory=kind)) for option, kind in _shared_fields(shared).items()]
    schema = OmegaConf.structured(dataclasses.make_dataclass(name.rpartition(":")[2], fields))
    try:
        merged = OmegaConf.merge(schema, component)
    except ConfigKeyError as error:
        wrong = errors.full_key(error)
        inside = OmegaConf.select(schema, wrong.rpartition(".")[0]) or schema
        raise InputError(
            f"{key}.{wrong}: {family} {name!r} has no such option; it has: "
            f"{', '.join(str(k) for k in inside if k != 'name') or 'none'}"
        ) from None
    except OmegaConfBaseException as error:
        raise InputError(errors.explain(error, schema, f"{family} {name!r}", prefix=f"{key}.")) from None
    options: dict[str, Any] = OmegaConf.to_container(merged)  # type: ignore[assignment]
    return {k: v for k, v in options.items() if v != MISSING}  # `registry.build` asks for what is still missing


def _default(value: Any) -> Any:
    mutable = isinstance(value, list | dict) or dataclasses.is_dataclass(value)
    return field(default_factory=lambda: value) if mutable else field(default=value)
