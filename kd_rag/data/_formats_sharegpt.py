"""LLaMA-Factory's ShareGPT style: one object of a chat data set -> Draft.

`{messages | conversations, images}` with `role`/`content` or `from`/`value` in each message. The last message is the
label if it is the assistant's; a system message is kept in `metadata["system"]`, since our own prompt replaces it. The
format knows neither ids nor tasks: `id` and `task` may be given, else records are numbered and the task is `intent`.
Source: LLaMA-Factory, data/README.md.
"""

from __future__ import annotations

from kd_rag.data._formats_fields import Draft, Fields, read_reasons
from kd_rag.data._formats_ocr import read_ocr
from kd_rag.types import Role, Turn

DEFAULT_TASK = "intent"

_Speaker = Role | None
_SPEAKERS: dict[str, _Speaker] = {
    "user": "user",
    "human": "user",
    "assistant": "agent",
    "gpt": "agent",
    "system": None,
}


def read_sharegpt(item: Fields) -> Draft:
    """Read an object of a ShareGPT file."""
    key = "messages" if "messages" in item.value else "conversations"
    messages = item.each(key, _message)
    metadata = dict(item.optional("metadata", dict) or {})
    if messages and messages[0][0] is None:
        metadata["system"] = messages.pop(0)[1]
    if any(speaker is None for speaker, _ in messages):
        item.note(key, "only the first message may be the system's")
    label = messages.pop()[1].strip() or None if messages and messages[-1][0] == "agent" else None
    return Draft(
        id=item.name("id") if "id" in item.value else None,
        task=item.name("task") if "task" in item.value else DEFAULT_TASK,
        turns=tuple(Turn(speaker, text) for speaker, text in messages if speaker is not None),
        images=item.strings("images", item.optional("images", list) or []),
        label=label,
        metadata=metadata,
        ocr=read_ocr(item),
        reasons=read_reasons(item),
    )


def _message(item: Fields) -> tuple[_Speaker, str]:
    speaker, text = ("from", "value") if "from" in item.value else ("role", "content")
    return item.choice(speaker, _SPEAKERS), item.needed(text, str)
