"""What `predict` writes: a file cut at any byte is completed to the same bytes, and the challenge's table."""

import csv
import json
import subprocess
import sys
import time

import pandas
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForImageTextToText

from kd_rag.data.submission import write_submission
from kd_rag.evaluation.journal import Journal
from kd_rag.evaluation.predictions import Prediction, as_line, read_predictions
from kd_rag.types import InputError

LABELS = ("order_page", "refund")


def line(name):
    return Prediction(name, "intent", None, "refund", {"order_page": 0.25, "refund": 0.75}, [], "")


def ids(path):
    return [prediction.id for prediction in read_predictions(path)]


def test_a_half_written_line_is_cut_and_another_source_refused(tmp_path):
    """Lines of another model below those of this one would be a file that nobody can explain."""
    path = tmp_path / "out.jsonl"
    with Journal.open(path, {"input": "a"}, ids) as journal:
        journal.append(map(as_line, [line("1"), line("2")]))
    whole = path.read_bytes()
    for end in range(len(as_line(line("1"))), len(whole)):
        path.write_bytes(whole[:end])
        with Journal.open(path, {"input": "a"}, ids) as journal:
            assert journal.finished == {"1"}
            journal.append([as_line(line("2"))])
        assert path.read_bytes() == whole
    with pytest.raises(InputError, match="was begun with input 'a', now it is 'b'"), opened(path, "b"):
        pass


def opened(path, source):
    return Journal.open(path, {"input": source}, ids)


def test_a_file_that_another_process_writes_is_left_alone(tmp_path):
    """Two that append to one file would write each record twice."""
    path = tmp_path / "folder" / "out.jsonl"
    with opened(path, "a"), pytest.raises(InputError, match="another process is writing to it"), opened(path, "a"):
        pass
    with opened(path, "b") as journal:
        assert journal.finished == set(), "nothing was written yet, so another source may begin"
    with pytest.raises(InputError, match=r"cannot be written \(Is a directory\)"), opened(tmp_path, "a"):
        pass


CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(st.lists(st.tuples(CELLS, st.lists(CELLS, max_size=2), st.none() | CELLS, CELLS), min_size=1, max_size=6))
def test_the_challenges_table_has_the_bytes_of_pandas(tmp_path_factory, drawn):
    """The rules name `to_csv(index=False, encoding="utf-8-sig")`: a file that differs in a quote may be refused."""
    rows = [
        {"id": str(i), "instruction": text, "image": images} | ({} if more is None else {"input": more})
        for i, (text, images, more, _) in enumerate(drawn)
    ]
    folder = tmp_path_factory.mktemp("table")
    labels = {str(i): label for i, (*_, label) in enumerate(drawn)}
    write_submission(folder / "ours.csv", rows, labels)
    pandas.DataFrame(rows).assign(predict=labels.values()).to_csv(folder / "a.csv", index=False, encoding="utf-8-sig")
    assert (folder / "ours.csv").read_bytes() == (folder / "a.csv").read_bytes()


