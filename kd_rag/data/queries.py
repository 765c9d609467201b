"""From a record to what is asked of the knowledge base.

In: a record, and the lines read from its pictures. Out: a query without the record's label.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kd_rag.config import QueryConfig
from kd_rag.types import IMAGE_MARKER, Query, Record, TextLine


def make_query(record: Record, lines: Sequence[TextLine], recipe: QueryConfig) -> Query:
    """Return the query of a record; its text is empty when the record says nothing that the recipe asks for."""
    return Query(
        text="\n".join(_parts(record, lines, recipe)),
        pictures=record.images,
        record_id=record.id,
        record_text=dialogue_text(record),
    )


def dialogue_text(record: Record) -> str:
    """Return the words of all turns, one a line, without picture markers."""
    return "\n".join(_words(record, ("user", "agent")))


def _parts(record: Record, lines: Sequence[TextLine], recipe: QueryConfig) -> Iterator[str]:
    if product := record.metadata.get(recipe.product_key or ""):
        yield str(product)
    if recipe.user_turns:
        yield from _words(record, ("user",))[-recipe.user_turns :]
    surest = sorted(range(len(lines)), key=lambda i: -lines[i].confidence)[: recipe.ocr_lines]
    yield from (lines[i].text for i in sorted(surest))


def _words(record: Record, roles: Sequence[str]) -> list[str]:
    texts = (turn.text.replace(IMAGE_MARKER, " ").strip() for turn in record.turns if turn.role in roles)
    return [text for text in texts if text]
