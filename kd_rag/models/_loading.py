"""Open a model folder or a hub id, completely or not at all.

In: a path. Out: its processor and network, or an InputError in one sentence. The checks are ours because the library
lets much pass: a folder without tokenizer.json gives an empty tokenizer, missing weights are drawn at random.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    BitsAndBytesConfig,
    PreTrainedConfig,
    PreTrainedModel,
)

from kd_rag import registry
from kd_rag.models._processor import PromptProcessor
from kd_rag.types import InputError

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def load_config(path: str, model_type: str) -> PreTrainedConfig:
    """Return the configuration of a local folder or hub id.

    Raises InputError when it cannot be read or is of another family than `model_type`.
    """
    if not Path(path).is_dir() and not _HUB_ID.fullmatch(path):
        raise InputError(f"model {path!r}: is neither a folder nor a hub id such as Qwen/Qwen2-VL-2B-Instruct")
    with _named(path):
        config: PreTrainedConfig = AutoConfig.from_pretrained(path)
    if config.model_type != model_type:
        raise InputError(f"model {path!r}: is of the family {config.model_type!r}, expected {model_type!r}")
    return config


def load_processor(path: str, config: PreTrainedConfig, min_pixels: int, max_pixels: int) -> PromptProcessor:
    """Return the processor that belongs to `config`; raises InputError when it does not fit or cannot be read."""
    with _named(path):
        processor = PromptProcessor(path, min_pixels, max_pixels)
    if processor.picture_token_id != config.image_token_id:
        raise InputError(
            f"model {path!r}: its tokenizer gives {processor.picture_token} the id {processor.picture_token_id}, its "
            f"config.json {config.image_token_id}; are tokenizer.json and tokenizer_config.json of this model there?"
        )
    if not processor.tokenizer.chat_template:
        raise InputError(f"model {path!r}: has no chat template; it should be in chat_template.jinja or .json")
    rows = config.get_text_config().vocab_size
    if processor.vocabulary > rows:
        raise InputError(f"model {path!r}: its tokenizer has {processor.vocabulary} ids, its head only {rows} rows")
    return processor


def load_network(
    path: str, config: PreTrainedConfig, dtype: str, attention: str, quantised: str = "none"
) -> PreTrainedModel:
    """Return the network with every weight read from the files; raises InputError when one is missing or misshapen."""
    quantisation = _quantisation(quantised, dtype)
    with _named(path):
        loaded: Any = AutoModelForImageTextToText.from_pretrained(
            path,
            config=config,
            dtype=getattr(torch, dtype),
            attn_implementation=attention,
            quantization_config=quantisation,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    network: PreTrainedModel = loaded[0]
    report: dict[str, Any] = loaded[1]
    wrong = sorted(report["missing_keys"]) + sorted(key for key, *_ in report["mismatched_keys"])
    if wrong:
        raise InputError(
            f"model {path!r}: {len(wrong)} weights that its config.json asks for are missing or have another shape, "
            f"first {wrong[0]}"
        )
    # bitsandbytes would repack 4-bit weights at the first inference on such a CPU, and train no adapters on them then.
    packing: list[Any] = [m for m in network.modules() if hasattr(m, "support_avx512bf16_for_cpu")]
    for layer in packing:
        layer.support_avx512bf16_for_cpu = False
    return network


def _quantisation(quantised: str, dtype: str) -> BitsAndBytesConfig | None:
    """Return how to hold the weights: 8-bit integers (LLM.int8), or 4-bit normal floats (QLoRA)."""
    if quantised == "none":
        return None
    registry.require("bitsandbytes", "quantised")
    # In every pass of every 8-bit layer it says that it rounds its input by way of float16.
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    # Expressions that match a layer's whole path from its beginning.
    unquantised = ["lm_head", r"(.*\.)?visual"]
    if quantised == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=unquantised)  # type: ignore[no-untyped-call]
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=getattr(torch, dtype),
        llm_int8_skip_modules=unquantised,
    )


def identity(path: str, config: PreTrainedConfig) -> dict[str, str]:
    """Return what a run notes of its base model: the path, and the files' digest or the hub's commit."""
    folder = Path(path)
    if not folder.is_dir():
        return {"path": path, "commit": str(config._commit_hash)}
    digest = hashlib.sha256()
    weights = (file for file in folder.iterdir() if file.suffix in (".safetensors", ".bin"))
    for file in [folder / "config.json", *sorted(weights)]:
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return {"path": path, "sha256": digest.hexdigest()}


@contextmanager
def _named(path: str) -> Iterator[None]:
    """Turn what the library raises on unreadable files, or without a network, into one sentence."""
    try:
        yield
    except (ImportError, OSError, SafetensorError, ValueError) as error:
        reason = " ".join(str(error).split()).partition(". ")[0].rstrip(".")
        raise InputError(f"model {path!r}: cannot be loaded ({reason})") from error
