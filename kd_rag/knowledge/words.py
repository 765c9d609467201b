"""Words of a text in any script, as search and the leak guard compare them.

In: texts. Out: words in one spelling (Unicode's NFKC, case folded), and the letters of a word with their marks. A vowel
sign or an accent that Unicode writes as a mark of its own belongs to its letter: without it, most words of Hindi, Thai
or Burmese fall apart, and words that differ in their vowels become one.
"""

from __future__ import annotations

import re
import unicodedata

_MARKS = "".join(
    chr(code)
    for code in range(0x300, 0x20000)
    if unicodedata.category(chr(code)) in ("Mn", "Mc") and not 0xFE00 <= code <= 0xFE0F  # these choose how emoji look
)
_WORD = re.compile(rf"\w[\w{_MARKS}]*")
_LETTER = re.compile(rf"\w[{_MARKS}]*")
_JOINER = "\u200d"
"""Asks for a ligature inside of a word, and is not always typed."""


def words(text: str) -> list[str]:
    """Return the runs of letters and digits in reading order; an underscore ends a word."""
    folded = unicodedata.normalize("NFKC", text.replace(_JOINER, "")).casefold()
    return _WORD.findall(unicodedata.normalize("NFKC", folded).replace("_", " "))


def letters(word: str) -> list[str]:
    """Return the letters and digits of a word, each with its marks."""
    return _LETTER.findall(word)
