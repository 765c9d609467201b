"""Say in one line which configuration key is wrong, what was found, what is expected and which key is near."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException


def explain(error: OmegaConfBaseException, base: DictConfig, source: str, prefix: str = "") -> str:
    """Return the message for an error raised while a layer from `source` was merged into `base`."""
    key = full_key(error)
    if isinstance(error, ConfigKeyError):
        return f"{source}: there is no key {prefix + key!r}{_nearest(key, error.object_type, base)}"
    reason = str(error.msg if getattr(error, "msg", None) else error).splitlines()[0]
    return f"{source}: {prefix}{key}: {_expected(key, base)}{reason[:1].lower()}{reason[1:]}"


def misplaced(base: DictConfig, layer: DictConfig, prefix: str = "") -> str | None:
    """Return what is wrong with a plain value that stands where a section belongs, None when all is well."""
    for key in layer:
        own, new = base._get_node(key) if key in base else None, layer[key]
        if isinstance(own, ListConfig) and isinstance(new, DictConfig):
            return f"{prefix}{key!s}: expected a list, found {OmegaConf.to_container(new)}"
        if isinstance(own, DictConfig) and new is not None:
            if not isinstance(new, DictConfig):
                return f"{prefix}{key!s}: expected a mapping of keys, found {new!r}"
            found = None if own._is_none() else misplaced(own, new, f"{prefix}{key!s}.")
            if found:
                return found
    return None


def full_key(error: OmegaConfBaseException) -> str:
    """Return the dotted key that an OmegaConf error is about."""
    return str(error.full_key or error.key or "")


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return `{dotted key: value}` for the leaves of nested mappings."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _expected(key: str, base: DictConfig) -> str:
    """Name the declared type of a key, where OmegaConf knows it."""
    parent, _, leaf = key.rpartition(".")
    node = OmegaConf.select(base, parent) if parent else base
    if not isinstance(node, DictConfig) or node._get_node(leaf) is None:
        return ""
    kind = node._get_node(leaf)._metadata.ref_type  # type: ignore[union-attr]
    return f"expected {getattr(kind, '__name__', kind)}; "


def _nearest(key: str, section: Any, base: DictConfig) -> str:
    """Suggest the valid key most like `key`: in its own section, else by whole path, else by its last part."""
    parent, dot, name = key.rpartition(".")
    siblings = [f.name for f in dataclasses.fields(section)] if dataclasses.is_dataclass(section) else []
    beside = difflib.get_close_matches(name, siblings, n=1, cutoff=0.75)
    valid = list(flatten(OmegaConf.to_container(base)))  # type: ignore[arg-type]
    whole = difflib.get_close_matches(key, valid, n=1, cutoff=0.75)
    by_leaf = {v.rpartition(".")[2]: v for v in reversed(valid)}
    last = difflib.get_close_matches(name, list(by_leaf), n=1, cutoff=0.6)
    near = [parent + dot + m for m in beside] or whole or [by_leaf[m] for m in last]
    return f"; did you mean {near[0]!r}?" if near else ""
