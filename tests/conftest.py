"""Small models and examples that several rooms' tests share."""

from pathlib import Path

import pytest
from PIL import Image

from kd_rag.config import PromptConfig, PromptParts
from kd_rag.data.collator import Collator
from kd_rag.models._embedded import materialise
from kd_rag.models.qwen2_vl import Qwen2VL
from kd_rag.types import Dialogue, Example, Passage, Record, Retrieved, Task, TextLine, Turn

TEXTS = [
    "Where is my order? It has not arrived yet, please check the logistics page.",
    "I want a refund: the parcel came broken and the seller does not answer. Customer Agent label picture",
    "Answer with exactly one of these labels: order_page refund refund_request delivery_time",
    "您好，请问这款奶粉什么时候发货？订单还没有发货。",
] * 3


@pytest.fixture(scope="session")
def embedded_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("shared-embedded")


@pytest.fixture(scope="session")
def folders(embedded_cache):
    """Paths of an embedded teacher and student on one tiny tokenizer."""
    return {name: str(materialise(name, embedded_cache, lambda: TEXTS)) for name in ("teacher", "student")}


@pytest.fixture
def load(folders):
    """Load the teacher or the student, in evaluation mode."""
    return lambda name: Qwen2VL(path=folders[name], min_pixels=3136, max_pixels=28 * 28 * 12).eval()


@pytest.fixture
def collator(load):
    return Collator(load("student").processor, PromptConfig(), PromptParts())


LABELS = ("order_page", "refund", "refund_request", "delivery_time")


def make_example(
    texts=("Where is my order?",), pictures=0, label="refund", passages=(), lines=(), labels=LABELS, name="r"
):
    """Return an example: alternating user and agent turns, grey pictures of various sizes, passages, OCR lines."""
    roles = ("user", "agent")
    turns = tuple(Turn(roles[i % 2], text) for i, text in enumerate(texts))
    shades = tuple(Image.new("RGB", (56 + 28 * i, 84), (40 * i + 30,) * 3) for i in range(pictures))
    record = Record(name, "intent", turns, tuple(Path(f"{i}.png") for i in range(pictures)), label)
    return Example(
        record=record,
        task=Task("intent", tuple(labels), "What does the customer want?"),
        dialogue=Dialogue(turns, shades),
        passages=tuple(Retrieved(Passage(f"p{i}", "faq", f"title {i}", text), 0.5) for i, text in enumerate(passages)),
        lines=tuple(tuple(TextLine(text, 0.9, (0, 0, 1, 1)) for text in picture) for picture in lines),
    )
