"""Long passages into pieces that the encoder reads to the end: what it cuts off can never be found.

In: a passage. Out: itself, or pieces that each carry its title, kind and metadata, with ids `id#0`, `id#1`, …. A piece
ends where a sentence does; a sentence that is too long alone is halved at a space, or anywhere if it has none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from kd_rag.knowledge.embedder import Embedder
from kd_rag.types import InputError, Passage

_SENTENCE = re.compile(r".+?(?:[.!?…]+(?=\s)|[。！？]+[”’』」）]*|\n|\Z)\s*", re.DOTALL)


def chunk(passage: Passage, embedder: Embedder) -> list[Passage]:
    """Return `passage` in pieces of at most `embedder.max_tokens`, its title counted in each.

    Raises InputError when the title alone takes more than half of them.
    """
    limit = embedder.max_tokens
    if limit is None or embedder.count_tokens(passage) <= limit:
        return [passage]
    title_tokens = embedder.count_tokens(replace(passage, text=""))
    if title_tokens > limit // 2:
        raise InputError(
            f"passage {passage.id!r}: its title has {title_tokens} tokens and {embedder.name} reads {limit}, title "
            "and text together; shorten the title"
        )
    bare_tokens = embedder.count_tokens(replace(passage, title="", text=""))

    def count(text: str) -> int:
        return embedder.count_tokens(replace(passage, title="", text=text)) - bare_tokens

    texts = _pack(passage.text, limit - title_tokens, count)
    return [replace(passage, id=f"{passage.id}#{i}", text=text) for i, text in enumerate(texts)]


def _pack(text: str, budget_tokens: int, count: Callable[[str], int]) -> list[str]:
    """Fill each piece with as many whole sentences as fit."""
    pieces, used = [""], 0
    for sentence in _SENTENCE.findall(text):
        for part in _fitting(sentence, budget_tokens, count):
            tokens = count(part)
            if used + tokens > budget_tokens:
                pieces.append("")
                used = 0
            pieces[-1] += part
            used += tokens
    return [piece.strip() for piece in pieces if piece.strip()]


def _fitting(text: str, budget_tokens: int, count: Callable[[str], int]) -> Iterator[str]:
    """Yield `text`, halved until every part fits."""
    if len(text) < 2 or count(text) <= budget_tokens:
        yield text
        return
    middle = len(text) // 2
    space = text.rfind(" ", 1, middle + 1)
    cut = space + 1 if space > 0 else middle
    yield from _fitting(text[:cut], budget_tokens, count)
    yield from _fitting(text[cut:], budget_tokens, count)
