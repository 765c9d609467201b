"""Passages of training prompts are dropped, mixed and shuffled as asked for, the same ones wherever a view is made."""

from collections import Counter

import pytest
import torch

from kd_rag.config import PromptConfig, PromptParts, QueryConfig, RaftConfig, TaskConfig
from kd_rag.data.collator import Collator
from kd_rag.data.datamodule import Loaders
from kd_rag.data.prepare import Preparation
from kd_rag.data.raft import UNSCORED, Raft, check_raft
from kd_rag.data.sampling import StepSampler
from kd_rag.types import InputError, Passage, Record, Retrieved, Task, Turn

POOL = [Passage(f"p{i}", "faq", "", f"passage {i}") for i in range(6)]
FOUND = tuple(Retrieved(passage, 0.5) for passage in POOL[:2])
VIEWS = range(1000)


def shown(view=0, barred=("p0", "p1"), found=FOUND, pool=POOL, **recipe):
    raft = Raft(RaftConfig(**recipe), seed=0, pool=pool, barred={"r": frozenset(barred)})
    return [r.passage.id for r in raft.shown(found, "r", view)]


def test_the_share_of_prompts_without_passages_is_exact_for_a_seed():
    counts = Counter(len(shown(view, dropout=0.25)) for view in VIEWS)
    assert counts == {0: 243, 2: 757}


def test_the_others_keep_what_was_retrieved_or_have_distractors_alone():
    """Were the best passages always there, the model would learn to copy whatever stands first."""
    prompts = [shown(view, oracle_share=0.7, distractors=3) for view in VIEWS]
    kept = [prompt for prompt in prompts if "p0" in prompt]
    assert len(kept) == 700
    assert all(len(prompt) == 5 and prompt.index("p0") < prompt.index("p1") for prompt in kept)
    assert all(len(prompt) == 3 and "p1" not in prompt for prompt in prompts if "p0" not in prompt)


def test_distractors_stand_anywhere_and_each_passage_distracts_as_often():
    prompts = [shown(view, distractors=1) for view in VIEWS]
    places = Counter(next(i for i, name in enumerate(prompt) if name not in ("p0", "p1")) for prompt in prompts)
    names = Counter(name for prompt in prompts for name in prompt) - Counter({"p0": 1000, "p1": 1000})
    assert set(places) == {0, 1, 2}
    assert min(places.values()) > 280
    assert set(names) == {"p2", "p3", "p4", "p5"}
    assert min(names.values()) > 200


def test_a_barred_passage_never_distracts():
    """A distractor made of the record itself would give the answer away."""
    barred = ("p0", "p1", "p3", "p5")
    assert {name for view in VIEWS for name in shown(view, barred, distractors=2)} == {"p0", "p1", "p2", "p4"}
    assert sorted(shown(barred=barred, distractors=9)) == ["p0", "p1", "p2", "p4"]


def test_an_order_is_drawn_per_view_and_only_when_asked_for():
    assert Counter(shown(view, shuffle=True)[0] for view in VIEWS).keys() == {"p0", "p1"}
    assert all(shown(view) == ["p0", "p1"] for view in range(20))


def test_what_found_nothing_shows_nothing():
    """In evaluation such a prompt has no passages either."""
    assert shown(found=(), distractors=3) == []


def test_a_distractor_has_no_score():
    raft = Raft(RaftConfig(distractors=1, oracle_share=0.0), 0, POOL, {"r": frozenset()})
    assert [r.score for r in raft.shown(FOUND, "r", 0)] == [UNSCORED]


@pytest.mark.parametrize(
    ("recipe", "part"),
    [
        ({"dropout": 1.1}, "raft.dropout=1.1: must be between 0 and 1"),
        ({"oracle_share": -0.1}, "raft.oracle_share=-0.1: must be between 0 and 1"),
        ({"distractors": -1}, "raft.distractors=-1: must be 0 or more"),
    ],
)
def test_bounds_are_checked(recipe, part):
    with pytest.raises(InputError, match=part):
        check_raft(RaftConfig(**recipe))


class TwoBest:
    """Finds the first two passages of the pool for every query."""

    snapshot = "two"

    def retrieve(self, queries):
        return [FOUND for _ in queries]


RECORDS = [Record(f"r{i}", "intent", (Turn("user", f"question {i}"),), (), "refund") for i in range(8)]
RECIPE = RaftConfig(dropout=0.2, distractors=2, oracle_share=0.5, shuffle=True)


def prepared(recipe):
    return Preparation(
        tasks={"intent": Task("intent", ("refund", "order_page"), "")},
        switches={"intent": TaskConfig()},
        read_lines=lambda records: {r.id: () for r in records},
        denoise=nothing,
        retriever=TwoBest(),
        query=QueryConfig(),
        find_leaks=lambda queries, labels, found: {},
        find_distractors=lambda queries, found: (POOL, [frozenset({"p0", "p1"})] * len(queries)),
        augment=pickle_by_name,
        raft=recipe,
        seed=0,
    )


def nothing(pages, asked):
    return ()


def pickle_by_name(dialogue, name, view):
    return dialogue


def batches(collator, workers):
    teacher = Collator(collator.processor, PromptConfig(), PromptParts(ocr=False))
    preparation = prepared(RECIPE)
    return list(
        Loaders(
            Collator(collator.processor, PromptConfig(), PromptParts(), teacher),
            evaluation=preparation.examples(RECORDS, "eval", PromptParts()),
            evaluation_batch_size=1,
            training=preparation.examples(RECORDS, "train", PromptParts()),
            sampler=StepSampler(len(RECORDS), 4, epochs=3, seed=0),
            micro_batch_size=3,
            num_workers=workers,
        ).every_training_batch()
    )


def test_batches_are_the_same_bytes_in_any_number_of_workers_and_teacher_and_student_agree(collator):
    """A kept row of the teacher is found by the ids of its prompt; other passages would ask for another row."""
    alone, shared = batches(collator, 0), batches(collator, 2)
    assert len(alone) == len(shared) == 8
    for one, other in zip(alone, shared, strict=True):
        assert torch.equal(one.inputs.input_ids, other.inputs.input_ids)
        assert torch.equal(one.as_teacher().inputs.input_ids, other.as_teacher().inputs.input_ids)
        assert torch.equal(one.inputs.input_ids, one.as_teacher().inputs.input_ids)
    assert len({tuple(r.passage.id for r in e.passages) for batch in alone for e in batch.examples}) > 5


def test_evaluation_shows_what_was_retrieved_whatever_training_does():
    """Scores of prompts that no customer's message makes."""
    preparation = prepared(RECIPE)
    trained, scored = (preparation.examples(RECORDS, stage, PromptParts()) for stage in ("train", "eval"))
    assert [scored[i, view].passages for i in range(8) for view in (0, 3)] == [FOUND] * 16
    assert [trained[i, view].passages for i in range(8) for view in (0, 3)] != [FOUND] * 16


def test_the_defaults_show_what_was_retrieved_and_ask_for_no_distractors():
    examples = prepared(RaftConfig()).examples(RECORDS, "train", PromptParts())
    assert examples.raft is None
    assert examples[0, 5].passages == FOUND
