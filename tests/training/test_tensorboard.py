"""What a person finds in TensorBoard must be what the run did, and small."""

import json

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kd_rag.training.tensorboard import PIXELS, PROMPTS
from tests.conftest import LABELS


def check_prompts(events):
    """A prompt beside another record's picture would explain nothing; only odd records have one."""
    assert sorted(events.Tags()["images"]) == [f"prompt {i}" for i in range(PROMPTS)]
    for i in range(PROMPTS):
        (image,) = events.Images(f"prompt {i}")
        assert max(image.width, image.height) <= PIXELS
        (text,) = events.Tensors(f"prompt {i}/text_summary")
        words = text.tensor_proto.string_val[0].decode()
        assert f'record "r{2 * i + 1}"' in words
        assert f"turn number {2 * i + 1}" in words
        assert words.count("<|image_pad|>") == 1


def check_histograms(events):
    """Ten records: two labels have three of them, the others two."""
    tags = {tag for tag in events.Tags()["histograms"] if tag.startswith("p of gold")}
    assert len(tags) == len(LABELS)
    counts = [[e.histogram_value.num for e in events.Histograms(tag)] for tag in tags]
    assert sorted(counts) == [[2, 2], [2, 2], [3, 3], [3, 3]]


def test_prompts_settings_and_sureness_are_shown_and_the_file_stays_small(make_job, tmp_path):
    """No score that was never measured may join the curve beside the settings."""
    make_job(epochs=0.6, val_check_interval=0.34).run()
    events = EventAccumulator(
        str(tmp_path / "run"), size_guidance={"tensors": 0, "images": 0, "histograms": 0}
    ).Reload()
    check_prompts(events)
    check_histograms(events)
    settings = events._plugin_to_tag_to_content["hparams"]["_hparams_/session_start_info"]
    assert b"trainer.learning_rate" in settings
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    scores = [json.loads(line)["average_score"] for line in lines]
    assert len(scores) == 2
    assert [e.value for e in events.Scalars("valid/average_score")] == pytest.approx(scores)
    (file,) = (tmp_path / "run").glob("events.out.tfevents.*")
    assert file.stat().st_size < 300_000
