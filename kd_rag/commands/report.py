"""Set runs side by side on one page: report.html, which needs no network, and report.md.

Both have the scores with their intervals beside a majority-class guess, by epoch, and compared on the same records;
the weakest labels, what distilled students kept of their teachers, and how the configurations differ. The HTML page
draws all this, with confusion, reliability and cost of each run, and shows the errors: pictures with the text boxes
that were read, dialogue, passages, and what each run thought. Example:

    python -m kd_rag report runs/teacher runs/student --out runs/report

DIR may exist, but a report in it is never overwritten.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the run folders and the output folder."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders, in the order of the table")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write both pages into")


def run(args: argparse.Namespace) -> None:
    """Write the pages; print its scores table and where it is."""
    from kd_rag.evaluation.report import write_report

    print(write_report(args.runs, args.out))
    print(f"\npage:   {args.out / 'report.html'}\nreport: {args.out / 'report.md'}")
