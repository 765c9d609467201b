"""Print the passages that a prompt would get for TEXT, with their scores.

The score is the retriever's own (dense: the cosine similarity of the vectors); retriever.k says how many passages.
Example:
  python -m kb_builder query "is the hoodie waterproof?" --config configs/demo/base.yaml
"""

from __future__ import annotations

import argparse
import textwrap

from kd_rag.cli import add_config_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("text", metavar="TEXT", help="what to look for")
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Retrieve and print; dense retrieval when the configuration retrieves nothing."""
    from kd_rag import config as configuration

    config = configuration.load(args.config, args.overrides, families=["retrievers"])
    from kd_rag import registry
    from kd_rag.knowledge.opening import open_configured
    from kd_rag.types import Query

    component = {"name": "dense"} if config.retriever["name"] == "none" else config.retriever
    retriever = registry.build("retrievers", component, lambda: open_configured(config.knowledge))
    (found,) = retriever.retrieve([Query(args.text)])
    print(f"{component['name']}, snapshot {retriever.snapshot}")
    for rank, (passage, score) in enumerate(((r.passage, r.score) for r in found), start=1):
        print(f"\n{rank}. {score:.4f}  {passage.kind}  {passage.id}  {passage.title}")
        print(textwrap.indent(passage.text, "   "))
