"""Set runs side by side on one Markdown page.

The page has the scores with their intervals beside a majority-class guess, each run's weakest labels, the
differences between the configurations, and the errors that each run was surest of. Example:

    python -m kd_rag report runs/teacher runs/student --out runs/report

DIR may exist, but a report.md in it is never overwritten.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the run folders and the output folder."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders, in the order of the table")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write report.md into")


def run(args: argparse.Namespace) -> None:
    """Write the page; print its scores table and where it is."""
    from kd_rag.evaluation.report import write_report

    print(write_report(args.runs, args.out))
    print(f"\nreport: {args.out / 'report.md'}")
