"""Scores by epoch: their intervals, and what a table by epoch may show."""

import json

import pytest

from kd_rag.evaluation.curves import by_epoch, intervals, points


def test_the_averages_interval_adds_those_of_the_tasks_in_quadrature():
    """Adding the ends themselves would make the average of independent tasks look less certain than it is."""
    tasks = {
        "one": {"weighted_f1": 0.8, "weighted_f1_ci95": [0.77, 0.86]},
        "two": {"weighted_f1": 0.6, "weighted_f1_ci95": [0.56, 0.68]},
    }
    found = intervals({"tasks": tasks, "average_score": 70.0})
    assert found["one"] == pytest.approx((77, 86))
    assert found["average"] == pytest.approx((70 - 5 / 2, 70 + 10 / 2))


def test_a_run_that_was_only_evaluated_has_no_curve(tmp_path):
    assert points(tmp_path) == {}


def test_points_have_score_and_interval_in_percent(tmp_path):
    row = {
        "epoch": 0.51282,
        "tasks": {"one": {"weighted_f1": 0.5, "weighted_f1_ci95": [0.4, 0.7]}},
        "average_score": 50,
    }
    (tmp_path / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    assert points(tmp_path) == {"one": [(0.51, 50, 40, 70)], "average": [(0.51, 50, 40, 70)]}


def test_an_epoch_that_was_asked_for_shows_an_evaluation_near_it_or_none():
    curves = {"run": {"average": {0.51: 40.0, 1.0: 50.0}}}
    assert by_epoch(curves, [0.5, 1, 1.5], "run")[1] == ["run", "average", "40.00", "50.00", "–"]
    assert by_epoch(curves, [], "run")[0] == ["run", "score", "0.51", "1"]
