"""The command line of kd_rag; it imports nothing heavy before a command runs."""

from __future__ import annotations

import sys

from kd_rag.cli import main

_NAMES = ("fit", "distill", "evaluate", "predict", "reason", "export", "ablate", "report", "app", "data", "options")
COMMANDS = {name: f"kd_rag.commands.{name}" for name in _NAMES}

if __name__ == "__main__":
    sys.exit(main("python -m kd_rag", COMMANDS))
