"""Tables with captions, heads that say what they head, and room to scroll on a narrow screen.

In: rows of text or of markup. Out: a `div` that scrolls sideways by itself, so that the page never does.
"""

from __future__ import annotations

from collections.abc import Sequence

from kd_rag.evaluation.html.markup import Markup, Node, tag
from kd_rag.evaluation.tables import Rows


def plain_table(caption: str, rows: Rows, *, headers: int = 1) -> Markup:
    """Return a table of text, whose first `headers` columns name the row; a sentence where there is no row."""
    if len(rows) == 1:
        return tag("p", "None.", class_="none")
    head, *body = rows
    numeric = [all(_is_number(row[i]) for row in body) for i in range(len(head))]
    lines = [[cell(text, header=i < headers, number=numeric[i]) for i, text in enumerate(row)] for row in body]
    return table(
        caption, [cell(t, header=True, number=n, scope="col") for t, n in zip(head, numeric, strict=True)], lines
    )


def table(caption: str, head: Sequence[Markup], rows: Sequence[Sequence[Markup]], *, class_: str = "") -> Markup:
    """Return a table of cells; `head` may be empty."""
    top = tag("thead", tag("tr", *head)) if head else None
    body = tag("tbody", *(tag("tr", *row) for row in rows))
    inner = tag("table", tag("caption", caption), top, body, class_=class_ or None)
    return tag("div", inner, class_="scroll", tabindex="0", role="region", aria_label=caption)


def cell(
    *content: Node, header: bool = False, number: bool = False, scope: str = "row", class_: str = "", style: str = ""
) -> Markup:
    """Return one cell; a header's `scope` is what it heads."""
    classes = " ".join(name for name in ("number" if number else "", class_) if name)
    name = "th" if header else "td"
    return tag(name, *content, scope=scope if header else None, class_=classes or None, style=style or None)


def _is_number(text: str) -> bool:
    return text.strip("+-–0123456789.,:%[] ") in ("", "e", "±", "to")
