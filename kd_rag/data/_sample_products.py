"""The invented products of the bundled sample, each with one known fault, and the passages that tell it.

Products come in sets, one product for each fault: within a set the model code and the category are the same,
only the brand differs, and no brand occurs twice. So neither category nor any word of a name tells the fault.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass

from kd_rag.data._sample_drafts import deal
from kd_rag.types import Passage

FAULTS = {
    "battery_fault": (
        "the battery runs flat in an hour",
        "the battery does not hold its charge",
        "it loses its charge over night",
        "the battery has to charge all day",
    ),
    "noise_fault": (
        "it makes a loud noise",
        "it starts to hum after an hour",
        "there is a hum, a low noise, at night",
        "the noise gets loud over time",
    ),
    "paint_fault": (
        "the paint comes off",
        "the colour fades in the sun",
        "the paint loses its colour over time",
        "the colour comes off on your hand",
    ),
}
"""Label -> the ways in which passages put it."""

_CATEGORIES = ("lamp", "fan", "clock", "speaker", "torch", "shaver", "heater", "scale", "mixer", "drill")
_ONSETS = ("B", "Br", "D", "F", "G", "H", "J", "K", "L", "M", "N", "Pr", "Qu", "R", "Sk", "T", "V", "W", "Y", "Z")
_RIMES = ("ab", "arn", "eb", "elm", "ex", "ilk", "im", "onk", "orv", "osk", "ulm", "urp", "yl", "yx")
_ENDINGS = ("ado", "ary", "emo", "ish", "iva", "ogat", "onix", "ulek")
_SHEETS = (
    "{name}. Weight {grams} g, {years} years of warranty. Known issue: {fault}.",
    "The {name} weighs {grams} g. Many owners say that {fault}. Warranty: {years} years.",
    "Facts about the {name}: made for the home, {grams} g. Known issue: {fault}.",
)
_REVIEWS = (
    "I have had my {name} for {years} months. Sadly {fault}.",
    "{stars} stars for the {name}. Good value, but {fault}.",
    "We bought the {name} for our home and {fault}. The shop was kind.",
)


@dataclass(frozen=True, slots=True)
class Product:
    """An invented product; `fault` is the label of its known fault."""

    name: str
    fault: str


def draw_product_sets(rng: random.Random, count: int) -> list[tuple[Product, ...]]:
    """Draw `count` sets of products, one product for each fault in each set."""
    brands = ["".join(parts) for parts in itertools.product(_ONSETS, _RIMES, _ENDINGS)]
    chosen = iter(rng.sample(brands, count * len(FAULTS)))
    sets = []
    for category in deal(rng, _CATEGORIES, count):
        code = f"{rng.choice('ABCDEFGHKLMNPRSTX')}{rng.randint(2, 9)}"
        sets.append(tuple(Product(f"{next(chosen)} {code} {category}", fault) for fault in FAULTS))
    return sets


def describe(rng: random.Random, product: Product) -> list[Passage]:
    """Write the product's data sheet and a review; both tell its known fault, each in its own words."""
    sheet_fault, review_fault = rng.sample(FAULTS[product.fault], 2)
    numbers = {"grams": rng.randrange(200, 900, 10), "years": rng.randint(2, 5), "stars": rng.randint(2, 4)}
    slug = product.name.lower().replace(" ", "-")
    sheet = rng.choice(_SHEETS).format(name=product.name, fault=sheet_fault, **numbers)
    review = rng.choice(_REVIEWS).format(name=product.name, fault=review_fault, **numbers)
    about = {"product": product.name}
    return [
        Passage(f"product-{slug}", "product", product.name, sheet, about),
        Passage(f"review-{slug}", "review", f"Review of the {product.name}", review, about),
    ]
