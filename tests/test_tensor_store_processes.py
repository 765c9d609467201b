"""Several processes at one store of small tensors, some of them killed."""

import contextlib
import itertools
import multiprocessing
import os
import signal

import pytest

from kd_rag.tensor_store import TensorStore
from tests.test_tensor_store import HEADER, assert_row, key_of, make_row


def write_rows(folder, first, count, fatal, channel):
    """Append segments of two rows and tell after each which numbers are safe; be killed in the `fatal`th flush."""
    flush, flushes = os.fsync, []

    def fsync(descriptor):
        flushes.append(descriptor)
        if len(flushes) == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        flush(descriptor)

    os.fsync = fsync
    store = TensorStore.open(folder, HEADER)
    for number in range(first, first + 2 * count, 2):
        store.append([make_row(number, size=100_000), make_row(number + 1, size=100_000)])
        channel.send((number, number + 1))


def read_rows(folder, count, channel):
    """Refresh and check what is new until told to stop; then send how many rows there are (a process of its own)."""
    store, unseen = TensorStore.open(folder, HEADER), set(range(count))
    channel.send("reading")
    stopping = False
    while not stopping:
        stopping = channel.poll()
        store.refresh()
        for number in [number for number in unseen if key_of(number) in store]:
            assert_row(store, number, size=100_000)
            unseen.remove(number)
    channel.send((len(store), len(unseen)))


def start(target, *args):
    """Start a process; return it and our end of its channel, which ends when the process does."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(*args, theirs))
    process.start()
    theirs.close()
    return process, ours


def received(channel):
    """Return what a process sent before it ended."""
    messages = []
    with contextlib.suppress(EOFError):
        while True:
            messages.append(channel.recv())
    return messages


@pytest.mark.slow
def test_killed_writers_lose_nothing_that_was_acknowledged(tmp_path):
    """Three writers at once: one is killed before its 7th segment has its name, one right after, one anywhere."""
    folder = tmp_path / "store"
    TensorStore.open(folder, HEADER)  # so that two flushes are one append
    fatal_flushes = (13, 14, None)
    writers = [start(write_rows, folder, 1000 * i, 10_000, fatal) for i, fatal in enumerate(fatal_flushes)]
    anywhere, channel = writers[2]
    early = [channel.recv() for _ in range(10)]
    anywhere.kill()
    acknowledged = [received(channel) for _, channel in writers]
    for process, _ in writers:
        process.join()
        assert process.exitcode == -signal.SIGKILL
    assert [len(pairs) for pairs in acknowledged[:2]] == [6, 6]
    assert list(folder.glob(".*.partial"))
    store = TensorStore.open(folder, HEADER)
    for number in itertools.chain(*early, *itertools.chain(*acknowledged)):
        assert_row(store, number, size=100_000)
    assert key_of(12) not in store
    assert_row(store, 1012, size=100_000)
    store.append([make_row(12, size=100_000)])
    assert_row(store, 12, size=100_000)


@pytest.mark.slow
def test_two_readers_beside_a_writer_see_whole_rows(tmp_path):
    folder = tmp_path / "store"
    readers = [start(read_rows, folder, 80) for _ in range(2)]
    assert [channel.recv() for _, channel in readers] == ["reading"] * 2
    writer, written = start(write_rows, folder, 0, 40, None)
    assert [written.recv() for _ in range(40)] == [(i, i + 1) for i in range(0, 80, 2)]
    for process, channel in readers:
        channel.send("stop")
        assert channel.recv() == (80, 0)
        process.join()
        assert process.exitcode == 0
    writer.join()
