"""What passages did to the answers: what they gave away, and which records they set right and which wrong.

In: runs by name. Out: tables with what their figures mean; those that have nothing to say are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from kd_rag.evaluation.distillation import kept
from kd_rag.evaluation.legends import LEAKS_LEGEND, SET_RIGHT_LEGEND
from kd_rag.evaluation.predictions import Prediction
from kd_rag.evaluation.runs import Run
from kd_rag.evaluation.tables import ABSENT, Rows

SHOWN_IDS = 5
"""Records named in a row."""


def passage_tables(named: Mapping[str, Run]) -> dict[str, tuple[Rows, str]]:
    """Return the tables by their captions, each with its legend."""
    found = {
        "What records found that they should not have": (_leaks(named), LEAKS_LEGEND),
        "Records that passages set right and wrong": (_set_right(named), SET_RIGHT_LEGEND),
    }
    return {caption: (rows, legend) for caption, (rows, legend) in found.items() if len(rows) > 1}


def _leaks(named: Mapping[str, Run]) -> Rows:
    rows = [["run", "records", "kept from passages of their own", "near-copies", "passages that hold the label"]]
    for name, run in named.items():
        if leaks := run.metrics.get("leaks"):
            by_kind = [leaks["near_copies_by_kind"], leaks["label_in_passage"]]
            told = [", ".join(f"{kind} {n}" for kind, n in counts.items()) or ABSENT for counts in by_kind]
            rows.append([name, str(leaks["records"]), str(leaks["own_passages"]), *told])
    return rows


def _set_right(named: Mapping[str, Run]) -> Rows:
    """Lay out each run beside the first, on the tasks of which one of the two alone was shown passages."""
    rows = [["with passages", "without", "task", "label", "records", "set right", "set wrong", "set wrong were"]]
    first, *others = named
    for name in others:
        for task in named[first].metrics["tasks"]:
            sides = {side: [p for p in named[side].predictions if p.task == task] for side in (first, name)}
            shown = [side for side, predictions in sides.items() if any(p.passages for p in predictions)]
            if len(shown) == 1 and _gold(sides[first]) == _gold(sides[name]):
                hidden = name if shown == [first] else first
                rows += [[*shown, hidden, task, *row] for row in _by_label(sides[hidden], sides[shown[0]])]
    return rows


def _by_label(hidden: Sequence[Prediction], shown: Sequence[Prediction]) -> Rows:
    """Return a row of all labels, then one of each that has a changed record, where passages hurt most on top."""
    gold = _gold(hidden)
    (k,) = kept(hidden, shown).values()
    records, right, wrong = (Counter(gold[i] for i in ids) for ids in (gold, k.gained, k.lost))
    rows = [["all", str(len(gold)), str(len(k.gained)), str(len(k.lost)), ""]]
    for label in sorted({*right, *wrong}, key=lambda label: (right[label] - wrong[label], label)):
        lost = [i for i in k.lost if gold[i] == label]
        named = ", ".join(lost[:SHOWN_IDS]) + (f" and {len(lost) - SHOWN_IDS} more" if len(lost) > SHOWN_IDS else "")
        rows.append([label, str(records[label]), str(right[label]), str(wrong[label]), named or ABSENT])
    return rows


def _gold(predictions: Sequence[Prediction]) -> dict[str, str]:
    return {p.id: str(p.label) for p in predictions}
