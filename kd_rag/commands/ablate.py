"""Train variants of one configuration with several seeds, and set them side by side in tables.

Each variant and seed is an ordinary run folder DIR/runs/NAME; the tables are DIR/ablation.md, DIR/ablation.json and,
with plots, DIR/ablation.html. What is done is not done again: after a kill, the same command goes on. A variant that
fails does not stop the others; it stays in the tables with its error, and the exit code is 3. With a section
ablation.search (extra `search`), trials whose values Optuna draws stand beside the variants, and those that fall behind
on valid are pruned. Examples:
  python -m kd_rag ablate --config configs/demo/ablation.yaml --out runs/ablation --jobs 2
  python -m kd_rag ablate --config configs/demo/search.yaml --out runs/search
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from kd_rag.cli import add_config_arguments
from kd_rag.types import InputError

if TYPE_CHECKING:
    from kd_rag.commands._ablation_memory import Places
    from kd_rag.commands._ablation_plan import Plan
    from kd_rag.commands._search import Search


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the configuration, the output folder and how many runs go on at once."""
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the runs and the tables")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="runs at a time, as memory allows; default: 1")
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Make what is missing, write the tables, print the first; 3 if a run failed."""
    from kd_rag._config_ablation import VariantConfig
    from kd_rag.commands._ablation_jobs import check_unchanged, make_all
    from kd_rag.commands._ablation_memory import Places
    from kd_rag.commands._ablation_plan import read_plan, run_name

    if args.jobs < 1:
        raise InputError(f"--jobs: expected at least 1, found {args.jobs}")
    plan = read_plan(args.config, args.overrides, args.out)
    check_unchanged(plan.jobs, args.out)
    places = Places(args.jobs)
    search = _search(plan, args.out, places) if plan.section.search.space else None
    absent = make_all(plan.jobs, args.out, plan.section.split, places)
    failed = any(absent.values())
    settings = dict(plan.variants)
    if search:
        search.run()
        absent |= search.absent
        failed |= search.failed
        settings |= {name: VariantConfig() for name in search.names}

    from kd_rag.evaluation.ablation import write_tables
    from kd_rag.evaluation.runs import read_run
    from kd_rag.evaluation.variants import Variant

    variants = []
    for name, variant in settings.items():
        reasons = {seed: absent[run_name(name, seed)] for seed in plan.section.seeds}
        runs = {s: read_run(args.out / "runs" / run_name(name, s)) for s, reason in reasons.items() if reason is None}
        without = {seed: reason for seed, reason in reasons.items() if reason is not None}
        variants.append(Variant(name, runs, without, variant.published, variant.published_by_epoch))
    trials = search.table() if search else []
    print(write_tables(variants, plan.base, plan.section.epochs, args.out, trials))
    if search and search.best is not None:
        best = run_name(search.names[search.best], plan.section.seeds[0])
        print(f"\nbest:     {args.out / 'configs' / best}.yaml")
    print(f"\npage:     {args.out / 'ablation.html'}\nablation: {args.out / 'ablation.md'}")
    return 3 if failed else 0


def _search(plan: Plan, out: Path, places: Places) -> Search:
    if importlib.util.find_spec("optuna") is None:
        raise InputError("ablation.search: needs Optuna; install the extra: pip install 'kd_rag[search]'")
    from kd_rag.commands._search import Search

    return Search(plan, out, places)
