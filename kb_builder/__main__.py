"""The command line of kb_builder; it imports nothing heavy before a command runs."""

from __future__ import annotations

import sys

from kd_rag.cli import main

NAMES = ("evaluate", "ingest", "query", "rebuild", "stats", "verify")
COMMANDS = {name: f"kb_builder.commands.{name}" for name in NAMES}

if __name__ == "__main__":
    sys.exit(main("python -m kb_builder", COMMANDS))
