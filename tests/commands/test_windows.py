"""A file of predictions must not tell that its making was killed, nor how often."""

import random
from contextlib import suppress

import pytest

from kd_rag.commands._windows import write_lines
from kd_rag.evaluation.journal import Journal
from kd_rag.training.serving import Answers
from tests.commands.runs import make_shop, predictor


class Killed(BaseException):
    """What a kill looks like to the code that is under way."""


def test_twenty_kills_at_random_moments_change_nothing(tmp_path, folders, monkeypatch):
    """A kill strikes while a window is scored or while its lines are written, at any byte of them."""
    opened = predictor(make_shop(tmp_path / "shop", folders["student"]))
    records = tmp_path / "shop" / "records.jsonl"
    whole, out, rejects = (tmp_path / name for name in ("whole", "out", "rejects"))
    write_lines(opened, records, whole, rejects, strict=True)
    moments, append = random.Random(20), Journal.append

    def killed(journal, lines):
        text = "".join(lines)
        append(journal, [text[: moments.randrange(len(text) + 1)]])
        raise Killed

    for kill in range(20):
        if out.exists():  # what the kill before left, with some of its lines undone, so that each kill has work to end
            with out.open("rb+") as file:
                file.truncate(moments.randrange(out.stat().st_size + 1))
        with monkeypatch.context() as patch, suppress(Killed):
            patch.setattr(*((Journal, "append", killed) if kill % 4 else (Answers, "__call__", strike)))
            write_lines(opened, records, out, rejects, strict=True)
            pytest.fail("was not killed")
    assert write_lines(opened, records, out, rejects, strict=True) == (24, 0)
    assert out.read_bytes() == whole.read_bytes()


def strike(*_):
    raise Killed
