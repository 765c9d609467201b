"""Long passages into pieces that the encoder reads to the end: what it cuts off can never be found.

In: passages. Out: themselves, or pieces that each carry the title, kind and metadata of the whole and its id under
`piece_of`, with ids `id#0`, `id#1`, …. A piece ends where a sentence does and begins with the last sentences of the one
before; a sentence that is too long alone is halved at a space, or anywhere if it has none. Of a title that would fill
more than half of each piece the beginning stays the title, and the whole begins the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from tqdm import tqdm

from kd_rag.knowledge.content import PIECE_OF, passage_text
from kd_rag.knowledge.embedder import Embedder
from kd_rag.knowledge.store import WHOLE
from kd_rag.types import InputError, Passage

_STOPS = "。！？｡।॥؟۔։።፧။។"
"""Marks that end a sentence wherever they stand; a full stop also stands in numbers and names, and needs a space."""
_SENTENCE = re.compile(
    rf""".+?(?:[.!?…\u037e{_STOPS}]+["'”’“‘»«›‹)\]』」）】》]*(?=\s)|[{_STOPS}]+[”’』」）】》]*|\n|\Z)\s*""", re.DOTALL
)
_TEXTS_AT_ONCE = 1000
"""Texts counted in one call of the tokenizer; one by one costs several times as much."""
_LETTERS_A_TOKEN = 16
"""A text with more letters than this for each token of the limit is cut without counting: counting 50 MB takes GBs."""
_MARKERS = 8
"""More tokens than a tokenizer puts around a text. No other token stands for less than an ASCII letter."""
_VERSION = 2
"""To be raised when the same passage would be cut otherwise."""


@dataclass(frozen=True)
class Chunker:
    """Cuts passages for `embedder`; a piece repeats up to `overlap_tokens` of the piece before it.

    Raises InputError when they would be half of a piece or more.
    """

    embedder: Embedder
    overlap_tokens: int

    def __post_init__(self) -> None:
        limit = self.embedder.max_tokens
        if self.overlap_tokens < 0 or (limit is not None and self.overlap_tokens >= limit // 2):
            raise InputError(
                f"knowledge.overlap_tokens={self.overlap_tokens}: must be 0 or more, and less than half of the {limit} "
                f"tokens that {self.embedder.name} reads"
            )

    def __str__(self) -> str:
        limit = self.embedder.max_tokens
        return WHOLE if limit is None else f"pieces of {limit} tokens, {self.overlap_tokens} shared (v{_VERSION})"

    def chunk(self, passages: Sequence[Passage]) -> list[Passage]:
        """Return `passages` in pieces of at most `embedder.max_tokens`, the title counted in each."""
        limit = self.embedder.max_tokens
        if limit is None:
            return list(passages)
        pieces: list[Passage] = []
        with tqdm(total=len(passages), desc="Cutting passages", unit="passage", delay=1, leave=False) as bar:
            for start in range(0, len(passages), _TEXTS_AT_ONCE):
                window = passages[start : start + _TEXTS_AT_ONCE]
                for passage, fits in zip(window, self._fit(window, limit), strict=True):
                    pieces += [passage] if fits else self._pieces(passage, limit)
                    bar.update()
        return pieces

    def _fit(self, passages: Sequence[Passage], limit: int) -> list[bool]:
        """Tell of each passage whether it may stay whole; a short one has too few letters for too many tokens."""
        room = limit - len(self.embedder.passage_prompt) - _MARKERS
        texts = [passage_text(p) for p in passages]
        doubtful = [i for i, text in enumerate(texts) if len(text) > room or not text.isascii()]
        counts = dict(zip(doubtful, self._counts([texts[i] for i in doubtful], limit), strict=True))
        return [counts.get(i, 0) <= limit for i in range(len(texts))]

    def _pieces(self, passage: Passage, limit: int) -> list[Passage]:
        (bare_tokens,) = self._counts([""], limit)

        def count(texts: Sequence[str]) -> list[int]:
            return [tokens - bare_tokens for tokens in self._counts(texts, limit)]

        if self._title_tokens(passage, limit) > limit // 2:
            beginning, _ = next(_Parts(count, limit // 2 - bare_tokens).of(passage.title))
            passage = replace(passage, title=beginning.strip(), text=f"{passage.title}\n{passage.text}")
        budget = limit - self._title_tokens(passage, limit)
        parts = _Parts(count, budget)
        metadata = {**passage.metadata, PIECE_OF: passage.id}
        texts = _pack(parts.of(passage.text), budget, self.overlap_tokens)
        return [replace(passage, id=f"{passage.id}#{i}", text=text, metadata=metadata) for i, text in enumerate(texts)]

    def _title_tokens(self, passage: Passage, limit: int) -> int:
        return self._counts([passage_text(replace(passage, text=""))], limit)[0]

    def _counts(self, texts: Sequence[str], limit: int) -> list[int]:
        """Return the tokens of each text, or `limit + 1` for one that is far too long."""
        short = [i for i, text in enumerate(texts) if len(text) <= limit * _LETTERS_A_TOKEN]
        counts = [limit + 1] * len(texts)
        for start in range(0, len(short), _TEXTS_AT_ONCE):
            window = short[start : start + _TEXTS_AT_ONCE]
            for i, tokens in zip(window, self.embedder.count_tokens([texts[i] for i in window]), strict=True):
                counts[i] = tokens
        return counts


@dataclass(frozen=True)
class _Parts:
    """Cuts a text into sentences, and a sentence that does not fit into halves."""

    count: Callable[[Sequence[str]], list[int]]
    budget_tokens: int

    def of(self, text: str) -> Iterator[tuple[str, int]]:
        """Yield the parts of a text with their tokens."""
        sentences = _SENTENCE.findall(text)
        for sentence, tokens in zip(sentences, self.count(sentences), strict=True):
            if tokens <= self.budget_tokens or len(sentence) < 2:
                yield sentence, tokens
            else:
                yield from self._halves(sentence)

    def _halves(self, text: str) -> Iterator[tuple[str, int]]:
        waiting = [text]
        while waiting:
            part = waiting.pop()
            (tokens,) = self.count([part])
            if tokens <= self.budget_tokens or len(part) < 2:
                yield part, tokens
                continue
            middle = len(part) // 2
            space = part.rfind(" ", 1, middle + 1)
            cut = space + 1 if space > 0 else middle
            waiting += [part[cut:], part[:cut]]


def _pack(parts: Iterator[tuple[str, int]], budget_tokens: int, overlap_tokens: int) -> list[str]:
    """Fill each piece with as many whole parts as fit, behind the last ones of the piece before."""
    pieces: list[list[tuple[str, int]]] = [[]]
    for text, tokens in parts:
        last = pieces[-1]
        if last and sum(n for _, n in last) + tokens > budget_tokens:
            pieces.append(_tail(last, min(overlap_tokens, budget_tokens - tokens)))
        pieces[-1].append((text, tokens))
    texts = ["".join(text for text, _ in piece).strip() for piece in pieces]
    return [text for text in texts if text]


def _tail(parts: Sequence[tuple[str, int]], limit_tokens: int) -> list[tuple[str, int]]:
    """Return the longest run of whole parts at the end that has at most `limit_tokens`."""
    start, tokens = len(parts), 0
    while start > 1 and tokens + parts[start - 1][1] <= limit_tokens:
        start -= 1
        tokens += parts[start][1]
    return list(parts[start:])
