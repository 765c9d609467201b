"""The lines of `predictions-SPLIT.jsonl`: what a model said about each record, and what it saw.

In: predictions, or a file of them. Out: the file, or the predictions; numbers survive the way unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from kd_rag.durable import write_whole
from kd_rag.types import InputError


@dataclass(frozen=True, slots=True)
class Prediction:
    """One record's outcome.

    `label` is the gold label (None where there is none), `probabilities` has every label of the task in
    prompt order, `passages` the ids of the passages in the prompt, and `ocr` the text read from the pictures.
    `reasons` are what the model said before its label, None where it was asked for the label alone.
    """

    id: str
    task: str
    label: str | None
    predicted: str
    probabilities: dict[str, float]
    passages: list[str]
    ocr: str
    reasons: str | None = None


_KINDS: dict[str, tuple[str, type | tuple[type, ...]]] = {
    "id": ("a string", str),
    "task": ("a string", str),
    "label": ("a string or null", (str, type(None))),
    "predicted": ("a string", str),
    "probabilities": ("a mapping of labels to probabilities", dict),
    "passages": ("a list of passage ids", list),
    "ocr": ("a string", str),
    "reasons": ("a string or null", (str, type(None))),
}


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """Write one JSON object a line; `path` appears only once it is complete."""
    write_whole(path, (as_line(prediction).encode() for prediction in predictions))


def as_line(prediction: Prediction) -> str:
    """Return a prediction as JSON with its line's end; `reasons` stand there only where there are any."""
    fields = asdict(prediction)
    if prediction.reasons is None:
        del fields["reasons"]
    return json.dumps(fields, ensure_ascii=False, allow_nan=False) + "\n"


def read_predictions(path: Path) -> list[Prediction]:
    """Read a file of predictions; keys that a `Prediction` does not have are passed over.

    Raises InputError naming the file and, where there is one, the line and the key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 ({error.reason} at byte {error.start})") from None
    # Not splitlines(): text from a picture may hold U+2028, which JSON leaves as it is.
    lines = enumerate(text.split("\n"), start=1)
    return [_parse(line, f"{path}, line {number}") for number, line in lines if line.strip()]


def _parse(line: str, where: str) -> Prediction:
    try:
        found = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: is not JSON ({error.msg} at column {error.colno})") from None
    if not isinstance(found, dict):
        raise InputError(f"{where}: a prediction is a JSON object, found {type(found).__name__}")
    found = {"reasons": None, **found}  # a file has them only where they were asked for
    for key, (expected, kind) in _KINDS.items():
        if key not in found:
            raise InputError(f"{where}: key {key!r} is missing; it should be {expected}")
        if not isinstance(found[key], kind):
            raise InputError(f"{where}: key {key!r} is {found[key]!r}, it should be {expected}")
    for label, probability in found["probabilities"].items():
        if not _is_probability(probability):
            raise InputError(f"{where}: the probability of {label!r} is {probability!r}, not in [0, 1]")
    for key in ("label", "predicted"):
        if found[key] is not None and found[key] not in found["probabilities"]:
            raise InputError(f"{where}: {key!r} is {found[key]!r}, which is not among the probabilities' labels")
    return Prediction(**{f.name: found[f.name] for f in fields(Prediction)})


def _is_probability(value: Any) -> bool:
    """Tell whether a JSON value is a number in [0, 1], up to float32 rounding."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1 + 1e-6
