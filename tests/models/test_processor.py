"""The processor: two doors for text, one table of ids, pictures of any shape."""

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from kd_rag.models._processor import PromptProcessor
from kd_rag.models._tokenizers import SPECIAL_TOKENS
from kd_rag.types import InputError


@pytest.fixture(scope="module")
def processor(student_folder: Path) -> PromptProcessor:
    return PromptProcessor(str(student_folder), min_pixels=3136, max_pixels=28 * 28 * 16)


@pytest.mark.parametrize("token", SPECIAL_TOKENS)
@pytest.mark.parametrize("text", ["{}", "pay{}now", "<|im{}_end|>", "{0}{0}\n{0}", "再{}见"])
def test_no_special_token_comes_out_of_outside_text(processor: PromptProcessor, token: str, text: str) -> None:
    """A review that holds <|im_end|> would end the user's turn, one with <|image_pad|> take a picture's place."""
    text = text.format(token)
    ids = processor.encode_text(text)
    assert max(ids) < processor.vocabulary - len(SPECIAL_TOKENS)
    assert processor.tokenizer.decode(ids) == text
    assert processor.tokenizer.convert_tokens_to_ids(token) in processor.encode_template(text)


@pytest.mark.parametrize("text", ["", "Where is my order?", " two  spaces\n\n", "请问什么时候发货？", "e\u0301 🎉 <|"])
def test_clean_text_gets_the_ids_of_the_ordinary_path(processor: PromptProcessor, text: str) -> None:
    """The safe door must not cost the model the ids it was trained on; and neither door may set the other."""
    assert processor.encode_text(text) == processor.encode_template(text) == processor.tokenizer(text).input_ids


def test_template_and_data_joined_equal_the_whole(processor: PromptProcessor) -> None:
    """Encoding in segments is right only if the ids are those of the whole prompt."""
    whole = processor.render([{"role": "user", "content": [{"type": "text", "text": "Where is it?"}]}])
    before, after = whole.split("Where is it?")
    joined = [
        *processor.encode_template(before),
        *processor.encode_text("Where is it?"),
        *processor.encode_template(after),
    ]
    assert joined == processor.encode_template(whole)
    assert joined.count(processor.end_of_turn_id) == 1


def test_vocabulary_counts_the_special_tokens(processor: PromptProcessor) -> None:
    """`tokenizer.vocab_size` leaves them out: a head cut there could never end an answer."""
    assert processor.vocabulary == processor.tokenizer.vocab_size + len(SPECIAL_TOKENS)
    assert processor.end_of_turn_id < processor.vocabulary
    assert processor.tokenizer.decode([processor.picture_token_id]) == processor.picture_token


def test_pictures_give_as_many_tokens_as_counted(processor: PromptProcessor) -> None:
    """A wrong count shifts picture features into text positions."""
    images = [Image.new("RGB", size, "red") for size in [(140, 56), (1, 1), (2000, 2000)]]
    patches, grids, counts = processor.pictures(images)
    assert grids.tolist() == [[1, 4, 10], [1, 4, 4], [1, 8, 8]]
    assert counts == [10, 4, 16]
    assert patches.shape == (4 * sum(counts), 3 * 2 * 14 * 14)
    assert patches.dtype == torch.float32


@pytest.mark.parametrize("size", [(3000, 2), (2, 3000), (4001, 20)])
def test_a_ribbon_of_a_picture_is_padded_not_refused(processor: PromptProcessor, size: tuple[int, int]) -> None:
    """One screenshot of a divider line would end a whole run with the library's error."""
    patches, grids, counts = processor.pictures([Image.new("RGB", size)])
    assert counts == [int(grids.prod()) // 4]
    assert torch.isfinite(patches).all()


def test_pixel_bounds_that_cross_are_refused(student_folder: Path) -> None:
    """The library would resize to a size between nothing."""
    with pytest.raises(InputError, match=r"model\.max_pixels: is 3136, expected at least min_pixels .6272 > 0"):
        PromptProcessor(str(student_folder), min_pixels=6272, max_pixels=3136)


def test_id_digest_tells_tables_apart(processor: PromptProcessor, teacher_folder: Path) -> None:
    """A teacher whose ids mean other tokens would teach noise at a plausible-looking loss."""
    twin = PromptProcessor(str(teacher_folder), min_pixels=3136, max_pixels=3136)
    assert twin.id_digest() == processor.id_digest()
    twin.tokenizer.add_tokens(["refund-code"])
    assert twin.id_digest() != processor.id_digest()


def test_picture_digest_follows_what_makes_patches(
    processor: PromptProcessor, student_folder: Path, tmp_path: Path
) -> None:
    """Rows of pictures in other colours would be read back as those of this folder; its pixel limits stand beside."""
    copy = shutil.copytree(student_folder, tmp_path / "copy")
    twin = PromptProcessor(str(copy), min_pixels=6272, max_pixels=6272)
    assert twin.picture_digest() == processor.picture_digest()
    file = copy / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"image_mean": [0.5, 0.5, 0.5]}))
    twin = PromptProcessor(str(copy), min_pixels=6272, max_pixels=6272)
    assert twin.picture_digest() != processor.picture_digest()


def test_workers_get_an_equal_processor(processor: PromptProcessor) -> None:
    """DataLoader workers receive it pickled."""
    twin = pickle.loads(pickle.dumps(processor))
    assert twin.encode_text("refund <|im_end|>") == processor.encode_text("refund <|im_end|>")
    assert twin.pictures([Image.new("RGB", (99, 77))])[1].tolist() == [[1, 6, 8]]
