"""The gallery of errors as cards: pictures with boxes, dialogue, passages, and what each run thought.

In: `Findings`, the chosen cases. Out: the section. Cards are in the page once; the script shows those that fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from kd_rag.evaluation.findings import Findings
from kd_rag.evaluation.html.frame import series_class
from kd_rag.evaluation.html.gallery import Case
from kd_rag.evaluation.html.markup import Markup, Node, tag
from kd_rag.evaluation.html.material import Cited, Material, Shelf
from kd_rag.evaluation.html.scores import spoken
from kd_rag.evaluation.html.strips import bar
from kd_rag.evaluation.html.thumbnails import thumbnail
from kd_rag.evaluation.predictions import Prediction
from kd_rag.types import IMAGE_MARKER

CARDS = 120
"""Cards on a page: more than anybody reads."""
CHARACTERS = 9_000_000
"""What all cards may take; the rest of a page about 20 runs takes some four millions."""
PICTURES = 3
"""Pictures shown of one record."""
PASSAGE_LISTS = 3
"""Different lists of passages shown on one card."""
LIKELIEST = 3
"""Labels shown of each run's answer, beside the gold one."""
OPEN_RUNS = 4
"""Runs whose answers stand open on a card; the others fold away."""


def make_cards(found: Findings, cases: Iterable[Case]) -> list[Markup]:
    """Return the cards of the first cases, as many as `CHARACTERS` hold: a photo takes more than a screenshot."""
    shelf, cards, left = Shelf(), [], CHARACTERS
    for number, case in enumerate(cases):
        card = _card(number, case, found, shelf)
        left -= len(card)
        if left < 0:
            break
        cards.append(card)
    return cards


def gallery_section(found: Findings, cases: Sequence[Case], cards: Sequence[Markup]) -> list[Markup]:
    """Return the filters and the cards; the cases behind the last card are counted."""
    if not cases:
        return [tag("p", "No run got a record wrong.", class_="none")]
    names, left_out = list(found.runs), len(cases) - len(cards)
    labels = sorted({(case.task, case.label) for case in cases[: len(cards)]})
    by_label = [(f"{spoken(task)}: {label}", f"{task}/{label}") for task, label in labels]
    by_run = [(name, str(i)) for i, name in enumerate(names)]
    filters = [
        _select("filter-label", "Label", "all labels", by_label),
        _select("filter-wrong", "Wrong in", "any run", by_run),
        _select("filter-right", "Right in", "no matter", by_run) if len(names) > 1 else None,
        tag("label", tag("input", type="checkbox", id="show-boxes", checked=True), " text boxes", class_="check"),
    ]
    told = f"{len(cases)} records that a run got wrong, the surest error of each label first."
    if left_out:
        told += f" {left_out} of them have no card here, to keep the page small; the prediction files have them all."
    return [
        tag("p", told),
        tag("form", *filters, tag("output", f"{len(cards)} shown", id="shown"), class_="filters script-only"),
        tag("div", *cards, class_="cards", id="cards"),
    ]


def _select(identity: str, title: str, everything: str, options: Sequence[tuple[str, str]]) -> Markup:
    entries = [tag("option", everything, value=""), *(tag("option", text, value=value) for text, value in options)]
    return tag("label", f"{title} ", tag("select", *entries, id=identity))


def _card(number: int, case: Case, found: Findings, shelf: Shelf) -> Markup:
    names = list(found.runs)
    asked = case.wrong[0]
    material = shelf.look_up(found.runs[asked], case.answers[asked])
    wrong = set(case.wrong)
    runs = {kind: " ".join(str(names.index(n)) for n in case.answers if (n in wrong) == (kind == "wrong"))
            for kind in ("wrong", "right")}  # fmt: skip
    head = tag("header", tag("h3", case.id), tag("p", spoken(case.task), " · gold ", tag("b", case.label)))
    return tag(
        "article",
        head,
        _pictures(material),
        _dialogue(material),
        _passages(case, found, shelf),
        _answers(case, names),
        class_="card",
        id=f"case-{number}",
        data_label=f"{case.task}/{case.label}",
        data_wrong=runs["wrong"],
        data_right=runs["right"],
    )


