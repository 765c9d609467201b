"""What is exported says what the run says: pictures, both tasks, in the dtype that is written."""

import json

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from kd_rag.commands._exporting import export
from kd_rag.data.records import read_records
from kd_rag.evaluation.metrics import score
from kd_rag.evaluation.predictions import write_predictions
from tests.commands.runs import make_shop, predictor


@pytest.mark.parametrize(("dtype", "rounding", "near"), [("float32", (0, 1e-3), 1e-5), ("bfloat16", (1e-3, 0.5), 0.05)])
def test_an_exported_folder_answers_as_the_run(tmp_path, folders, dtype, rounding, near):
    """A card that tells of the merge alone says that nothing moved where rounding moved every logit."""
    run = make_shop(tmp_path / "shop", folders["student"], f"model.dtype={dtype}")
    records = read_records(tmp_path / "shop" / "records.jsonl")
    ours = predictor(run=run).predict(records)
    labels = {task: ["order_page", "refund"] for task in ("intent", "image_scene")}
    metrics = {"split": "valid", **score(ours, labels, 20, 0)}
    (tmp_path / "shop" / "run" / "metrics.json").write_text(json.dumps(metrics))
    write_predictions(tmp_path / "shop" / "run" / "predictions-valid.jsonl", ours)

    out = tmp_path / "exported"
    moved = export(tmp_path / "shop" / "run", out)
    assert moved.merged < 1e-3
    assert rounding[0] <= moved.written < rounding[1]
    for prediction, written in zip(ours, predictor(model=out).predict(records), strict=True):
        assert prediction.id == written.id
        assert prediction.probabilities == pytest.approx(written.probabilities, abs=near)
    assert AutoModelForImageTextToText.from_pretrained(out).dtype == getattr(torch, dtype)
    assert AutoProcessor.from_pretrained(out).image_processor.size == {"shortest_edge": 3136, "longest_edge": 9408}
    card = (out / "README.md").read_text()
    for fact in ("**image_scene**", "| intent | 12 |", "95% interval", "LoRA rank 4", f"as written in {dtype}"):
        assert fact in card
