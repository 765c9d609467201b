"""The page about hand-made run folders (`conftest.py`): its figures, its notes, its command."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from kd_rag import cli, config
from kd_rag.evaluation.metrics import score
from kd_rag.evaluation.predictions import Prediction, write_predictions
from kd_rag.evaluation.report import write_report


def rows_of(table):
    """Split a table of two-space columns into cells."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in table.splitlines()]


def section(page, title):
    return page.split(f"## {title}\n\n")[1].split("\n\n## ")[0]


def test_scores_table_has_one_row_a_run_and_the_majority_class(teacher, student, tmp_path):
    """Figures in the wrong row or column would rank the runs wrongly."""
    head, *rows = rows_of(write_report([teacher, student], tmp_path / "out"))
    assert head[:6] == ["run", "kind", "records", "intent", "image_scene", "average"]
    assert head[6:] == ["nll", "ece", "trainable parameters", "wall time"]
    assert [row[:3] for row in rows] == [
        ["teacher", "fit", "60 test"],
        ["student", "distill", "60 test"],
        ["majority class", "baseline", "60 test"],
    ]
    for row, folder in zip(rows, [teacher, student], strict=False):
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        for cell, task in zip(row[3:5], ["intent", "image_scene"], strict=True):
            low, high = metrics["tasks"][task]["weighted_f1_ci95"]
            assert cell == f"{metrics[f'{task}_score']:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
        assert row[5] == f"{metrics['average_score']:.1f}"
        nll = sum(task["nll"] for task in metrics["tasks"].values()) / 2
        assert row[6] == f"{nll:.3f}"
    assert rows[0][4] == "100.0 [100.0, 100.0]"
    assert rows[0][8:] == ["1,234,567", "1:02:03"]
    assert rows[1][8:] == ["–", "–"]


def test_majority_class_is_that_of_the_training_set(teacher, tmp_path):
    """20 of 40 intents are refunds: recall 1, precision 1/2, so F1 2/3 at weight 1/2; scenes likewise."""
    majority = rows_of(write_report([teacher], tmp_path / "out"))[-1]
    assert majority[3].startswith("33.3 [")
    assert majority[4].startswith("33.3 [")
    assert majority[5] == "33.3"


def test_page_holds_the_tables_in_the_order_given(teacher, student, tmp_path):
    write_report([student, teacher], tmp_path / "out")
    page = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert [line for line in page.splitlines() if line.startswith("#")] == [
        "# Report",
        "## Scores",
        "## By epoch",
        "## Compared with the first run",
        "## Kept of the teacher",
        "## Passages",
        "## Weakest labels",
        "## Configuration differences",
        "## Most confident errors",
    ]
    lines = section(page, "Scores").splitlines()
    assert lines[2].startswith("| student | distill | 60 test |")
    assert lines[3].startswith("| teacher | fit | 60 test |")
    widths = {line.replace("\\|", "").count("|") for line in lines[:5]}
    assert widths == {11}, "every row has the head's columns"


def test_runs_are_compared_with_the_first(teacher, student, tmp_path):
    """A student half wrong is told as worse, and by records that both were asked."""
    write_report([teacher, student], tmp_path / "out")
    page = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    intent, scene = section(page, "Compared with the first run").splitlines()[2:4]
    assert intent.startswith("| student | intent | -")
    assert intent.endswith("| 20 | 1 | 0.000 | worse |")
    assert scene.endswith("| 2 | 0 | 0.500 | within noise |")


def test_runs_that_differ_by_seed_alone_are_compared_as_one_method(make_run, tmp_path):
    """Two rows, one of a lucky seed and one of an unlucky, would let a reader take the one he likes."""
    first = [make_run(f"base{s}", {s}, set(), [f"run.seed={s}"]) for s in range(2)]
    pupils = [
        make_run(f"pupil{s}", set(range(20)), set(), [f"run.seed={s}", f"teacher.path={first[s]}"], command="distill")
        for s in range(2)
    ]
    again = make_run("again", {3}, set(), ["run.seed=1"])
    write_report([*first, *pupils, again], tmp_path / "out")
    lines = section((tmp_path / "out" / "report.md").read_text(encoding="utf-8"), "Compared with the first run")
    names = [line.split(" | ")[0].strip("| ") for line in lines.splitlines()[2:] if line.startswith("|")]
    assert list(dict.fromkeys(names)) == ["pupil0 (2 seeds)", "again"], "a seed counts once"
    assert "Compared with base0 (2 seeds)." in lines