def _pictures(material: Material) -> Markup | None:
    if material.record is None or not material.record.images:
        return None
    images = material.record.images
    shown = [thumbnail(path, material.boxes.get(path, ()), i + 1) for i, path in enumerate(images[:PICTURES])]
    more = len(images) - PICTURES
    note = tag("p", f"{more} more not shown.", class_="fault") if more > 0 else None
    return tag("div", *shown, note, class_="pictures")


def _dialogue(material: Material) -> Markup:
    if material.record is None:
        return tag("p", material.fault, class_="fault")
    turns = [
        tag("p", tag("span", turn.role, class_="who"), " ", _said(turn.text), class_=turn.role)
        for turn in material.record.turns
        if turn.text.strip()
    ]
    return tag("div", *turns, class_="dialogue")


def _said(text: str) -> list[Node]:
    """Return a turn's words, its pictures as words of another kind."""
    first, *others = text.split(IMAGE_MARKER)
    return [first, *([tag("span", "picture", class_="marker"), other] for other in others)]


def _passages(case: Case, found: Findings, shelf: Shelf) -> Markup | None:
    """Return what each run was shown, those that saw the same together: a teacher may see more than its student."""
    shown: dict[tuple[str, ...], list[str]] = {}
    for name, prediction in case.answers.items():
        shown.setdefault(tuple(prediction.passages), []).append(name)
    if not any(shown):
        return None
    blocks: list[Markup] = []
    for names in islice(shown.values(), PASSAGE_LISTS):
        cited = shelf.look_up(found.runs[names[0]], case.answers[names[0]]).passages
        whose = tag("small", f" in {', '.join(names)}") if len(found.runs) > 1 else None
        blocks += [tag("h4", "Passages" if cited else "No passage", whose), *_cited(cited)]
    more = len(shown) - PASSAGE_LISTS
    note = tag("p", f"{more} more lists not shown.", class_="fault") if more > 0 else None
    return tag("div", *blocks, note, class_="passages")


def _cited(cited: Sequence[Cited]) -> list[Markup]:
    entries = []
    for c in cited:
        score = "score not kept" if c.score is None else f"{c.score:.3f}"
        text: Node = tag("p", c.passage.text) if c.passage else tag("p", "Its text is not kept.", class_="fault")
        title = (c.passage.title if c.passage else "") or c.id
        entries.append(tag("details", tag("summary", title, " ", tag("small", score)), text, tag("small", c.id)))
    return entries


def _answers(case: Case, names: Sequence[str]) -> Markup:
    """Return each run's likeliest labels; runs that were wrong come first, then in the order of the page."""
    order = sorted(case.answers, key=lambda name: (names.index(name) >= 2, name not in case.wrong, names.index(name)))
    shown = [_answer(case.answers[name], name, names.index(name), case.label) for name in order]
    rest = shown[OPEN_RUNS:]
    more = tag("details", tag("summary", f"{len(rest)} more runs"), *rest) if rest else None
    return tag("div", *shown[:OPEN_RUNS], more, class_="answers")


def _answer(p: Prediction, name: str, index: int, gold: str) -> Markup:
    likeliest = sorted(p.probabilities, key=lambda label: -p.probabilities[label])[:LIKELIEST]
    rows = []
    for label in likeliest if gold in likeliest else [*likeliest[:-1], gold]:
        share = p.probabilities[label]
        kind = "gold" if label == gold else ""
        rows.append(tag("li", tag("span", label, class_=f"name {kind}".strip()), bar(share, kind),
                        tag("span", f"{share:.2f}", class_="number")))  # fmt: skip
    right = p.predicted == gold
    verdict = tag("span", "right" if right else "wrong", class_=f"verdict {'good' if right else 'bad'}")
    swatch = tag("span", class_=f"swatch {series_class(index)}", aria_hidden="true")
    steps = [tag("p", line) for line in (p.reasons or "").splitlines()]
    why = tag("details", tag("summary", "Its reasons"), *steps) if steps else None
    return tag("div", tag("p", swatch, tag("b", name), " ", verdict), tag("ul", *rows), why, class_="answer")
