"""Write a run as a plain Hugging Face folder: adapters merged, processor, prompt recipe and a model card beside it.

`transformers` and vLLM load the folder alone; `evaluate --model DIR` and `predict --model DIR` take labels, texts,
budgets and pixel limits from the recipe in it (kd_rag.yaml). Example:
  python -m kd_rag export --run runs/demo/student --out exported/student
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--run", required=True, type=Path, metavar="RUN", help="a finished run folder")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="the new folder")


def run(args: argparse.Namespace) -> None:
    """Export, check what was written against the run, and say how far they differ."""
    from kd_rag.commands._exporting import export
    from kd_rag.types import InputError

    if args.out.exists():
        raise InputError(f"{args.out}: exists; choose another --out")
    print(f"{args.out}: logits moved {export(args.run, args.out)}")
