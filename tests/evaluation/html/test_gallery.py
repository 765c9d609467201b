"""The gallery: which errors it shows, and what it does where something is gone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kd_rag.data.queries import make_query
from kd_rag.evaluation.findings import find
from kd_rag.evaluation.html import cards
from kd_rag.evaluation.html.cards import make_cards
from kd_rag.evaluation.html.gallery import choose
from kd_rag.evaluation.html.material import Shelf
from kd_rag.evaluation.html.page import report_page
from kd_rag.evaluation.runs import read_run
from kd_rag.retrievers._cache import _answers_file, _key
from kd_rag.types import TextLine
from tests.evaluation.html.conftest import HOSTILE

OTHER = json.dumps({"id": "x", "task": "intent", "turns": [{"role": "user", "text": "hi"}], "label": "refund"})


def test_one_card_for_each_record_that_any_run_got_wrong(shop_run):
    """The same error of twenty runs must not fill the page twenty times."""
    named = {name: read_run(shop_run(name, wrong)) for name, wrong in {"one": {0, 3}, "two": {3, 4}}.items()}
    cases = choose(named)
    assert {case.id[:2]: case.wrong for case in cases.values()} == {"r0": ["one"], "r3": ["one", "two"], "r4": ["two"]}
    assert all(len(case.answers) == 2 for case in cases.values())


def test_every_label_comes_once_before_any_comes_twice(make_run):
    """A weak label with many sure errors would leave no card for the others, and the filter nothing to find."""
    run = read_run(make_run("weak", set(range(30)) | {39}, {1}))
    cases = choose({"weak": run})
    assert [case.id for case in cases.values()][:4] == ["intent-00", "image_scene-01", "intent-20", "intent-39"]
    assert len(cases) == 32


def test_cards_end_where_the_page_would_grow_too_large_and_the_rest_is_counted(shop_run, monkeypatch):
    """A page of 100 MB opens nowhere; an error left out in silence reads as one that was never made."""
    found = find([read_run(shop_run("one", set(range(6))))])
    whole = report_page(found)
    assert whole.count('class="card"') == 6
    monkeypatch.setattr(cards, "CHARACTERS", sum(map(len, make_cards(found, choose(found.runs).values()))) - 1)
    page = report_page(found)
    assert page.count('class="card"') == 5
    assert "6 records that a run got wrong" in page
    assert "1 of them have no card here" in page


def test_boxes_and_scores_come_from_where_the_run_kept_them(shop_run, kept_texts, shop):
    folder = shop_run("one", {0, 3})
    kept_texts(folder)
    run, shelf = read_run(folder), Shelf()
    picture, dialogue = (shelf.look_up(run, run.predictions[i]) for i in (0, 3))
    assert picture.boxes[(shop / "0.png").resolve()][0].box == (0.1, 0.2, 0.5, 0.3)
    assert [(c.id, c.score, c.passage) for c in dialogue.passages] == [("faq-1", 0.625, None)]
    assert shelf.look_up(run, run.predictions[1]).boxes == {}
    assert shelf.look_up(run, run.predictions[4]).passages[0].score is None


@pytest.mark.parametrize(("denoised", "score"), [("true", None), ("false", 0.625)])
def test_scores_are_looked_up_by_the_text_that_the_query_had(shop_run, kept_texts, denoised, score):
    """A passage without its score wherever a task's text is not denoised."""
    settings = ["query.ocr_lines=1", "ocr.denoise.min_confidence=0.95", f"tasks.image_scene.denoised.eval={denoised}"]
    folder = shop_run("one", {0}, *settings)
    kept_texts(folder)
    run, shelf = read_run(folder), Shelf()
    record = shelf.look_up(run, run.predictions[0]).record
    query = make_query(record, [TextLine(f"total {HOSTILE}", 0.93, (0.1, 0.2, 0.5, 0.3))], run.config.query)
    file = _answers_file(run.config.retriever, "s1", Path(run.config.cache_dir) / "retrieval")
    file.write_text(json.dumps({"query": _key(query), "found": [["faq-1", 0.625]]}) + "\n")
    (cited,) = shelf.look_up(run, replace(run.predictions[0], passages=["faq-1"])).passages
    assert cited.score == score


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda shop: (shop / "0.png").unlink(), "is missing; it belongs to"),
        (lambda shop: (shop / "test.jsonl").unlink(), "test.jsonl: cannot be read"),
        (lambda shop: (shop / "test.jsonl").write_text(OTHER), "has no record"),
    ],
)
def test_what_is_gone_is_told_and_stops_nothing(shop_run, shop, harm, told):
    """Pictures move between training and report; scores must be readable all the same."""
    run = read_run(shop_run("one", {0}))
    harm(shop)
    found = Shelf().look_up(run, run.predictions[0])
    assert found.record is None
    assert told in found.fault


def test_what_a_model_said_before_its_label_stands_behind_its_answer(shop_run):
    """The text of a model is text of outside, which must not become markup."""
    folder = shop_run("one", {0})
    path = folder / "predictions-test.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert "Its reasons" not in report_page(find([read_run(folder)]))
    told = [{**line, "reasons": "1. <b>Asks</b>.\n2. Shows."} for line in lines]
    path.write_text("".join(json.dumps(line) + "\n" for line in told))
    page = report_page(find([read_run(folder)]))
    assert page.count("<summary>Its reasons</summary><p>1. &lt;b&gt;Asks&lt;/b&gt;.</p><p>2. Shows.</p>") == 1


def test_what_a_privileged_teacher_saw_stands_beside_what_its_student_did_not(shop_run, kept_texts):
    """One run's passages alone would leave open why the teacher knew."""
    teacher = shop_run("teacher", {3})
    kept_texts(teacher)
    student = shop_run("student", {3}, "student.prompt.passages=false")
    told = student / "predictions-test.jsonl"
    told.write_text(told.read_text(encoding="utf-8").replace('["faq-1"]', "[]"), encoding="utf-8")
    page = report_page(find([read_run(teacher), read_run(student)]))
    assert "Passages<small> in teacher</small>" in page
    assert "0.625" in page
    assert "No passage<small> in student</small>" in page
