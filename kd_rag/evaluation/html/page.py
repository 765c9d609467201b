"""The page about runs: what its sections are, and in which order.

In: `Findings`. Out: the text of an HTML file.
"""

from __future__ import annotations

from itertools import islice

from kd_rag.evaluation.findings import Findings
from kd_rag.evaluation.html.cards import CARDS, gallery_section, make_cards
from kd_rag.evaluation.html.document import document
from kd_rag.evaluation.html.facts import configuration_section, cost_section, kept_section, passage_section
from kd_rag.evaluation.html.gallery import choose, key_of
from kd_rag.evaluation.html.labels import label_section, run_section
from kd_rag.evaluation.html.markup import Node, tag
from kd_rag.evaluation.html.reliability import coverage_section, sureness
from kd_rag.evaluation.html.scores import comparison_section, curve_section, score_section
from kd_rag.evaluation.runs import Run


def report_page(found: Findings) -> str:
    """Return the page about runs."""
    measured = {name: sureness(run) for name, run in found.runs.items()}
    cases = choose(found.runs)
    cards = make_cards(found, islice(cases.values(), CARDS))
    places = {key: i for i, key in enumerate(islice(cases, len(cards)))}

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
        "Passages": passage_section(found),
        "Speed and memory": cost_section(found),
        "Configuration": configuration_section(found),
        "Errors": gallery_section(found, list(cases.values()), cards),
    }
    splits = sorted({f"{len(run.predictions)} {run.metrics['split']} records" for run in found.runs.values()})
    names = list(found.runs)
    runs = names[0] if len(names) == 1 else f"{len(names)} runs"
    return document(f"Report on {runs}", f"{', '.join(splits)} · {', '.join(names)}", sections)
