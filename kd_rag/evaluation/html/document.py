"""A whole page: sections under a table of contents, with style and script inside and nothing outside.

In: titles and the content of sections. Out: the text of an HTML file. A content security policy forbids every request,
and every script but the page's own, which it names by its digest.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files

from kd_rag.evaluation.html.markup import Markup, Node, tag


def document(title: str, subtitle: str, sections: Mapping[str, Sequence[Node]]) -> str:
    """Return a whole page, each section under its title."""
    script, style = _asset("page.js"), _asset("style.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title} · kd_rag"),
        tag("style", Markup(style)),
    )
    ids = {name: name.lower().replace(" ", "-") for name in sections}
    links = (tag("li", tag("a", name, href=f"#{ids[name]}")) for name in sections)
    contents = tag("nav", tag("ol", *links), aria_label="Sections")
    parts = [
        tag("section", tag("h2", name, id=ids[name]), *content, aria_labelledby=ids[name])
        for name, content in sections.items()
    ]
    main = tag("main", tag("header", tag("h1", title), tag("p", subtitle)), *parts)
    body = tag("body", contents, main, tag("script", Markup(script)))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _asset(name: str) -> str:
    return files("kd_rag.evaluation.html").joinpath(name).read_text(encoding="utf-8")