def test_the_challenges_table(tmp_path):
    row = {"id": "1", "instruction": 'a "b",\nc', "image": ["x.jpg"]}
    write_submission(tmp_path / "a.csv", [row, row, {"id": "2", "instruction": "", "image": []}], {"1": "气泡"})
    expected = '\ufeffid,instruction,image,predict\n1,"a ""b"",\nc",[\'x.jpg\'],气泡\n'
    assert (tmp_path / "a.csv").read_bytes() == expected.encode()


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "kd_rag", *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def shop(tmp_path_factory, folders):
    """Write records and fit a run of a few steps on them."""
    folder = tmp_path_factory.mktemp("shop")
    for split in ("train", "valid"):
        rows = [
            {"id": f"{split}{i}", "task": "intent", "turns": [{"role": "user", "text": f"Where is {'it ' * i}?"}]}
            | {"label": LABELS[i % 2]}
            for i in range(24)
        ]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = command(
        "fit", f"model.path={folders['student']}", f"run.dir={folder}", "run.name=run", "ocr.name=none", "lora.r=4",
        *(f"data.{s}={folder / s}.jsonl" for s in ("train", "valid")), "trainer.accelerator=cpu", "trainer.max_steps=2",
        "trainer.learning_rate=1e-2", "evaluation.bootstrap_samples=20", "evaluation.batch_size=1",
        f"data.test={folder / 'valid'}.jsonl", f"cache_dir={folder / 'cache'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_killed_and_resumed_gives_the_same_bytes(shop):
    whole, out = shop / "whole.jsonl", shop / "out.jsonl"
    arguments = ("predict", "--run", shop / "run", shop / "valid.jsonl", "--out")
    assert command(*arguments, whole).returncode == 0
    ids = [json.loads(row)["id"] for row in whole.read_text().splitlines()]
    assert ids == [f"valid{i}" for i in range(24)]
    begun = subprocess.Popen(
        [sys.executable, "-m", "kd_rag", *map(str, arguments), str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while begun.poll() is None and not (out.exists() and out.stat().st_size):
        time.sleep(0.001)
    begun.kill()
    begun.wait()
    with out.open("rb+") as file:
        file.truncate(max(0, out.stat().st_size - 100))
    assert command(*arguments, out).returncode == 0
    assert out.read_bytes() == whole.read_bytes()


@pytest.mark.slow
def test_bad_records_are_named_and_strict_stops(shop):
    rows = (shop / "valid.jsonl").read_text().splitlines()[:2]
    mixed = shop / "mixed.jsonl"
    mixed.write_text(
        "\n".join([rows[0], "{", rows[1].replace("intent", "other"), rows[1].replace("valid1", r"\ud800")]) + "\n"
    )
    done = command("predict", "--run", shop / "run", mixed, "--out", shop / "mixed.out")
    assert done.returncode == 3
    assert "rejected: 3 records" in done.stderr
    assert len((shop / "mixed.out").read_text().splitlines()) == 1
    rejected = [json.loads(row) for row in (shop / "mixed.out.rejected.jsonl").read_text().splitlines()]
    assert [(row["id"], row["place"]) for row in rejected] == [
        (None, "line 2"),
        ("valid1", None),
        ("\ud800", "line 4"),
    ]
    assert "task 'other' is not one of the model's: intent" in rejected[1]["reasons"]
    done = command("predict", "--strict", "--run", shop / "run", mixed, "--out", shop / "strict")
    assert done.returncode == 2
    assert f"{mixed}, line 2: " in done.stderr
    assert not (shop / "strict.rejected.jsonl").exists()


@pytest.mark.slow
def test_the_command_writes_the_challenges_table(shop):
    dialogue = '<用户与客服的对话 START>\n用户: "a", b\n<用户与客服的对话 END>'
    row = {"id": "1", "instruction": dialogue, "image": []}
    (shop / "test.json").write_text(json.dumps([row]))
    done = command("predict", "--run", shop / "run", shop / "test.json", "--out", shop / "a.csv", "--format", "mdsirc")
    assert done.returncode == 0, done.stderr
    label = json.loads((shop / "a.csv.jsonl").read_text())["predicted"]
    quoted = dialogue.replace('"', '""')
    assert (shop / "a.csv").read_bytes() == f'\ufeffid,instruction,image,predict\n1,"{quoted}",[],{label}\n'.encode()
    with (shop / "a.csv").open(encoding="utf-8-sig", newline="") as file:
        assert next(csv.DictReader(file))["instruction"] == dialogue


@pytest.mark.slow
def test_an_exported_folder_loads_alone_and_scores_alike(shop):
    out = shop / "exported"
    done = command("export", "--run", shop / "run", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "when merged in float32" in done.stdout
    assert AutoModelForImageTextToText.from_pretrained(out).dtype == torch.float32
    assert "95% interval" in (out / "README.md").read_text()
    done = command("evaluate", "--model", out, "--split", "valid", "--out", shop / "scored")
    assert done.returncode == 0, done.stderr
    scores = [json.loads((shop / name / "metrics.json").read_text())["tasks"]["intent"] for name in ("run", "scored")]
    assert scores[0]["weighted_f1"] == scores[1]["weighted_f1"]
    assert scores[0]["nll"] == pytest.approx(scores[1]["nll"], abs=1e-5)
