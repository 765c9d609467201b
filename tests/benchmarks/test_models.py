"""The folder for peers that refuse heads of different widths."""

import shutil
from pathlib import Path

import torch

from benchmarks import _models
from kd_rag.models.qwen2_vl import Qwen2VL


def test_fewer_rows_leave_the_other_logits_as_they_are(pair: dict[str, Path], tmp_path: Path) -> None:
    """With new weights the peer would distil from another teacher than the rest."""
    original = Path(shutil.copytree(pair["teacher"], tmp_path / "teacher"))
    folder = _models.with_rows(original, 3072)
    whole, cut = Qwen2VL(path=str(original)), Qwen2VL(path=str(folder))
    rows = torch.randn(3, 128, generator=torch.Generator().manual_seed(0))
    assert whole.logits(rows).shape == (3, 3200)
    assert torch.equal(cut.logits(rows), whole.logits(rows)[:, :3072])
    assert cut.config.text_config.vocab_size == 3072
    assert {f.name for f in folder.iterdir()} == {f.name for f in original.iterdir()}
    assert _models.with_rows(original, 3072) == folder
