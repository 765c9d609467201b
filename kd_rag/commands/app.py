"""A page in the browser: a dialogue and a picture in; label probabilities, OCR text, passages and the prompt out.

It is served to this machine only unless --host says otherwise, and needs the extra `app`. Example:
  python -m kd_rag app --run runs/demo/distilled --compare runs/demo/teacher
"""

from __future__ import annotations

import argparse
import importlib.util

from kd_rag.cli import add_config_arguments
from kd_rag.types import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--run", metavar="RUN", help="a run folder; its best checkpoint answers")
    parser.add_argument("--model", metavar="DIR", help="an exported folder, used with the recipe in it")
    parser.add_argument("--compare", metavar="RUN", help="a second run, whose answers stand beside those of the first")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; default: 127.0.0.1")
    parser.add_argument("--port", type=int, help="default: the first free one from 7860 on")
    add_config_arguments(parser)


def run(args: argparse.Namespace) -> None:
    """Serve the page until it is interrupted."""
    if importlib.util.find_spec("gradio") is None:
        raise InputError("app: needs gradio; install the extra: pip install 'kd-rag[app]'")
    import os
    import signal
    import tempfile
    from pathlib import Path

    from kd_rag.commands._answering import Answerer
    from kd_rag.commands._source import open_source

    source = open_source(args)
    sources = {Path(source.path).name: source}
    if args.compare:
        other = open_source(argparse.Namespace(run=args.compare, model=None, config=[], overrides=[]))
        missing = sorted(source.config.tasks.keys() - other.config.tasks.keys())
        if missing:
            raise InputError(f"--compare {args.compare}: does not know task {missing[0]!r} of {source.path}")
        sources[f"{Path(other.path).name} (compared)"] = other
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as on Ctrl-C, which removes the folder
    with tempfile.TemporaryDirectory(prefix="kd_rag-app-") as folder:  # what customers sent is gone at the end
        for each in sources.values():
            each.config.cache_dir = f"{folder}/cache"  # text that was read from pictures, and queries
        models = {name: Answerer.of(each) for name, each in sources.items()}
        os.environ["GRADIO_TEMP_DIR"] = f"{folder}/uploads"  # the only folder that the page reads files from
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        from kd_rag.web.app import page, serve

        serve(page(models, list(source.config.tasks)), args.host, args.port, wait=True)
