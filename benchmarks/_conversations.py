"""Records as conversations, the form that every training framework reads; standard library only.

In and out: a JSONL file whose lines are `{"messages": [system, user, assistant], "images": [path]}`; `<image>` in the
user's text is where the picture stands.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

IMAGE_MARKER = "<image>"


@dataclass(frozen=True, slots=True)
class Conversation:
    """One record: what the system and the user say, the answer to learn, and the picture's file."""

    system: str
    user: str
    answer: str
    picture: Path

    def prompt(self) -> list[dict[str, Any]]:
        """Return the messages in front of the answer, in the chat-template form of `transformers`."""
        before, after = self.user.split(IMAGE_MARKER)
        user = [{"type": "text", "text": before}, {"type": "image"}, {"type": "text", "text": after}]
        return [
            {"role": "system", "content": [{"type": "text", "text": self.system}]},
            {"role": "user", "content": user},
        ]


def write(conversations: Iterable[Conversation], path: Path) -> None:
    """Write one line for each conversation."""
    path.write_text("".join(json.dumps(_row(c), ensure_ascii=False) + "\n" for c in conversations), encoding="utf-8")


def read(path: Path) -> list[Conversation]:
    """Return the conversations of a file that `write` wrote."""
    return [_conversation(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def _row(conversation: Conversation) -> dict[str, Any]:
    texts = {"system": conversation.system, "user": conversation.user, "assistant": conversation.answer}
    messages = [{"role": role, "content": text} for role, text in texts.items()]
    return {"messages": messages, "images": [str(conversation.picture)]}


def _conversation(row: dict[str, Any]) -> Conversation:
    system, user, answer = (message["content"] for message in row["messages"])
    return Conversation(system, user, answer, Path(row["images"][0]))
