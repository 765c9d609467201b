"""The way to Chroma: a client for a folder or a server, and its failures in one sentence.

In: a place, which is a folder or `http://HOST:PORT[/COLLECTION]`. Out: a client that sends no telemetry.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kd_rag.types import InputError

OWNER = "knowledge_base"
"""Metadata key of a collection: the identity of the knowledge base whose index it is."""
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
    except BaseException as error:
        # A damaged store may also panic in Chroma's Rust, which is no Exception and has no class to import.
        if not isinstance(error, (ChromaError, httpx.HTTPError, OSError)) and type(error).__name__ != "PanicException":
            raise
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


@contextmanager
def opened(place: str) -> Iterator[tuple[Any, str]]:
    """Do as `connect` does, and close the client afterwards."""
    client, name = connect(place)
    with closing(client):
        yield client, name


def check_owner(place: str, rows: Any, identity: str) -> None:
    """Raise InputError when the collection `rows` of a server is the index of another knowledge base.

    Each would delete the other's passages from it. The index in a folder has no other owner.
    """
    if "://" in place and (rows.metadata or {}).get(OWNER, "") != identity:
        raise InputError(
            f"{place}: holds the index of another knowledge base; name another collection (http://HOST:PORT/NAME)"
        )


def remove_index(place: str, identity: str) -> None:
    """Delete the index at `place`, if there is one, in whatever state it is; raise InputError when it is another's."""
    from chromadb.errors import NotFoundError

    if "://" not in place:
        shutil.rmtree(place, ignore_errors=True)
        return
    with answering(place), suppress(NotFoundError), opened(place) as (client, name):
        check_owner(place, client.get_collection(name, embedding_function=None), identity)
        client.delete_collection(name)
