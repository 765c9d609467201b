"""What a passage says, as digests: the same words give the same id, key and snapshot on every machine.

In: passages. Out: hexadecimal names. Nothing here depends on where a passage came from or when it was stored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from kd_rag.knowledge.words import words
from kd_rag.types import Passage

PIECE_OF = "piece_of"
"""Metadata key of a piece of a long passage: the id of the whole."""
RECORD_KEY = "record_id"
"""Metadata key of an example: the record that it was made of, which must never retrieve it."""
_RECORD_KEYS = (RECORD_KEY, "record", "source_record")
"""Metadata keys under which a passage of any kind may name the record, or a list of records, that it was made of."""
DIGEST_KEY = "words_digest"
"""Metadata key of an example: the `words_digest` of its record, which pieces of a long one would not give."""
LABEL_KEY = "label"
"""Metadata key of an example: the record's label."""


def passage_text(passage: Passage) -> str:
    """Return what is encoded of a passage: its title, if it has one, above its text."""
    return f"{passage.title}\n{passage.text}" if passage.title else passage.text


def text_key(text: str) -> bytes:
    """Return the 32 bytes under which the vector of `text` is kept."""
    return hashlib.sha256(text.encode()).digest()


def words_digest(text: str) -> str:
    """Return a digest of a text's words run together: case, spaces, punctuation and spelling of marks do not count."""
    return hashlib.blake2b("".join(words(text)).encode(), digest_size=16).hexdigest()


def records_of(passage: Passage) -> list[str]:
    """Return the ids of the records that a passage says it was made of."""
    named = [passage.metadata[key] for key in _RECORD_KEYS if key in passage.metadata]
    return [str(identity) for value in named for identity in (value if isinstance(value, list) else [value])]


def content_hash(passage: Passage) -> str:
    """Return a digest of everything that a passage says, its id left out."""
    content = [passage.kind, passage.title, passage.text, passage.metadata]
    return hashlib.sha256(as_json(content).encode()).hexdigest()[:32]


def content_id(passage: Passage) -> str:
    """Return the id of a passage whose source gives it none: the same wherever it stands, another when it is edited."""
    return f"{passage.kind}-{content_hash(passage)[:16]}"


def snapshot_id(embedder: str, chunker: str, passages: Iterable[Passage]) -> str:
    """Return a digest of an embedder, a way of chunking and passages; the order of ingestion does not matter."""
    rows = sorted((p.id, content_hash(p)) for p in passages)
    return hashlib.sha256(as_json([embedder, chunker, rows]).encode()).hexdigest()[:16]


def as_json(value: Any) -> str:
    """Return `value` as JSON on one line, with one spelling for equal values."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False)
