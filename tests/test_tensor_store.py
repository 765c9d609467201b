"""The store of small tensors: what it keeps, and the damage that it refuses."""

import errno
import hashlib
import os
import re
import shutil

import pytest
import torch
from safetensors.torch import save_file

from kd_rag import tensor_store
from kd_rag.tensor_store import Row, TensorStore
from kd_rag.types import InputError

HEADER = {"teacher": "seven", "format": "1"}


def key_of(number):
    return hashlib.sha256(str(number).encode()).hexdigest()


def make_row(number, size=4, **parts):
    """A row whose tensors follow from its number, so that any process can tell what it must read."""
    tensors = {"ids": torch.arange(size) * number, "scores": torch.full((size,), number / 7)}
    return Row(key_of(number), tensors, {"record": f"r{number}", "view": "0", **parts})


def same_bits(left, right):
    return (
        left.dtype == right.dtype
        and left.shape == right.shape
        and left.reshape(-1).view(torch.uint8).equal(right.reshape(-1).view(torch.uint8))
    )


def assert_row(store, number, size=4):
    read, wanted = store.read(key_of(number)), make_row(number, size).tensors
    assert read.keys() == wanted.keys()
    assert all(same_bits(read[name], wanted[name]) for name in wanted)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def filled(folder):
    """A folder with one segment of two rows, the second with an empty tensor; returns (folder, segment)."""
    empty = Row(key_of(1), {"none": torch.zeros(0, 3, dtype=torch.bfloat16)}, {"record": "r1", "view": "0"})
    TensorStore.open(folder, HEADER).append([make_row(0), empty])
    (segment,) = folder.glob("*.safetensors")
    return folder, segment


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.int64])
def test_tensors_come_back_bit_for_bit(folder, dtype):
    """NaN bits, minus zero and extremes that a detour through another dtype would change."""
    noise = torch.randint(-(2**63), 2**63 - 1, (6, 8), generator=torch.Generator().manual_seed(0)).view(dtype)
    tensors = {"noise": noise, "across": noise.T, "one": noise[0, 0], "part": noise[1:3], "empty": noise[:0]}
    TensorStore.open(folder, HEADER).append([Row("a", tensors, {}), Row("b", tensors, {})])
    store = TensorStore.open(folder, HEADER)
    for key in ("a", "b"):
        read = store.read(key)
        assert read.keys() == tensors.keys()
        assert all(same_bits(read[name], tensors[name]) for name in tensors)


def test_knows_what_it_holds(filled):
    folder, segment = filled
    store = TensorStore.open(folder, HEADER)
    assert key_of(0) in store
    assert key_of(9) not in store
    assert (len(store), store.size_bytes) == (2, segment.stat().st_size)
    with pytest.raises(KeyError):
        store.read(key_of(9))


def test_nearest_row_tells_which_part_differs(folder):
    store = TensorStore.open(folder, HEADER)
    rows = [make_row(0, prompt="p0", pictures="i0"), make_row(1, prompt="p1", pictures="i1")]
    old = Row("old", {}, {"record": "r0", "view": "0", "prompt": "x", "pictures": "y"})
    store.append([old, *rows])
    assert store.nearest({"record": "r0", "view": "0", "prompt": "new", "pictures": "i0"}) == rows[0].parts
    assert store.nearest({"record": "r0", "view": "1", "prompt": "p0", "pictures": "i0"}) is None


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ({"teacher": "two", "format": "1"}, ["teacher is 'seven' there", "'two' here"]),
        ({"teacher": "seven"}, ["format is '1' there", "None here"]),
        ({**HEADER, "top": "64"}, ["top is None there", "'64' here"]),
    ],
)
def test_another_header_is_refused(filled, header, named):
    """A teacher's answers that are taken for another teacher's."""
    folder, _ = filled
    with pytest.raises(InputError) as error:
        TensorStore.open(folder, header)
    assert all(text in str(error.value) for text in [str(folder), *named, "name another folder"])


def test_a_folder_that_is_no_store_is_named(folder):
    folder.mkdir()
    (folder / "header.json").write_text("[1")
    with pytest.raises(InputError, match=re.escape(f"{folder / 'header.json'}: is no header")):
        TensorStore.open(folder, HEADER)
    with pytest.raises(InputError, match="cannot be written"):
        TensorStore.open(folder / "header.json", HEADER)


def test_a_segment_of_another_store_is_refused(filled, tmp_path):
    """Two teachers' caches that someone copied together."""
    _, segment = filled
    TensorStore.open(tmp_path / "other", {**HEADER, "teacher": "two"})
    copy = tmp_path / "other" / segment.name
    shutil.copy(segment, copy)
    with pytest.raises(InputError, match=rf"{copy}: teacher is 'seven' there and 'two' here; .* another store"):
        TensorStore.open(tmp_path / "other", {**HEADER, "teacher": "two"})


def test_a_segment_of_an_equal_store_is_welcome(filled, tmp_path):
    _, segment = filled
    store = TensorStore.open(tmp_path / "other", HEADER)
    shutil.copy(segment, tmp_path / "other" / segment.name)
    store.refresh()
    assert_row(store, 0)


def test_a_strange_safetensors_file_is_refused(filled):
    folder, _ = filled
    save_file({"weight": torch.ones(2)}, folder / "model.safetensors")
    with pytest.raises(InputError, match=r"model\.safetensors: its header is damaged or not a segment's"):
        TensorStore.open(folder, HEADER)


def test_a_segment_cut_at_any_length_is_refused(filled):
    folder, segment = filled
    content = segment.read_bytes()
    for length in range(len(content)):
        segment.write_bytes(content[:length])
        with pytest.raises(InputError, match=rf"{segment}: has {length} bytes that do not fit its header"):
            TensorStore.open(folder, HEADER)


