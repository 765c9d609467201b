"""Components found by name: how a configuration names an OCR engine, a retriever, a divergence.

A family is a folder whose files are its members (files beginning with `_` are the room's own tools), or one module
whose public functions are. A member file defines exactly one public class or function. Its keyword-only parameters
are its options, with their types and defaults; what comes before `*` is injected by the code that builds it.
`package.module:Object` names a component outside the package.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, get_type_hints

from kd_rag.types import InputError

FAMILIES = {
    "augmentations": "kd_rag.augmentations",
    "divergences": "kd_rag.losses.divergences",
    "models": "kd_rag.models",
    "ocr": "kd_rag.ocr",
    "retrievers": "kd_rag.retrievers",
    "teachers": "kd_rag.teachers",
}


def names(family: str) -> list[str]:
    """Return the sorted member names of a family; a folder's members are listed without importing them."""
    if family not in FAMILIES:
        raise InputError(f"unknown family {family!r}; the families are {', '.join(FAMILIES)}")
    module = importlib.import_module(FAMILIES[family])
    if hasattr(module, "__path__"):
        return sorted(m.name for m in pkgutil.iter_modules(module.__path__) if not m.name.startswith("_"))
    return sorted(_public(module))


def find(family: str, name: str) -> Callable[..., Any]:
    """Return the class or function that `name` means in `family`."""
    if ":" in name:
        return _outside(family, name)
    known = names(family)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(f"{family}: there is no {name!r} (there are: {', '.join(known)}){hint}")
    module = importlib.import_module(FAMILIES[family])
    if not hasattr(module, "__path__"):
        return _public(module)[name]
    public = _public(importlib.import_module(f"{FAMILIES[family]}.{name}"))
    assert len(public) == 1, f"{family}/{name}.py must define one public class or function, has {sorted(public)}"
    return next(iter(public.values()))


def options(family: str, name: str) -> dict[str, tuple[Any, Any]]:
    """Return `{option: (type, default)}` of a member; a required option's default is `inspect.Parameter.empty`."""
    member = find(family, name)
    hints = get_type_hints(member.__init__ if inspect.isclass(member) else member)
    parameters = inspect.signature(member).parameters.values()
    return {p.name: (hints[p.name], p.default) for p in parameters if p.kind is p.KEYWORD_ONLY}


def build(family: str, component: Mapping[str, Any], *injected: Any) -> Any:
    """Make the component that `{"name": …, **options}` describes.

    A class is instantiated with `injected` and its options; a function gets its options bound and takes its
    other arguments when it is called. An option that is a dataclass is made of its mapping. Raises
    InputError when a required option is not there.
    """
    name, chosen = component["name"], {key: value for key, value in component.items() if key != "name"}
    member = find(family, name)
    for option, (kind, default) in options(family, name).items():
        if default is inspect.Parameter.empty and option not in chosen:
            raise InputError(f"{family}: {name!r} needs the option {option!r}, which is not set")
        if dataclasses.is_dataclass(kind) and isinstance(chosen.get(option), Mapping):
            chosen[option] = kind(**chosen[option])  # type: ignore[operator]
    return member(*injected, **chosen) if inspect.isclass(member) else functools.partial(member, **chosen)


def require(module: str, extra: str) -> ModuleType:
    """Import an optional package, or say in one sentence which extra brings it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise InputError(f"{module} is not installed; install it with: pip install 'kd-rag[{extra}]'") from None


def _public(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """Return the public classes and functions that a module itself defines."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    }


def _outside(family: str, name: str) -> Callable[..., Any]:
    """Import `package.module:Object`."""
    path, _, attribute = name.partition(":")
    try:
        member: Callable[..., Any] = getattr(importlib.import_module(path), attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        raise InputError(f"{family}: cannot import {name!r} ({error})") from None
    return member
