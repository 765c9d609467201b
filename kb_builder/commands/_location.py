"""Where the knowledge base of a configuration is."""

from __future__ import annotations

from pathlib import Path

from kd_rag.config import Config
from kd_rag.types import InputError


def knowledge_path(config: Config) -> Path:
    """Return `knowledge.path`; raise InputError when it is not set."""
    if config.knowledge.path is None:
        raise InputError("knowledge.path: is not set; name the folder of the knowledge base with knowledge.path=DIR")
    return Path(config.knowledge.path)
