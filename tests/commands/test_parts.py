"""What a configuration's switches mean for the prompts that a model reads, byte for byte."""

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader

from kd_rag import config as configuration
from kd_rag.commands._parts import build_preparation
from kd_rag.types import InputError, Record, Task, TextLine, Turn
from tests.ocr.stub_engine import ShadeReader

LABELS = ("order_page", "refund")


@pytest.fixture
def prompts(tmp_path, collator):
    """Return a function (stage, overrides) -> ids of the prompts of an intent and a scene with text in the picture."""
    Image.new("RGB", (56, 56), "grey").save(tmp_path / "a.png")
    text = ((TextLine("**** order 81 shipped", 1.0, (0, 0.1, 1, 0.2)), TextLine("*", 1.0, (0, 0.3, 1, 0.4))),)
    turns = (Turn("user", "look <image>"),)
    records = [Record(n, n, turns, (tmp_path / "a.png",), "refund", ocr=text) for n in ("intent", "image_scene")]
    tasks = {r.task: Task(r.task, LABELS, "What is it?") for r in records}

    def render(stage, *overrides):
        named = ["model.path=x", "ocr.name=given", f"cache_dir={tmp_path}", "tasks.intent.labels=[refund]"]
        named += ["tasks.image_scene.labels=[refund]", *overrides]
        config = configuration.load([], named)
        examples = build_preparation(config, tasks).examples(records, stage, config.student.prompt)
        collator.parts, collator.prompt = config.student.prompt, config.prompt
        return {record.id: collator.encode(examples[i, 0]).prompt for i, record in enumerate(records)}

    return render


def test_text_of_pictures_at_evaluation_may_be_for_scenes_only(prompts):
    """The paper's intent scores are the same with and without OCR at inference: only scenes were read there."""
    scenes_only = "tasks.intent.ocr.eval=false"
    nowhere = prompts("eval", "student.prompt.ocr=false")
    assert prompts("eval", scenes_only)["intent"] == nowhere["intent"]
    assert prompts("eval", scenes_only)["image_scene"] == prompts("eval")["image_scene"] != nowhere["image_scene"]
    assert prompts("train", scenes_only) == prompts("train")
    assert prompts("train")["intent"] != prompts("train", "student.prompt.ocr=false")["intent"]


def test_text_of_pictures_in_training_may_be_for_one_task_only(prompts):
    both, nowhere = prompts("train"), prompts("train", "student.prompt.ocr=false")
    assert prompts("train", "tasks.image_scene.ocr.train=false") == {
        "intent": both["intent"],
        "image_scene": nowhere["image_scene"],
    }
    assert prompts("eval", "tasks.image_scene.ocr.train=false") == prompts("eval")


def test_denoising_changes_the_ids_that_a_cached_teacher_is_keyed_by(prompts):
    """A teacher's rows of noisy prompts under the key of clean ones."""
    assert prompts("train", "ocr.denoise.stray=true") != prompts("train")
    assert prompts("train", "ocr.denoise.duplicates=true") == prompts("train"), "the same prompt, the same row"


def test_denoising_may_be_for_one_task_and_one_stage(prompts):
    clean, read = "ocr.denoise.stray=true", prompts("train")
    denoised = prompts("train", clean)
    switch = "tasks.intent.denoised.train=false"
    assert prompts("train", clean, switch) == {"intent": read["intent"], "image_scene": denoised["image_scene"]}
    assert denoised["intent"] != read["intent"]
    assert prompts("eval", clean, switch) == prompts("eval", clean)
    assert prompts("train", clean, "tasks.intent.denoised.eval=false") == denoised


def test_text_as_it_was_read_is_cut_to_the_budget(prompts):
    """Without denoising a page of terms would push the dialogue out of the prompt."""
    short, masked = "prompt.max_ocr_tokens=6", "ocr.denoise.masks=true"
    switch = "tasks.intent.denoised.eval=false"
    cut = prompts("eval", short)["intent"]
    assert prompts("eval", short, masked, switch)["intent"] == cut
    assert prompts("eval", short, masked)["intent"] != cut
    assert prompts("eval", masked, switch)["intent"] == prompts("eval")["intent"] != cut


