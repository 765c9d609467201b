"""Print what the knowledge base holds: passages by kind, the snapshot, and whose vectors they are.

The encoder itself is not loaded. Example:
  python -m kb_builder stats knowledge.path=kb
"""

from __future__ import annotations

import argparse

from kd_rag.cli import add_config_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Read the manifest and print."""
    from kd_rag import config as configuration

    config = configuration.load(args.config, args.overrides, families=["retrievers"])
    from kb_builder.commands._location import knowledge_path
    from kd_rag.knowledge.manifest import Manifest

    path = knowledge_path(config)
    manifest = Manifest.read(path)
    for kind, count in manifest.kinds.items():
        print(f"{kind:<9}{count:>9}")
    print(f"{'total':<9}{manifest.total:>9}")
    print(f"snapshot  {manifest.snapshot or 'none: the ingestion was interrupted; run it again'}")
    print(f"embedder  {manifest.embedder}")
    print(f"chunks    {manifest.chunker}")
    print(f"path      {path}")