def test_the_svm_and_other_modes_stand_below_the_runs(teacher, student, tmp_path):
    """A model that a linear classifier beats must not look good for want of the comparison."""
    first, second = (json.loads((f / "metrics.json").read_text(encoding="utf-8")) for f in (teacher, student))
    plain = {n: {k: v for k, v in t.items() if k not in ("nll", "ece")} for n, t in first["tasks"].items()}
    said = {"tasks": {n: {**t, "no_label_share": 0.25} for n, t in plain.items()}, "average_score": 50.0}
    svm = {"baselines": {"linear SVM": {"tasks": plain, "average_score": 61.9}}}
    (teacher / "metrics.json").write_text(json.dumps({**first, **svm, "modes": {"free": said}}))
    (student / "metrics.json").write_text(json.dumps({**second, **svm}))
    rows = rows_of(write_report([teacher, student], tmp_path / "out"))[1:]
    assert [row[:2] for row in rows[2:]] == [
        ["teacher, free", "mode, 25.0% no label"],
        ["linear SVM", "baseline"],
        ["majority class", "baseline"],
    ]
    assert rows[3][5:] == ["61.9", "–", "–", "–", "–"]
    assert "linear SVM" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_curves_stand_by_epoch_and_published_figures_beside_the_scores(teacher, student, tmp_path):
    """The paper's tables are by half epoch; a figure of the wrong variant beside a run would flatter it."""
    tasks = {"intent": {"weighted_f1": 0.5, "weighted_f1_ci95": [0.4, 0.6]}}
    lines = [{"step": i, "epoch": i / 2, "tasks": tasks, "average_score": 50 + i} for i in (1, 2)]
    (teacher / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    variants = {"one": {"runs": {"0": "teacher"}, "published": {"average": 83.98}}, "two": {"published": {}}}
    (teacher.parents[1] / "ablation.json").write_text(json.dumps({"variants": variants}))
    head, *rows = rows_of(write_report([teacher, student], tmp_path / "out"))
    assert [head[-1], rows[0][-1], rows[1][-1]] == ["average, published", "83.98", "–"]
    page = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert section(page, "By epoch").splitlines()[:4] == [
        "| run | score | 0.5 | 1 |",
        "|---|---|---|---|",
        "| teacher | intent | 50.00 | 50.00 |",
        "| teacher | average | 51.00 | 52.00 |",
    ]


def test_weakest_labels_leave_out_perfect_ones_and_those_without_records(teacher, tmp_path):
    """An F1 of 0 on no record is no weakness of the model."""
    write_report([teacher], tmp_path / "out")
    weakest = section((tmp_path / "out" / "report.md").read_text(encoding="utf-8"), "Weakest labels")
    assert [line.split(" | ")[2:4] for line in weakest.splitlines()[2:]] == [["other", "88.9"]]


def test_configuration_differences_leave_out_what_is_equal(teacher, student, tmp_path):
    write_report([teacher, student], tmp_path / "out")
    page = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert section(page, "Configuration differences").splitlines() == [
        "| key | teacher | student |",
        "|---|---|---|",
        "| lora.r | 16 | 8 |",
        "| trainer.epochs | 3.0 | 5.0 |",
    ]


def test_third_run_keeps_its_own_column_of_differences(teacher, student, make_run, tmp_path):
    """A key in which only the last run differs must not take the first two runs' values along."""
    third = make_run("third", {1}, {2}, ["lora.r=32"])
    write_report([teacher, student, third], tmp_path / "out")
    page = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert section(page, "Configuration differences").splitlines()[2:] == [
        "| lora.r | 16 | 8 | 32 |",
        "| trainer.epochs | 3.0 | 5.0 | 3.0 |",
    ]


def test_errors_are_the_surest_ones(student, tmp_path):
    """Labels come from outside: a bar in one must not add a column."""
    write_report([student], tmp_path / "out")
    page = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    rows = section(page, "Most confident errors").strip().splitlines()[2:]
    assert rows[0] == "| student | image_scene | image_scene-00 | cart | chat | 0.900 | 0.100 |"
    assert rows[1] == "| student | intent | intent-00 | refund | shipping \\| eta | 0.900 | 0.033 |"
    assert len(rows) == 5


def test_runs_on_different_records_are_not_compared_in_silence(teacher, make_run, tmp_path):
    other = make_run("other", {1}, {2})
    path = other / "predictions-test.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("intent-00", "intent-xx"), encoding="utf-8")
    table = write_report([teacher, other], tmp_path / "out")
    page = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "scored on different records" in section(page, "Scores")
    comparisons = section(page, "Compared with the first run")
    assert "Not compared: other, intent: record 'intent-00' was not scored in all runs." in comparisons
    assert "| other | image_scene |" in comparisons
    assert "majority class (teacher)" in table
    assert "majority class (other)" in table


def test_two_folders_with_one_name_are_told_apart(teacher, tmp_path):
    twin = tmp_path / "elsewhere" / "teacher"
    shutil.copytree(teacher, twin)
    rows = rows_of(write_report([teacher, twin], tmp_path / "out"))
    assert [row[0] for row in rows[1:3]] == [str(teacher), str(twin)]


def run_command(*argv):
    return cli.main("kd_rag", {"report": "kd_rag.commands.report"}, ["report", *map(str, argv)])


def test_command_prints_the_table_and_where_the_page_is(teacher, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    assert run_command(teacher, "--out", out) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("run ")
    assert printed.endswith(f"\npage:   {out / 'report.html'}\nreport: {out / 'report.md'}\n")


def test_command_never_overwrites_a_report(teacher, tmp_path, capsys):
    (tmp_path / "report.md").write_text("mine", encoding="utf-8")
    assert run_command(teacher, "--out", tmp_path) == 2
    assert "report.md exists already; remove it" in capsys.readouterr().err
    assert (tmp_path / "report.md").read_text(encoding="utf-8") == "mine"
    (tmp_path / "report.md").rename(tmp_path / "report.html")
    assert run_command(teacher, "--out", tmp_path) == 2
    assert "report.html exists already; remove it" in capsys.readouterr().err


def test_command_refuses_what_is_no_folder(teacher, tmp_path, capsys):
    assert run_command(tmp_path / "nowhere", "--out", tmp_path / "out") == 2
    assert "nowhere: there is no such run folder" in capsys.readouterr().err
    assert run_command(teacher, "--out", teacher / "run.json") == 2
    assert "run.json is a file" in capsys.readouterr().err


@pytest.mark.slow
def test_a_report_of_twenty_runs_on_a_thousand_records_stays_below_15_megabytes(tmp_path):
    """A page of 100 MB opens nowhere. The pictures are noise, which no compression makes small."""
    rng = np.random.default_rng(0)
    labels = [f"label {i}" for i in range(23)]
    Image.fromarray(rng.integers(0, 256, (720, 720, 3), dtype=np.uint8)).save(tmp_path / "noise.jpg")
    gold = rng.choice(labels, 1000).tolist()
    turn = {"role": "user", "text": "what is this <image> " + "and what does it say " * 10}
    rows = [
        {"id": f"r{i}", "task": "image_scene", "turns": [turn], "images": ["noise.jpg"], "label": label}
        for i, label in enumerate(gold)
    ]
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for n in range(20):
        folder = tmp_path / "runs" / f"run{n}"
        shutil.copytree(tmp_path / "runs" / "run0", folder) if n else folder.mkdir(parents=True)
        settings = [f"run.name=run{n}", f"data.test={tmp_path / 'test.jsonl'}", f"trainer.epochs={n + 1}"]
        own = ["evaluation.bootstrap_samples=50", "ocr.name=none", f"cache_dir={tmp_path / 'cache'}"]
        config.save(config.load(overrides=[*settings, *own]), folder / "config.yaml")
        if n:
            continue
        predicted = np.where(rng.random(1000) < 0.5, gold, rng.choice(labels, 1000)).tolist()
        shares = [{label: 0.56 if label == p else 0.02 for label in labels} for p in predicted]
        told = [
            Prediction(row["id"], "image_scene", row["label"], p, s, [], "")
            for row, p, s in zip(rows, predicted, shares, strict=True)
        ]
        write_predictions(folder / "predictions-test.jsonl", told)
        metrics = {"split": "test", **score(told, {"image_scene": labels}, bootstrap_samples=50, seed=0)}
        (folder / "metrics.json").write_text(json.dumps(metrics))
        facts = {"command": "fit", "train_label_counts": {"image_scene": dict.fromkeys(labels, 2)}}
        (folder / "run.json").write_text(json.dumps(facts))
    write_report([tmp_path / "runs" / f"run{n}" for n in range(20)], tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_bytes()
    assert page.count(b'class="card"') >= 60
    assert len(page) < 15_000_000
