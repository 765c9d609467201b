"""The way to Chroma: a client for a folder or a server, and its failures in one sentence.

In: a place, which is a folder or `http://HOST:PORT[/COLLECTION]`. Out: a client that sends no telemetry.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kd_rag.types import InputError

_COLLECTION = "passages"


def index_place(path: Path, url: str | None) -> str:
    """Return where the index of the knowledge base in `path` is: the address of a server, or a folder."""
    return url or str(path / "chroma")


@contextmanager
def answering(place: str) -> Iterator[None]:
    """Turn what Chroma raises when its files or its server fail into an InputError that names them."""
    import httpx
    from chromadb.errors import ChromaError, NotFoundError

    try:
        yield
    except NotFoundError:
        raise
    except (ChromaError, httpx.HTTPError, OSError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if "://" in place:
            remedy = "start it with: chroma run --path DIR, and run again"
            raise InputError(f"knowledge.url={place}: the Chroma server does not answer ({reason}); {remedy}") from None
        raise InputError(
            f"{place}: the index cannot be used ({reason}); passages and vectors are safe beside it: make room if the "
            "disk is full, then make the index again with: python -m kb_builder rebuild"
        ) from None


def connect(place: str) -> tuple[Any, str]:
    """Return a Chroma client for `place`, and the name of its collection."""
    import chromadb
    from chromadb.config import Settings

    # No idle connections: Chroma's client leaves them open when it is closed.
    settings = Settings(anonymized_telemetry=False, chroma_http_max_keepalive_connections=0)
    address = urlsplit(place)
    secure = address.scheme == "https"
    try:
        if "://" not in place:
            return chromadb.PersistentClient(place, settings=settings), _COLLECTION
        port = address.port or (443 if secure else 8000)
        client = chromadb.HttpClient(str(address.hostname), port, ssl=secure, settings=settings)
    except ValueError as error:  # what Chroma makes of a refused connection or a broken database
        raise OSError(str(error)) from None
    return client, address.path.strip("/") or _COLLECTION
