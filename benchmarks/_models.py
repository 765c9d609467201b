"""The embedded pairs that the distillation benchmark runs on, as local folders.

`bench` has the real vocabulary on small bodies, so that a step is nearly all head; in `replica` head, body and vision
tower weigh what they do in Qwen2-VL 7B and 2B (`tests/benchmarks/test_flops.py`).
"""

from __future__ import annotations

import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, Literal

from transformers import AutoModelForImageTextToText

from kd_rag.commands._models import SAMPLE_SEED
from kd_rag.data import sample
from kd_rag.models._embedded import materialise

Pair = Literal["bench", "replica"]


def folder(pair: Pair, side: Literal["teacher", "student"], cache_dir: Path) -> Path:
    """Return the folder of one side of a pair, written on the first call."""
    return materialise(f"{pair}-{side}", cache_dir, partial(sample.texts, SAMPLE_SEED))


def with_rows(original: Path, rows: int) -> Path:
    """Return a copy of a model folder whose embedding and head keep only their first `rows` rows.

    For peers that refuse a teacher whose head is wider than the student's.
    """
    final = original.with_name(f"{original.name}-{rows}")
    if final.is_dir():
        return final
    network: Any = AutoModelForImageTextToText.from_pretrained(original)
    network.resize_token_embeddings(rows)
    with tempfile.TemporaryDirectory(dir=original.parent, prefix=".rows-") as scratch:
        copy = Path(scratch) / "model"
        shutil.copytree(original, copy)
        network.save_pretrained(copy)
        copy.rename(final)
    return final
