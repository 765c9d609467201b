"""What is read back equals what the teacher would say now, or is an error that says what differs."""

import itertools
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
import torch
from PIL import Image

from kd_rag import registry
from kd_rag.losses.heads import with_rest
from kd_rag.losses.sides import Needs
from kd_rag.models.qwen2_vl import Qwen2VL
from kd_rag.teachers._verify import Drawn
from kd_rag.teachers.cached import Cached
from kd_rag.teachers.online import Online
from kd_rag.types import IGNORED, InputError
from tests.conftest import make_example
from tests.teachers.conftest import EXAMPLES

ROWS, LABELLED = Needs(), Needs(labels=True)


def prepared(source, batches, needs=ROWS, path="teacher", **options):
    teacher = Cached(source(), path=path, **options)
    teacher.prepare(batches, needs, lambda network: None)
    return teacher


def outcomes(teacher, batch, temperature=2.0, needs=ROWS):
    rows = int((batch.answers != IGNORED).sum())
    return teacher(batch, needs).answers.outcomes(slice(0, rows), teacher.processor.vocabulary, temperature)


@pytest.mark.parametrize("name", registry.names("divergences"))
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("bfloat16", 2e-2)])
def test_states_give_every_divergence_at_every_temperature(source, batches, name, dtype, tolerance):
    """Top-k caches of peers fix the temperature and lose the tail; states and the head once lose neither."""
    online, cached = Online(source(), path="teacher"), prepared(source, batches, dtype=dtype)
    divergence = registry.find("divergences", name)
    for batch in batches():
        for temperature in (1.0, 2.0, 5.0):
            (one, _), (other, kept) = (outcomes(teacher, batch, temperature) for teacher in (online, cached))
            student = torch.randn(one.shape, generator=torch.Generator().manual_seed(1)).log_softmax(1)
            expected, found = divergence(one, student), divergence(other, student)
            assert kept is None
            torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def test_label_scores_are_kept_too(source, batches):
    online, cached = Online(source(), path="teacher"), prepared(source, batches, LABELLED)
    for batch in batches():
        pairs = zip(online(batch, LABELLED).label_scores, cached(batch, LABELLED).label_scores, strict=True)
        for expected, found in pairs:
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_a_complete_cache_never_loads_the_teacher(source, batches, loads):
    prepared(source, batches)
    assert loads == ["teacher"]
    loads.clear()
    cached = prepared(source, batches)
    outcomes(cached, next(batches()))
    assert loads == []


def test_rows_belong_to_content_not_to_positions(source, batches, collator):
    """A peer picks rows by step number: shuffling or accumulation gives every record another's targets."""
    online, cached = Online(source(), path="teacher"), prepared(source, batches)
    shuffled = random.Random(0).sample(EXAMPLES, len(EXAMPLES))
    for batch in collator.micro_batches(shuffled, 2):
        torch.testing.assert_close(outcomes(cached, batch)[0], outcomes(online, batch)[0], rtol=0.02, atol=0.05)


def test_top_k_keeps_the_likeliest_and_the_rest(source, batches):
    online, cached = Online(source(), path="teacher"), prepared(source, batches, store="top_k", k=5)
    for batch in batches():
        full, _ = outcomes(online, batch)
        found, kept = outcomes(cached, batch)
        assert kept.shape[1] == 5
        torch.testing.assert_close(found.exp().sum(1), torch.ones(len(found)))
        torch.testing.assert_close(found, with_rest(full, kept), rtol=0, atol=1e-4)


def test_logits_are_the_whole_distribution(source, batches):
    online, cached = Online(source(), path="teacher"), prepared(source, batches, store="logits", dtype="float32")
    for batch in batches():
        for temperature in (1.0, 3.0):
            found, expected = (outcomes(teacher, batch, temperature)[0] for teacher in (cached, online))
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda e: replace(e, dialogue=replace(e.dialogue, turns=(replace(e.dialogue.turns[0], text="x"),))), "prompt"),
        (lambda e: replace(e, record=replace(e.record, label="refund_request")), "answer"),
        (lambda e: replace(e, dialogue=replace(e.dialogue, pictures=(Image.new("RGB", (56, 84), "red"),))), "pictures"),
    ],
)
def test_a_stale_row_says_which_part_differs(source, batches, collator, change, part):
    """An augmentation that is not replayable would quietly teach one picture with another's targets."""
    cached = prepared(source, batches)
    example = next(e for e in EXAMPLES if e.dialogue.pictures)
    (batch,) = collator.micro_batches([change(example)], 1)
    with pytest.raises(InputError, match=rf"record 'r1', view 0: the teacher's rows were kept for another.* {part}"):
        cached(batch, Needs())


def test_a_record_that_was_never_asked_for_is_named(source, batches, collator):
    cached = prepared(source, batches)
    (batch,) = collator.micro_batches([make_example(texts=("new",), name="new")], 1)
    with pytest.raises(InputError, match=r"record 'new', view 0: .* other records and views"):
        cached(batch, Needs())


@pytest.mark.parametrize(
    ("options", "entry"),
    [({"path": "student"}, "teacher sha256"), ({"dtype": "float32"}, "kept dtype"), ({"store": "logits"}, "format")],
)
def test_a_folder_of_another_teacher_is_refused(source, batches, tmp_path, options, entry):
    folder = str(tmp_path / "kept")
    prepared(source, batches, folder=folder)
    with pytest.raises(InputError, match=f"{folder}: {entry} is .* there and .* here"):
        prepared(source, batches, **{"path": "teacher", "folder": folder, **options})


