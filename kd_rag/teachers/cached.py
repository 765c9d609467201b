"""The teacher speaks once: its side of every batch is kept on disk and read back in every epoch and every later run.

Kept are, by default, the last hidden states of the answer rows and, once, the head: from these any divergence at any
temperature is computed as if the teacher ran beside the student, in 2 bytes a dimension instead of 4 a vocabulary
entry. A row is kept under what it depends on, never under a position or a step: see `_rows`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from tqdm import tqdm

from kd_rag.config import PromptParts
from kd_rag.losses.sides import Needs, Side, StateRows, TopRows
from kd_rag.models import VisionLanguageModel
from kd_rag.scoring.readout import read
from kd_rag.teachers import ALL_PARTS, Inspect, Source
from kd_rag.teachers._rows import Kept, differing, digest_of, header, parts_of, row_key, split
from kd_rag.teachers._verify import Drawn, differences
from kd_rag.tensor_store import Row, TensorStore
from kd_rag.types import Batch, InputError

_HEAD = "head"

Format = Literal["states", "top_k", "logits"]

_ROUNDING = {torch.float32: 0.05, torch.bfloat16: 0.1}
"""What rounding may change in a probability, by the dtype of the teacher's head; kept states are rounded as well."""


class Cached:
    """The teacher's answer rows from a store of their own; its network is loaded only if a row is missing.

    `path`, `prompt`, `quantised` as for `online`. `store` says what is kept of a row: its last hidden `states`
    (lossless up to `dtype`), the `k` likeliest ids at the run's temperature and the mass of all others (`top_k`), or
    all `logits`. `folder` is where; null takes one under `cache_dir` that is named by all that its rows have in common.
    When the network is loaded, `verify_rows` of the rows that were there already are drawn, computed anew and compared.
    """

    beside_student = False

    def __init__(
        self,
        source: Source,
        *,
        path: str,
        prompt: PromptParts = ALL_PARTS,
        quantised: Literal["none", "8bit", "4bit"] = "none",
        store: Format = "states",
        dtype: Literal["bfloat16", "float32"] = "bfloat16",
        k: int = 64,
        folder: str | None = None,
        verify_rows: int = 4,
    ) -> None:
        self.prompt = prompt
        self.processor = source.checked_processor(path)
        self.state_size = self.layer_count = 0  # nothing reads the layers of a teacher that does not run
        self._source = source
        self._path, self._quantised = path, quantised
        self._identity = source.identity(path, quantised)
        self._kept = Kept(store, getattr(torch, dtype), k, source.temperature, self.processor.vocabulary)
        self._folder = Path(folder).expanduser() if folder else None
        self._verify_rows = verify_rows
        self._model: VisionLanguageModel | None = None
        self._head: Tensor | None = None
        self._device = torch.device("cpu")

    def prepare(self, batches: Callable[[], Iterable[Batch]], needs: Needs, inspect: Inspect) -> None:
        """Compute the rows that the store lacks, a batch at a time, each written before the next is begun.

        Raises what `inspect` raises before the first row is written, and InputError when a row that is there already
        differs from what the teacher says now.
        """
        labels = digest_of({n: t.answers for n, t in self._source.trees.items()}) if needs.labels else "none"
        common = header(self._identity, self.processor, self._kept, labels)
        folder = self._folder or self._source.cache_dir / digest_of(common)[:16]
        self._store = TensorStore.open(folder, common)
        self._inspect = inspect
        new, row, known = 0, "", Drawn[tuple[Batch, int]](self._verify_rows)
        for batch in tqdm(batches(), desc="teacher's rows", unit="batch"):
            told = batch.as_teacher()
            keys = [row_key(parts) for parts in parts_of(told)]
            row = keys[0]
            missing = [key for key in keys if key not in self._store]
            for place, key in enumerate(keys):
                if key in self._store:
                    known.offer((told, place))
            if missing:
                rows = {row.key: row for row in self._computed(told, needs)}
                self._store.append([rows[key] for key in missing])
                new += len(missing)
        if self._kept.store == "states":
            self._head = self._kept_head().to(self._device)
        if self._model is not None:
            for told, place in known.items:
                self._verify(told, place, needs, folder)
        self._model = None
        kept = len(self._store) - (_HEAD in self._store)
        print(f"teacher: {kept} rows in {folder}, {new} of them new; {self._size(row)}")

    def __call__(self, batch: Batch, needs: Needs) -> Side:
        """Return what was kept of each row of the batch.

        Raises InputError naming record, view and the part that differs when a row was kept for another prompt,
        answer or picture, and naming the file when it is damaged.
        """
        rows = [self._read(parts) for parts in parts_of(batch)]
        scores = tuple(row["label_scores"].to(self._device) for row in rows) if needs.labels else ()
        tensors = {name: torch.cat([row[name] for row in rows]).to(self._device) for name in self._kept.names}
        if self._kept.store == "top_k":
            top = TopRows(tensors["log_probs"], tensors["ids"].long(), self._kept.temperature)
            return Side(top, label_scores=scores)
        return Side(StateRows(tensors[self._kept.names[0]], self._logits), label_scores=scores)

    def to(self, device: torch.device) -> None:
        """Put the head, and the rows that are read from now on, on `device`."""
        self._device = device
        if self._head is not None:
            self._head = self._head.to(device)

    def _logits(self, states: Tensor) -> Tensor:
        """Run the head on kept states; kept logits are what they are."""
        return states if self._head is None else states.to(self._head.dtype) @ self._head.T

    def _read(self, parts: dict[str, str]) -> dict[str, Tensor]:
        key = row_key(parts)
        if key in self._store:
            return self._store.read(key)
        raise InputError(
            f"record {parts['record']!r}, view {parts['view']}: the teacher's rows were kept for "
            f"{differing(parts, self._store.nearest(parts))}; the same record must give the same prompt and pictures "
            "in every epoch"
        )

    @torch.no_grad()
    def _computed(self, batch: Batch, needs: Needs) -> list[Row]:
        """Return the rows of a batch, computed now."""
        batch = batch.to(self._source.device)
        side, _ = read(self._network(), batch, needs, self._source.trees)
        return split(batch, side, self._kept)

    @torch.no_grad()
    def _verify(self, batch: Batch, place: int, needs: Needs, folder: Path) -> None:
        """Raise InputError where the kept row of the record at `place` is not what the teacher says now."""
        model = self._network()
        now, _ = read(model, batch.to(self._source.device), needs, self._source.trees)
        bound = _ROUNDING[model.network.get_output_embeddings().weight.dtype]
        for name, change in differences(self(batch, needs), now, batch, place, self._kept).items():
            if not change < bound:
                raise InputError(
                    f"teacher {self._path}: the probabilities of {name} of record {batch.examples[place].record.id!r} "
                    f"in {folder} differ by {change:.2g} from what it says now, more than rounding can; delete the "
                    "folder and its rows are computed again"
                )

    def _network(self) -> VisionLanguageModel:
        """Return the teacher's network, loaded and inspected when it is first needed."""
        if self._model is None:
            model = self._source.load(self._path, self._quantised).eval().requires_grad_(False)
            self._inspect(model.to(self._source.device))
            self._model = model.to(self._source.device)
        return self._model

    @torch.no_grad()
    def _kept_head(self) -> Tensor:
        """Return the head's weights `[vocabulary, dim]`: what a linear head says of the unit vectors."""
        if _HEAD not in self._store:
            model = self._network()
            weights = model.network.get_output_embeddings().weight
            units = torch.eye(model.state_size, dtype=weights.dtype, device=weights.device)
            assert not model.logits(torch.zeros_like(units[:1])).any(), "only a linear head without bias can be kept"
            head = model.logits(units)[:, : self._kept.vocabulary].T
            self._store.append([Row(_HEAD, {"weight": head}, {"record": _HEAD, "view": "0"})])
        return self._store.read(_HEAD)["weight"]

    def _size(self, row: str) -> str:
        """Say what an answer token costs on disk, by one row, and the head."""
        tensors = self._store.read(row)
        tokens = len(tensors[self._kept.names[0]])
        size = f"{sum(t.nbytes for t in tensors.values()) / tokens:,.0f} bytes an answer token"
        return size if self._head is None else f"{size}, and {self._head.nbytes / 2**20:,.1f} MiB once"
