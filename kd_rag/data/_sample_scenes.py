"""Drafts of the bundled sample's scene records: which picture was sent, and what is printed on it.

Five scenes are told by their looks. Five pages of an app are told by their words alone: each page is drawn once
for every label, with the same layout, colours, neutral lines and order, and only the two key words differ.
"""

from __future__ import annotations

import random

from kd_rag.data._sample_drafts import Cue, Draft, Sketch, deal, new_seed
from kd_rag.types import Turn

TOLD_BY_LOOKS = {
    "goods_photo": ("whole_goods", "cracked_goods"),
    "till_receipt": ("till_receipt",),
    "message_chat": ("message_chat",),
    "star_reviews": ("star_reviews",),
    "barcode_label": ("barcode_label",),
}
"""Label -> the drawings that show it."""
TOLD_BY_WORDS = {
    "order_page": ("Order", "Purchase"),
    "logistics_page": ("Parcel", "Courier"),
    "cart_page": ("Cart", "Checkout"),
    "payment_page": ("Payment", "Bank"),
    "refund_page": ("Refund", "Return"),
}
"""Label -> its two key words, which no other page prints."""
SCENES = (*TOLD_BY_LOOKS, *TOLD_BY_WORDS)

_TITLES = ("My {a}", "{a} details", "{a} status", "{a} overview")
_TELLING = (
    "{b} number {number}",
    "{b} confirmed",
    "{b} updated",
    "{b} on {date}",
    "See the {b}",
    "About the {a}",
)
_NEUTRAL = (
    "Total {price}",
    "Price {price}",
    "Date {date}",
    "No. {number}",
    "Quantity {count}",
    "Time {hour}:30",
    "Need help?",
    "Thank you",
)
_BUTTONS = ("Back", "Help", "Close", "Next")
_DATES = ("3 May", "12 June", "25 July", "9 August")
_SENT = ("<image>", "<image> Please look at this.", "What is this? <image>", "<image> I mean this one.")


def draw_scenes(rng: random.Random, count: int) -> list[Draft]:
    """Draw `count` records of each scene."""
    drafts = []
    for label, drawings in TOLD_BY_LOOKS.items():
        for drawing in deal(rng, drawings, count):
            drafts.append(_sent(rng.choice(_SENT), label, "picture", Sketch(drawing, new_seed(rng))))
    for title in deal(rng, _TITLES, count):
        drafts += _told_by_words(rng, title)
    return drafts


def _told_by_words(rng: random.Random, title: str) -> list[Draft]:
    text, seed = rng.choice(_SENT), new_seed(rng)
    body = rng.sample(_TELLING, 2) + rng.sample(_NEUTRAL, rng.randint(2, 4))
    rng.shuffle(body)
    page = [title, *body, rng.choice(_BUTTONS)]
    slots = {
        "number": str(rng.randint(10000, 99999)),
        "price": f"{rng.randint(10, 99)}.{rng.randint(10, 99)}",
        "date": rng.choice(_DATES),
        "hour": str(rng.randint(10, 19)),
        "count": str(rng.randint(1, 9)),
    }
    drafts = []
    for label, (a, b) in TOLD_BY_WORDS.items():
        lines = tuple(template.format(a=a, b=b, **slots) for template in page)
        drafts.append(_sent(text, label, "ocr", Sketch("printed_page", seed, lines)))
    return drafts


def _sent(text: str, label: str, cue: Cue, sketch: Sketch) -> Draft:
    return Draft("image_scene", label, cue, (Turn("user", text),), (sketch,))
