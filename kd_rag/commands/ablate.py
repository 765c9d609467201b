"""Train variants of one configuration with several seeds, and set them side by side in tables.

Each variant and seed is an ordinary run folder DIR/runs/NAME; the tables are DIR/ablation.md, DIR/ablation.json and,
with plots, DIR/ablation.html. What is done is not done again: after a kill, the same command goes on. A variant that
fails does not stop the others; it stays in the tables with its error, and the exit code is 3. Example:
  python -m kd_rag ablate --config configs/demo/ablation.yaml --out runs/ablation --jobs 2
"""

from __future__ import annotations

import argparse
from pathlib import Path

from kd_rag.cli import add_config_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the configuration, the output folder and how many runs go on at once."""
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder of the runs and the tables")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="runs at a time, as memory allows; default: 1")
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Make what is missing, write the tables, print the first; 3 if a run failed."""
    from kd_rag.commands._ablation_jobs import check_unchanged, make_all
    from kd_rag.commands._ablation_plan import read_plan, run_name
    from kd_rag.types import InputError

    if args.jobs < 1:
        raise InputError(f"--jobs: expected at least 1, found {args.jobs}")
    plan = read_plan(args.config, args.overrides, args.out)
    check_unchanged(plan.jobs, args.out)
    errors = make_all(plan.jobs, args.out, plan.section.split, args.jobs)

    from kd_rag.evaluation.ablation import write_tables
    from kd_rag.evaluation.runs import read_run
    from kd_rag.evaluation.variants import Variant

    variants = []
    for name, variant in plan.variants.items():
        found = {seed: errors[run_name(name, seed)] for seed in plan.section.seeds}
        runs = {s: read_run(args.out / "runs" / run_name(name, s)) for s, error in found.items() if error is None}
        failed = {seed: error for seed, error in found.items() if error is not None}
        variants.append(Variant(name, runs, failed, variant.published))
    base = plan.section.base or next(iter(plan.variants))
    print(write_tables(variants, base, plan.section.epochs, args.out))
    print(f"\npage:     {args.out / 'ablation.html'}\nablation: {args.out / 'ablation.md'}")
    return 3 if any(errors.values()) else 0
