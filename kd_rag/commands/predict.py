"""Label records: a run or an exported folder says what each one is.

OUTPUT has one line a record in input order, like a run's predictions-SPLIT.jsonl; the same command again continues
where a killed one stopped. With --format mdsirc OUTPUT is the challenge's CSV, made of OUTPUT.jsonl at the end. Records
that cannot be read have no line or row; they go to OUTPUT.rejected.jsonl with the reason, and the exit code is 3.
Examples:
  python -m kd_rag predict --run runs/demo/student new.jsonl --out new-labels.jsonl
  python -m kd_rag predict --model exported/student test.json --out answer.csv --format mdsirc
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from kd_rag.cli import add_config_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("input", type=Path, metavar="INPUT", help="a file of records in any format; labels may be null")
    parser.add_argument("--out", type=Path, required=True, metavar="OUTPUT", help="the file to write or to continue")
    parser.add_argument("--run", metavar="RUN", help="a run folder; its best checkpoint predicts")
    parser.add_argument("--model", metavar="DIR", help="an exported folder, used with the recipe in it")
    parser.add_argument("--format", default="jsonl", choices=["jsonl", "mdsirc"], help="default: jsonl")
    parser.add_argument("--strict", action="store_true", help="stop at the first record that cannot be read (exit 2)")
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Write the predictions; return 3 where records were rejected."""
    from kd_rag.commands._prediction import Predictor
    from kd_rag.commands._source import open_source
    from kd_rag.commands._windows import write_lines
    from kd_rag.data.submission import challenge_rows, write_submission
    from kd_rag.evaluation.predictions import read_predictions

    source = open_source(args)
    rows = challenge_rows(args.input) if args.format == "mdsirc" else []
    lines = args.out.with_name(args.out.name + ".jsonl") if args.format == "mdsirc" else args.out
    rejects = args.out.with_name(args.out.name + ".rejected.jsonl")
    written, rejected = write_lines(Predictor.of(source), args.input, lines, rejects, strict=args.strict)
    if args.format == "mdsirc":
        write_submission(args.out, rows, {p.id: p.predicted for p in read_predictions(lines)})
    print(f"{args.out}: {written} records")
    if rejected:
        absent = f"; they have no row in {args.out}" if args.format == "mdsirc" else ""
        print(f"rejected: {rejected} records, see {rejects}{absent}", file=sys.stderr)
    return 3 if rejected else 0
