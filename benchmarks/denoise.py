"""What each step of `ocr.denoise` is worth to a reader that sees nothing but the text of the pictures.

In: record files of one task with pictures, whose text is in the cache or is read now. Out: the weighted F1 of a linear
SVM on character 1- to 3-grams of that text, cut to a token budget as a prompt cuts it; five-fold, mean and standard
deviation over three shuffles. Nothing is learnt outside a fold: denoising looks at one record and the label names.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from benchmarks.distill import table
from kd_rag import ocr
from kd_rag.config import DenoiseConfig, PromptConfig
from kd_rag.data.prompts import messages
from kd_rag.data.records import read_records
from kd_rag.models._tokenizers import qwen_tokenizer
from kd_rag.types import Dialogue, Example, Record, Task, TextLine

BUDGETS = (32, 64, 128, 256, 4096)
CLEAN = {"masks": True, "status_bar": True, "mask_numbers": True, "stray": True, "duplicates": True}
VARIANTS: dict[str, dict[str, Any]] = {
    "nothing": {},
    **{step: {step: True} for step in CLEAN},
    "min_confidence 0.7": {"min_confidence": 0.7},
    "min_confidence 0.9": {"min_confidence": 0.9},
    "all five": CLEAN,
    "relevance": {"relevance": True},
    "all five, relevance": {**CLEAN, "relevance": True},
}
DESCRIBED = "all five, relevance to label descriptions as well"
END = "\ue000"
Pages = tuple[tuple[TextLine, ...], ...]


@dataclass(frozen=True)
class Reader:
    """Shows the text of a record's pictures as a prompt with so many tokens would."""

    tokens: int

    def __call__(self, record: Record, task: Task, lines: Pages) -> str:
        example = Example(record, task, Dialogue((), ()), (), lines)
        prompt = PromptConfig(ocr_heading="", dialogue_heading=END, max_ocr_tokens=self.tokens)
        text: str = messages(example, prompt, _cut)[1]["content"][0]["text"]
        return text.partition(END)[0]


_tokenizer = functools.cache(qwen_tokenizer)


def _cut(text: str, max_tokens: int, keep: Literal["head", "tail"]) -> tuple[str, int]:
    offsets = _tokenizer().encode(text, add_special_tokens=False).offsets
    if len(offsets) <= max_tokens:
        return text, len(offsets)
    return (text[: offsets[max_tokens - 1][1]] if keep == "head" else text[offsets[-max_tokens][0] :]), max_tokens


def score(texts: Sequence[str], labels: Sequence[str]) -> tuple[float, float]:
    """Return mean and deviation of the weighted F1 in percent."""
    texts_, labels_ = np.array(texts, dtype=object), np.array(labels)
    found = []
    for seed in range(3):
        predicted = np.empty_like(labels_)
        for train, test in StratifiedKFold(5, shuffle=True, random_state=seed).split(texts_, labels_):
            grams = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True, min_df=2)
            model = make_pipeline(grams, LinearSVC())
            predicted[test] = model.fit(texts_[train], labels_[train]).predict(texts_[test])
        found.append(100 * f1_score(labels_, predicted, average="weighted"))
    return statistics.mean(found), statistics.stdev(found)


def main() -> None:
    """Measure every variant at every budget, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--task", default="image_scene")
    parser.add_argument("--descriptions", type=Path, default=Path("configs/mdsirc/descriptions_scene.yaml"))
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/kd_rag/ocr").expanduser())
    args = parser.parse_args()
    warnings.filterwarnings("ignore", "The least populated class")
    records = [record for file in args.files for record in read_records(file) if record.task == args.task]
    labels = [str(record.label) for record in records]
    task = Task(args.task, tuple(records[0].metadata["labels"]), "")
    described = yaml.safe_load(args.descriptions.read_text(encoding="utf-8"))["tasks"][args.task]["descriptions"]
    read = ocr.read_records(records, {"name": "rapidocr"}, args.cache)
    rows = []
    for name, steps in {**VARIANTS, DESCRIBED: VARIANTS["all five, relevance"]}.items():
        queries = [*task.labels, *(described.values() if name == DESCRIBED else ())]
        lines = [ocr.denoise(read[record.id], queries, DenoiseConfig(**steps)) for record in records]
        row = {"step": name}
        for tokens in BUDGETS:
            shown = [Reader(tokens)(record, task, pages) for record, pages in zip(records, lines, strict=True)]
            row[f"{tokens} tokens"] = "{:.1f} ± {:.1f}".format(*score(shown, labels))
        rows.append(row)
        print(row, flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
