"""Runs that are started beside each other until memory is gone are all killed, and with them the work of hours."""

import os

import pytest

from kd_rag.commands import _ablation_memory as memory


class Process:
    def __init__(self, pid):
        self.pid = pid


@pytest.fixture
def machine(monkeypatch):
    """A machine set by hand: free memory, sizes of processes by id, the largest that ended, what waiting frees."""
    state = {"free": 0, "ended": 0, "sizes": {1: 40, 2: 10, 3: 0}, "frees": [], "waits": 0}

    def wait(seconds):
        state["waits"] += 1
        state["free"] = state["frees"].pop(0)

    monkeypatch.setattr(memory, "free_bytes", lambda: state["free"])
    monkeypatch.setattr(memory, "ended_bytes", lambda: state["ended"])
    monkeypatch.setattr(memory, "resident_bytes", lambda pid: state["sizes"][pid])
    monkeypatch.setattr(memory.time, "sleep", wait)
    return state


def test_a_further_process_waits_for_memory_as_large_as_the_largest_and_for_what_others_may_still_grow(machine):
    places = memory.Places(3)
    with places.started(lambda: Process(1)):
        assert machine["waits"] == 0, "the first begins whatever is free"
        machine["frees"] = [39, 40]
        with places.started(lambda: Process(2)):
            assert machine["waits"] == 2
            machine["frees"] = [69, 70]  # the second may grow by 30
            with places.started(lambda: Process(3)):
                assert machine["waits"] == 4
    with places.started(lambda: Process(3)):
        assert machine["waits"] == 4, "the places were given back"


def test_what_a_process_had_that_has_ended_counts(machine):
    machine |= {"ended": 61, "frees": [81, 82]}
    places = memory.Places(2)
    with places.started(lambda: Process(1)), places.started(lambda: Process(2)):
        assert machine["waits"] == 2


def test_the_memory_of_this_process_is_seen():
    assert memory.resident_bytes(os.getpid()) > 2**20
    assert memory.free_bytes() > 2**20
    assert memory.resident_bytes(2**22 + 1) == 0
