"""LlamaIndex's Chroma ingestion: `python -m benchmarks.peers.ingest_llamaindex JOB.json`.

`VectorStoreIndex` over `ChromaVectorStore`, the way of its tutorials. More than 5,461 nodes at once fail inside Chroma
(run-llama/llama_index#20142), so nodes are handed over 5,000 at a time. It encodes and writes everything each time; its
index of one kind of store has no ids to upsert by, so the collection is emptied before a text is written again.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import chromadb
import torch
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.schema import TextNode
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.vector_stores.chroma import ChromaVectorStore

from benchmarks._ingest_job import Text, measure, read_job, tell

_NODES_AT_ONCE = 5000


def main() -> None:
    """Ingest with the defaults."""
    job, texts = read_job()
    torch.set_num_threads(job.threads)
    encoder = HuggingFaceEmbedding(model_name=job.model)
    client = chromadb.PersistentClient(str(Path(job.store) / "chroma"))

    def store(batch: Sequence[Text]) -> int:
        if client.list_collections():
            client.delete_collection("benchmark")
        collection = client.create_collection("benchmark")
        context = StorageContext.from_defaults(vector_store=ChromaVectorStore(chroma_collection=collection))
        nodes = [TextNode(text=t.text, id_=t.id, metadata={"kind": t.kind}) for t in batch]
        index = VectorStoreIndex([], storage_context=context, embed_model=encoder)
        for start in range(0, len(nodes), _NODES_AT_ONCE):
            index.insert_nodes(nodes[start : start + _NODES_AT_ONCE])
        return collection.count()

    tell("LlamaIndex VectorStoreIndex", version("llama-index-core"), measure(job, texts, store))


if __name__ == "__main__":
    main()
