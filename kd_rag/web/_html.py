"""Pieces of the page as HTML: bars of probabilities, a picture with what was read on it, passages.

In: answers. Out: HTML in which all outside text is escaped. Colours come from the surrounding page's variables.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from html import escape
from pathlib import Path

from kd_rag.pictures import load_picture
from kd_rag.types import TextLine
from kd_rag.web.answer import Answer

SHOWN_LABELS = 10
LONGEST_SIDE = 900
"""Pixels of the picture on the page."""

STYLE = """
table.answer {width: 100%; border-collapse: collapse; border: 0; font-size: 14px}
.answer caption {text-align: left; font-weight: 600; padding: 4px 8px}
.answer th, .answer td {text-align: left; vertical-align: top; padding: 4px 8px; border: 0 !important;
  border-bottom: 1px solid var(--border-color-primary) !important}
.bar {display: inline-block; height: 10px; border-radius: 3px; background: var(--color-accent); vertical-align: middle}
.answer .number {text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums}
.read {position: relative; max-width: 100%; display: inline-block}
.read img {display: block; max-width: 100%; max-height: 640px}
.read svg {position: absolute; inset: 0; width: 100%; height: 100%}
.read rect {fill: rgb(37 99 235 / .12); stroke: rgb(37 99 235); stroke-width: 1.5; vector-effect: non-scaling-stroke}
"""


def probabilities(answers: Mapping[str, Answer]) -> str:
    """Return the likeliest labels, a column of bars for each model; the first model's order."""
    first = next(iter(answers.values()))
    order = sorted(first.probabilities, key=lambda label: -first.probabilities[label])
    tops = [answer.label for answer in answers.values() if answer.label not in order[:SHOWN_LABELS]]
    shown = [*order[:SHOWN_LABELS], *dict.fromkeys(tops)]
    rows = "".join(
        f"<tr><td>{escape(label)}</td>"
        + "".join(_bar(answer.probabilities.get(label, 0.0)) for answer in answers.values())
        + "</tr>"
        for label in shown
    )
    rest = len(first.probabilities) - len(shown)
    note = f"<p>{rest} less likely labels are not shown.</p>" if rest > 0 else ""
    return _table("Probabilities of the labels", ["label", *answers], rows) + note


def passages(answer: Answer) -> str:
    """Return the passages of the prompt with their scores, best first."""
    if not answer.passages:
        return "<p>No passages in this prompt.</p>"
    rows = "".join(
        f'<tr><td class="number">{found.score:.3f}</td><td>{escape(found.passage.kind)}</td>'
        f"<td><b>{escape(found.passage.title)}</b> {escape(found.passage.text)}</td></tr>"
        for found in answer.passages
    )
    return _table("Passages", ["score", "kind", "passage"], rows)


def changes(by_setting: Mapping[str, Mapping[str, Answer]]) -> str:
    """Return, for each setting of the switches, each model's likeliest label and its probability."""
    names = list(next(iter(by_setting.values())))
    rows = "".join(
        f"<tr><td>{escape(setting)}</td>"
        + "".join(f"<td>{escape(a.label)} {a.probabilities[a.label]:.1%}</td>" for a in answers.values())
        + "</tr>"
        for setting, answers in by_setting.items()
    )
    return _table("What the switches change", ["prompt", *names], rows)


def picture(path: Path | None, lines: tuple[TextLine, ...]) -> str:
    """Return the picture, small enough for a page, with a box and a tooltip around each line that was read."""
    if path is None:
        return "<p>No picture.</p>"
    image = load_picture(path)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    data = base64.b64encode(buffer.getvalue()).decode()
    boxes = "".join(
        f'<rect x="{left:.4f}" y="{top:.4f}" width="{right - left:.4f}" height="{bottom - top:.4f}">'
        f"<title>{escape(line.text)} ({line.confidence:.2f})</title></rect>"
        for line in lines
        for left, top, right, bottom in [line.box]
    )
    said = f"<p>{len(lines)} lines were read.</p>" if lines else "<p>No text was read for this prompt.</p>"
    return (
        f'<div class="read"><img alt="the picture that was sent" src="data:image/jpeg;base64,{data}">'
        f'<svg viewBox="0 0 1 1" preserveAspectRatio="none">{boxes}</svg></div>{said}'
    )


def _bar(probability: float) -> str:
    return f'<td><span class="bar" style="width:{max(1.0, 120 * probability):.0f}px"></span> {probability:.1%}</td>'


def _table(caption: str, heads: list[str], rows: str) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    return (
        f'<table class="answer"><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    )
