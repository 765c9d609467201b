"""HTML as nested calls: `tag("p", "a < b")` is `<p>a &lt; b</p>`.

In: names, children, attributes. Out: `Markup`. Whatever is no `Markup` is text and is escaped, so that nothing that a
record, a label or a file holds can become an element.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TypeAlias


class Markup(str):
    """HTML as it stands."""

    __slots__ = ()


Node: TypeAlias = str | int | float | Iterable["Node"] | None
"""What an element may hold: markup, text, numbers, nothing, or several of those."""

_VOID = frozenset({"br", "img", "input", "meta"})


def tag(name: str, /, *children: Node, **attributes: str | float | bool | None) -> Markup:
    """Return an element.

    Attributes that are None or False are left out and True stands bare; `class_` is `class`, `data_run` is `data-run`.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def join(node: Node) -> Markup:
    """Return the markup of a node, text escaped."""
    if node is None:
        return Markup("")
    if isinstance(node, Markup):
        return node
    if isinstance(node, str):
        return Markup(html.escape(node))
    if isinstance(node, int | float):
        return Markup(number(node))
    return Markup("".join(map(join, node)))


def number(value: float) -> str:
    """Return a number with at most two decimals: drawings need no more."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _attribute(key: str, value: str | float | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    return f' {name}="{html.escape(value if isinstance(value, str) else number(value))}"'
