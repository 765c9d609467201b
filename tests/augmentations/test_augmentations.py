"""What every augmentation promises, over all members of the family."""

import copy
import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from kd_rag import registry
from kd_rag.augmentations import augment
from kd_rag.types import Dialogue, InputError, Turn

MEMBERS = registry.names("augmentations")
TEXT_MEMBERS = ["agent_turns", "delete_key_words", "delete_words", "reorder_clauses", "swap_words", "synonyms"]
TEXTS = st.lists(
    st.sampled_from(["refund", "退款", "。", " ", "\n", "<image>", "<http>", "<dxm:highlight>", "<", ">", "a<b", "?"]),
    max_size=12,
).map("".join)
ANY_TEXTS = st.one_of(TEXTS, st.text(max_size=30))
TURNS = st.lists(st.builds(Turn, st.sampled_from(["user", "agent"]), ANY_TEXTS), max_size=4).map(tuple)
SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))


def noise(size, seed=0):
    rng = random.Random(seed)
    return Image.frombytes("RGB", size, rng.randbytes(3 * size[0] * size[1]))


DIALOGUES = st.builds(Dialogue, TURNS, st.lists(SIZES.map(noise), max_size=2).map(tuple))
WORDS = "one two, three four, five six <image> 我要退款谢谢"
ONE = Dialogue((Turn("user", WORDS), Turn("agent", "yes, of course, dear")), (noise((300, 260)),))
quick = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


SYNONYMS = Path(__file__).with_name("synonyms.txt")
NEEDED = {"synonyms": {"file": str(SYNONYMS)}}


def step(name, **options):
    options = NEEDED.get(name, {}) | options
    return registry.build("augmentations", {"name": name, "probability": 1.0, **options})


def content(dialogue):
    """Everything of a dialogue, as bytes and strings."""
    return dialogue.turns, [(p.mode, p.size, p.tobytes()) for p in dialogue.pictures]


def markup(dialogue):
    return [mark for turn in dialogue.turns for mark in re.findall("<[^<>]*>", turn.text)]


@pytest.mark.parametrize("name", MEMBERS)
@quick
@given(dialogue=DIALOGUES, seed=st.integers())
def test_a_view_keeps_what_the_record_is(name, dialogue, seed):
    """A view that loses a picture's place, a turn, or changes the dialogue that other views start from."""
    before = content(copy.deepcopy(dialogue))
    view = step(name)(dialogue, random.Random(seed))
    assert content(dialogue) == before, "the original is untouched"
    assert markup(view) == markup(dialogue)
    assert [(p.mode, p.size) for p in view.pictures] == [("RGB", p.size) for p in dialogue.pictures]
    if name == "agent_turns":
        assert [t for t in view.turns if t.role == "user"] == [t for t in dialogue.turns if t.role == "user"]
        left = iter(t.text for t in dialogue.turns)
        assert all(any(old.startswith(turn.text) for old in left) for turn in view.turns), "in order, cut at the end"
        return
    assert [turn.role for turn in view.turns] == [turn.role for turn in dialogue.turns]
    for old, new in zip(dialogue.turns, view.turns, strict=True):
        assert bool(old.text.strip()) == bool(new.text.strip()), "no turn is emptied"
        assert old.role == "user" or new == old, "the agent said what it said"


@pytest.mark.parametrize("name", MEMBERS)
@quick
@given(dialogue=DIALOGUES, seed=st.integers(), record_id=st.text(max_size=5), view=st.integers(0, 9))
def test_the_same_key_gives_the_same_bytes(name, dialogue, seed, record_id, view):
    """A teacher's cached answer to a view that the student never sees again."""
    one, two = (augment(dialogue, record_id, view, steps=[step(name)] * 2, seed=seed) for _ in range(2))
    assert content(one) == content(two)


@pytest.mark.parametrize("name", MEMBERS)
def test_another_seed_record_or_view_gives_another_view(name):
    """An epoch that shows the same pictures again under the name of augmentation."""
    half = step(name, probability=0.5)
    for keys in (
        [(n, "a", 0) for n in range(20)],
        [(0, str(n), 0) for n in range(20)],
        [(0, "a", n) for n in range(20)],
    ):
        views = {repr(content(augment(ONE, key[1], key[2], steps=[half], seed=key[0]))) for key in keys}
        assert len(views) > 1


@pytest.mark.parametrize("name", MEMBERS)
def test_probability_zero_changes_nothing_and_wrong_ones_are_named(name):
    assert step(name, probability=0.0)(ONE, random.Random(0)) == ONE
    with pytest.raises(InputError, match=f"augmentations {name}: probability is a number from 0 to 1, found 1.5"):
        step(name, probability=1.5)(ONE, random.Random(0))


@pytest.mark.parametrize("name", TEXT_MEMBERS)
@pytest.mark.parametrize("piece", [" ", "<", "< ", "\n ", "a", ".", "好，", "refund, "])
def test_an_endless_turn_is_no_trap(name, piece):
    """One absurd turn that holds a worker: matching that is quadratic would take hours."""
    long = Dialogue(
        (Turn("user", "why"), Turn("agent" if name == "agent_turns" else "user", piece * 100_000 + "x")), ()
    )
    assert markup(step(name)(long, random.Random(1))) == []


def test_steps_draw_apart_and_in_order():
    """One step's change of options that changes every later step's draws."""

    def draw(turns):
        return lambda dialogue, rng: Dialogue((*dialogue.turns, Turn("user", str(turns(rng)))), ())

    few, many = draw(lambda rng: rng.random()), draw(lambda rng: [rng.random() for _ in range(9)])
    empty = Dialogue((), ())
    second = [augment(empty, "id", 3, steps=[first, few], seed=7).turns[1] for first in (few, many)]
    assert second[0] == second[1] != augment(empty, "id", 3, steps=[few], seed=7).turns[0]
    assert augment(ONE, "id", 0, steps=[], seed=0) is ONE


def test_another_process_makes_the_same_view():
    """Workers whose string hashes are salted differently."""
    program = (
        "import random; from kd_rag.augmentations import augment; from kd_rag.types import Dialogue, Turn\n"
        "draw = lambda d, rng: Dialogue((Turn('user', str(rng.random())),), ())\n"
        "print(augment(Dialogue((), ()), '记录-7', 2, steps=[draw], seed=1).turns[0].text)"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": salt, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        for salt in ("0", "1")
    }
    assert outputs == {b"0.6533248650765758\n"}, "and no release may change what a key stands for"


PLAINEST = {"ATEN_CPU_CAPABILITY": "default", "NPY_DISABLE_CPU_FEATURES": "AVX2 AVX512F"}
"""Makes a process compute as on a processor without wide vectors."""


@pytest.mark.slow
def test_processes_and_workers_in_any_order_make_the_same_views():
    """A machine whose workers, salts, processor or order of records make pictures that no other machine made."""
    found = []
    for salt, workers, order, features in (("0", "0", "forwards", {}), ("1", "2", "backwards", PLAINEST)):
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("replay.py")), workers, order, str(SYNONYMS)],
            env={"PYTHONHASHSEED": salt, "PYTHONPATH": ":".join(sys.path), **features},
            capture_output=True,
            check=True,
        )
        found.append(json.loads(done.stdout))
    assert found[0] == found[1]
    assert len(set(found[0].values())) == 12
