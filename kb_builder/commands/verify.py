"""Compare the knowledge base with its manifest, and ask its Chroma index for what it must find; exit 2 on a fault.

The index is asked in a process of its own, because a damaged one may crash or hang. --repair makes all that is derived
again, without encoding. Example:
  python -m kb_builder verify --repair knowledge.path=kb
"""

from __future__ import annotations

import argparse

from kd_rag.cli import add_config_arguments
from kd_rag.types import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--repair", action="store_true", help="make damaged files and the index again")
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Print every fault; repair them if told to."""
    from kd_rag import config as configuration

    config = configuration.load(args.config, args.overrides, families=["retrievers"])
    from kb_builder.commands._location import knowledge_path
    from kd_rag.knowledge.verify import find_faults, repair

    path, url = knowledge_path(config), config.knowledge.url
    faults = find_faults(path, url)
    for fault in faults:
        print(fault)
    if faults and args.repair:
        repair(path, url)
        faults = find_faults(path, url)
        print(*(faults or ["repaired"]), sep="\n")
    if faults:
        raise InputError(f"{path}: has {len(faults)} faults; mend them with: python -m kb_builder verify --repair")
    print(f"{path}: sound")
