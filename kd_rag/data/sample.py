"""The bundled sample: a shop drawn from a seed, with records of two tasks, pictures and a knowledge base.

In: a seed. Out: `train.jsonl` (280 records), `valid.jsonl` (40), `test.jsonl` (80), `knowledge.jsonl` (163
passages) and `images/`. Both tasks have ten labels, and each label as many records as any other in every split.
`metadata.cue` names the one part of a record that tells its label, so that each part of a system has work:

| task        | cue      | share | what tells the label                                                   |
|-------------|----------|-------|------------------------------------------------------------------------|
| intent      | dialogue | 50%   | the turns; some carry a picture that does not matter                   |
| intent      | passage  | 30%   | a passage about the product that the customer names                    |
| intent      | picture  | 20%   | whether the item in the photo is cracked                               |
| image_scene | picture  | 50%   | what is drawn; no text is legible                                      |
| image_scene | ocr      | 50%   | the words printed on a page; all pages share their layouts and colours |

Where the dialogue cannot tell, records come in sets that differ in nothing but what can: the same question about
products with different faults, the same words with a whole and with a cracked item, the same page with other key
words. Product names are invented, and none occurs in two records. `metadata.product` names the product of a
`passage` record (the passages about it carry the same key), `metadata.printed` holds the lines on an `ocr` page.
Records have `reasons` where they are asked for.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kd_rag.data._sample_dialogues import INTENTS, draw_intents
from kd_rag.data._sample_drafts import Draft
from kd_rag.data._sample_knowledge import shop_passages
from kd_rag.data._sample_pictures import save_picture
from kd_rag.data._sample_products import describe, draw_product_sets
from kd_rag.data._sample_reasons import reasons
from kd_rag.data._sample_scenes import SCENES, draw_scenes
from kd_rag.types import InputError, Passage

RECORDS_PER_LABEL = {"train": 14, "valid": 2, "test": 4}


def write_sample(out: Path, seed: int, *, reasoned: bool = False) -> None:
    """Write the sample that `seed` draws into the folder `out`; the same seed gives the same bytes.

    `reasoned` adds to each record why it has its label, and changes nothing else. Raises InputError if `out` exists and
    is not an empty folder.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise InputError(f"{out}: exists and is not an empty folder; name a new folder for the sample")
    (out / "images").mkdir(parents=True)
    splits, passages = _draw(seed)
    for split, drafts in splits.items():
        rows = [_row(split, i, draft) for i, draft in enumerate(drafts)]
        if reasoned:
            rows = [{**row, "reasons": reasons(draft)} for row, draft in zip(rows, drafts, strict=True)]
        _write_lines(out / f"{split}.jsonl", rows)
        for i, draft in enumerate(drafts):
            for sketch, image in zip(draft.sketches, _image_paths(split, i, draft), strict=True):
                save_picture(sketch, out / image)
    _write_lines(out / "knowledge.jsonl", map(asdict, passages))


def texts(seed: int) -> list[str]:
    """Return every text of the sample (turns, printed lines, passages, labels) to train a tokenizer on."""
    splits, passages = _draw(seed)
    drafts = [draft for split in splits.values() for draft in split]
    return [
        *(turn.text for draft in drafts for turn in draft.turns),
        *(line for draft in drafts for sketch in draft.sketches for line in sketch.lines),
        *(text for passage in passages for text in (passage.title, passage.text)),
        *INTENTS,
        *SCENES,
    ]


def _draw(seed: int) -> tuple[dict[str, list[Draft]], list[Passage]]:
    rng = random.Random(seed)
    product_sets = draw_product_sets(rng, sum(RECORDS_PER_LABEL.values()))
    passages = [passage for products in product_sets for p in products for passage in describe(rng, p)]
    remaining, splits = iter(product_sets), {}
    for split, count in RECORDS_PER_LABEL.items():
        drafts = draw_intents(rng, [next(remaining) for _ in range(count)]) + draw_scenes(rng, count)
        rng.shuffle(drafts)
        splits[split] = drafts
    return splits, passages + shop_passages()


def _row(split: str, number: int, draft: Draft) -> dict[str, Any]:
    metadata: dict[str, Any] = {"cue": draft.cue}
    if draft.product:
        metadata["product"] = draft.product
    if draft.cue == "ocr":
        metadata["printed"] = [line for sketch in draft.sketches for line in sketch.lines]
    return {
        "id": f"{split}-{number:03d}",
        "task": draft.task,
        "turns": [asdict(turn) for turn in draft.turns],
        "images": _image_paths(split, number, draft),
        "label": draft.label,
        "metadata": metadata,
    }


def _image_paths(split: str, number: int, draft: Draft) -> list[str]:
    return [f"images/{split}-{number:03d}-{i}.jpg" for i in range(len(draft.sketches))]


def _write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
