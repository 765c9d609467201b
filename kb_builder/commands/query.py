"""Print the passages that a prompt would get for TEXT, with their scores and where these come from.

The score is the retriever's own (dense: the cosine similarity of the vectors; hybrid: the mean of both sides, each
scaled to [0, 1], or what its mode says) or a reranker's, where one is set. Behind a reranker's stands the retriever's,
behind that of hybrid those of its two sides. retriever.k says how many passages. Example:
  python -m kb_builder query "is the hoodie waterproof?" --config configs/demo/base.yaml
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kd_rag.cli import add_config_arguments

if TYPE_CHECKING:
    from kd_rag.knowledge.store import KnowledgeBase
    from kd_rag.types import Query


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("text", metavar="TEXT", help="what to look for")
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Retrieve and print; dense retrieval when the configuration retrieves nothing."""
    from kd_rag import config as configuration

    config = configuration.load(args.config, args.overrides, families=["retrievers"])
    from functools import cache

    from kd_rag import registry
    from kd_rag.knowledge.opening import open_configured
    from kd_rag.types import Query

    component: Mapping[str, Any] = {"name": "dense"} if config.retriever["name"] == "none" else config.retriever
    open_knowledge, query = cache(lambda: open_configured(config.knowledge)), Query(args.text)
    retriever = registry.build("retrievers", component, open_knowledge)
    (found,) = retriever.retrieve([query])
    sides = _sides(component, open_knowledge, query) if component["name"] == "hybrid" else {}
    reranker = component.get("selection", {}).get("reranker")
    print(f"{component['name']}{f', reranked by {reranker}' if reranker else ''}, snapshot {retriever.snapshot}")
    for rank, r in enumerate(found, start=1):
        passage = r.passage
        before = {} if r.before_reranking is None else {component["name"]: r.before_reranking}
        parts = before | {side: scores.get(passage.id, 0.0) for side, scores in sides.items()}
        told = f" ({', '.join(f'{name} {part:.4f}' for name, part in parts.items())})" if parts else ""
        print(f"\n{rank}. {r.score:.4f}{told}  {passage.kind}  {passage.id}  {passage.title}")
        print(textwrap.indent(passage.text, "   "))


def _sides(
    hybrid: Mapping[str, Any], open_knowledge: Callable[[], KnowledgeBase], query: Query
) -> dict[str, dict[str, float]]:
    """Return the scores of all passages by vectors and by words; one that shares no word has none."""
    from kd_rag import registry

    options = {"k": len(open_knowledge().passages)}
    terms = {"terms": hybrid["terms"]} if "terms" in hybrid else {}
    sides = {"dense": options, "bm25": {**options, **terms}}
    found = {}
    for name, chosen in sides.items():
        (passages,) = registry.build("retrievers", {"name": name, **chosen}, open_knowledge).retrieve([query])
        found[name] = {r.passage.id: r.score for r in passages}
    return found
