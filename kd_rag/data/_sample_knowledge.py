"""The questions, answers and policies of the bundled sample's knowledge base: what is true of the whole shop.

They speak of the topics of the dialogues, never of a product's fault.
"""

from __future__ import annotations

from kd_rag.types import Passage

_QUESTIONS = {
    "delivery": (
        ("How long does delivery take?", "Delivery takes two to four days after we pack the parcel."),
        ("When does my item arrive?", "Most items arrive within four days, by noon or in the evening."),
        ("Do you deliver abroad?", "Delivery to Berlin, Lyon, Porto, Leeds and Turin takes five days."),
        ("Is there a faster delivery?", "Express items arrive on the next working day."),
        ("Do you deliver on Sunday?", "There is no delivery on Sunday; items arrive on Monday then."),
    ),
    "refund": (
        ("How do I get a refund?", "Send the item back; the refund is made within five days."),
        ("When do I get my money back?", "You see the money back on your account after five days."),
        ("What if I do not like my item?", "You get your money back if the item was not worn."),
        ("Can I get a refund without the box?", "Yes, a refund does not need the box."),
        ("Who pays the way back?", "We pay the way back for every refund."),
    ),
    "size": (
        ("Which size should I take?", "Take your usual size; between two sizes take the big one."),
        ("How does a jacket fit?", "Our jackets fit close; for a loose fit take one size up."),
        ("How does a coat or sweater fit?", "Coats and sweaters fit loose, also over a shirt."),
        ("Which size is right for my height?", "Size M is for 165 to 175 cm, size L for a tall person."),
        ("Do you have a size for a child?", "For a child take size S, or XS below 140 cm."),
    ),
    "voucher": (
        ("Where do I enter a voucher?", "Enter the voucher in the last step, below the total."),
        ("Why does my voucher not work?", "A voucher works once and until the day printed on it."),
        ("Is there a discount for two items?", "Two items of a kind get a discount of ten percent."),
        ("Can I use a voucher for any item?", "A voucher counts for all items that have no discount."),
        ("When is the next discount?", "We give a discount on the first Friday of the month."),
    ),
    "address": (
        ("How do I change my address?", "We change the address as long as the parcel is not packed."),
        ("What if the street is wrong?", "Tell us the right street and we update the order."),
        ("Can you send to another address?", "Yes, each order may have an address of its own."),
        ("I moved, what should I do?", "Give us your new address and the street of the old one."),
        ("Why is my address refused?", "An address needs a street, a number and a city."),
    ),
    "photo": (
        ("Why do you ask for a photo?", "A photo of the item shows us how it came and helps us to help you."),
        ("How do I send a photo?", "Open the chat, take a photo of the item and send it."),
        ("What should the photo show?", "The photo should show the whole item in good light."),
    ),
    "product": (
        ("Is it normal?", "What is normal for a product stands on its page, under known issues."),
        ("Who tells me about a known issue?", "We write each known issue into the sheet of the product."),
        ("How long is the warranty?", "The warranty of a product is two to five years."),
    ),
}
_POLICIES = {
    "Delivery policy": "We promise delivery within seven days. If it does not arrive, it is free.",
    "Express policy": "Express orders made before noon arrive on the next day, on all days but Sunday.",
    "Refund policy": "You may ask for a refund for thirty days. We give the money back the way you gave it.",
    "Money back promise": "What you do not like goes back within thirty days, and the money comes back in five.",
    "Size exchange policy": "An item of the wrong size is exchanged once for another size.",
    "Fit promise": "If an item does not fit, we send the next size before you send the first one back.",
    "Voucher policy": "One voucher an order. A voucher is not paid out and ends on the day printed on it.",
    "Discount policy": "A discount counts on the day of the order only and not for orders made before.",
    "Address policy": "An address is changed by the customer only. After packing, the street stays as it is.",
    "Photo policy": "Photos that customers send are used for their own case only and deleted after a year.",
    "Warranty policy": "The warranty covers what is broken on arrival and faults that come with normal use.",
    "Privacy policy": "We keep your name and your orders for as long as the law asks us to.",
}


def shop_passages() -> list[Passage]:
    """Return the passages that are the same in every sample."""
    questions = [
        Passage(f"faq-{topic}-{i}", "faq", question, answer, {"topic": topic})
        for topic, pairs in _QUESTIONS.items()
        for i, (question, answer) in enumerate(pairs, start=1)
    ]
    policies = [
        Passage(f"policy-{title.lower().replace(' ', '-')}", "policy", title, text) for title, text in _POLICIES.items()
    ]
    return questions + policies
