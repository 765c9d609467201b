"""What both command lines share: parsing, `--config` files and overrides, and exit codes.

A command is a module with a docstring (its help), `add_arguments(parser)` and `run(args)`; it imports heavy libraries
inside `run` only, so that `--help` stays fast. Exit codes: 0 done, 2 the input or the configuration is
wrong, 3 done but for some records that were rejected (`run` returns it), 130 interrupted, 1 anything else.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Mapping, Sequence

from kd_rag._allocator import keep_freed_memory
from kd_rag.types import InputError


def main(program: str, commands: Mapping[str, str], argv: Sequence[str] | None = None) -> int:
    """Run `program COMMAND …`, where `commands` maps names to module paths; return the exit code."""
    keep_freed_memory()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # silences the fork warning of DataLoader workers
    # On CPUs that multiply bfloat16, bitsandbytes reports a kernel that it does without, whatever the command is.
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    parser, argv = _parser(program, commands), list(sys.argv[1:] if argv is None else argv)
    args = _parse(parser, argv)
    try:
        code: int | None = importlib.import_module(commands[args.command]).run(args)
    except InputError as error:
        if args.verbose:
            traceback.print_exc()
        print(f"{program}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if args.verbose:
            traceback.print_exc()
        print(f"{program}: {type(error).__name__}: {error} (--verbose shows where)", file=sys.stderr)
        return 1
    return code or 0


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--config FILE` (repeatable) and the trailing `key.sub=value` overrides."""
    parser.add_argument("--config", action="append", default=[], metavar="FILE.yaml", help="later files win")
    parser.add_argument("overrides", nargs="*", metavar="key.sub=value", help="override configuration keys")


def _parse(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """Parse with overrides anywhere: argparse itself gives up on one that stands behind a positional and an option."""
    args, rest = parser.parse_known_args(argv)
    if rest and (not hasattr(args, "overrides") or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        args.overrides += rest
    return args


def _parser(program: str, commands: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program)
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, path in commands.items():
        module = importlib.import_module(path)
        lines = (module.__doc__ or "").strip().splitlines()
        sub = subparsers.add_parser(
            name,
            help=lines[0],
            description="\n".join(lines),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(sub)
        sub.add_argument("--verbose", action="store_true", help="show the traceback of an error")
    return parser