def test_no_flipped_bit_gives_other_numbers(filled):
    """A disk that lost a bit and a student that learned from it."""
    folder, segment = filled
    whole = TensorStore.open(folder, HEADER)
    wanted = {key: whole.read(key) for key in (key_of(0), key_of(1))}
    content = segment.read_bytes()
    refused = 0
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        segment.write_bytes(damaged)
        try:
            store = TensorStore.open(folder, HEADER)
            for key, tensors in wanted.items():
                assert all(same_bits(tensor, tensors[name]) for name, tensor in store.read(key).items())
        except InputError as error:
            refused += str(segment) in str(error)
    assert refused == len(content)


@pytest.mark.parametrize(("written", "found"), [(b'"F32","shape":[4]', b'"I32","shape":[4]'), (b"[0,3]", b"[0,5]")])
def test_the_same_bytes_under_another_type_or_shape_are_refused(filled, written, found):
    """A header that safetensors itself finds in order."""
    folder, segment = filled
    content = segment.read_bytes()
    assert content.count(written) == 1
    segment.write_bytes(content.replace(written, found))
    store = TensorStore.open(folder, HEADER)
    with pytest.raises(InputError, match="has digest"):
        [store.read(key_of(number)) for number in range(2)]


def test_a_damaged_row_is_named_and_the_others_are_read(folder):
    store = TensorStore.open(folder, HEADER)
    store.append([make_row(0), make_row(1)])
    (segment,) = folder.glob("*.safetensors")
    content = bytearray(segment.read_bytes())
    place = content.rindex(make_row(1).tensors["scores"].numpy().tobytes())
    content[place] ^= 1
    segment.write_bytes(content)
    assert_row(store, 0)
    with pytest.raises(InputError, match=rf"{segment}: row {key_of(1)} record r1 view 0: scores has digest \w+, but"):
        store.read(key_of(1))


def test_a_segment_damaged_after_opening_is_refused(filled):
    folder, segment = filled
    store = TensorStore.open(folder, HEADER)
    segment.write_bytes(segment.read_bytes()[:-1])
    with pytest.raises(InputError, match=rf"{segment}: row {key_of(0)} record r0 view 0: cannot be read"):
        store.read(key_of(0))
    segment.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        store.read(key_of(0))


def test_a_torn_temporary_file_of_any_length_is_harmless(filled):
    """What a kill leaves behind, at every byte of the write."""
    folder, segment = filled
    content = segment.read_bytes()
    torn = folder / f".{segment.name}.0123.partial"
    segment.unlink()
    for length in range(len(content) + 1):
        torn.write_bytes(content[:length])
        assert len(TensorStore.open(folder, HEADER)) == 0
    store = TensorStore.open(folder, HEADER)
    store.append([make_row(0)])
    assert_row(store, 0)


@pytest.mark.parametrize("step", [1, 2], ids=["segment", "folder"])
def test_a_full_disk_is_the_users_to_mend(filled, monkeypatch, step):
    """A failed write that keeps the disk full, or that passes for a success."""
    folder, _ = filled
    store = TensorStore.open(folder, HEADER)
    calls = []

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) == step:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(InputError, match=rf"{folder}.*: cannot be written \(No space left on device\)"):
        store.append([make_row(5)])
    assert key_of(5) not in store
    assert not list(folder.glob("*.partial"))


def test_a_key_written_twice_counts_once(folder):
    """Two processes that made the same row at the same time; the second's last bits may differ on another device."""
    first, second = TensorStore.open(folder, HEADER), TensorStore.open(folder, HEADER)
    first.append([make_row(0), make_row(1)])
    second.append([make_row(1), make_row(2)])
    for store in (first, second, TensorStore.open(folder, HEADER)):
        store.refresh()
        assert len(store) == 3
        for number in range(3):
            assert_row(store, number)
    size = first.size_bytes
    first.append([make_row(2), Row(key_of(0), {"ids": torch.ones(1)}, {})])
    assert (len(first), first.size_bytes, len(list(folder.glob("*.safetensors")))) == (3, size, 2)
    first.append([Row("a", {"ids": torch.ones(1)}, {}), Row("a", {"ids": torch.zeros(1)}, {})])
    assert first.read("a")["ids"] == 1


def test_equal_segments_of_two_processes_are_one_file(folder):
    first, second = TensorStore.open(folder, HEADER), TensorStore.open(folder, HEADER)
    first.append([make_row(0)])
    second.append([make_row(0)])
    assert len(list(folder.glob("*.safetensors"))) == 1
    assert_row(first, 0)


def test_opening_reads_headers_only_and_reading_one_row_only(folder, monkeypatch):
    """A cache of a large training set that costs its whole size before the first step."""
    store = TensorStore.open(folder, HEADER)
    for start in range(0, 200 * 64, 64):
        store.append([make_row(number) for number in range(start, start + 64)])
    touched = []

    class Watched:
        def __init__(self, *args, **kwargs):
            self.file = open_segment(*args, **kwargs)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def metadata(self):
            return self.file.metadata()

        def get_tensor(self, name):
            touched.append(name)
            return self.file.get_tensor(name)

    open_segment = tensor_store.safe_open
    monkeypatch.setattr(tensor_store, "safe_open", Watched)
    store = TensorStore.open(folder, HEADER)
    assert (len(store), len(list(folder.glob("*.safetensors"))), touched) == (12800, 200, [])
    assert_row(store, 64 * 3 + 5)
    assert touched == ["5.ids", "5.scores"]
