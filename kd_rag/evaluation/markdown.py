"""Tables as Markdown; text from outside stays text."""

from __future__ import annotations

from kd_rag.evaluation.tables import Rows


def table(rows: Rows) -> str:
    """Return a table, or `None.` where there is nothing below the head."""
    if len(rows) == 1:
        return "None."
    head, *body = (f"| {' | '.join(map(cell, row))} |" for row in rows)
    return "\n".join([head, "|---" * len(rows[0]) + "|", *body])


def cell(text: str) -> str:
    """Keep text from outside (labels, ids, prompts) from breaking the table or becoming markup."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
