"""Reading pictures: how many characters are wrong, and what a picture costs, by engine, by cache and by pool.

In: pages whose text is known (the bundled sample's, and a JSON Lines file of `{"images": [path], "lines": [{"text"}]}`)
and the pictures of a record file. Out: rows. docTR's published weights are not part of any package, so its
architectures run at random weights here, where detection hardly finds a word: its time is that of detection, at least.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rapidfuzz.distance import Levenshtein
from scipy.optimize import linear_sum_assignment

from kd_rag import ocr, registry
from kd_rag.data.records import read_records
from kd_rag.data.sample import write_sample
from kd_rag.pictures import load_picture

RAPIDOCR: Mapping[str, Mapping[str, Any]] = {
    "rapidocr": {"name": "rapidocr"},
    "rapidocr, 320 pixels": {"name": "rapidocr", "limit_side_pixels": 320},
    "rapidocr, 736 pixels": {"name": "rapidocr", "limit_side_pixels": 736},
    "rapidocr, turned lines": {"name": "rapidocr", "use_angle_classifier": True},
}
DOCTR = {"fast_base": "crnn_vgg16_bn", "fast_tiny": "crnn_mobilenet_v3_small"}
DOCTR_PAGES = 10

Page = tuple[Path, list[str]]


def errors(read: Sequence[str], known: Sequence[str]) -> tuple[int, int]:
    """Return wrong characters of a page, in reading order and with each line beside the known one that it fits best.

    Texts are compared in upper case and without spaces: engines differ in whether they read a gap as one.
    """
    read, known = ([_bare(text) for text in texts if _bare(text)] for texts in (read, known))
    size = len(read) + len(known)
    costs = np.zeros((size, size), dtype=int)  # a line without a partner costs its length
    for i in range(size):
        for j in range(size):
            one, other = read[i] if i < len(read) else "", known[j] if j < len(known) else ""
            costs[i, j] = Levenshtein.distance(one, other)
    rows, columns = linear_sum_assignment(costs)
    return Levenshtein.distance("".join(read), "".join(known)), int(costs[rows, columns].sum())


def _bare(text: str) -> str:
    return "".join(text.split()).upper()


def accuracy(name: str, component: Mapping[str, Any], pages: Sequence[Page]) -> dict[str, Any]:
    """Read pages of known text in this process, on one thread."""
    engine = registry.build("ocr", component)
    engine.read(load_picture(pages[0][0]))  # loads the models
    start, ordered, fitted, characters = time.process_time(), 0, 0, 0
    read = [[line.text for line in engine.read(load_picture(path))] for path, _ in pages]
    seconds = time.process_time() - start
    for texts, (_, known) in zip(read, pages, strict=True):
        in_order, by_line = errors(texts, known)
        ordered, fitted, characters = ordered + in_order, fitted + by_line, characters + len(_bare("".join(known)))
    return {
        "engine": name,
        "pages": len(pages),
        "characters": characters,
        "error rate, line by line": f"{100 * fitted / characters:.2f}%",
        "error rate, in reading order": f"{100 * ordered / characters:.2f}%",
        "CPU ms a picture": 1000 * seconds / len(pages),
    }


def random_doctr(folder: Path, finder: str, reader: str) -> dict[str, Any]:
    """Return docTR's component with weight files of random weights."""
    import torch  # here, because the processes of the pool import this module as well
    from doctr.models import detection, recognition

    torch.set_num_threads(1)
    made = {"detection": getattr(detection, finder), "recognition": getattr(recognition, reader)}
    component: dict[str, Any] = {"name": "doctr", "detection": finder, "recognition": reader}
    for part, build in made.items():
        torch.manual_seed(0)
        file = folder / f"{part}-{finder}.pt"
        torch.save(build(pretrained=False, pretrained_backbone=False).state_dict(), file)
        component[f"{part}_weights"] = str(file)
    return component


def speed(component: Mapping[str, Any], paths: Sequence[Path], processes: int) -> list[dict[str, Any]]:
    """Return the seconds to read pictures that are in no cache, and then in one."""
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        for state in ("cold", "warm"):
            start = time.perf_counter()
            ocr.read_pictures(paths, component, Path(cache), processes)
            seconds = time.perf_counter() - start
            rows.append({"pictures": len(paths), "processes": processes, "cache": state, "seconds": seconds})
    return rows


def sample_pages(folder: Path) -> list[Page]:
    """Return the pages of the bundled sample on which words are printed."""
    write_sample(folder, 0)
    records = [record for split in ("train", "valid", "test") for record in read_records(folder / f"{split}.jsonl")]
    return [(r.images[0], list(r.metadata["printed"])) for r in records if "printed" in r.metadata]


def known_pages(file: Path) -> list[Page]:
    """Return the pages of a JSON Lines file with known lines."""
    rows = [json.loads(row) for row in file.read_text(encoding="utf-8").splitlines()]
    return [(file.parent / row["images"][0], [line["text"] for line in row["lines"]]) for row in rows]


def main() -> None:
    """Measure what the arguments name, and print tables."""
    from benchmarks.distill import table

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", action="store_true", help="read the bundled sample's printed pages")
    parser.add_argument("--pages", type=Path, metavar="FILE.jsonl", help="read pages with known lines")
    parser.add_argument("--records", type=Path, metavar="FILE", help="read the pictures of a record file")
    parser.add_argument("--pictures", type=int, default=200, help="so many of them")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        sets = {"bundled sample": sample_pages(Path(scratch) / "sample")} if args.sample else {}
        sets |= {args.pages.parent.name: known_pages(args.pages)} if args.pages else {}
        for name, pages in sets.items():
            rows = [accuracy(engine, component, pages) for engine, component in RAPIDOCR.items()]
            for finder, reader in DOCTR.items():
                component = random_doctr(Path(scratch), finder, reader)
                rows.append(accuracy(f"docTR {finder}, random weights", component, pages[:DOCTR_PAGES]))
            print(table([{"set": name, **row} for row in rows]), flush=True)
    if args.records:
        paths = [path for record in read_records(args.records) for path in record.images][: args.pictures]
        print(table([row for n in args.processes for row in speed({"name": "rapidocr"}, paths, n)]), flush=True)


if __name__ == "__main__":
    main()
