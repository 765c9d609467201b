"""A small pair on the sample's tokenizer, and the benchmark's records for it."""

from functools import partial
from pathlib import Path

import pytest

from benchmarks import _workload
from kd_rag.data import sample
from kd_rag.models._embedded import materialise
from kd_rag.models.qwen2_vl import Qwen2VL
from kd_rag.types import Example


@pytest.fixture(scope="session")
def pair(embedded_cache: Path) -> dict[str, Path]:
    return {name: materialise(name, embedded_cache, partial(sample.texts, 0)) for name in ("teacher", "student")}


@pytest.fixture(scope="session")
def models(pair: dict[str, Path]) -> dict[str, Qwen2VL]:
    return {name: Qwen2VL(path=str(folder)).eval() for name, folder in pair.items()}


@pytest.fixture
def examples(models: dict[str, Qwen2VL], tmp_path: Path) -> list[Example]:
    return _workload.draw(256, models["student"].processor, tmp_path)
