"""The shapes of the embedded Qwen2-VL networks: a small teacher and student, and the real pair.

In: a name. Out: its `Spec`, or the configuration that `transformers` builds from. `teacher-qwen` and `student-qwen` are
the small bodies with the real Qwen vocabulary. The real shapes are those of config.json in Qwen/Qwen2-VL-7B-Instruct
and Qwen/Qwen2-VL-2B-Instruct. The heads of each pair differ in width by 128 rows of padding, as the real ones do; those
of the replica pair alone are equal: there head, body and vision tower weigh what they do in the real models.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from transformers import Qwen2VLConfig

from kd_rag.models._tokenizers import SPECIAL_TOKENS
from kd_rag.types import InputError

SAMPLE_BASE_TOKENS = 3000
QWEN_BASE_TOKENS = 151643


@dataclass(frozen=True, slots=True)
class Spec:
    """Shape of a network: `rows` are those of embedding and head, more than the tokenizer has ids."""

    tokenizer: Literal["sample", "qwen"]
    rows: int
    tied: bool
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int
    vision_depth: int
    vision_embed: int
    vision_heads: int
    rope_theta: float
    initializer_range: float
    dtype: Literal["float32", "bfloat16"]
    seed: int


_SMALL_TEACHER = Spec(
    tokenizer="sample",
    rows=3200,
    tied=False,
    hidden=128,
    layers=3,
    heads=4,
    kv_heads=2,
    intermediate=384,
    vision_depth=3,
    vision_embed=96,
    vision_heads=6,
    rope_theta=10_000.0,
    initializer_range=0.06,
    dtype="float32",
    seed=7,
)
_SMALL_STUDENT = replace(
    _SMALL_TEACHER,
    rows=3072,
    tied=True,
    hidden=96,
    layers=2,
    heads=3,
    kv_heads=1,
    intermediate=256,
    vision_depth=2,
    vision_embed=64,
    vision_heads=4,
    initializer_range=0.08,
    seed=2,
)
_REAL_TEACHER = Spec(
    tokenizer="qwen",
    rows=152064,
    tied=False,
    hidden=3584,
    layers=28,
    heads=28,
    kv_heads=4,
    intermediate=18944,
    vision_depth=32,
    vision_embed=1280,
    vision_heads=16,
    rope_theta=1_000_000.0,
    initializer_range=0.02,
    dtype="bfloat16",
    seed=7,
)
_REAL_STUDENT = replace(
    _REAL_TEACHER, rows=151936, tied=True, hidden=1536, heads=12, kv_heads=2, intermediate=8960, seed=2
)
_BENCH_TEACHER = replace(_SMALL_TEACHER, tokenizer="qwen", rows=152064, hidden=256, layers=6, intermediate=768)
_BENCH_STUDENT = replace(_SMALL_STUDENT, tokenizer="qwen", rows=151936, hidden=128, layers=3, heads=2, intermediate=384)
_REPLICA_TEACHER = replace(
    _SMALL_TEACHER,
    rows=9216,
    hidden=512,
    layers=12,
    heads=8,
    intermediate=2304,
    vision_depth=5,
    vision_embed=256,
    vision_heads=4,
    initializer_range=0.03,
)
_REPLICA_STUDENT = replace(
    _REPLICA_TEACHER,
    tied=True,
    hidden=256,
    layers=10,
    heads=4,
    kv_heads=1,
    intermediate=1280,
    vision_depth=7,
    initializer_range=0.04,
    seed=2,
)

SPECS = {
    "teacher": _SMALL_TEACHER,
    "student": _SMALL_STUDENT,
    "teacher-qwen": replace(_SMALL_TEACHER, tokenizer="qwen", rows=152064),
    "student-qwen": replace(_SMALL_STUDENT, tokenizer="qwen", rows=151936),
    "7b": _REAL_TEACHER,
    "2b": _REAL_STUDENT,
    "bench-teacher": _BENCH_TEACHER,
    "bench-student": _BENCH_STUDENT,
    "replica-teacher": _REPLICA_TEACHER,
    "replica-student": _REPLICA_STUDENT,
}


def embedded_config(name: str, base_tokens: int | None = None) -> Qwen2VLConfig:
    """Return the configuration of a spec.

    `base_tokens` is the number of ids before the special tokens; None takes what the spec's tokenizer has when its
    texts suffice. Raises InputError for an unknown name.
    """
    spec = spec_of(name)
    first = base_tokens or (QWEN_BASE_TOKENS if spec.tokenizer == "qwen" else SAMPLE_BASE_TOKENS)
    ids = {token: first + i for i, token in enumerate(SPECIAL_TOKENS)}
    return Qwen2VLConfig(
        text_config=_text_config(spec, ids),
        vision_config={
            "depth": spec.vision_depth,
            "embed_dim": spec.vision_embed,
            "num_heads": spec.vision_heads,
            "hidden_size": spec.hidden,
            "initializer_range": spec.initializer_range,
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=spec.tied,
    )


def spec_of(name: str) -> Spec:
    """Return a spec by name; raises InputError for an unknown one."""
    if name not in SPECS:
        raise InputError(f"there is no embedded model {name!r} (there are: {', '.join(SPECS)})")
    return SPECS[name]


def _text_config(spec: Spec, ids: dict[str, int]) -> dict[str, object]:
    eighth = spec.hidden // spec.heads // 16
    return {
        "vocab_size": spec.rows,
        "hidden_size": spec.hidden,
        "intermediate_size": spec.intermediate,
        "num_hidden_layers": spec.layers,
        "num_attention_heads": spec.heads,
        "num_key_value_heads": spec.kv_heads,
        "max_window_layers": spec.layers,
        "rms_norm_eps": 1e-6,
        "initializer_range": spec.initializer_range,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": spec.rope_theta,
            # Of half the head's width, 2/8 turn with time, 3/8 with height, 3/8 with width: 16, 24, 24 of 64.
            "mrope_section": [2 * eighth, 3 * eighth, 3 * eighth],
        },
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
    }
