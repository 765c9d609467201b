"""Give reasons for the labels of training records, for `reasoning.file`.

The prompt shows a record and its gold label and asks for the steps that lead to it (`prompt.reasons_request`). OUTPUT
has a line {id, reasons} for each answer that has reasons and ends with the label; the same command again continues
where a killed one stopped. Records without such an answer go to OUTPUT.rejected.jsonl, and the exit code is 3.
Examples:
  python -m kd_rag reason --run runs/demo/teacher --data train.jsonl --out reasons.jsonl
  python -m kd_rag reason --config configs/mdsirc/base.yaml --data train.json --out reasons.jsonl model.path=DIR
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from kd_rag.cli import add_config_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--data", type=Path, required=True, metavar="FILE", help="labelled records in any format")
    parser.add_argument("--out", type=Path, required=True, metavar="OUTPUT", help="the file to write or to continue")
    parser.add_argument("--run", metavar="RUN", help="a run folder; its best checkpoint gives the reasons")
    parser.add_argument("--model", metavar="DIR", help="an exported folder, used with the recipe in it")
    parser.add_argument("--strict", action="store_true", help="stop at the first record without reasons (exit 2)")
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Write the reasons; return 3 where records got none."""
    from kd_rag.commands._reasoning import Reasoner
    from kd_rag.commands._source import open_source
    from kd_rag.commands._windows import write_lines

    rejects = args.out.with_name(args.out.name + ".rejected.jsonl")
    reasoner = Reasoner.of(open_source(args), args.data)
    written, rejected = write_lines(reasoner, args.data, args.out, rejects, strict=args.strict)
    print(f"{args.out}: {written} records with reasons")
    if rejected:
        print(f"rejected: {rejected} records, see {rejects}", file=sys.stderr)
    return 3 if rejected else 0
