"""The record format of the WWW2025 multimodal dialogue intent challenge: one of its objects -> Draft.

`{id, instruction, input, output, image}`. An instruction is a whole prompt in Chinese. An intent record quotes the
dialogue between two marks; an image scene record begins with its picture; both quote the label list. `image` is a list
of names, or a string that holds one, as the publisher's table export wrote it.
Source: the challenge's public training set (Tianchi 532277).
"""

from __future__ import annotations

import ast
import json
import re

from kd_rag.data._formats_fields import Draft, Fields, read_reasons, shown
from kd_rag.data._formats_ocr import read_ocr
from kd_rag.types import IMAGE_MARKER, Role, Turn

START, END = "<用户与客服的对话 START>", "<用户与客服的对话 END>"
SCENE = "Picture 1: <image>"
FOLDERS = ("images", "")
"""Where the pictures lie, seen from the record file: the format itself does not say."""

_ROLES: dict[str, Role] = {"用户": "user", "客服": "agent"}
_SPEAKER = re.compile(r"^(用户|客服)[:：]", re.MULTILINE)


def read_mdsirc(item: Fields) -> Draft:
    """Read an object of the challenge; an empty or missing `output` means that the record has no label."""
    identity, instruction, images = item.name("id"), item.needed("instruction", str), _image_names(item)
    if item.optional("input", str):
        item.note("input", "expected an empty string; put its text into instruction")
    label = (item.optional("output", str) or "").strip() or None
    task, turns, rest = _scene(instruction) if instruction.startswith(SCENE) else _intent(instruction, item)
    labels = _quoted_labels(rest, item)
    metadata = {} if labels is None else {"labels": labels}
    return Draft(identity, task, turns, images, label, metadata, FOLDERS, read_ocr(item), read_reasons(item))


def _scene(instruction: str) -> tuple[str, tuple[Turn, ...], str]:
    """Return task and turns, and the rest of the instruction."""
    return "image_scene", (Turn("user", IMAGE_MARKER),), instruction.removeprefix(SCENE)


def _intent(instruction: str, item: Fields) -> tuple[str, tuple[Turn, ...], str]:
    """Return task and turns, and what stands behind the dialogue."""
    dialogue, end, rest = instruction.partition(START)[2].rpartition(END)
    if instruction and not end:
        item.note("instruction", f"expected {SCENE!r} at its beginning, or a dialogue between {START} and {END}")
    return "intent", _turns(dialogue, item), rest


def _turns(dialogue: str, item: Fields) -> tuple[Turn, ...]:
    """Cut a dialogue where a line names its speaker; what a turn says may go on over several lines."""
    before, *parts = _SPEAKER.split(dialogue)
    if before.strip():
        item.note("instruction", f"the dialogue begins with {shown(before.strip())} instead of 用户: or 客服:")
    spoken = zip(parts[::2], parts[1::2], strict=True)
    return tuple(Turn(_ROLES[speaker], text.strip()) for speaker, text in spoken)


def _image_names(item: Fields) -> tuple[str, ...]:
    if not isinstance(item.value.get("image"), str):
        return item.strings("image", item.optional("image", list) or [])
    text = item.needed("image", str)
    try:
        names = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        names = None
    if not isinstance(names, list):
        item.note("image", f"expected a list of names or a string that holds one, found {shown(text)}")
        return ()
    return item.strings("image", names)


def _quoted_labels(text: str, item: Fields) -> list[str] | None:
    """Return the label list that an instruction quotes as JSON, or None where it quotes none."""
    at = text.rfind('["')
    if at < 0:
        return None
    try:
        labels = json.JSONDecoder().raw_decode(text, at)[0]
    except (ValueError, RecursionError):
        item.note("instruction", f"the label list is not a JSON list of strings: {shown(text[at:])}")
        return None
    return list(item.strings("labels", labels))
