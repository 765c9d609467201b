"""What a phone's page shows that says nothing about its subject: patterns, Chinese and English.

In: a line's text. Out: the text without it. Every table is tried from its first row to its last.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_NO_PRICE = r"(?<![¥￥$€£\d.])(?<![¥￥$€£]\s)"
_STATUS_BAR = {
    "clock": r"(?:上午|下午|中午|凌晨|晚上|[AP]M)?\s*\d{1,2}[:：]\d{2}(?:\s*[AP]M)?",
    "speed": r"(?:\d+(?:\.\d+)?\s*)?[KM]B?/S",
    "network": r"[2-6]G\+?|VOLTE|LTE|WI-?FI|HD\d?|NFC",
    "carrier": r"中国(?:移动|联通|电信|广电)|CHINA (?:MOBILE|UNICOM|TELECOM)|CMCC|VERIZON|AT&T|T-MOBILE|VODAFONE",
    "signal": r"(?<![\d.])(?!\d+\.\d)\b[IL1U|.]{2,4}\b|川",
    "battery": rf"{_NO_PRICE}\d{{1,3}}(?:(?:\.\d{{1,2}})?%)?(?![\d.])",
}
"""What stands in a phone's status bar; a price does not."""
_BARE_SPEED = re.compile(rf"{_NO_PRICE}\d{{1,3}}\.\d{{1,2}}(?![\d.%])")
"""A speed whose unit was read as another line, or a price."""
_STATUS_CHARACTERS = 40
"""A status bar holds no more; without a bound, patterns would try a long text at every place."""
_STATUS = [re.compile(pattern, re.IGNORECASE) for pattern in _STATUS_BAR.values()]

# `XXXL` is a size.
_LETTERS = r"(?<![A-Za-z])[xX]{3,}(?![A-Za-z])"
_MASK = re.compile(rf"(?:[*＊×■█▇●]|{_LETTERS}){{2,}}|{_LETTERS}")

_DATE_AND_TIME = r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?"
_NUMBERS = [
    (
        "tracking_number",
        r"(?:运单|快递|物流|快递单|物流单)(?:编号|号码|号)[\s:：]*|tracking (?:number|no\.?|id)[\s:#]*",
        r"[A-Z]{0,4}\d[\dA-Z]{6,}",
    ),
    (
        "order_number",
        r"(?:订单|交易|流水|退款|退货)(?:编号|号码|单号|号)[\s:：]*"
        r"|(?:order|refund|return|transaction) (?:number|no\.?|id)[\s:#]*|order #\s*",
        r"[A-Z]{0,4}-?\d[\d-]{3,}\d",
    ),
    ("phone_number", "", r"(?<![A-Z\d*-])(?:\+?86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4}(?:-\d{4})?(?![\d*])"),
    ("phone_number", "", r"(?<![A-Z\d*-])1[3-9]\d\*+\d{2,4}(?:-\d{4})?(?![\d*])"),
    (
        "phone_number",
        "",
        r"(?<![A-Z\d*-])(?:[48]00-?(?:\d{3}-?\d{4}|\d{4}-?\d{3})|0\d{2,3}-\d{7,8})(?![\d-])",
    ),
    ("phone_number", "", r"\+\d{1,3}(?:[ -]\d{2,4}){2,4}(?!\d)"),
    ("tracking_number", "", r"(?<![A-Z\d])(?:SF|YT|JD[A-Z]{0,2}|JT|ZTO|STO|YD|DPK|EMS|LP|1Z)\d[\dA-Z]{9,}"),
    ("order_number", "", r"(?<![A-Z\d.-])\d{6}-\d{15}(?!\d)"),
    ("order_number", "", rf"(?<![A-Z\d.-])(?!{_DATE_AND_TIME}(?!\d))\d{{12}}(?:\d\d+)?(?![\d.])"),
]
"""Kind, the words before it that tell the kind and stay, and the number.

A run of 12 digits or more identifies an order; but 13 are as often a bar code or an ISBN, which tell the product.
"""
_IDENTIFIERS = [(kind, re.compile(f"({label})({number})", re.IGNORECASE)) for kind, label, number in _NUMBERS]

_WORD_CHARACTER = re.compile(r"[^\W_]")
_TOLD_APART = re.compile(r"[^\W_]|(?<=\d)[^\w\s]+(?=\d)")


def are_status(texts: Sequence[str]) -> list[bool]:
    """Return which of the texts at a page's top hold nothing but what belongs to a status bar, and punctuation.

    A number with a point is a speed where anything else of a status bar is there, and a price where nothing is.
    """
    rests = [_BARE_SPEED.sub(" ", text) for text in texts]
    possible = [_is_status(rest) for rest in rests]
    found = any(status and words_of(rest) for status, rest in zip(possible, rests, strict=True))
    return [status and (found or rest == text) for status, rest, text in zip(possible, rests, texts, strict=True)]


def _is_status(text: str) -> bool:
    if len(text) > _STATUS_CHARACTERS:
        return False
    for pattern in _STATUS:
        text = pattern.sub(" ", text)
    return not _WORD_CHARACTER.search(text)


def without_masks(text: str) -> str:
    """Return the text with a single `*` for each run of characters that hides something."""
    return _MASK.sub("*", text)


def without_identifiers(text: str, names: dict[str, str]) -> str:
    """Return the text with the name of its kind in place of every number that only identifies."""
    for kind, pattern in _IDENTIFIERS:
        text = pattern.sub(lambda found, name=names[kind]: found[1] + name, text)  # type: ignore[misc]
    return text


def words_of(text: str) -> str:
    """Return the letters, digits and Han characters of a text in lower case."""
    return "".join(_WORD_CHARACTER.findall(text)).casefold()


def told_apart(text: str) -> str:
    """Return what two lines must share to say the same: their words, and the signs within their numbers."""
    return "".join(_TOLD_APART.findall(text)).casefold()


def is_stray(text: str) -> bool:
    """Return whether a text is one character, with or without punctuation; a digit may stand beside a sign."""
    words = words_of(text)
    return len(words) < 2 and not (words.isdigit() and len(text.strip()) > 1)
