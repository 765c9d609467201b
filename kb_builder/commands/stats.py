"""Print what the knowledge base holds: passages by kind, the snapshot, and whose vectors they are.

The encoder itself is not loaded. Example:
  python -m kb_builder stats knowledge.path=kb
"""

from __future__ import annotations

import argparse
from contextlib import closing

from kd_rag.cli import add_config_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Open the collection and print."""
    from kd_rag import config as configuration

    config = configuration.load(args.config, args.overrides, families=["retrievers"])
    from kb_builder.commands._location import knowledge_path
    from kd_rag.knowledge.collection import PassageCollection, snapshot_id

    path = knowledge_path(config)
    with closing(PassageCollection.open(path)) as collection:
        kinds, hashes = collection.kinds(), collection.hashes()
    for kind, count in sorted(kinds.items()):
        print(f"{kind:<9}{count:>9}")
    print(f"{'total':<9}{len(hashes):>9}")
    print(f"snapshot  {snapshot_id(collection.fingerprint, hashes)}")
    print(f"embedder  {collection.fingerprint}")
    print(f"path      {path}")
