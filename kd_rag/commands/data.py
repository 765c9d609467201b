"""Check, describe and convert record files; write the bundled sample.

check    lists every fault of the files, pictures decoded
stats    counts records, turns, pictures and labels for each task, of the first file (train) also after `augment`
convert  writes the records of any format as JSON Lines
sample   draws a small shop: records with pictures, and a knowledge base
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kd_rag.durable import write_whole
from kd_rag.types import InputError, Record, TextLine

_BAR_WIDTH = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the four actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("check", help="list every fault of record files")
    stats = actions.add_parser("stats", help="count records, turns, pictures and labels")
    convert = actions.add_parser("convert", help="write the records of any format as JSON Lines")
    sample = actions.add_parser("sample", help="write the bundled synthetic sample")
    for action in (check, stats):
        action.add_argument("files", nargs="+", type=Path, metavar="FILE")
    stats.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="FILE.yaml",
        help="show the first FILE's labels after its `augment`",
    )
    convert.add_argument("file", type=Path, metavar="FILE")
    convert.add_argument("--out", type=Path, required=True, metavar="FILE.jsonl")
    sample.add_argument("--out", type=Path, required=True, metavar="DIR")
    sample.add_argument("--seed", type=int, default=0, help="another seed draws another shop (default 0)")
    sample.add_argument("--reasons", action="store_true", help="say in each record why it has its label")
    for action in (check, stats, convert, sample):
        # SUPPRESS, or the action's default would overwrite a --verbose that stands before it.
        action.add_argument(
            "--verbose", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an error"
        )


def run(args: argparse.Namespace) -> None:
    """Run the chosen action."""
    if args.action == "check":
        _check(args.files)
    elif args.action == "stats":
        _stats(args.files, args.config)
    elif args.action == "convert":
        _convert(args.file, args.out)
    else:
        _sample(args.out, args.seed, args.reasons)


def _check(files: Sequence[Path]) -> None:
    from kd_rag.data.records import find_faults, read_records

    total, bad = 0, 0
    for path in files:
        faults = find_faults(path)
        total, bad = total + len(faults), bad + bool(faults)
        for fault in faults:
            print(fault, file=sys.stderr)
        if not faults:
            records = read_records(path)
            print(f"{path}: {len(records)} records with {_pictures(records)} pictures, no faults")
    if total:
        raise InputError(f"{_count(total, 'fault')} in {bad} of {_count(len(files), 'file')}")


def _stats(files: Sequence[Path], configs: Sequence[str]) -> None:
    from kd_rag.commands._expansion import build_manifest
    from kd_rag.config import load
    from kd_rag.data.expansion import met_records
    from kd_rag.data.records import read_records

    config = load(configs, families=())
    for number, path in enumerate(files):
        records = read_records(path)
        print(f"{path}: {len(records)} records")
        for task in sorted({record.task for record in records}):
            _describe(task, [record for record in records if record.task == task])
        labelled = [record for record in records if record.label is not None]
        manifest = build_manifest(config, labelled) if number == 0 else None  # no other file is train
        met = [] if manifest is None else met_records(labelled, manifest)
        for task in sorted({record.task for record in met}):
            views = [record for record in met if record.task == task]
            print(f"\n{task}, expanded: {_count(len(views), 'view')}")
            _bars(Counter(str(record.label) for record in views))


def _describe(task: str, records: Sequence[Record]) -> None:
    """Print a task's counts and a bar for each of its labels, the most frequent first."""
    counts = Counter(record.label for record in records if record.label is not None)
    listed = {label for record in records for label in record.metadata.get("labels", ())}
    labels = f"{len(counts)} of {len(listed)} listed labels" if listed else f"{len(counts)} labels"
    turns, unlabelled = sum(len(record.turns) for record in records), len(records) - counts.total()
    print(
        f"\n{task}: {len(records)} records, {turns} turns, {_pictures(records)} pictures, "
        f"{labels}, {unlabelled} unlabelled"
    )
    _bars({**dict.fromkeys(listed, 0), **counts})


def _bars(counts: Mapping[str, int]) -> None:
    for label, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        # The label stands last: a terminal shows Chinese twice as wide, which would break the columns behind it.
        bar = "█" * math.ceil(_BAR_WIDTH * count / max(counts.values(), default=1))
        print(f"{count:7}  {bar:{_BAR_WIDTH}}  {label}")


def _convert(source: Path, out: Path) -> None:
    from kd_rag.data.records import read_records

    if out.exists():
        raise InputError(f"{out}: exists already; name another file or remove it")
    folder = Path(os.path.realpath(out.parent))
    records = read_records(source)
    lines = [json.dumps(_as_contract(record, folder), ensure_ascii=False) + "\n" for record in records]
    write_whole(out, (line.encode() for line in lines))
    print(f"{out}: {len(records)} records with {_pictures(records)} pictures")


def _as_contract(record: Record, folder: Path) -> dict[str, Any]:
    """Return a record as an object of our own format, its pictures as seen from `folder`."""
    for image in record.images:
        if not image.is_relative_to(folder):
            raise InputError(f"record {record.id!r}: {image} lies outside {folder}; write --out beside the pictures")
    return {
        "id": record.id,
        "task": record.task,
        "turns": [{"role": turn.role, "text": turn.text} for turn in record.turns],
        "images": [image.relative_to(folder).as_posix() for image in record.images],
        "label": record.label,
        "metadata": dict(record.metadata),
        **({} if record.ocr is None else {"ocr": [list(map(_as_line, page)) for page in record.ocr]}),
        **({} if record.reasons is None else {"reasons": record.reasons}),
    }


def _as_line(line: TextLine) -> dict[str, Any]:
    return {"text": line.text, "confidence": line.confidence, "box": line.box}


def _sample(out: Path, seed: int, reasoned: bool) -> None:
    from kd_rag.data.sample import write_sample

    write_sample(out, seed, reasoned=reasoned)
    print(f"{out}: sample written with seed {seed}")


def _pictures(records: Sequence[Record]) -> int:
    return sum(len(record.images) for record in records)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
