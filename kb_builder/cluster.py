"""The slow parts of an ingestion on many machines: Ray Data shares texts, and scanned pages, out to workers.

In: texts, or pictures. Out: their vectors, or the lines on them, in whatever order they are done. Workers compute and
keep nothing; the process that asked is the only one that writes. It joins the cluster that RAY_ADDRESS names or that
`ray start` has begun here, whose machines need kd_rag and the models in the same places; else Ray's workers are
processes of this machine alone. No dashboard is started, and no usage is reported.
"""

from __future__ import annotations

import json
import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from PIL import Image

from kb_builder.readers import Reading
from kb_builder.readers.pdf import render_scans
from kd_rag import registry
from kd_rag.knowledge.embedder import Embedder, load_embedder
from kd_rag.knowledge.encoding import TEXTS_AT_ONCE, Encode
from kd_rag.ocr import Engine, read_pictures
from kd_rag.types import InputError, TextLine

_PAGES_AT_ONCE = 256
"""So many rendered pages are on disk, and with Ray, at a time."""
_PAGES_A_PORTION = 4
_REASON = re.compile(r"^(?:[\w.]+\.)?\w*(?:Error|Exception): *(\S.*)$", re.MULTILINE)
"""The line of a worker's traceback that says what was wrong."""


class Cluster:
    """A connection to Ray's workers."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray

    def encoder(self, name: str, dtype: str, fingerprint: str) -> Encode:
        """Return what encodes texts by embedder `name` in `dtype`; each worker's must have the same `fingerprint`."""
        place = str(Path(name).resolve()) if Path(name).is_dir() else name

        def encode(
            texts: Sequence[str], advance: Callable[[int], object]
        ) -> Iterator[tuple[Sequence[str], Float32[np.ndarray, "texts dim"]]]:
            rows = [{"text": text} for text in texts]
            for done in self._mapped(rows, _Encoder, (place, dtype, fingerprint), TEXTS_AT_ONCE):
                advance(len(done["text"]))
                yield [str(text) for text in done["text"]], np.asarray(done["vector"], np.float32)

        return encode

    def read_scans(self, files: Sequence[Path], reading: Reading) -> None:
        """Read the scanned pages of the PDFs among `files` into the cache that `reading` names, which keeps them."""
        if registry.build("ocr", reading.ocr).version is None:
            return
        with tempfile.TemporaryDirectory() as folder:
            pages = render_scans([file for file in files if file.suffix.lower() == ".pdf"], Path(folder))
            while window := list(islice(pages, _PAGES_AT_ONCE)):
                read_pictures(window, reading.ocr, reading.texts_dir, read=self._read)
                for page in window:
                    page.unlink()

    def _read(self, component: Mapping[str, Any], paths: Sequence[Path]) -> Iterator[tuple[Path, tuple[TextLine, ...]]]:
        rows = [{"path": str(path), "content": path.read_bytes()} for path in paths]
        for done in self._mapped(rows, _Reader, (dict(component),), _PAGES_A_PORTION):
            for path, lines in zip(done["path"], done["lines"], strict=True):
                found = (TextLine(line["text"], line["confidence"], tuple(line["box"])) for line in json.loads(lines))
                yield Path(path), tuple(found)

    def _mapped(
        self, rows: Sequence[Mapping[str, Any]], worker: type, arguments: tuple[Any, ...], rows_at_once: int
    ) -> Iterator[Mapping[str, np.ndarray[Any, Any]]]:
        """Yield what `worker(*arguments)` makes of the rows, portion by portion, as it is done."""
        from ray.data import ActorPoolStrategy, from_items
        from ray.exceptions import RayError

        if not rows:
            return
        portions = -(-len(rows) // rows_at_once)
        there = self._ray.cluster_resources()
        gpus = int(there.get("GPU", 0))
        workers = max(1, min(portions, gpus or int(there["CPU"])))
        data = from_items(list(rows), override_num_blocks=portions).map_batches(
            worker,
            fn_constructor_args=arguments,
            batch_size=None,
            compute=ActorPoolStrategy(min_size=1, max_size=workers),
            num_cpus=1,
            num_gpus=min(gpus, 1),
        )
        try:
            yield from data.iter_batches(batch_size=None)
        except RayError as error:
            found = _REASON.search(str(error))
            reason = found[1] if found else str(error).strip().splitlines()[0]
            raise InputError(
                f"--ray: a worker failed ({reason}); what was done is kept: run again, with --ray or without"
            ) from None


class _Encoder:
    """A worker with an embedder of its own."""

    def __init__(self, name: str, dtype: str, fingerprint: str) -> None:
        self._name, self._dtype, self._fingerprint = name, dtype, fingerprint

    @cached_property
    def _embedder(self) -> Embedder:  # not made in __init__: a worker whose making fails is made again, and again
        found = load_embedder(self._name, self._dtype)
        if found.fingerprint != self._fingerprint:
            raise InputError(f"its embedder is {found.fingerprint}, not {self._fingerprint}")
        return found

    def __call__(self, batch: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
        texts = [str(text) for text in batch["text"]]
        return {"text": texts, "vector": self._embedder.encode_texts(texts)}


class _Reader:
    """A worker with an OCR engine of its own."""

    def __init__(self, component: Mapping[str, Any]) -> None:
        self._component = component

    @cached_property
    def _engine(self) -> Engine:
        engine: Engine = registry.build("ocr", self._component)
        return engine

    def __call__(self, batch: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
        pictures = (Image.open(BytesIO(content)).convert("RGB") for content in batch["content"])
        lines = [[asdict(line) for line in self._engine.read(picture)] for picture in pictures]
        return {"path": batch["path"], "lines": [json.dumps(found) for found in lines]}


def require_ray() -> Any:
    """Import Ray with its usage reports and notes off; raise InputError when the extra is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    return registry.require("ray", "ray")


@contextmanager
def connected() -> Iterator[Cluster]:
    """Join a cluster, or begin one on this machine that ends with this; raise InputError when neither can be."""
    ray = require_ray()
    from ray.data import DataContext

    try:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"--ray: no cluster can be used ({reason}); check RAY_ADDRESS={os.environ.get('RAY_ADDRESS', '')}"
        ) from None
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    context = DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    try:
        yield Cluster(ray)
    finally:
        ray.shutdown()