VIEWED = ["model.path=x", "ocr.name=tests.ocr.stub_engine:ShadeReader", "tasks.intent.labels=[refund]",
          "augment.steps=[{name: colour_jitter}]"]  # fmt: skip


def test_text_of_an_augmented_view_is_read_from_that_view_once(tmp_path):
    """Words in the prompt that the model's eye cannot find, or OCR paid for in each epoch."""
    Image.new("RGB", (56, 56), "grey").save(tmp_path / "a.png")
    record = Record("r", "intent", (Turn("user", "look <image>"),), (tmp_path / "a.png",), "refund")
    tasks = {"intent": Task("intent", LABELS, "")}

    def shown(stage, of_augmented):
        config = configuration.load([], [*VIEWED, f"cache_dir={tmp_path}", f"ocr.of_augmented={of_augmented}"])
        examples = build_preparation(config, tasks).examples([record], stage, config.student.prompt)
        views = [examples[0, view] for view in range(4)]
        return [(np.asarray(e.dialogue.pictures[0]).mean(), float(e.lines[0][0].text.split()[1])) for e in views]

    assert {read for _, read in [*shown("eval", True), *shown("eval", False), *shown("train", False)]} == {128.0}
    views = shown("train", True)
    assert len({read for _, read in views}) == 4
    assert all(read == pytest.approx(shade, abs=1e-3) for shade, read in views)
    before = len(ShadeReader.readings)
    assert shown("train", True) == views
    assert len(ShadeReader.readings) == before == 1 + 4


def test_a_picture_is_read_once_for_tasks_that_denoise_and_tasks_that_do_not(tmp_path):
    """Hours of OCR that a switch of one task costs."""
    Image.new("RGB", (56, 56), "navy").save(tmp_path / "a.png")
    pictures, before = (tmp_path / "a.png",) * 2, len(ShadeReader.readings)
    records = [Record(n, n, (Turn("user", "look"),), pictures, "refund") for n in ("intent", "image_scene")]
    tasks = {r.task: Task(r.task, LABELS, "") for r in records}

    def lines(stage, *overrides):
        named = [*VIEWED[:3], "tasks.image_scene.labels=[refund]", f"cache_dir={tmp_path}"]
        config = configuration.load([], [*named, "ocr.denoise.duplicates=true", *overrides])
        examples = build_preparation(config, tasks).examples(records, stage, config.student.prompt)
        return [sum(map(len, examples[i, 0].lines)) for i in range(2)]

    assert lines("train") == lines("eval") == [1, 1]
    assert lines("train", "tasks.image_scene.denoised.train=false") == [1, 2]
    assert lines("eval", "tasks.intent.denoised.eval=false") == [2, 1]
    assert len(ShadeReader.readings) == before + 1


def test_workers_read_the_same_text_of_a_view(tmp_path):
    """A run whose prompts hang on the number of workers, or on what the cache held."""
    for i in range(4):
        Image.new("RGB", (56, 56), (40 * i + 60,) * 3).save(tmp_path / f"{i}.png")
    turns = (Turn("user", "look <image>"),)
    records = [Record(f"{i}", "intent", turns, (tmp_path / f"{i}.png",), "refund") for i in range(4)]
    read = []
    for workers in (0, 2):
        config = configuration.load([], [*VIEWED, f"cache_dir={tmp_path / str(workers)}", "ocr.of_augmented=true"])
        preparation = build_preparation(config, {"intent": Task("intent", LABELS, "")})
        examples = preparation.examples(records, "train", config.student.prompt)
        pairs = [[(i, view)] for view in range(2) for i in range(4)]
        loader = DataLoader(examples, batch_sampler=pairs, collate_fn=list, num_workers=workers)
        read.append([(e.record.id, e.view, e.lines) for (e,) in loader])
    assert read[0] == read[1]
    assert len({lines for _, _, lines in read[0]}) > 4, "more texts than originals"


@pytest.mark.parametrize("engine", ["none", "given"])
def test_engines_without_eyes_cannot_read_a_view(tmp_path, engine):
    config = configuration.load([], ["model.path=x", f"ocr.name={engine}", "ocr.of_augmented=true"])
    with pytest.raises(InputError, match=rf"ocr\.of_augmented: '{engine}' reads no pictures"):
        build_preparation(config, {})
