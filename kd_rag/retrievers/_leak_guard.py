"""What a record must not find: itself, a copy of itself, or a passage that was made of it.

In: passages and queries. Out: the positions that a query may not have, and a report on what no rule forbids but a
reader of the scores should know: near-copies of evaluation records, and passages that spell out the answer.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from kd_rag.knowledge.content import RECORD_KEY
from kd_rag.knowledge.store import KnowledgeBase
from kd_rag.types import Passage, Query, Retrieved

NEAR = 0.95
"""From this cosine similarity on, two texts count as near-copies."""
_MARKS = re.compile(r"[\W_]+")


class LeakGuard:
    """Knows which passages are, or were made of, which records."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._of_record: dict[str, list[int]] = defaultdict(list)
        self._of_text: dict[bytes, list[int]] = defaultdict(list)
        for position, passage in enumerate(passages):
            if RECORD_KEY in passage.metadata:
                self._of_record[str(passage.metadata[RECORD_KEY])].append(position)
            self._of_text[_digest(passage.text)].append(position)

    def forbidden(self, query: Query) -> list[int]:
        """Return the positions of the passages that are the query's own record."""
        made = self._of_record.get(query.record_id, []) if query.record_id is not None else []
        copies = self._of_text.get(_digest(query.record_text), []) if query.record_text else []
        return sorted({*made, *copies})


def leak_report(
    open_knowledge: Callable[[], KnowledgeBase],
    queries: Sequence[Query],
    labels: Sequence[str | None],
    found: Sequence[Sequence[Retrieved]],
) -> dict[str, Any]:
    """Return counts for `queries`, whose gold labels and passages stand beside them.

    `own_passages`: records that the guard kept passages from. `near_copies`: records of which some `example` passage
    is a near-copy (cosine at least `near_copy_cosine`) that the guard let pass. `label_in_passage`: by kind, how many
    retrieved passages hold the record's gold label word by word.
    """
    knowledge = open_knowledge()
    guard = LeakGuard(knowledge.passages)
    spelled = Counter(
        r.passage.kind
        for label, passages in zip(labels, found, strict=True)
        for r in passages
        if label and label in f"{r.passage.title}\n{r.passage.text}"
    )
    return {
        "records": len(queries),
        "own_passages": sum(bool(guard.forbidden(query)) for query in queries),
        "near_copies": _near_copies(knowledge, guard, queries),
        "near_copy_cosine": NEAR,
        "label_in_passage": dict(sorted(spelled.items())),
    }


def _near_copies(knowledge: KnowledgeBase, guard: LeakGuard, queries: Sequence[Query]) -> int:
    examples = [i for i, passage in enumerate(knowledge.passages) if passage.kind == "example"]
    asking = [query for query in queries if query.record_text]
    if not examples or not asking:
        return 0
    texts = [Passage("", "example", "", query.record_text or "") for query in asking]
    alike = knowledge.embedder.encode_passages(texts) @ knowledge.vectors.T
    for row, query in zip(alike, asking, strict=True):
        row[guard.forbidden(query)] = -1
    return int((alike[:, examples] >= NEAR).any(axis=1).sum())


def _digest(text: str) -> bytes:
    """Return a hash of the text's letters and digits; case, spaces and punctuation do not count."""
    return hashlib.blake2b(_MARKS.sub("", text.casefold()).encode(), digest_size=16).digest()
