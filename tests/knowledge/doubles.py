"""A text encoder that needs no weights: hashed words, so that texts that share words are near each other."""

import os
import re
import signal
import zlib

import numpy as np
import torch

from kd_rag.knowledge.embedder import Embedder
from kd_rag.types import Passage

DIMENSION = 64


class WordModel:
    """Stands for a SentenceTransformer; `batches` keeps what it was asked to encode."""

    device = torch.device("cpu")

    def __init__(self, dies_at_text=None):
        self.batches = []
        self.dies_at_text = dies_at_text

    def get_embedding_dimension(self):
        return DIMENSION

    def encode_query(self, texts, *, prompt, batch_size, show_progress_bar, normalize_embeddings):
        assert len(texts) <= batch_size
        self.batches.append([prompt + text for text in texts])
        if self.dies_at_text is not None and sum(map(len, self.batches)) >= self.dies_at_text:
            os.kill(os.getpid(), signal.SIGKILL)
        vectors = np.array([self._vector(text) for text in texts], np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    encode_document = encode_query

    @staticmethod
    def tokenizer(texts, *, truncation, verbose):
        """Words, Chinese characters and punctuation marks are tokens; one marker stands before and one behind."""
        assert not truncation
        return {"input_ids": [["[", *re.findall(r"[A-Za-z0-9']+|[^\sA-Za-z0-9']", text), "]"] for text in texts]}

    @staticmethod
    def _vector(text):
        vector = np.full(DIMENSION, 1e-3)
        for word in re.findall(r"\w+", text.lower()):
            vector[zlib.crc32(word.encode()) % DIMENSION] += 1
        return vector


def word_embedder(*, fingerprint="words", max_tokens=None, dies_at_text=None, **prompts):
    return Embedder(WordModel(dies_at_text), "words", fingerprint, max_tokens, **prompts)


def make_passages(count, word="item"):
    """Return passages of different length."""
    return [
        Passage(f"p{i:04d}", "faq", f"{word} {i}", f"{word} number {i} " + "more " * (i % 7), {"row": i})
        for i in range(count)
    ]


def save_table(folder, seed=0, prompts=None):
    """Write a sentence-transformers folder, a table of word vectors drawn from a seed; return its path as text."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    words = ["[UNK]", "query", "passage", "red", "blue", "coat", ":"]
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    table = torch.randn(len(words), 8, generator=torch.Generator().manual_seed(seed)).numpy()
    model = SentenceTransformer(
        modules=[StaticEmbedding(tokenizer, embedding_weights=table)], prompts=prompts, device="cpu"
    )
    model.save(str(folder), create_model_card=False)
    return str(folder)
