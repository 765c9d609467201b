"""What a student is said to have kept of its teacher."""

from kd_rag.evaluation.distillation import kept, kept_table, pairs
from kd_rag.evaluation.predictions import Prediction
from kd_rag.evaluation.runs import read_run


def answers(predicted):
    gold = "aaaab"
    sure = {"a": 0.4, "b": 0.3, "c": 0.3}
    return [Prediction(f"r{i}", "t", g, p, sure, [], "") for i, (g, p) in enumerate(zip(gold, predicted, strict=True))]


def test_lost_and_gained_are_told_apart_and_agreement_counts_equal_mistakes():
    """Swapping lost and gained would praise a student for what it forgot."""
    found = kept(answers("aabbc"), list(reversed(answers("abbcb"))))["t"]
    assert (found.both, found.lost, found.gained, found.neither) == (1, ["r1"], ["r4"], 2)
    assert found.agreed == 2
    assert found.n == 5


def test_a_student_is_paired_with_its_own_teacher_only(teacher, make_run):
    pupil = make_run("pupil", {0}, set(), [f"teacher.path={teacher}"], command="distill")
    alone = make_run("alone", {0}, set(), [f"teacher.path={teacher}"], command="fit")
    orphan = make_run("orphan", {0}, set(), command="distill")
    named = {folder.name: read_run(folder) for folder in (teacher, pupil, alone, orphan)}
    assert pairs(named) == {"pupil": "teacher"}
    assert kept_table(named, {"pupil": "teacher"})[1:] == [
        ["pupil", "teacher", "intent", "95.0%", "38", "1", "1", "0"],
        ["pupil", "teacher", "image_scene", "100.0%", "20", "0", "0", "0"],
    ]
