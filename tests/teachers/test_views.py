"""Augmented views come back byte for byte, so that a kept target belongs to the very picture that the student sees."""

import random
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from kd_rag import config as configuration
from kd_rag.commands._parts import build_preparation
from kd_rag.data.datamodule import Loaders
from kd_rag.data.sampling import StepSampler
from kd_rag.losses.sides import Needs
from kd_rag.teachers.cached import Cached
from kd_rag.teachers.online import Online
from kd_rag.types import IGNORED, Record, Task, Turn
from tests.conftest import LABELS

EPOCHS, VIEWS, RECORDS = 3, 2, 3
STEPS = "augment.steps=[{name: crop}, {name: colour_jitter, probability: 1.0}, {name: swap_words}]"


@pytest.fixture
def make_loaders(tmp_path, collator):
    records = []
    for i in range(RECORDS):
        noise = random.Random(i).randbytes(112 * 84 * 3)
        Image.frombytes("RGB", (112, 84), noise).save(tmp_path / f"{i}.png")
        turns = (Turn("user", f"where is parcel number {i} of mine <image> please"),)
        records.append(Record(f"r{i}", "intent", turns, (tmp_path / f"{i}.png",), LABELS[i]))
    named = ["model.path=x", "ocr.name=none", f"cache_dir={tmp_path}", STEPS, "tasks.intent.labels=[refund]"]
    config = configuration.load([], named)

    def make(workers):
        preparation = build_preparation(config, {"intent": Task("intent", LABELS, "What is it?")})
        loaders = Loaders(
            collator,
            evaluation=preparation.examples(records, "eval", config.student.prompt),
            evaluation_batch_size=1,
            training=preparation.examples(records, "train", config.student.prompt),
            sampler=StepSampler(RECORDS, RECORDS, EPOCHS, seed=0, views=VIEWS),
            num_workers=workers,
        )
        loaders.trainer = SimpleNamespace(global_step=0, global_rank=0, world_size=1)
        return loaders

    return make


def named(batches):
    """Return the bytes of ids and pixels of each batch of one record, by its record and view."""
    for batch in batches:
        (example,) = batch.examples
        content = (batch.inputs.input_ids.numpy().tobytes(), batch.inputs.pixel_values.numpy().tobytes())
        yield (example.record.id, example.view), content


def test_views_cycle_over_the_epochs_and_are_the_same_bytes_in_any_worker(make_loaders):
    """A view that is drawn anew has other pixels than those its teacher was asked about."""
    once = dict(named(make_loaders(0).every_training_batch()))
    assert len(set(once.values())) == len(once) == RECORDS * VIEWS
    epochs = [list(named(step)) for step in make_loaders(2).train_dataloader()]
    assert [sorted(key for key, _ in epoch) for epoch in epochs] == [
        [(f"r{i}", epoch % VIEWS) for i in range(RECORDS)] for epoch in range(EPOCHS)
    ]
    assert all(once[key] == content for epoch in epochs for key, content in epoch)


def test_a_cached_teacher_follows_the_views_through_all_epochs(make_loaders, source):
    online, cached = Online(source(), path="teacher"), Cached(source(), path="teacher", dtype="float32")
    loaders = make_loaders(0)
    cached.prepare(loaders.every_training_batch, Needs(), lambda network: None)
    said = {}
    for step in loaders.train_dataloader():
        for batch in step:
            rows = slice(0, int((batch.answers != IGNORED).sum()))
            found, expected = (
                teacher(batch, Needs()).answers.outcomes(rows, teacher.processor.vocabulary, 1.0)[0]
                for teacher in (cached, online)
            )
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
            said[batch.examples[0].record.id, batch.examples[0].view] = found
    assert len(said) == RECORDS * VIEWS
    assert all((said[f"r{i}", 0] - said[f"r{i}", 1]).abs().max() > 1e-2 for i in range(RECORDS))
