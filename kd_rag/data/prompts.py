"""From an example to chat messages: passages, text of the pictures, dialogue, then the question with its labels.

What outside text the messages carry is data only: the collator tokenises it apart from the chat template, so that
no turn, passage, line or label can become a special token, and only the first line of a passage or of a picture's text
begins at the margin, so that none further down can pass for a heading. Budgets cut the text here, before any template
is filled, because cutting token ids later could cut through a picture.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

from kd_rag.config import PromptConfig, PromptParts
from kd_rag.knowledge.content import LABEL_KEY
from kd_rag.types import IMAGE_MARKER, Example, Passage, TextLine, Turn

Message = dict[str, Any]
Cut = Callable[[str, int, Literal["head", "tail"]], tuple[str, int]]
"""`cut(text, max_tokens, keep)` returns the text's head or tail within the budget, and the tokens it has."""

IMAGE_PART = {"type": "image"}
_NEXT_LINE = "\n  "
"""Between two lines of a passage or of a picture's text."""


def visible(example: Example, parts: PromptParts) -> Example:
    """Return the example without what the prompt is not to show."""
    return replace(
        example,
        task=example.task if parts.descriptions else replace(example.task, descriptions={}),
        passages=example.passages if parts.passages else (),
        lines=example.lines if parts.ocr else (),
    )


def either(one: PromptParts, other: PromptParts) -> PromptParts:
    """Return the parts that at least one of two prompts shows."""
    shown = {part: getattr(one, part) or getattr(other, part) for part in vars(one)}
    return PromptParts(**shown)


def messages(example: Example, prompt: PromptConfig, cut: Cut) -> list[Message]:
    """Return the system and user messages of an example in the chat-template form of `transformers`.

    Pictures stand where their `<image>` marker was; those without a marker come before the dialogue.
    """
    parts = [
        _text(_passages(example, prompt, cut) + _lines(example, prompt, cut) + prompt.dialogue_heading + "\n"),
        *_dialogue(example, prompt, cut),
        _text("\n".join(_request(example, prompt))),
    ]
    return [
        {"role": "system", "content": [_text(prompt.system)]},
        {"role": "user", "content": _joined(parts)},
    ]


def _request(example: Example, prompt: PromptConfig) -> list[str]:
    """Return the lines that say what is asked, and the labels to choose from."""
    instruction, labels = example.task.instruction, _labels(example, prompt)
    if example.asked == "reasons":
        return [instruction, labels, prompt.reasons_request.format(label=example.record.label)]
    heading = prompt.labels_heading if example.asked == "label" else prompt.reasoning_heading
    return [instruction, heading, labels]


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def _joined(parts: list[dict[str, str]]) -> list[dict[str, str]]:
    """Join neighbouring text parts into one, so that each is tokenised as a whole."""
    joined: list[dict[str, str]] = []
    for part in parts:
        if joined and part["type"] == joined[-1]["type"] == "text":
            joined[-1] = _text(joined[-1]["text"] + part["text"])
        else:
            joined.append(part)
    return joined


def _labels(example: Example, prompt: PromptConfig) -> str:
    retrieved = {r.passage.metadata.get(LABEL_KEY) for r in example.passages}
    meaning = {
        label: f"{label}: {text}"
        for label, text in example.task.descriptions.items()
        if prompt.descriptions == "all" or label in retrieved
    }
    return "\n".join(meaning.get(label, label) for label in example.task.labels)


def _passages(example: Example, prompt: PromptConfig, cut: Cut) -> str:
    if not example.passages:
        return ""
    entries = [_entry(r.passage) for r in example.passages]
    budget = max(0, prompt.max_passage_tokens - (len(entries) - 1))  # a line break may be a token
    fitting = [cut(entry, budget, "head") for entry in entries]
    shares = fair_shares([tokens for _, tokens in fitting], budget)
    kept = [
        text if share == tokens else cut(text, share, "head")[0]
        for (text, tokens), share in zip(fitting, shares, strict=True)
        if share
    ]
    return "\n".join([prompt.passages_heading, *kept, ""])


def _entry(passage: Passage) -> str:
    """Return a passage under its title; a labelled neighbour stands under its label."""
    title = passage.metadata.get(LABEL_KEY, passage.title) if passage.kind == "example" else passage.title
    return _indented(f"- {title}: {passage.text}" if title else f"- {passage.text}")


def _indented(text: str) -> str:
    return _NEXT_LINE.join(text.splitlines())


def fair_shares(lengths: Sequence[int], budget: int) -> list[int]:
    """Return how much of each length fits into `budget`: short ones whole, long ones cut to the same share.

    What does not divide goes to the first of the long ones.
    """
    shares = [0] * len(lengths)
    shortest_first = sorted(range(len(lengths)), key=lambda i: (lengths[i], -i))
    for done, i in enumerate(shortest_first):
        shares[i] = min(lengths[i], budget // (len(lengths) - done))
        budget -= shares[i]
    return shares


def _lines(example: Example, prompt: PromptConfig, cut: Cut) -> str:
    budget, sections = prompt.max_ocr_tokens, ""
    for number, lines in enumerate(_most_telling(example.lines, budget, cut), start=1):
        if lines and budget > 0:
            text, used = cut(_indented("\n".join(line.text for line in lines)), budget, "head")
            sections += f"{prompt.ocr_heading.format(number=number)}\n{text}\n"
            budget -= used
    return sections


def _most_telling(pages: Sequence[tuple[TextLine, ...]], budget: int, cut: Cut) -> list[tuple[TextLine, ...]]:
    """Return, in reading order, the lines that fit when the most relevant are taken first.

    Lines that nobody ranked are all returned.
    """
    places = [(i, j) for i, page in enumerate(pages) for j in range(len(page))]
    if not any(pages[i][j].relevance for i, j in places):
        return list(pages)
    kept, left = set(), budget
    for i, j in sorted(places, key=lambda place: -pages[place[0]][place[1]].relevance):
        tokens = cut(pages[i][j].text + _NEXT_LINE, budget, "head")[1]
        if tokens <= left:
            kept.add((i, j))
            left -= tokens
    return [tuple(line for j, line in enumerate(page) if (i, j) in kept) for i, page in enumerate(pages)]


def _dialogue(example: Example, prompt: PromptConfig, cut: Cut) -> list[dict[str, str]]:
    """Return the turns with pictures in place, newest text kept when the budget is short.

    A picture whose marker is cut away joins those without a marker, in front.
    """
    kept: list[dict[str, str]] = []
    budget = prompt.max_dialogue_tokens
    for part in reversed(list(_turn_parts(example.dialogue.turns, prompt))):
        if part["type"] == "text":
            text, used = cut(part["text"], budget, "tail")
            part, budget = _text(text), budget - used
        kept.append(part)
        if budget <= 0:
            break
    unmarked = len(example.dialogue.pictures) - sum(part["type"] == "image" for part in kept)
    return [IMAGE_PART] * unmarked + kept[::-1]


def _turn_parts(turns: tuple[Turn, ...], prompt: PromptConfig) -> Iterator[dict[str, str]]:
    for turn in turns:
        yield _text(f"{prompt.user_name if turn.role == 'user' else prompt.agent_name}: ")
        for piece in re.split(f"({re.escape(IMAGE_MARKER)})", turn.text):
            if piece:
                yield dict(IMAGE_PART) if piece == IMAGE_MARKER else _text(piece)
        yield _text("\n")
