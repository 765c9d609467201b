"""A cross-encoder of a few thousand random weights: what matters is how it is loaded and asked."""

import json

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

from kd_rag.knowledge.reranker import load_reranker
from kd_rag.types import InputError


def write_cross_encoder(folder, outputs):
    torch.manual_seed(0)
    folder.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "coat", "shoe", "blue"]
    (folder / "vocab.txt").write_text("\n".join(words))
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    sizes |= {"initializer_range": 1.0}
    config = BertConfig(vocab_size=len(words), max_position_embeddings=64, num_labels=outputs, **sizes)
    BertForSequenceClassification(config).save_pretrained(folder)
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["model_type"] == "bert"
    return str(folder)


def test_each_pair_has_its_own_score_whatever_stands_beside_it(tmp_path):
    """Sorted by length inside, scores that come back in another order would shuffle the passages."""
    reranker = load_reranker(write_cross_encoder(tmp_path / "model", 1))
    pairs = [("red coat", "coat " * n + "shoe") for n in (9, 1, 5, 30)] + [("blue", "red")]
    together = reranker.score(pairs)
    assert together.shape == (5,)
    assert len(set(together.tolist())) == 5
    assert together == pytest.approx([reranker.score([pair])[0] for pair in pairs], abs=2e-5)
    assert reranker.score([]).shape == (0,)


def test_what_is_no_reranker_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"retriever\.selection\.reranker=.*nowhere: cannot be loaded \(.*\); name"):
        load_reranker(str(tmp_path / "nowhere"))
    classifier = write_cross_encoder(tmp_path / "classifier", 3)
    with pytest.raises(InputError, match=r"gives 3 scores a pair, one is needed; name the folder"):
        load_reranker(classifier)
