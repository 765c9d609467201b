"""What the report says of passages: the figures of hand-made runs (`conftest.py`) by hand."""

import json

import pytest

from kd_rag.evaluation.findings import find
from kd_rag.evaluation.html.facts import passage_section
from kd_rag.evaluation.passages import passage_tables
from kd_rag.evaluation.report import write_report
from kd_rag.evaluation.runs import read_run

LEAKS = {
    "records": 40,
    "own_passages": 3,
    "near_copies_by_kind": {"example": 2, "review": 5},
    "near_copy_cosine": 0.95,
    "label_in_passage": {},
}


@pytest.fixture
def shown(make_run):
    """Return a run that has the first refund and the last of the others wrong, and counts of leaks."""
    folder = make_run("shown", {0, 39}, set())
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    (folder / "metrics.json").write_text(json.dumps({**metrics, "leaks": LEAKS}), encoding="utf-8")
    return folder


@pytest.fixture
def hidden(make_run):
    """Return a run on the same records without passages, which has other ones wrong."""
    folder = make_run("hidden", {0, 1, 2, 20}, set())
    predictions = folder / "predictions-test.jsonl"
    predictions.write_text(predictions.read_text(encoding="utf-8").replace('["faq-1"]', "[]"), encoding="utf-8")
    return folder


CHANGED = [
    ["shown", "hidden", "intent", "all", "40", "3", "1", ""],
    ["shown", "hidden", "intent", "other", "5", "0", "1", "intent-39"],
    ["shown", "hidden", "intent", "shipping | eta", "15", "1", "0", "–"],
    ["shown", "hidden", "intent", "refund", "20", "2", "0", "–"],
    ["shown", "hidden", "image_scene", "all", "20", "0", "0", ""],
]


@pytest.mark.parametrize("order", [1, -1])
def test_labels_are_counted_by_what_passages_set_right_and_wrong(shown, hidden, order):
    """A mean that rises hides the label that passages ruin; which run is named first is no matter."""
    runs = find([read_run(folder) for folder in (shown, hidden)[::order]]).runs
    rows, _ = passage_tables(runs)["Records that passages set right and wrong"]
    assert rows[1:] == CHANGED


def test_runs_that_both_saw_passages_or_other_records_are_not_set_against_each_other(shown, hidden, teacher):
    tables = passage_tables(find([read_run(shown), read_run(teacher)]).runs)
    assert list(tables) == ["What records found that they should not have"]
    other = hidden / "predictions-test.jsonl"
    other.write_text(other.read_text(encoding="utf-8").replace("intent-00", "intent-99"), encoding="utf-8")
    rows, _ = passage_tables(find([read_run(shown), read_run(hidden)]).runs)[
        "Records that passages set right and wrong"
    ]
    assert [row[2] for row in rows[1:]] == ["image_scene"]


def test_leaks_stand_in_both_pages(shown, hidden, tmp_path):
    """In a file that nobody opens, a score that rests on near-copies looks like any other."""
    write_report([shown, hidden], tmp_path / "out")
    page = (tmp_path / "out" / "report.md").read_text(encoding="utf-8").split("## Passages\n\n")[1]
    assert page.splitlines()[2] == "| shown | 40 | 3 | example 2, review 5 | – |"
    (leaks, _, changed, _) = passage_section(find([read_run(shown), read_run(hidden)]))
    assert "example 2, review 5" in leaks
    assert "intent-39" in changed
