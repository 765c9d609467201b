"""A source that opens the embedded teacher, and counts how often."""

from functools import partial

import pytest
import torch

from kd_rag.data.collator import answer_ids
from kd_rag.scoring.label_tree import LabelTree
from kd_rag.teachers import Source
from tests.conftest import LABELS, make_example

EXAMPLES = [
    make_example(texts=(f"turn {i} " * (1 + i), "<image>" * (i % 2)), pictures=i % 2, label=LABELS[i % 4], name=f"r{i}")
    for i in range(6)
]


@pytest.fixture
def loads():
    """The paths that were opened."""
    return []


@pytest.fixture
def source(load, loads, tmp_path, collator):
    def opened(path, quantised):
        loads.append(path)
        return load(path)

    processor = load("student").processor
    return partial(
        Source,
        load=opened,
        processor=lambda path: load(path).processor,
        identity=lambda path, quantised: {"path": path, "sha256": f"weights of {path}"},
        student_ids=processor.id_digest(),
        trees={"intent": LabelTree.build({label: answer_ids(processor, label) for label in LABELS})},
        temperature=2.0,
        cache_dir=tmp_path / "teachers",
        device=torch.device("cpu"),
    )


@pytest.fixture
def batches(collator):
    """Two micro-batches a call, as an epoch brings them."""
    return lambda: iter(collator.micro_batches(EXAMPLES, 3))
