"""Web pages: .html and .htm, one passage under each heading; scripts, styles and navigation are left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from bs4 import BeautifulSoup
from bs4.element import NavigableString, PageElement, PreformattedString, Tag

from kb_builder.readers import TEXT_KIND, Entry, Reading, bytes_of
from kd_rag.types import InputError

_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
_UNREAD = {"script", "style", "nav", "noscript", "template", "svg", "head"}
_INLINE = {"a", "abbr", "b", "bdi", "bdo", "cite", "code", "em", "font", "i", "kbd", "mark", "q", "s", "samp", "small"}
_INLINE |= {"span", "strong", "sub", "sup", "time", "u", "var", "wbr"}
_CELLS = {"td", "th"}


def read_html(path: Path, reading: Reading) -> Iterator[Entry]:
    """Yield the sections that have text; that above the first heading has the page's title, or the file's name."""
    page = BeautifulSoup(bytes_of(path), "html.parser")
    if page.find(True) is None:
        raise InputError(f"{path}: line 1: is not HTML; it has no element")
    title = _spaced(page.title.get_text()) if page.title else ""
    sections = [(1, title or path.stem, list[str]())]
    for node in _flow(page):
        if isinstance(node, Tag):
            sections.append((node.sourceline or 1, _spaced(node.get_text()), []))
        else:
            sections[-1][2].append(node)
    for line, heading, words in sections:
        lines = (_spaced(text) for text in "".join(words).split("\n"))
        if text := "\n".join(filter(None, lines)):
            yield Entry(f"line {line}", {"kind": reading.kind or TEXT_KIND, "title": heading, "text": text})


def _flow(root: Tag) -> Iterator[Tag | str]:
    """Yield headings, and the text between them with a line end around each block, in the order of the page."""
    waiting: list[PageElement | str] = [root]  # no recursion: a page may nest its elements 10,000 deep
    while waiting:
        node = waiting.pop()
        if isinstance(node, Tag) and node.name in _HEADINGS:
            yield node
        elif isinstance(node, Tag) and node.name not in _UNREAD:
            around = "" if node.name in _INLINE else " " if node.name in _CELLS else "\n"
            waiting += [around, *reversed(node.contents), around]
        elif isinstance(node, NavigableString):
            yield "" if isinstance(node, PreformattedString) else re.sub(r"\s+", " ", node)
        elif isinstance(node, str):
            yield node


def _spaced(text: str) -> str:
    return " ".join(text.split())
