"""A process that makes views through loader workers and prints a digest of each, by id and view."""

import hashlib
import json
import random
import sys

from PIL import Image
from torch.utils.data import DataLoader

from kd_rag import registry
from kd_rag.augmentations import augment
from kd_rag.types import Dialogue, Turn

TURNS = (
    Turn("user", "I paid 3.50, two days ago, <http> where is my refund? 我要退款，东西坏了。<image>怎么退"),
    Turn("agent", "您好，请稍等。马上为您查询"),
)


class Views:
    def __init__(self, steps):
        self.steps = steps

    def __getitem__(self, key):
        name, view = key
        noise = Image.frombytes("RGB", (64, 48), random.Random(name).randbytes(64 * 48 * 3))
        made = augment(Dialogue(TURNS, (noise,)), name, view, steps=self.steps, seed=7)
        pictures = [picture.tobytes() for picture in made.pictures]
        return f"{name}/{view}", hashlib.sha256(repr((made.turns, pictures)).encode()).hexdigest()


if __name__ == "__main__":
    workers, backwards, synonyms = int(sys.argv[1]), sys.argv[2] == "backwards", sys.argv[3]
    needed = {"synonyms": {"file": synonyms}}
    names = registry.names("augmentations")
    parts = [{"name": name, "probability": 0.7, **needed.get(name, {})} for name in names]
    keys = [(name, view) for name in ("记录-1", "b") for view in range(6)]
    views = Views([registry.build("augmentations", part) for part in parts])
    loader = DataLoader(views, sampler=keys[::-1] if backwards else keys, batch_size=None, num_workers=workers)
    print(json.dumps(dict(sorted(loader))))
