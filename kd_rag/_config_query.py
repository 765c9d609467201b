"""The section `query`: what is asked of the knowledge base about a record."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class QueryConfig:
    """The parts of a query, in this order: the product, the customer's words, the text of the pictures."""

    product_key: str | None = None
    """Key of a record's metadata whose value names the product that is spoken of; null, or a record without it, names
    none."""
    user_turns: int = 2
    """So many of the customer's last turns."""
    ocr_lines: int = 0
    """So many of the lines read from a record's pictures, the surest first; they are read where the task's prompts show
    them."""
