"""Runs that are started beside each other until memory is gone are all killed, and with them the work of hours."""

import os

import pytest

from kd_rag.commands import _ablation_memory as memory


class Process:
    def __init__(self, pid, returncode=0):
        self.pid, self.returncode = pid, returncode


@pytest.fixture
def machine(monkeypatch):
    """A machine set by hand: free memory, sizes of processes by id, the largest that ended, what each wait changes."""
    state = {"free": 0, "free_gpu": 0, "ended": 0, "sizes": {1: 40, 2: 10, 3: 0}, "grown": True, "next": [], "waits": 0}

    def wait(seconds):
        state["waits"] += 1
        state.update(state["next"].pop(0))

    monkeypatch.setattr(memory, "free_bytes", lambda: state["free"])
    monkeypatch.setattr(memory, "free_gpu_bytes", lambda: state["free_gpu"])
    monkeypatch.setattr(memory, "ended_bytes", lambda: state["ended"])
    monkeypatch.setattr(memory, "resident_bytes", lambda pid: state["sizes"][pid])
    monkeypatch.setattr(memory.time, "sleep", wait)
    return state


@pytest.fixture
def started(machine):
    """Return a function that starts a process in a place, which has grown where the machine says so."""
    return lambda places, pid, code=0: places.started(lambda: Process(pid, code), lambda: machine["grown"])


def test_a_further_process_waits_for_memory_as_large_as_the_largest_and_for_what_others_may_still_grow(
    machine, started
):
    places = memory.Places(3)
    with started(places, 1):
        assert machine["waits"] == 0, "the first begins whatever is free"
        machine["next"] = [{"free": 39}, {"free": 40}]
        with started(places, 2):
            assert machine["waits"] == 2
            machine["next"] = [{"free": 69}, {"free": 70}]  # the second may grow by 30
            with started(places, 3):
                assert machine["waits"] == 4
    with started(places, 3):
        assert machine["waits"] == 4, "the places were given back"


def test_no_process_starts_beside_one_whose_size_is_not_known_yet(machine, started):
    """A process of a few milliseconds is small: all of them would start, and grow together."""
    machine |= {"free": 100, "grown": False}
    places = memory.Places(2)
    with started(places, 1, code=2):
        machine["next"] = [{}, {"grown": True}]
        with started(places, 2):
            assert machine["waits"] == 2
            machine["grown"] = False
    with started(places, 1), started(places, 2):
        assert machine["waits"] == 2, "what was known stays known"


@pytest.mark.parametrize(("code", "waits"), [(0, 0), (2, 1)])
def test_one_that_ended_well_has_shown_its_size_and_one_that_failed_has_not(machine, started, code, waits):
    machine |= {"free": 100, "grown": False}
    places = memory.Places(2)
    with started(places, 1, code):
        pass
    machine["next"] = [{"grown": True}]
    with started(places, 1), started(places, 2):
        assert machine["waits"] == waits


def test_what_a_process_had_that_has_ended_counts(machine, started):
    machine |= {"ended": 61, "next": [{"free": 81}, {"free": 82}]}
    places = memory.Places(2)
    with started(places, 1), started(places, 2):
        assert machine["waits"] == 2


def test_the_memory_of_a_gpu_has_to_do_for_all(machine, started):
    """Runs of the real models are small in the machine's memory, and four on one card end each other."""
    machine |= {"free": 1000, "free_gpu": 80, "grown": False}
    places = memory.Places(3)
    with started(places, 1):
        machine["next"] = [{"free_gpu": 53, "grown": True}]
        with started(places, 2):
            machine["next"] = [{"free_gpu": 26}, {"free_gpu": 53, "sizes": {1: 40, 2: 10, 3: 0}}]
            assert machine["waits"] == 1
            with pytest.raises(IndexError), started(places, 3):
                pytest.fail("three of 27 are more than 80")


def test_the_memory_of_this_process_is_seen():
    assert memory.resident_bytes(os.getpid()) > 2**20
    assert memory.free_bytes() > 2**20
    assert memory.resident_bytes(2**22 + 1) == 0
