"""What is retrieved for which record, and with which query."""

from dataclasses import replace

import pytest
from PIL import Image

from kd_rag.config import PromptParts, QueryConfig, RaftConfig, Stages, TaskConfig
from kd_rag.data.prepare import Preparation
from kd_rag.types import Dialogue, Passage, Record, Retrieved, Task, TextLine, Turn


class Echo:
    """Finds one passage whose text is the query's."""

    snapshot = "echo"

    def __init__(self):
        self.asked = []

    def retrieve(self, queries):
        self.asked += queries
        return [(Retrieved(Passage("p", "faq", "", query.text), 1.0),) for query in queries]


@pytest.fixture
def records(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    picture = (tmp_path / "a.png",)
    return [
        Record("words", "intent", (Turn("user", "torn"),), (), "refund"),
        Record("both", "intent", (Turn("user", "look <image>"),), picture, "refund"),
        Record("picture", "scene", (Turn("user", "<image>"),), picture, "order_page"),
        Record("nothing", "intent", (Turn("agent", "hello"),), (), "refund"),
    ]


@pytest.fixture
def prepare():
    """Return a preparation with an echo as its retriever."""

    def build(switches=None, **recipe):
        return Preparation(
            tasks={name: Task(name, ("refund", "order_page"), "") for name in ("intent", "scene")},
            switches={"intent": TaskConfig(), "scene": TaskConfig(), **(switches or {})},
            read_lines=lambda read: {
                r.id: [(TextLine("order 81", 0.9, (0, 0, 1, 1)),) for _ in r.images] for r in read
            },
            denoise=lambda pages, queries: tuple(pages),
            retriever=Echo(),
            query=QueryConfig(**recipe),
            find_leaks=lambda queries, labels, found: {"asked": [q.record_id for q in queries], "labels": labels},
            find_distractors=lambda queries, found: ((), [frozenset()] * len(queries)),
            augment=lambda dialogue, name, view: dialogue,
            raft=RaftConfig(),
            seed=0,
        )

    return build


def texts(examples):
    return [[r.passage.text for r in examples[i, 0].passages] for i in range(len(examples))]


def test_records_that_say_something_are_asked_about_and_keep_their_own_passages(prepare, records):
    preparation = prepare()
    examples = preparation.examples(records, "eval", PromptParts())
    assert texts(examples) == [["torn"], ["look"], [""], []]
    assert [query.record_id for query in preparation.retriever.asked] == ["words", "both", "picture"]
    assert preparation.retriever.asked[1].pictures == records[1].images


def test_lines_of_pictures_join_the_query_where_the_task_reads_them(prepare, records):
    switches = {"scene": TaskConfig(ocr=Stages(train=False, eval=False))}
    examples = prepare(switches, ocr_lines=3).examples(records, "eval", PromptParts())
    assert texts(examples) == [["torn"], ["look\norder 81"], [""], []]


def test_a_task_or_a_prompt_without_passages_asks_nothing(prepare, records):
    switches = {"intent": TaskConfig(retrieval=Stages(train=True, eval=False))}
    preparation = prepare(switches)
    assert texts(preparation.examples(records, "eval", PromptParts())) == [[], [], [""], []]
    assert texts(preparation.examples(records, "eval", PromptParts(passages=False))) == [[], [], [], []]


def test_evaluation_records_are_never_augmented(prepare, records):
    """Scores of records that no customer wrote."""
    changed = replace(prepare(), augment=lambda dialogue, name, view: Dialogue((Turn("user", f"{name} {view}"),), ()))
    trained, scored = (changed.examples(records, stage, PromptParts()) for stage in ("train", "eval"))
    assert [trained[i, 3].dialogue.turns[0].text for i in range(4)] == [f"{r.id} 3" for r in records]
    for view in (0, 3):
        assert [scored[i, view].dialogue.turns for i in range(4)] == [r.turns for r in records]
        assert [len(scored[i, view].dialogue.pictures) for i in range(4)] == [len(r.images) for r in records]


def test_a_task_is_augmented_and_described_where_its_switches_say_so(prepare, records):
    """Meanings shown in evaluation that training never saw, or a page cropped in a task that its border decides."""
    switches = {"intent": TaskConfig(augment=False), "scene": TaskConfig(described=Stages(train=False))}
    base = prepare(switches)
    tasks = {name: replace(task, descriptions={"refund": "money back"}) for name, task in base.tasks.items()}
    changed = replace(base, tasks=tasks, augment=lambda dialogue, name, view: Dialogue((), ()))
    for stage, augmented, described in (("train", {"picture"}, {"words", "both", "nothing"}), ("eval", set(), None)):
        made = changed.examples(records, stage, PromptParts())
        found = [made[i, 0] for i in range(4)]
        assert {e.record.id for e in found if e.dialogue.turns != e.record.turns} == augmented
        assert {e.record.id for e in found if e.task.descriptions} == (described or {r.id for r in records})


def test_leaks_are_counted_for_evaluation_records_that_found_something(prepare, records):
    counted = prepare().examples(records, "eval", PromptParts()).leaks
    assert counted == {"asked": ["words", "both", "picture"], "labels": ["refund", "refund", "order_page"]}
    assert prepare().examples(records, "train", PromptParts()).leaks == {}
    assert prepare().examples(records, "eval", PromptParts(passages=False)).leaks == {}


def test_lines_are_denoised_by_labels_descriptions_and_turns_before_they_reach_query_and_prompt(prepare, records):
    seen = {}

    def first_word(pages, queries):
        seen[len(seen)] = queries
        return tuple(tuple(replace(line, text=line.text.split()[0]) for line in page) for page in pages)

    task = Task("intent", ("refund", "order_page"), "", {"refund": "money back"})
    base = prepare(ocr_lines=1)
    changed = replace(base, denoise=first_word, tasks={**base.tasks, "intent": task})
    examples = changed.examples(records[:3], "eval", PromptParts())
    assert seen[1] == ["refund", "order_page", "money back", "look"]
    assert texts(examples) == [["torn"], ["look\norder"], ["order"]]
    assert [line.text for line in examples[1, 0].lines[0]] == ["order"]


@pytest.mark.parametrize("stage", ["train", "eval"])
def test_text_is_denoised_in_the_tasks_and_stages_that_say_so_in_views_too(prepare, records, stage):
    """One task's pages lose the number that names their label because the other's are better without."""
    switches = {"intent": TaskConfig(denoised=Stages(train=False)), "scene": TaskConfig(denoised=Stages(eval=False))}
    first_word = lambda pages, asked: tuple((replace(p[0], text=p[0].text.split()[0]),) for p in pages)  # noqa: E731
    viewed = lambda pictures: ((TextLine("view 3", 0.9, (0, 0, 1, 1)),),)  # noqa: E731
    base = replace(prepare(switches, ocr_lines=1), denoise=first_word)
    clean, noisy = ("scene", "intent") if stage == "train" else ("intent", "scene")
    for read_view, text in ((None, "order 81"), (viewed, "view 3" if stage == "train" else "order 81")):
        examples = replace(base, read_view=read_view).examples(records[1:3], stage, PromptParts())
        found = {example.task.name: example for example in (examples[0, 1], examples[1, 1])}
        assert found[noisy].lines[0][0].text == text
        assert found[clean].lines[0][0].text == text.split()[0]
        assert found[noisy].passages[0].passage.text.endswith("order 81")
        assert found[clean].passages[0].passage.text.endswith("order")


def test_what_a_view_is_asked_depends_on_stage_and_view(prepare, records):
    asked = lambda record, view, stage: "label" if view else {"train": "reasons", "eval": "reasons_and_label"}[stage]  # noqa: E731
    found = replace(prepare(), asked=asked)
    for stage, first in (("train", "reasons"), ("eval", "reasons_and_label")):
        examples = found.examples(records, stage, PromptParts())
        assert [examples[0, view].asked for view in (0, 1)] == [first, "label"]
    assert prepare().examples(records, "train", PromptParts())[0, 0].asked == "label"
