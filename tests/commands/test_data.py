"""`data`: check lists all faults, stats counts, convert loses nothing, sample is called as asked."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kd_rag.cli import main
from kd_rag.data.records import read_records


def run(*argv):
    return main("kd_rag", {"data": "kd_rag.commands.data"}, ["data", *map(str, argv)])


def write(path, *rows):
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8", newline="\n")
    return path


def row(identity, label="delivery", **changes):
    turns = [{"role": "user", "text": "Where?"}, {"role": "agent", "text": "Here."}]
    return {"id": identity, "task": "intent", "turns": turns, "images": [], "label": label} | changes


class TestCheck:
    def test_a_good_file_is_counted(self, tmp_path, capsys):
        Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
        path = write(tmp_path / "train.jsonl", row("a", images=["a.png"]), row("b"))
        assert run("check", path) == 0
        assert capsys.readouterr().out == f"{path}: 2 records with 1 pictures, no faults\n"

    def test_all_faults_of_all_files_are_listed_and_counted(self, tmp_path, capsys):
        """A check that stops at the first fault has to be run as often as there are faults."""
        good = write(tmp_path / "good.jsonl", row("a"))
        bad = write(tmp_path / "bad.jsonl", row("a", label=""), row("b", images=["x.png", "y.png"]))
        worse = tmp_path / "no.jsonl"
        assert run("check", bad, good, worse) == 2
        out, err = capsys.readouterr()
        assert out.startswith(f"{good}: 1 records")
        lines = err.splitlines()
        assert [line.startswith(f"{bad}: line ") for line in lines] == [True, True, True, False, False]
        assert lines[3] == f"{worse}: cannot be read (No such file or directory)"
        assert lines[4] == "kd_rag: error: 4 faults in 2 of 3 files"

    def test_pixels_are_decoded(self, tmp_path, capsys):
        Image.effect_noise((64, 64), 90).save(tmp_path / "cut.jpg")
        whole = (tmp_path / "cut.jpg").read_bytes()
        (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
        assert run("check", write(tmp_path / "train.jsonl", row("a", images=["cut.jpg"]))) == 2
        assert "line 1, id 'a': image 'cut.jpg': " in capsys.readouterr().err


class TestStats:
    def test_counts_for_each_task(self, tmp_path, capsys):
        rows = [row("a"), row("b"), row("c", "refund"), row("d", None), row("e", "尺码", task="image_scene", turns=[])]
        Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
        rows[4]["images"] = ["a.png"]
        path = write(tmp_path / "train.jsonl", *rows)
        assert run("stats", path) == 0
        assert capsys.readouterr().out.splitlines() == [
            f"{path}: 5 records",
            "",
            "image_scene: 1 records, 0 turns, 1 pictures, 1 labels, 0 unlabelled",
            f"      1  {'█' * 40}  尺码",
            "",
            "intent: 4 records, 8 turns, 0 pictures, 2 labels, 1 unlabelled",
            f"      2  {'█' * 40}  delivery",
            f"      1  {'█' * 20}{' ' * 20}  refund",
        ]

    def test_listed_labels_that_never_occur_are_shown(self, tmp_path, capsys):
        """Nobody can learn a label that no record has; it should be seen before training."""
        path = write(tmp_path / "train.jsonl", row("a", metadata={"labels": ["delivery", "refund"]}))
        assert run("stats", path) == 0
        out = capsys.readouterr().out
        assert "1 of 2 listed labels" in out
        assert f"      0  {' ' * 40}  refund" in out

    def test_labels_are_shown_before_and_after_the_expansion(self, tmp_path, capsys):
        path = write(tmp_path / "train.jsonl", row("a"), row("b"), row("c", label="refund"), row("d", label=None))
        config = tmp_path / "c.yaml"
        config.write_text("augment: {expand: 2, expand_labels: {refund: 4}, steps: [{name: grey}]}", encoding="utf-8")
        valid = write(tmp_path / "valid.jsonl", row("v"))  # is never augmented, and need not have every label
        assert run("stats", path, valid, "--config", config) == 0
        lines = capsys.readouterr().out.partition(f"{valid}: ")[0].splitlines()
        assert lines[-4:] == [
            "",
            "intent, expanded: 8 views",
            f"      4  {'█' * 40}  delivery",
            f"      4  {'█' * 40}  refund",
        ]
        assert f"      1  {'█' * 20}{' ' * 20}  refund" in lines


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40).map(lambda text: text.replace("<image>", ""))
WORD = TEXT.filter(str.strip)
LABEL = WORD.map(str.strip)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": WORD,
            "task": WORD,
            "turns": st.lists(
                st.fixed_dictionaries({"role": st.sampled_from(["user", "agent"]), "text": TEXT}), min_size=1
            ),
            "images": st.lists(st.sampled_from(["a.png", "more/b.png", "./more/../a.png"])),
            "label": st.none() | LABEL,
            "ocr": st.sampled_from(
                [None, "text\nof two lines", [{"text": "b", "confidence": 0.25, "box": [0, 0.5, 1, 1]}]]
            ),
            "metadata": st.dictionaries(TEXT.filter(lambda key: key != "labels"), st.integers() | TEXT),
            "reasons": st.none() | WORD,
        }
    ),
    min_size=1,
    max_size=4,
    unique_by=(lambda row: row["id"], lambda row: (row["task"], (row["label"] or row["id"]).casefold())),
)


class TestConvert:
    @settings(max_examples=30, deadline=None)
    @given(ROWS)
    def test_round_trip_gives_equal_records(self, rows):
        """A conversion that loses a turn, a picture or a character changes the experiment without a word."""
        with tempfile.TemporaryDirectory() as name:
            home = Path(name)
            (home / "more").mkdir()
            for picture in ("a.png", "more/b.png"):
                Image.new("RGB", (9, 9)).save(home / picture)
            rows = [{**row, "ocr": row["ocr"] and [row["ocr"]] * len(row["images"])} for row in rows]
            source = write(home / "source.jsonl", *rows)
            assert run("convert", source, "--out", home / "converted.jsonl") == 0
            assert read_records(home / "converted.jsonl") == read_records(source)

    def challenge(self, folder):
        (folder / "images").mkdir(parents=True)
        Image.new("RGB", (9, 9)).save(folder / "images" / "s1-0.png")
        instruction = 'Picture 1: <image>\n标签:["订单","退款"]。'
        record = {"id": "s1", "instruction": instruction, "input": "", "output": "退款", "image": "['s1-0.png']"}
        (folder / "train.json").write_text(json.dumps([record], ensure_ascii=False), encoding="utf-8")
        return folder / "train.json"

    def test_challenge_records_keep_labels_and_pictures(self, tmp_path):
        source, out = self.challenge(tmp_path / "task"), tmp_path / "all.jsonl"
        assert run("convert", source, "--out", out) == 0
        assert json.loads(out.read_text(encoding="utf-8")) == {
            "id": "s1",
            "task": "image_scene",
            "turns": [{"role": "user", "text": "<image>"}],
            "images": ["task/images/s1-0.png"],
            "label": "退款",
            "metadata": {"labels": ["订单", "退款"]},
        }
        assert read_records(out) == read_records(source)

    def test_pictures_outside_the_output_folder_are_refused(self, tmp_path, capsys):
        """Records may not point out of their folder, so such a file could not be read again."""
        source, out = self.challenge(tmp_path / "task"), tmp_path / "elsewhere" / "all.jsonl"
        assert run("convert", source, "--out", out) == 2
        error = capsys.readouterr().err
        assert "record 's1': " in error
        assert f"s1-0.png lies outside {out.parent}; write --out beside the pictures" in error
        assert not out.exists()

    def test_nothing_is_overwritten(self, tmp_path, capsys):
        source = write(tmp_path / "train.jsonl", row("a"))
        before = source.read_bytes()
        assert run("convert", source, "--out", source) == 2
        assert f"{source}: exists already; name another file or remove it" in capsys.readouterr().err
        assert source.read_bytes() == before


def test_sample_passes_folder_seed_and_reasons(tmp_path, monkeypatch):
    called = []
    fake = SimpleNamespace(write_sample=lambda out, seed, **options: called.append((out, seed, options)))
    monkeypatch.setitem(sys.modules, "kd_rag.data.sample", fake)
    assert run("sample", "--out", tmp_path / "shop", "--seed", 7) == 0
    assert run("sample", "--out", tmp_path / "shop", "--reasons") == 0
    assert called == [(tmp_path / "shop", 7, {"reasoned": False}), (tmp_path / "shop", 0, {"reasoned": True})]


def test_verbose_is_understood_behind_the_action(tmp_path, capsys):
    assert run("check", tmp_path / "no.jsonl", "--verbose") == 2
    assert "Traceback" in capsys.readouterr().err


def test_help_imports_nothing_heavy():
    script = (
        "import sys, kd_rag.commands.data; print(sorted({'PIL', 'torch', 'omegaconf', 'numpy'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
