"""Drafts of the bundled sample's intent records: who says what, and which picture goes with it.

Every question about a product is asked in the same words of one product for each fault, and every text sent with
a photo goes with a whole and with a cracked item: the dialogue alone is at chance there by construction.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from kd_rag.data._sample_drafts import Draft, Sketch, deal, new_seed
from kd_rag.data._sample_products import FAULTS, Product
from kd_rag.types import IMAGE_MARKER, Turn

TOLD_BY_DIALOGUE = {
    "delivery_time": (
        "When will my {item} arrive?",
        "How long does delivery to {city} take?",
        "Will the {item} arrive before {day}?",
        "Is delivery on {day} possible?",
        "My {item} should arrive soon, on which day?",
        "Please tell me the delivery date of my {item}.",
        "Does it arrive in {city} this week?",
    ),
    "refund_request": (
        "I want a refund for the {item}.",
        "Please give me my money back for the {item}.",
        "How do I get a refund?",
        "I do not like the {item}, I want my money back.",
        "Can you refund the {item} I got on {day}?",
        "The {item} is not for me, a refund please.",
        "Will I see my money back by {day}?",
    ),
    "size_advice": (
        "Which size of the {item} should I take?",
        "I am {number} cm tall, will it fit?",
        "Does the {item} fit a tall person?",
        "Is size M too small for me?",
        "What size is right for a child?",
        "Is the {item} a loose fit?",
        "Do I need a big size of the {item}?",
    ),
    "voucher_question": (
        "My voucher does not work.",
        "Is there a discount on the {item}?",
        "Where do I enter the voucher?",
        "Do I get a discount if I buy two?",
        "Is my voucher good until {day}?",
        "Does the discount of {day} count for the {item}?",
        "I have a voucher, may I use it for the {item}?",
    ),
    "address_change": (
        "I moved to {city}, please change my address.",
        "The street on my order is wrong.",
        "Can you send the {item} to another address?",
        "I gave the wrong address, please correct it.",
        "My street has a new name, please update it.",
        "My new address is in {city}.",
        "I typed the wrong street for the {item}.",
    ),
}
"""Label -> what a customer says; the same words stand in every split."""
TOLD_BY_PICTURE = {"cracked_item": "cracked_goods", "intact_item": "whole_goods"}
"""Label -> the scene that tells it."""
INTENTS = (*TOLD_BY_DIALOGUE, *FAULTS, *TOLD_BY_PICTURE)

_ABOUT_A_PRODUCT = (
    "Something is off with my {name}, is that normal for this one?",
    "Is what happens to my {name} a known issue?",
    "My {name} is not as it should be. Is this known?",
    "There is a problem with my {name}, do others have it too?",
    "I think my {name} has a fault, is it a known one?",
    "My {name} lets me down, have you heard of this?",
    "I have the usual trouble with the {name}.",
)
_WITH_A_PHOTO = (
    "Here is the photo you asked for. <image>",
    "<image> This is how it came.",
    "I opened the box and took this photo. <image>",
    "This is the item. <image> What now?",
    "<image> Please look at my photo.",
    "It came today, see here: <image>",
    "<image> Here you see it.",
)
_SLOTS = {
    "item": ("jacket", "shirt", "coat", "dress", "sweater"),
    "city": ("Berlin", "Lyon", "Porto", "Leeds", "Turin"),
    "day": ("Monday", "Tuesday", "Friday", "Sunday"),
    "number": ("160", "172", "185"),
}
GREETINGS = ("Hello", "Hi there", "Good morning")
_WELCOMES = ("", "Hello, how may I help?", "Welcome to our shop.")
_REPLIES = ("", "One moment please.", "Let me look.")
_ASKED_NUMBER = "May I have your customer number?"
_IRRELEVANT = ("message_chat", "star_reviews", "till_receipt", "whole_goods")


def draw_intents(rng: random.Random, product_sets: Sequence[Sequence[Product]]) -> list[Draft]:
    """Draw as many records of each intent as there are `product_sets`, one about each of the products."""
    count = len(product_sets)
    drafts = [draft for label in TOLD_BY_DIALOGUE for draft in _told_by_dialogue(rng, label, count)]
    for question, products in zip(deal(rng, _ABOUT_A_PRODUCT, count), product_sets, strict=True):
        drafts += _told_by_passage(rng, question, products)
    for text in deal(rng, _WITH_A_PHOTO, count):
        drafts += _told_by_picture(rng, text)
    return drafts


def _told_by_dialogue(rng: random.Random, label: str, count: int) -> list[Draft]:
    drafts = []
    for i, template in enumerate(deal(rng, TOLD_BY_DIALOGUE[label], count)):
        text = template.format(**{slot: rng.choice(words) for slot, words in _SLOTS.items()})
        sketches: tuple[Sketch, ...] = ()
        if i % 5 == 4:
            text += f" {IMAGE_MARKER}"
            sketches = (Sketch(rng.choice(_IRRELEVANT), new_seed(rng)),)
        drafts.append(Draft("intent", label, "dialogue", _around(rng, text), sketches))
    return drafts


def _told_by_passage(rng: random.Random, question: str, products: Sequence[Product]) -> list[Draft]:
    turns = _around(rng, question)
    return [
        Draft("intent", product.fault, "passage", _naming(product, turns), product=product.name) for product in products
    ]


def _told_by_picture(rng: random.Random, text: str) -> list[Draft]:
    turns, seed = _around(rng, text), new_seed(rng)
    return [
        Draft("intent", label, "picture", turns, (Sketch(scene, seed),)) for label, scene in TOLD_BY_PICTURE.items()
    ]


def _around(rng: random.Random, text: str) -> tuple[Turn, ...]:
    """Put the customer's `text` among the small talk of one to four turns."""
    said = (Turn("user", text),)
    greeting = (Turn("user", rng.choice(GREETINGS)), Turn("agent", rng.choice(_WELCOMES)))
    reply = (Turn("agent", rng.choice(_REPLIES)),)
    number = (Turn("agent", _ASKED_NUMBER), Turn("user", f"It is {rng.randint(10000, 99999)}."))
    return rng.choice((said, greeting + said, said + reply, greeting + said + reply, said + number))


def _naming(product: Product, turns: Sequence[Turn]) -> tuple[Turn, ...]:
    return tuple(Turn(turn.role, turn.text.replace("{name}", product.name)) for turn in turns)
