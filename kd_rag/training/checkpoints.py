"""Checkpoint folders that are whole or not there.

`checkpoints/step-00000120/` holds `weights.safetensors` (the trainable weights), `trainer.pt` (optimiser, schedule,
loop and random state; plain values, loaded with `weights_only`) and `manifest.json` (sizes and SHA-256 of the two).
`last` and `best` are links to such folders. A folder is written beside its place, flushed to disk and renamed,
and a link is replaced in one step, so that after a kill at any moment `last` and `best` load.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO
from safetensors.torch import load_file, save_file

from kd_rag.durable import flush
from kd_rag.types import InputError

_FILES = ("weights.safetensors", "trainer.pt")


class FolderCheckpoints(CheckpointIO):
    """Lightning's checkpoint dictionary as a folder."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write `checkpoint` to the folder `path`, all of it or nothing."""
        folder = Path(path)
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        weights, rest = checkpoint["state_dict"], {k: v for k, v in checkpoint.items() if k != "state_dict"}
        save_file({k: v.detach().cpu().contiguous() for k, v in weights.items()}, partial / _FILES[0])
        torch.save(rest, partial / _FILES[1])
        manifest = {name: _identity(partial / name) for name in _FILES}
        (partial / "manifest.json").write_text(json.dumps(manifest, indent=1))
        for name in (*_FILES, "manifest.json", "."):
            flush(partial / name)
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
        flush(folder.parent)

    def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Read a folder back, having checked that it is what was written."""
        folder = verified(Path(path))
        rest = torch.load(folder / _FILES[1], map_location="cpu", weights_only=True)
        return {**rest, "state_dict": load_weights(folder)}

    def remove_checkpoint(self, path: Any) -> None:
        """Delete a checkpoint folder."""
        shutil.rmtree(Path(path))


def load_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Return the trainable weights of a checkpoint folder."""
    return load_file(folder / _FILES[0])


def verified(folder: Path) -> Path:
    """Return `folder` if its files have the sizes and digests of its manifest, else raise InputError."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
    except (OSError, json.JSONDecodeError):
        raise InputError(f"{folder}: is no checkpoint (its manifest.json is missing or broken)") from None
    for name in _FILES:
        if not (folder / name).is_file() or _identity(folder / name) != manifest.get(name):
            raise InputError(
                f"{folder / name}: differs from what was written (see manifest.json); use another checkpoint"
            )
    return folder


def link(target: Path, name: str) -> None:
    """Make `target.parent/name` a link to `target`, in one step."""
    fresh = target.parent / f".{name}.link"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target.name)
    fresh.replace(target.parent / name)
    flush(target.parent)


def _identity(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
