"""The benchmark's records: as long as they claim, the same each time, the same ids for every contestant."""

from pathlib import Path

import pytest

from benchmarks import _conversations, _workload
from benchmarks.naive import IGNORED, NaiveStep
from kd_rag.models.qwen2_vl import Qwen2VL
from kd_rag.types import Example


def test_prompts_answers_and_pictures_have_the_claimed_sizes(
    models: dict[str, Qwen2VL], examples: list[Example]
) -> None:
    """Shorter prompts or longer answers would flatter one side of every ratio."""
    encoded = [_workload.collator(models["student"].processor).encode(example) for example in examples]
    assert len(encoded) == 8
    assert all(256 - 20 <= len(e.prompt) <= 256 for e in encoded)
    assert [len(e.answer) for e in encoded] == [4, 5, 6, 7, 8, 4, 5, 6]
    assert all(e.image_grid_thw is not None and e.image_grid_thw.tolist() == [[1, 16, 16]] for e in encoded)


def test_drawn_twice_the_records_are_the_same(
    models: dict[str, Qwen2VL], examples: list[Example], tmp_path: Path
) -> None:
    """Two runs of the benchmark would otherwise measure different work."""
    other = tmp_path / "again"
    other.mkdir()
    for one, two in zip(examples, _workload.draw(256, models["student"].processor, other), strict=True):
        assert one.dialogue.turns == two.dialogue.turns
        assert one.record.label == two.record.label
        assert one.record.images[0].read_bytes() == two.record.images[0].read_bytes()


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_the_naive_step_reads_the_ids_that_our_collator_makes(
    pair: dict[str, Path], models: dict[str, Qwen2VL], examples: list[Example]
) -> None:
    """With other ids the contestants would not do the same work."""
    step = NaiveStep(pair["teacher"], pair["student"])
    inputs, labels = step.batch(_workload.conversations(examples))
    for row, example in enumerate(examples):
        encoded = _workload.collator(models["student"].processor).encode(example)
        assert inputs["input_ids"][row][inputs["attention_mask"][row] == 1].tolist() == encoded.prompt + encoded.answer
        assert labels[row][labels[row] != IGNORED].tolist() == encoded.answer


def test_conversations_come_back_from_their_file(examples: list[Example], tmp_path: Path) -> None:
    """The peers read the file, and would learn from what was lost on the way."""
    conversations = _workload.conversations(examples)
    _conversations.write(conversations, tmp_path / "records.jsonl")
    assert _conversations.read(tmp_path / "records.jsonl") == conversations
