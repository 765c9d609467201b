"""Files that are whole or not there."""

import errno
import hashlib
import os

import pytest

from kd_rag.durable import file_digest, remove_partial, write_whole
from kd_rag.types import InputError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_with_its_folder_and_its_digest_returned(tmp_path):
    file = tmp_path / "deep" / "er" / "a.txt"
    digest = write_whole(file, [b"one ", b"two"])
    assert file.read_bytes() == b"one two"
    assert digest == file_digest(file) == hashlib.sha256(b"one two").hexdigest()
    assert names(file.parent) == ["a.txt"]


def broken():
    yield b"half a line"
    raise ZeroDivisionError


def test_content_that_cannot_be_made_leaves_the_former_file_and_nothing_beside_it(tmp_path):
    """A run that fails again and again would fill the disk with halves."""
    write_whole(tmp_path / "a.txt", [b"before"])
    with pytest.raises(ZeroDivisionError):
        write_whole(tmp_path / "a.txt", broken())
    assert (tmp_path / "a.txt").read_bytes() == b"before"
    assert names(tmp_path) == ["a.txt"]


def test_a_full_disk_is_one_sentence_and_leaves_the_former_file(tmp_path, monkeypatch):
    write_whole(tmp_path / "a.txt", [b"before"])

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"a\.txt: cannot be written \(No space left on device\); what was stored"):
        write_whole(tmp_path / "a.txt", [b"after"])
    assert (tmp_path / "a.txt").read_bytes() == b"before"
    assert names(tmp_path) == ["a.txt"]


def test_a_file_gets_its_name_only_when_it_is_on_disk(tmp_path, monkeypatch):
    """Renamed first, it would be empty after a power failure."""
    seen = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.append(names(tmp_path)))
    write_whole(tmp_path / "a.txt", [b"x"])
    (partial,), after = seen
    assert (partial.startswith(".a.txt."), after) == (True, ["a.txt"])


def test_halves_of_killed_writers_can_be_removed_and_an_absent_file_has_no_digest(tmp_path):
    (tmp_path / ".a.txt.0123.partial").write_bytes(b"x")
    (tmp_path / "b.txt").write_bytes(b"x")
    remove_partial(tmp_path)
    assert names(tmp_path) == ["b.txt"]
    assert file_digest(tmp_path / "a.txt") is None
