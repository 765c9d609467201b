"""Lines as they were read -> the lines worth showing: what `ocr.denoise` asks for, step by step.

In: the lines of a record's pictures. Out: fewer of them, in the same order, some shortened, and ranked if wanted. It is
a function of the record and the configuration alone, so that it can run behind the cache, every time anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from kd_rag.config import DenoiseConfig
from kd_rag.ocr._denoise_rules import are_status, is_stray, told_apart, without_identifiers, without_masks, words_of
from kd_rag.ocr._relevance import relevances
from kd_rag.types import InputError, TextLine

Lines = tuple[TextLine, ...]

_STATUS_BAR_SHARE = 0.05
"""A phone's status bar ends at 3.5 to 4.5% of the screen's height."""
_SAME_PLACE = 0.5
"""Intersection over union above which two boxes hold the same words, as detection is scored."""


def denoise(pages: Sequence[Lines], queries: Sequence[str], config: DenoiseConfig) -> tuple[Lines, ...]:
    """Return the lines of each picture of one record that are worth showing.

    `queries` are what relevance is measured by: the task's labels and the record's turns.
    """
    if not 0 <= config.min_confidence <= 1:
        raise InputError(f"ocr.denoise.min_confidence: is a number from 0 to 1, found {config.min_confidence}")
    cleaned = [_cleaned(page, config) for page in pages]
    if config.duplicates:
        cleaned = _first_of_each([_apart(page) for page in cleaned])
    if config.relevance:
        cleaned = _ranked(cleaned, queries)
    return tuple(map(tuple, cleaned))


def _cleaned(page: Lines, config: DenoiseConfig) -> list[TextLine]:
    """Apply the steps that look at one line."""
    lines = [line for line in page if line.confidence >= config.min_confidence]
    if config.masks:
        shortened = [replace(line, text=without_masks(line.text)) for line in lines]
        lines = [new for old, new in zip(lines, shortened, strict=True) if new == old or words_of(new.text)]
    if config.status_bar:
        top = [line for line in lines if line.box[3] <= _STATUS_BAR_SHARE]
        status = {id(line) for line, is_one in zip(top, are_status([line.text for line in top]), strict=True) if is_one}
        lines = [line for line in lines if id(line) not in status]
    if config.mask_numbers:
        names = {kind: getattr(config, kind) for kind in ("order_number", "tracking_number", "phone_number")}
        lines = [replace(line, text=without_identifiers(line.text, names)) for line in lines]
    if config.stray:
        lines = [line for line in lines if not is_stray(line.text)]
    return lines


def _apart(page: list[TextLine]) -> list[TextLine]:
    """Drop lines that lie on a surer one."""
    kept: list[TextLine] = []
    for line in sorted(page, key=lambda line: -line.confidence):
        if all(_overlap(line.box, other.box) <= _SAME_PLACE for other in kept):
            kept.append(line)
    chosen = set(map(id, kept))
    return [line for line in page if id(line) in chosen]


def _first_of_each(pages: list[list[TextLine]]) -> list[list[TextLine]]:
    """Drop lines whose words stand in an earlier line, of this picture or one before."""
    seen: set[str] = set()
    kept: list[list[TextLine]] = []
    for page in pages:
        kept.append([])
        for line in page:
            words = told_apart(line.text) or line.text
            if words not in seen:
                kept[-1].append(line)
            seen.add(words)
    return kept


def _ranked(pages: list[list[TextLine]], queries: Sequence[str]) -> list[list[TextLine]]:
    ranks = iter(relevances([line.text for line in chain(*pages)], queries))
    return [[replace(line, relevance=next(ranks)) for line in page] for page in pages]


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> float:
    """Return intersection over union of two boxes; 0 for boxes without area."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (_area(one) + _area(other) - shared)


def _area(box: tuple[float, float, float, float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
