"""Why a record of the bundled sample has its label: a draft -> numbered steps.

Which turn asks for what, then what the picture or the passage adds: in few words, so that a small model can learn
to say them. Nothing is drawn at random, so a sample with reasons differs from one without in nothing else.
"""

from __future__ import annotations

from kd_rag.data._sample_dialogues import GREETINGS
from kd_rag.data._sample_drafts import Draft
from kd_rag.data._sample_scenes import TOLD_BY_WORDS

_TOPICS = {
    "delivery_time": "the day of delivery",
    "refund_request": "money back",
    "size_advice": "the right size",
    "voucher_question": "a voucher or discount",
    "address_change": "a new address",
}
_FAULTS = {"battery_fault": "the battery", "noise_fault": "the noise", "paint_fault": "the paint"}
_SEEN = {
    "whole_goods": "a whole item",
    "cracked_goods": "a cracked item",
    "till_receipt": "a receipt",
    "message_chat": "a chat",
    "star_reviews": "stars",
    "barcode_label": "a barcode",
}


def reasons(draft: Draft) -> str:
    """Return the steps from a record to its label, one a line."""
    steps = [*(_asked(draft) if draft.task == "intent" else ()), *_added(draft)]
    return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1))


def _asked(draft: Draft) -> list[str]:
    """Say which turn asks for what: the customer's first that does not only greet."""
    turns = enumerate(draft.turns, start=1)
    number = next(n for n, turn in turns if turn.role == "user" and turn.text not in GREETINGS)
    if draft.cue == "picture":
        return [f"Turn {number} shows a photo."]
    return [f"Turn {number} asks about {_TOPICS.get(draft.label, 'a fault')}."]


def _added(draft: Draft) -> list[str]:
    """Say what the passage or the picture adds."""
    if draft.cue == "passage":
        return [f"The passage tells of {_FAULTS[draft.label]}."]
    if draft.cue == "ocr":
        return [f"The picture says {' and '.join(TOLD_BY_WORDS[draft.label])}."]
    if draft.cue == "dialogue":
        return ["The picture adds nothing."] * len(draft.sketches)
    return [f"The picture shows {_SEEN[sketch.scene]}." for sketch in draft.sketches]
