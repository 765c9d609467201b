"""Make the Chroma index again from the passages and vectors that are kept; nothing is encoded.

Example:
  python -m kb_builder rebuild knowledge.path=kb
"""

from __future__ import annotations

import argparse

from kd_rag.cli import add_config_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Delete the index, and make it again."""
    from kd_rag import config as configuration

    config = configuration.load(args.config, args.overrides, families=["retrievers"])
    from kb_builder.commands._location import knowledge_path
    from kd_rag.knowledge.verify import rebuild

    manifest = rebuild(knowledge_path(config), config.knowledge.url)
    print(f"indexed   {manifest.total}")
    print(f"snapshot  {manifest.snapshot}")
