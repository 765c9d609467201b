"""What a teacher's row depends on, and what is kept of it.

All rows of a store share its header: the teacher's weights and adapter, how it reads ids and pictures, number
formats. A row's key is made of what is its own: the ids of its prompt, those of its answer, the bytes of its pictures.
The record and the view stand beside the key, to say whose row is missing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from kd_rag.losses.heads import with_rest
from kd_rag.losses.sides import Side
from kd_rag.models import Processor
from kd_rag.tensor_store import Row
from kd_rag.types import IGNORED, Batch

_OWN = ("prompt", "answer", "pictures")
"""The parts that a row's key is made of."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a row: `states` or `logits` in `dtype`, or the `k` likeliest ids at `temperature`."""

    store: str
    dtype: torch.dtype
    k: int
    temperature: float
    vocabulary: int

    @property
    def names(self) -> tuple[str, ...]:
        """The tensors of a row, its label scores aside."""
        return ("log_probs", "ids") if self.store == "top_k" else (self.store,)

    def tensors(self, side: Side, rows: slice) -> dict[str, Tensor]:
        """Return what is kept of some answer rows."""
        if self.store == "states":
            return {"states": side.answers.states[rows].to(self.dtype)}  # type: ignore[attr-defined]
        log_probs, _ = side.answers.outcomes(rows, self.vocabulary, self.temperature if self.store == "top_k" else 1.0)
        if self.store == "logits":
            return {"logits": log_probs.to(self.dtype)}
        ids = log_probs.topk(min(self.k, self.vocabulary - 1), dim=-1).indices
        return {"log_probs": with_rest(log_probs, ids), "ids": ids.int()}


def header(identity: Mapping[str, str], processor: Processor, kept: Kept, labels: str) -> dict[str, str]:
    """Return what all rows of a store have in common, by name; weights with a digest may lie anywhere."""
    fewest, most = processor.pixel_limits()
    format_ = {"format": kept.store, "kept dtype": str(kept.dtype), "vocabulary": str(kept.vocabulary)}
    if kept.store == "top_k":
        format_ |= {"k": str(kept.k), "temperature": str(kept.temperature)}
    named = {name: value for name, value in identity.items() if name != "path" or "sha256" not in identity}
    return {
        **{f"teacher {name}": value for name, value in named.items()},
        "token ids": processor.id_digest(),
        "pixels": f"{fewest} to {most}",
        "picture preprocessing": processor.picture_digest(),
        "transformers": version("transformers"),
        "labels": labels,
        **format_,
    }


def parts_of(batch: Batch) -> list[dict[str, str]]:
    """Return, for each row of a batch as the teacher reads it, what its own part of the numbers depends on."""
    found = []
    for i, example in enumerate(batch.examples):
        ids = batch.inputs.input_ids[i][batch.inputs.attention_mask[i].bool()]
        answer = batch.answers[i][batch.answers[i] != IGNORED]
        pictures = hashlib.sha256()
        for picture in example.dialogue.pictures:
            pictures.update(repr((picture.mode, picture.size)).encode())
            pictures.update(picture.tobytes())
        found.append(
            {
                "record": example.record.id,
                "view": str(example.view),
                "prompt": digest_of(ids.tolist()),
                "answer": digest_of(answer.tolist()),
                "pictures": pictures.hexdigest(),
            }
        )
    return found


def row_key(parts: Mapping[str, str]) -> str:
    """Return the key of a row with these parts."""
    return digest_of([parts[name] for name in _OWN])


def split(batch: Batch, side: Side, kept: Kept) -> list[Row]:
    """Return the rows of a batch: what is kept of each one's answer, and its label scores if there are any."""
    rows, start = [], 0
    lengths = (batch.answers != IGNORED).sum(dim=1).tolist()
    for i, (parts, length) in enumerate(zip(parts_of(batch), lengths, strict=True)):
        tensors = kept.tensors(side, slice(start, start + length))
        if side.label_scores:
            tensors["label_scores"] = side.label_scores[i]
        rows.append(Row(row_key(parts), {name: t.cpu().contiguous() for name, t in tensors.items()}, parts))
        start += length
    return rows


def differing(parts: Mapping[str, str], nearest: Mapping[str, str] | None) -> str:
    """Say which part of a wanted row differs from the nearest that was kept."""
    if nearest is None:
        return "other records and views"
    return "another " + " and another ".join(name for name in _OWN if parts[name] != nearest[name])


def digest_of(value: Any) -> str:
    """Return the digest of a value that JSON can write."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
