"""Qwen2-VL networks at random weights, written as complete local folders in the hub's own layout.

In: the name of a spec, and for the small tokenizer the texts to train it on. Out: a folder that `AutoProcessor` and
`AutoModelForImageTextToText` load without a network: config, weights, tokenizer, chat template, picture preprocessor
and generation settings, all in the layout of Qwen/Qwen2-VL-7B-Instruct.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForImageTextToText

from kd_rag.models import _tokenizers
from kd_rag.models._embedded_specs import SAMPLE_BASE_TOKENS, SPECS, Spec, embedded_config, spec_of

__all__ = ["SPECS", "embedded_config", "materialise"]

_PREPROCESSOR = {
    "image_processor_type": "Qwen2VLImageProcessor",
    "processor_class": "Qwen2VLProcessor",
    "min_pixels": 56 * 56,
    "max_pixels": 28 * 28 * 1280,
    "patch_size": 14,
    "temporal_patch_size": 2,
    "merge_size": 2,
}


def materialise(name: str, cache_dir: Path, texts: Callable[[], Sequence[str]]) -> Path:
    """Return the folder of a spec under `cache_dir`, written on the first call and found again on later ones.

    `texts` is called for the sample tokenizer only. The folder's name holds a digest of the spec, the texts and
    the libraries that decide its bytes, so what is found is always what would be written; it is renamed into place when
    it is complete. The global random state is left as it was. Raises InputError for an unknown name.
    """
    spec = spec_of(name)
    words = list(texts()) if spec.tokenizer == "sample" else []
    final = cache_dir / f"{name}-{_digest(spec, words)}"
    if final.is_dir():
        return final
    cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir, prefix=".embedded-") as scratch:
        folder = Path(scratch) / "model"
        folder.mkdir()
        _write(name, words, folder)
        try:
            folder.rename(final)
        except OSError:
            if not final.is_dir():  # another process was faster, and wrote the same
                raise
    return final


def _digest(spec: Spec, words: Sequence[str]) -> str:
    versions = {library: importlib.metadata.version(library) for library in ("torch", "transformers", "tokenizers")}
    parts = [asdict(spec), words, versions, _tokenizers.CHAT_TEMPLATE, _PREPROCESSOR, SAMPLE_BASE_TOKENS]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _write(name: str, words: Sequence[str], folder: Path) -> None:
    tokenizer = _tokenizer(spec_of(name), words)
    _tokenizers.write(tokenizer, folder)
    _write_json(folder / "preprocessor_config.json", _PREPROCESSOR)
    _write_network(name, tokenizer, folder)
    end, end_of_turn = (tokenizer.token_to_id(token) for token in ("<|endoftext|>", "<|im_end|>"))
    _write_json(folder / "generation_config.json", {"eos_token_id": [end_of_turn, end], "pad_token_id": end})


def _tokenizer(spec: Spec, words: Sequence[str]) -> Tokenizer:
    if spec.tokenizer == "qwen":
        return _tokenizers.qwen_tokenizer()
    return _tokenizers.sample_tokenizer(words, SAMPLE_BASE_TOKENS)


def _write_network(name: str, tokenizer: Tokenizer, folder: Path) -> None:
    """Draw the weights from the spec's seed and write them with config.json."""
    spec = spec_of(name)
    config = embedded_config(name, base_tokens=tokenizer.token_to_id(_tokenizers.SPECIAL_TOKENS[0]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)
        network = AutoModelForImageTextToText.from_config(  # type: ignore[no-untyped-call]
            config, dtype=getattr(torch, spec.dtype)
        )
    network.save_pretrained(folder)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
