"""What a record must not find: itself, a copy of itself, or a passage that was made of it.

In: passages and queries. Out: the positions that a query may not have, and a report on what no rule forbids but a
reader of the scores should know: near-copies of evaluation records, and passages that spell out the answer.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kd_rag.knowledge.content import DIGEST_KEY, records_of, words_digest
from kd_rag.knowledge.store import KnowledgeBase
from kd_rag.types import Passage, Query, Retrieved

NEAR = 0.95
"""From this cosine similarity on, two texts count as near-copies."""
_RECORDS_AT_ONCE = 64
"""Bounds the matrix of similarities: 26 MB for 100,000 passages."""


class LeakGuard:
    """Knows which passages are, or were made of, which records."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._of_record: dict[str, list[int]] = defaultdict(list)
        self._of_text: dict[str, list[int]] = defaultdict(list)
        for position, passage in enumerate(passages):
            for identity in records_of(passage):
                self._of_record[identity].append(position)
            self._of_text[passage.metadata.get(DIGEST_KEY) or words_digest(passage.text)].append(position)

    def forbidden(self, query: Query) -> list[int]:
        """Return the positions of the passages that are the query's own record."""
        made = self._of_record.get(query.record_id, []) if query.record_id is not None else []
        copies = self._of_text.get(words_digest(query.record_text), []) if query.record_text else []
        return sorted({*made, *copies})


def leak_report(
    open_knowledge: Callable[[], KnowledgeBase],
    queries: Sequence[Query],
    labels: Sequence[str | None],
    found: Sequence[Sequence[Retrieved]],
) -> dict[str, Any]:
    """Return counts for `queries`, whose gold labels and passages stand beside them.

    `own_passages`: records that the guard kept passages from. `near_copies_by_kind`: records of which some passage of
    a kind is a near-copy (cosine at least `near_copy_cosine`) that the guard let pass. `label_in_passage`: by kind, how
    many retrieved passages hold the record's gold label word by word.
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
        "near_copies_by_kind": _near_copies(knowledge, guard, queries),
        "near_copy_cosine": NEAR,
        "label_in_passage": dict(sorted(spelled.items())),
    }


def _near_copies(knowledge: KnowledgeBase, guard: LeakGuard, queries: Sequence[Query]) -> dict[str, int]:
    asking = [query for query in queries if query.record_text]
    kinds = np.array([passage.kind for passage in knowledge.passages])
    vectors = knowledge.embedder.encode_passages([Passage("", "", "", query.record_text or "") for query in asking])
    copied: Counter[str] = Counter()
    for start in range(0, len(asking), _RECORDS_AT_ONCE):
        near = vectors[start : start + _RECORDS_AT_ONCE] @ knowledge.vectors.T >= NEAR
        for row, query in zip(near, asking[start:], strict=False):
            row[guard.forbidden(query)] = False
            copied.update(set(kinds[row].tolist()))
    return dict(sorted(copied.items()))
