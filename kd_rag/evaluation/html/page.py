"""The pages themselves: sections under a table of contents, with style and script inside and nothing outside.

In: `Findings`. Out: the text of an HTML file. A content security policy forbids every request, and every script but
the page's own, which it names by its digest.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files

from kd_rag.evaluation.findings import Findings
from kd_rag.evaluation.html.cards import gallery_section
from kd_rag.evaluation.html.facts import configuration_section, cost_section, kept_section
from kd_rag.evaluation.html.gallery import choose, key_of
from kd_rag.evaluation.html.labels import label_section, run_section
from kd_rag.evaluation.html.markup import Markup, Node, tag
from kd_rag.evaluation.html.reliability import coverage_section, sureness
from kd_rag.evaluation.html.scores import comparison_section, curve_section, score_section
from kd_rag.evaluation.runs import Run


def report_page(found: Findings) -> str:
    """Return the page about runs."""
    measured = {name: sureness(run) for name, run in found.runs.items()}
    cases, left_out = choose(found.runs)
    places = {key: i for i, key in enumerate(cases)}

    def link(run: Run, task: str, record: str) -> Node:
        place = places.get(key_of(run, task, record))
        return record if place is None else tag("a", record, href=f"#case-{place}")

    sections = {
        "Scores": score_section(found),
        "Comparison": comparison_section(found),
        "By epoch": curve_section(found),
        "Labels": label_section(found),
        "Run by run": run_section(found, measured),
        "Answering only when sure": coverage_section(found, measured),
        "Kept of the teacher": kept_section(found, link),
        "Speed and memory": cost_section(found),
        "Configuration": configuration_section(found),
        "Errors": gallery_section(found, cases, left_out),
    }
    splits = sorted({f"{len(run.predictions)} {run.metrics['split']} records" for run in found.runs.values()})
    names = list(found.runs)
    runs = names[0] if len(names) == 1 else f"{len(names)} runs"
    return page(f"Report on {runs}", f"{', '.join(splits)} · {', '.join(names)}", sections)


def page(title: str, subtitle: str, sections: Mapping[str, Sequence[Node]]) -> str:
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
