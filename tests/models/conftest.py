"""Small embedded models on a tiny vocabulary, and prompts for them with and without pictures."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from PIL import Image

from kd_rag.models._embedded import materialise
from kd_rag.models.qwen2_vl import Qwen2VL
from kd_rag.types import Inputs


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return [
        "Where is my order? It has not arrived yet, please check the logistics page.",
        "I want a refund: the parcel came broken and the seller does not answer.",
        "Does this jacket come in size M? The product page does not say.",
        "您好，请问这款奶粉什么时候发货？订单还没有发货。",
    ] * 3


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("embedded")


@pytest.fixture(scope="session")
def teacher_folder(cache_dir: Path, texts: list[str]) -> Path:
    return materialise("teacher", cache_dir, lambda: texts)


@pytest.fixture(scope="session")
def student_folder(cache_dir: Path, texts: list[str]) -> Path:
    return materialise("student", cache_dir, lambda: texts)


@pytest.fixture
def student(student_folder: Path) -> Qwen2VL:
    return Qwen2VL(path=str(student_folder), max_pixels=28 * 28 * 12).eval()


@pytest.fixture
def prompt(student: Qwen2VL) -> Callable[..., list[int]]:
    """Make a prompt's ids from a text and its pictures, which stand in front of the text."""

    def make(text: str, pictures: Sequence[Image.Image] = ()) -> list[int]:
        processor = student.processor
        content = [{"type": "image"} for _ in pictures] + [{"type": "text", "text": text}]
        ids = processor.encode_template(processor.render([{"role": "user", "content": content}]))
        counts = iter(processor.pictures(pictures)[2] if pictures else ())
        return [t for i in ids for t in ([i] * next(counts) if i == processor.picture_token_id else [i])]

    return make


@pytest.fixture
def batch(student: Qwen2VL) -> Callable[..., Inputs]:
    """Stack rows of ids, padded on the left to at least `length`, with the pictures of all rows."""

    def make(rows: Sequence[Sequence[int]], pictures: Sequence[Image.Image] = (), length: int = 0) -> Inputs:
        processor = student.processor
        length = max(length, *map(len, rows))
        ids = torch.full((len(rows), length), processor.pad_id)
        mask = torch.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, length - len(row) :] = torch.tensor(row)
            mask[i, length - len(row) :] = 1
        pixels, grid, _ = processor.pictures(pictures) if pictures else (None, None, [])
        kinds = (ids == processor.picture_token_id).long()
        return Inputs(ids, mask, kinds, pixel_values=pixels, image_grid_thw=grid)

    return make


@pytest.fixture
def wide() -> Image.Image:
    return Image.linear_gradient("L").resize((140, 56)).convert("RGB")


@pytest.fixture
def tall() -> Image.Image:
    return Image.radial_gradient("L").resize((56, 112)).convert("RGB")
