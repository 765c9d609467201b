"""Runs whose records, pictures, text boxes and passages are there to be shown, some of them hostile."""

import json

import pytest
from PIL import Image

from kd_rag import config
from kd_rag.data.queries import make_query
from kd_rag.evaluation.metrics import score
from kd_rag.evaluation.predictions import Prediction, write_predictions
from kd_rag.evaluation.runs import read_run
from kd_rag.ocr._cache import TextCache
from kd_rag.ocr.rapidocr import RapidOcr
from kd_rag.retrievers._cache import _answers_file, _key
from kd_rag.types import Record, TextLine, Turn

HOSTILE = "<script>alert('x')</script></style></script><img src=x onerror=alert(1)>\"'"
LABELS = {"intent": ["refund", "eta", HOSTILE], "image_scene": ["cart", "chat"]}


@pytest.fixture
def shop(tmp_path):
    """Return a folder with six records, three of them with a picture, and the caches of a run on them."""
    folder = tmp_path / "shop"
    folder.mkdir()
    for i in range(3):
        Image.new("RGB", (900, 600), (40 * i, 90, 160)).save(folder / f"{i}.png")
    lines = []
    for i in range(6):
        task = "image_scene" if i < 3 else "intent"
        turns = [{"role": "user", "text": f"hello {i} {HOSTILE}" + (" <image>" if i < 3 else "")}]
        images = [f"{i}.png"] if i < 3 else []
        label = LABELS[task][i % len(LABELS[task])]
        lines.append({"id": f"r{i}{HOSTILE}", "task": task, "turns": turns, "images": images, "label": label})
    (folder / "test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder


@pytest.fixture
def shop_run(shop, tmp_path):
    """Return a function that makes a run on the shop's records, with answers wrong at the given positions."""
    rows = [json.loads(line) for line in (shop / "test.jsonl").read_text(encoding="utf-8").splitlines()]

    def make(name, wrong, *overrides, command="fit"):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        predictions = []
        for i, row in enumerate(rows):
            labels = LABELS[row["task"]]
            answer = labels[(labels.index(row["label"]) + (i in wrong)) % len(labels)]
            shares = {label: 0.8 if label == answer else 0.2 / (len(labels) - 1) for label in labels}
            passages = ["faq-1"] if row["task"] == "intent" else []
            predictions.append(Prediction(row["id"], row["task"], row["label"], answer, shares, passages, ""))
        write_predictions(folder / "predictions-test.jsonl", predictions)
        scores = {"split": "test", **score(predictions, LABELS, bootstrap_samples=100, seed=0)}
        (folder / "metrics.json").write_text(json.dumps(scores), encoding="utf-8")
        (folder / "metrics.jsonl").write_text(
            "".join(json.dumps({"step": i, "epoch": i / 2, **scores}) + "\n" for i in (1, 2, 3)), encoding="utf-8"
        )
        counts = {task: dict.fromkeys(labels, 2) for task, labels in LABELS.items()}
        facts = {"command": command, "train_label_counts": counts, "knowledge_snapshot": "s1", "wall_seconds": 61.0}
        (folder / "run.json").write_text(json.dumps(facts), encoding="utf-8")
        settings = [f"run.name={name}", f"data.test={shop / 'test.jsonl'}", "ocr.name=rapidocr", "retriever.name=dense"]
        own = [f"cache_dir={tmp_path / 'cache'}", "evaluation.bootstrap_samples=100", "tasks.intent.ocr.eval=true"]
        config.save(config.load(overrides=[*settings, *own, "tasks.image_scene.ocr.eval=true", *overrides]),
                    folder / "config.yaml")  # fmt: skip
        return folder

    return make


@pytest.fixture
def kept_texts(shop, tmp_path):
    """Return a function that fills the caches as a run with OCR and retrieval would have."""

    def fill(folder):
        run = read_run(folder)
        cache = TextCache(tmp_path / "cache" / "ocr", config.split_ocr(run.config.ocr)[0], RapidOcr().version)
        cache.save(
            cache.key((shop / "0.png").read_bytes()), (TextLine(f"total {HOSTILE}", 0.93, (0.1, 0.2, 0.5, 0.3)),)
        )
        row = json.loads((shop / "test.jsonl").read_text(encoding="utf-8").splitlines()[3])
        record = Record(row["id"], "intent", (Turn("user", row["turns"][0]["text"]),), (), row["label"])
        file = _answers_file(run.config.retriever, "s1", tmp_path / "cache" / "retrieval")
        file.parent.mkdir(parents=True)
        found = {"query": _key(make_query(record, [], run.config.query)), "found": [["faq-1", 0.625]]}
        file.write_text(json.dumps(found) + "\n")

    return fill