def test_a_folder_of_other_colours_is_refused(source, batches, load, tmp_path):
    """A row's key has the picture, not the mean that was taken from it."""
    folder, other = str(tmp_path / "kept"), load("teacher").processor
    prepared(source, batches, folder=folder)
    other._processor.image_processor.image_mean = (0.5, 0.5, 0.5)
    with pytest.raises(InputError, match=r"picture preprocessing is .* there and .* here"):
        prepared(partial(source, processor=lambda path: other), batches, folder=folder)


def test_without_a_folder_each_teacher_has_its_own(source, batches, tmp_path):
    prepared(source, batches)
    prepared(source, batches, path="student")
    assert len(list((tmp_path / "teachers").iterdir())) == 2


@pytest.mark.parametrize("store", ["states", "top_k", "logits"])
def test_rows_that_the_teacher_would_not_say_now_are_found(source, batches, tmp_path, store):
    """Weights changed behind an identity that did not: a commit moved, a file edited in place."""
    folder = str(tmp_path / "kept")
    liar = partial(source, load=lambda path, quantised: source().load("student", quantised))
    first = lambda: itertools.islice(batches(), 1)  # noqa: E731
    prepared(liar, first, store=store, folder=folder)
    with pytest.raises(
        InputError, match=r"teacher teacher: the probabilities of an answer token of record 'r\d' in .*"
    ):
        prepared(source, batches, store=store, folder=folder)


@pytest.mark.parametrize(
    ("store", "dtype"), [("states", "bfloat16"), ("states", "float32"), ("top_k", "bfloat16"), ("logits", "bfloat16")]
)
def test_rounding_is_no_change(source, collator, folders, store, dtype):
    """A good cache was to be deleted when its teacher in bfloat16 met other batches, as tied ids change places."""
    model = Qwen2VL(path=folders["teacher"], dtype="bfloat16", max_pixels=28 * 28 * 12)
    half = partial(source, load=lambda path, quantised: model)
    options = {"store": store, "dtype": dtype, "verify_rows": 99}
    prepared(half, lambda: collator.micro_batches(EXAMPLES, 6), LABELLED, **options)
    more = [*EXAMPLES, make_example(texts=("new",), name="new")]
    again = prepared(half, lambda: collator.micro_batches(more, 1), LABELLED, **options)
    assert len(again._store) == 7 + (store == "states")


def test_so_many_rows_of_all_batches_are_verified(source, batches, collator, monkeypatch):
    """With a row a batch, rows of one batch were one row, and with the same draw in every run always that one."""
    seen = []
    prepared(source, batches)
    monkeypatch.setattr(Cached, "_verify", lambda self, batch, place, *others: seen.append(batch.examples[place]))
    more = [*EXAMPLES, make_example(texts=("new",), name="new")]
    prepared(source, lambda: collator.micro_batches(more, 1), verify_rows=5)
    assert len({example.record.id for example in seen} - {"new"}) == len(seen) == 5


def test_each_row_is_as_likely_to_be_verified():
    counts = Counter()
    for _ in range(2000):
        drawn = Drawn(3)
        for item in range(10):
            drawn.offer(item)
        counts.update(drawn.items)
    assert sum(counts.values()) == 6000
    assert all(abs(counts[item] - 600) < 120 for item in range(10))  # six standard deviations


def test_a_damaged_row_is_an_error(source, batches, tmp_path):
    cached = prepared(source, batches, folder=str(tmp_path / "kept"))
    for segment in (tmp_path / "kept").glob("*.safetensors"):
        data = bytearray(segment.read_bytes())
        data[-1] ^= 1
        segment.write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"has digest .* was written"):
        all(cached(batch, ROWS) for batch in batches())


KILLED = """
import sys
from pathlib import Path
import torch
from kd_rag.config import PromptConfig, PromptParts
from kd_rag.data.collator import Collator
from kd_rag.losses.sides import Needs
from kd_rag.models.qwen2_vl import Qwen2VL
from kd_rag.teachers import Source
from kd_rag.teachers.cached import Cached
from tests.teachers.conftest import EXAMPLES
folder, kept = sys.argv[1:]
model = Qwen2VL(path=folder, min_pixels=3136, max_pixels=28 * 28 * 12).eval()
source = Source(lambda p, q: model, lambda p: model.processor, lambda p, q: {"sha256": "x"},
                model.processor.id_digest(), {}, 2.0, Path(kept), torch.device("cpu"))
def batches():
    for batch in Collator(model.processor, PromptConfig(), PromptParts()).micro_batches(EXAMPLES, 1):
        yield batch
        print("written", flush=True)
Cached(source, path="x", folder=kept, dtype="float32").prepare(batches, Needs(), lambda network: None)
"""


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 3])
def test_a_killed_pass_goes_on_where_it_was(folders, tmp_path, after):
    """Hours of a 7B teacher must not be lost to a full queue or a reboot."""
    command = [sys.executable, "-c", KILLED, folders["teacher"], str(tmp_path / "kept")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(after):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
    complete = len(list((tmp_path / "kept").glob("*.safetensors")))
    assert complete >= after
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"6 rows in {tmp_path / 'kept'}, {6 - complete} of them new" in again.stdout
