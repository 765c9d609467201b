"""The figures of the sections: each is drawn from runs whose every score is known (`tests/evaluation/conftest.py`)."""

import re

import pytest

from kd_rag.evaluation.findings import find
from kd_rag.evaluation.html.facts import configuration_section, cost_section, kept_section
from kd_rag.evaluation.html.labels import label_section, run_section
from kd_rag.evaluation.html.reliability import coverage_section, sureness
from kd_rag.evaluation.html.scores import comparison_section, score_section
from kd_rag.evaluation.predictions import Prediction, write_predictions
from kd_rag.evaluation.runs import read_run


@pytest.fixture
def found(teacher, make_run):
    """Compare the teacher with a student of its own that has every second intent and two scenes wrong."""
    overrides = [f"teacher.path={teacher}", "lora.r=8"]
    pupil = make_run("pupil", set(range(0, 40, 2)), {0, 1}, overrides, command="distill", wall_seconds=600.0)
    return find([read_run(teacher), read_run(pupil)])


def rows_of(section):
    """Return the text of each cell of each row, drawings left out."""
    rows = re.findall(r"<tr>(.*?)</tr>", "".join(section))
    return [[re.sub(r"<[^>]*>", "", c) for c in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in rows]


def test_scores_have_the_interval_drawn_where_it_lies(found):
    """The strip runs from 2 to 98 between the domain's ends; a perfect score ends it."""
    section = score_section(found)
    head, first, *_ = rows_of(section)
    assert head == ["run", "intent", "image scene", "average", "NLL", "ECE"]
    assert first[0] == "teacherfit · 60 test records"
    assert first[2] == "100.0 100.0 to 100.0"
    assert '<line x1="98" x2="98" y1="7" y2="7" class="dot">' in section[0]


def test_comparisons_say_verdict_and_counts(found):
    rows = rows_of(comparison_section(found))[1:]
    assert [row[0] for row in rows] == ["pupilintent", "pupilimage scene", "pupilaverage"]
    assert [row[2] for row in rows] == ["worse", "within noise", "worse"]
    assert [row[4:6] for row in rows] == [["20", "1"], ["2", "0"], ["22", "1"]]


def test_labels_stand_with_the_weakest_on_top_and_without_those_that_no_record_has(found):
    """The pupil's F1 by hand: other 6/16, shipping 14/32, refund 20/30."""
    intents = [row for row in rows_of(label_section(found)) if row[0] in ("refund", "shipping | eta", "other")]
    assert [row[0] for row in intents] == ["other", "shipping | eta", "refund"]
    assert [row[1:] for row in intents] == [["5", "89", "38"], ["15", "100", "44"], ["20", "100", "67"]]
    assert not any("no record has it" in part for part in label_section(found))


def test_a_runs_panel_counts_its_confusion_and_orders_its_bars(found):
    measured = {name: sureness(run) for name, run in found.runs.items()}
    panel = next(part for part in run_section(found, measured) if 'data-panel="0"' in part)
    rows = rows_of([panel])
    assert [row[0] for row in rows[1:4]] == ["other", "refund", "shipping | eta"]
    assert rows[1][2:] == ["89", "100", "80", "5"]
    low, high = rows[1][1].split(" to ")
    assert int(low) < 89 <= int(high) == 100, "one of five was missed"
    confusion = next(row for row in rows if row[0] == "other" and len(row) == 5)
    assert confusion == ["other", "", "", "4", "1"], "the teacher takes one of the others for a label without records"


def test_reliability_is_told_before_and_after_the_temperature_of_valid(teacher):
    """Too sure by half: of ten records at 0.9, five are right, on valid as on test."""
    shares = {"cart": 0.9, "chat": 0.1}
    rows = [Prediction(f"v{i}", "image_scene", ("cart", "chat")[i % 2], "cart", shares, [], "") for i in range(10)]
    write_predictions(teacher / "predictions-valid.jsonl", rows)
    run = read_run(teacher)
    found = sureness(run)["image_scene"]
    assert found.temperature > 5
    assert found.ece_before == pytest.approx(0.105, abs=0.01)
    assert found.ece_after > found.ece_before, "the test records deserved their sureness"
    assert [bar["n"] for bar in found.before] == [20]
    assert sureness(run)["intent"].after is None


def test_coverage_has_a_line_for_each_run(found):
    measured = {name: sureness(run) for name, run in found.runs.items()}
    section = "".join(coverage_section(found, measured))
    assert section.count("<figure>") == 2
    assert "pupil: 90.0 at % of records answered 100" in section


def test_what_was_kept_lost_and_gained_is_counted_and_linked(found):
    section = kept_section(found, lambda run, task, record: f"[{record}]")
    assert rows_of(section)[1][1:] == ["47.5%", "", "19", "20", "1", "0"]
    assert "[intent-00] " in section[2]
    assert "Gained by pupil, intent: </b>[intent-39]" in section[2]
    alone = find([found.runs["teacher"]])
    assert "No run here was distilled" in "".join(kept_section(alone, lambda run, task, record: record))


def test_costs_leave_out_what_no_run_knows(found):
    head, first, second = rows_of(cost_section(found))
    assert head == ["run", "training time", "trained weights"]
    assert first[1:] == ["1:02:03", "1,234,567"]
    assert second[1:] == ["0:10:00", "–"]


def test_what_differs_from_the_first_run_is_marked(found):
    section = "".join(configuration_section(found))
    assert '<code>lora.r</code></th><td><code>16</code></td><td class="changed"><mark><code>8</code></mark>' in section
    assert section.count("<mark>") == 2
