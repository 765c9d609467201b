"""The knowledge base of a configuration: from its own folder, or from a Chroma server where only that is named."""

from __future__ import annotations

from pathlib import Path

from kd_rag.config import KnowledgeConfig
from kd_rag.knowledge.embedder import load_embedder
from kd_rag.knowledge.store import KnowledgeBase
from kd_rag.types import InputError


def open_configured(settings: KnowledgeConfig) -> KnowledgeBase:
    """Open the knowledge base that `settings` name; raise InputError when they name none or it cannot be opened."""
    if settings.path is not None:
        return KnowledgeBase.open(Path(settings.path), load_embedder(settings.embedder, settings.dtype))
    if settings.url is not None:
        return KnowledgeBase.fetch(settings.url, load_embedder(settings.embedder, settings.dtype))
    raise InputError(
        "knowledge.path: is not set; name the folder of the knowledge base, or knowledge.url, or set "
        "retriever.name=none"
    )
