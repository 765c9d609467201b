"""docTR's published weight files: taken from its cache folder, or downloaded into it whole or not at all.

In: the addresses that docTR publishes. Out: verified local files. docTR's own download has no time limit and leaves
an empty file when it fails, so a machine without network would wait for ever, or trip over the rest next time.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path

from kd_rag.durable import file_digest
from kd_rag.types import InputError

_TIMEOUT_SECONDS = 30


def published_files(addresses: Mapping[str, str]) -> dict[str, Path]:
    """Return a verified file for the address of each part (`detection`, `recognition`).

    Raises InputError naming docTR's cache folder, the missing files and the options that can name others, when a file
    is neither there nor can be downloaded.
    """
    folder = Path(os.environ.get("DOCTR_CACHE_DIR", "~/.cache/doctr")).expanduser() / "models"
    files = {part: folder / _file_name(address) for part, address in addresses.items()}
    missing = [part for part, file in files.items() if not _is_whole(file)]
    try:
        for part in missing:
            _download(addresses[part], files[part])
    except (OSError, HTTPException) as error:
        wanted = " and ".join(files[part].name for part in missing)
        options = " and ".join(f"ocr.{part}_weights" for part in missing)
        raise InputError(
            f"docTR's weights cannot be downloaded ({error}): put {wanted} into {folder}, "
            f"or name local files with {options}"
        ) from None
    return files


def _file_name(address: str) -> str:
    """Return `fast_base-688a8b34.pt` of `https://…/models?id=v0.8.1/fast_base-688a8b34.pt&src=0`."""
    return address.rpartition("/")[2].partition("&")[0]


def _is_whole(file: Path) -> bool:
    """Whether the file is there and its SHA-256 begins with the digits that end its name."""
    return (file_digest(file) or "").startswith(file.stem.rpartition("-")[2])


def _download(address: str, file: Path) -> None:
    """Download to a temporary folder beside `file`, verify, and move into place."""
    from doctr.utils.data import USER_AGENT

    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        part = Path(folder) / file.name
        request = urllib.request.Request(address, headers={"User-Agent": USER_AGENT})
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response, part.open("wb") as stream:
            shutil.copyfileobj(response, stream)
        if not _is_whole(part):
            raise OSError(f"{address} sent something else than {file.name}")
        part.replace(file)
