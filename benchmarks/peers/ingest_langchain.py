"""LangChain's Chroma ingestion: `python -m benchmarks.peers.ingest_langchain JOB.json`, with `index` behind it or not.

By default `Chroma.from_documents`, the way of its tutorials, which encodes and writes everything each time. With
`index`, its indexing API with a record manager in memory, which skips what it has written.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import torch
from langchain_chroma import Chroma
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, index
from langchain_huggingface import HuggingFaceEmbeddings

from benchmarks._ingest_job import Text, measure, read_job, tell


def main() -> None:
    """Ingest in the way that the command line says."""
    job, texts = read_job()
    torch.set_num_threads(job.threads)
    encoder = HuggingFaceEmbeddings(model_name=job.model)
    folder, by_index = str(Path(job.store) / "chroma"), sys.argv[2:] == ["index"]
    records = InMemoryRecordManager("benchmark")
    records.create_schema()

    def documents(batch: Sequence[Text]) -> list[Document]:
        return [Document(t.text, metadata={"title": t.title, "kind": t.kind, "source": t.id}, id=t.id) for t in batch]

    def from_documents(batch: Sequence[Text]) -> int:
        ids = [t.id for t in batch]
        store = Chroma.from_documents(documents(batch), encoder, ids=ids, persist_directory=folder)
        return store._collection.count()

    def by_indexing(batch: Sequence[Text]) -> int:
        store = Chroma(embedding_function=encoder, persist_directory=folder)
        index(documents(batch), records, store, cleanup="incremental", source_id_key="source")
        return store._collection.count()

    name = "LangChain index()" if by_index else "LangChain from_documents()"
    tell(name, version("langchain-chroma"), measure(job, texts, by_indexing if by_index else from_documents))


if __name__ == "__main__":
    main()
