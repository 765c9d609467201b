"""The command line of kd_rag; it imports nothing heavy before a command runs."""

from __future__ import annotations

import sys

from kd_rag.cli import main

COMMANDS = {name: f"kd_rag.commands.{name}" for name in ("fit", "distill", "evaluate", "report", "data", "options")}

if __name__ == "__main__":
    sys.exit(main("python -m kd_rag", COMMANDS))
