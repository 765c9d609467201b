"""Knowledge bases that are on no disk, and a CLIP of a few thousand weights."""

import json

import torch
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

from kd_rag.knowledge.content import snapshot_id
from kd_rag.knowledge.store import WHOLE, KnowledgeBase
from kd_rag.types import Passage
from tests.knowledge.doubles import word_embedder


def knowledge_of(*passages, embedder=None):
    embedder = embedder or word_embedder()
    ordered = tuple(sorted(passages, key=lambda p: p.id))
    snapshot = snapshot_id(embedder.fingerprint, WHOLE, ordered)
    return KnowledgeBase(embedder, ordered, embedder.encode_passages(ordered), snapshot)


def example_of(identity, text, label="refund"):
    """Return a labelled neighbour as `ingest` makes it of a record."""
    return Passage(f"example-{identity}", "example", "", text, {"record_id": identity, "label": label})


def ids(found):
    return [retrieved.passage.id for retrieved in found]


def write_clip(folder):
    """Write a model of random weights that reads text and pictures; its tokenizer knows single characters."""
    torch.manual_seed(0)
    letters = [chr(code) for code in range(33, 127)]
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(letter + "</w>" for letter in letters)]
    (folder / "vocabulary.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(folder / "vocabulary.json"), str(folder / "merges.txt"), model_max_length=32)
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    small |= {"projection_dim": 8}
    text = {**small, "vocab_size": len(tokens), "max_position_embeddings": 32}
    text |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    vision = {**small, "image_size": 32, "patch_size": 8}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).save_pretrained(folder)
    pictures = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPProcessor(pictures, tokenizer).save_pretrained(folder)
    return str(folder)
