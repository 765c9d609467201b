"""List a family's members with their options, defaults and what they are.

The families: augmentations, divergences, models, ocr, retrievers, teachers. Example:
  python -m kd_rag options divergences
"""

from __future__ import annotations

import argparse
import inspect

from kd_rag import registry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("family", choices=list(registry.FAMILIES))


def run(args: argparse.Namespace) -> None:
    """Print one paragraph a member."""
    for name in registry.names(args.family):
        summary = (inspect.getdoc(registry.find(args.family, name)) or "").partition("\n")[0]
        print(f"{name}: {summary}")
        for option, (kind, default) in registry.options(args.family, name).items():
            shown = "required" if default is inspect.Parameter.empty else f"default {default!r}"
            print(f"    {option}: {kind if not isinstance(kind, type) else kind.__name__}, {shown}")
