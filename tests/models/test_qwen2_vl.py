"""The network: the library's own logits, no influence of padding or neighbours, trees equal to single paths."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from kd_rag.models.qwen2_vl import Qwen2VL
from kd_rag.types import InputError, Inputs, TokenTree

Prompt = Callable[..., list[int]]
Stack = Callable[..., Inputs]

ANSWERS = [[5, 6, 7], [5, 6, 9, 4], [5, 8], [3]]
"""Four answers with shared beginnings, as token ids."""


@torch.no_grad()
def test_states_and_head_equal_the_library_on_its_own_path(
    student: Qwen2VL, student_folder: Path, wide: Image.Image, tall: Image.Image
) -> None:
    """Another template, picture size or position scheme would pass every test of ours and fail on real weights."""
    content = [
        {"type": "text", "text": "Look: "},
        {"type": "image"},
        {"type": "text", "text": "and"},
        {"type": "image"},
    ]
    message = [{"role": "user", "content": content}]
    processor = AutoProcessor.from_pretrained(student_folder)
    size = {"shortest_edge": 3136, "longest_edge": 28 * 28 * 12}
    theirs = processor(
        text=[student.processor.render(message)], images=[wide, tall], return_tensors="pt", images_kwargs={"size": size}
    )
    expected = AutoModelForImageTextToText.from_pretrained(student_folder)(**theirs).logits
    ours = student(Inputs(**theirs))
    torch.testing.assert_close(student.logits(ours[0]), expected[0], atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_padding_and_neighbours_change_nothing(
    student_folder: Path, attention: str, prompt: Prompt, batch: Stack, wide: Image.Image, tall: Image.Image
) -> None:
    """A record's score would depend on which records happen to stand in its batch."""
    model = Qwen2VL(path=str(student_folder), attention=attention, max_pixels=28 * 28 * 12).eval()
    rows = [prompt("short"), prompt("two pictures, and more text", [wide, tall]), prompt("one", [tall])]
    together = model(batch(rows, [wide, tall, tall], length=max(map(len, rows)) + 5))
    assert torch.isfinite(together).all()
    for states, row, pictures in zip(together, rows, ([], [wide, tall], [tall]), strict=True):
        alone = model(batch([row], pictures))[0]
        torch.testing.assert_close(states[-len(row) :], alone, atol=1e-5, rtol=1e-4)


def tree_of(answers: list[list[int]], padding: int) -> tuple[TokenTree, list[list[int]]]:
    """Return the answers' prefix tree with padding nodes, and each answer's path of node numbers."""
    nodes: dict[tuple[int, ...], int] = {}
    paths = [[nodes.setdefault(tuple(a[: d + 1]), len(nodes)) for d in range(len(a))] for a in answers]
    count = len(nodes) + padding
    ids, depth = torch.zeros(1, count, dtype=torch.long), torch.zeros(1, count, dtype=torch.long)
    visible = torch.eye(count, dtype=torch.bool)[None]
    for prefix, node in nodes.items():
        ids[0, node], depth[0, node] = prefix[-1], len(prefix) - 1
        visible[0, node, [nodes[prefix[: d + 1]] for d in range(len(prefix))]] = True
    return TokenTree(ids, depth, visible), paths


@torch.no_grad()
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_tree_equals_each_path_alone(
    student_folder: Path, attention: str, prompt: Prompt, batch: Stack, wide: Image.Image, tall: Image.Image
) -> None:
    """A node that sees a neighbour's branch, or stands one position off, would score labels it does not hold."""
    model = Qwen2VL(path=str(student_folder), attention=attention, max_pixels=28 * 28 * 12).eval()
    rows = [prompt("a"), prompt("a longer prompt about a picture", [wide]), prompt("two", [tall, wide])]
    pictures = [[], [wide], [tall, wide]]
    tree, paths = tree_of(ANSWERS, padding=2)
    trees = TokenTree(*(t.expand(3, *t.shape[1:]) for t in (tree.input_ids, tree.depth, tree.visible)))
    inputs = batch(rows, [p for group in pictures for p in group])
    states = model(inputs, trees)
    seq = inputs.input_ids.shape[1]
    assert states.shape == (3, seq + tree.depth.shape[1], 96)
    assert torch.isfinite(states).all()
    for i, row in enumerate(rows):
        torch.testing.assert_close(states[i, seq - 1], model(batch([row], pictures[i]))[0, -1], atol=1e-4, rtol=1e-4)
        for answer, path in zip(ANSWERS, paths, strict=True):
            alone = model(batch([row + answer], pictures[i]))[0, len(row) :]
            torch.testing.assert_close(states[i, seq:][path], alone, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_tree_may_follow_a_prompt_that_ends_with_a_picture(
    student: Qwen2VL, prompt: Prompt, batch: Stack, wide: Image.Image
) -> None:
    """Behind a wide picture the next position is the widest axis plus one, not the last token's time plus one."""
    row = prompt("", [wide])
    row = row[: len(row) - row[::-1].index(student.processor.picture_token_id)]
    tree, paths = tree_of([[5, 6]], padding=0)
    states = student(batch([row], [wide]), tree)[0, len(row) :]
    torch.testing.assert_close(states[paths[0]], student(batch([[*row, 5, 6]], [wide]))[0, len(row) :])


def test_flash_attention_refuses_trees(student: Qwen2VL, prompt: Prompt, batch: Stack) -> None:
    """It would ignore the mask in silence and let every label see all others."""
    student.attention = "flash_attention_2"
    with pytest.raises(InputError, match=r"model\.attention: flash_attention_2 cannot score label trees"):
        student(batch([prompt("a")]), tree_of(ANSWERS, padding=0)[0])


@torch.no_grad()
def test_padding_rows_of_the_head_touch_no_token(teacher_folder: Path, prompt: Prompt, batch: Stack) -> None:
    """The real teacher's head has 407 rows that no token has; what stands in them must not matter."""
    model = Qwen2VL(path=str(teacher_folder)).eval()
    last = model(batch([prompt("where is it")]))[:, -1]
    before = model.logits(last)
    assert before.shape == (1, 3200)
    model.network.lm_head.weight[model.processor.vocabulary :] = 1e3
    after = model.logits(last)
    assert torch.equal(after[:, : model.processor.vocabulary], before[:, : model.processor.vocabulary])
    assert not torch.equal(after, before)


def test_checkpointed_activations_give_the_same_gradients(
    student_folder: Path, prompt: Prompt, batch: Stack, wide: Image.Image
) -> None:
    """Checkpointing that cuts the graph trains the last layer alone at a plausible-looking loss."""
    gradients = []
    for checkpointing in (False, True):
        model = Qwen2VL(path=str(student_folder), gradient_checkpointing=checkpointing).train()
        model(batch([prompt("a picture", [wide])], [wide])).square().mean().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    assert all(g is not None for g in gradients[1].values())
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient)


def test_weights_load_in_the_asked_dtype(student_folder: Path) -> None:
    """A 7B model that loads in float32 does not fit the GPU that its recipe is for."""
    model = Qwen2VL(path=str(student_folder), dtype="bfloat16")
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}


def test_identity_follows_the_weights(student: Qwen2VL, student_folder: Path, tmp_path: Path) -> None:
    """Adapters on another base load without complaint and answer nonsense; the identity is what tells."""
    copy = shutil.copytree(student_folder, tmp_path / "copy")
    twin = Qwen2VL(path=str(copy))
    assert twin.identity()["sha256"] == student.identity()["sha256"]
    with torch.no_grad():
        twin.network.lm_head.weight[0, 0] += 1
    twin.network.save_pretrained(copy)
    assert twin.identity()["sha256"] != student.identity()["sha256"]
    assert twin.identity()["path"] == str(copy)


def test_identity_follows_weights_in_the_older_format_too(student_folder: Path, tmp_path: Path) -> None:
    """Every folder whose weights lay in .bin files had the identity of its config.json."""
    found = []
    for name in ("one", "other"):
        copy = shutil.copytree(student_folder, tmp_path / name)
        (copy / "model.safetensors").unlink()
        (copy / "pytorch_model.bin").write_bytes(name.encode())
        options = {"path": copy, "dtype": "float32", "quantised": "none"}
        found.append(Qwen2VL.identify(options)["sha256"])
    assert found[0] != found[1]


def _without(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def _cut(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])


def _with(**changes: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        for key, value in changes.items():
            (config if key == "model_type" else config["text_config"])[key] = value
        (folder / "config.json").write_text(json.dumps(config))

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_without("config.json"), "cannot be loaded .Unrecognized model"),
        (_without("tokenizer.json"), "its tokenizer gives <|image_pad|> the id"),
        (_without("preprocessor_config.json"), "cannot be loaded .Can't load image processor"),
        (_without("model.safetensors"), "cannot be loaded .Error no file named model.safetensors"),
        (_without("chat_template.jinja"), "has no chat template"),
        (_cut, "cannot be loaded .Error while deserializing header"),
        (_with(model_type="llava"), "is of the family 'llava', expected 'qwen2_vl'"),
        (
            _with(num_hidden_layers=3, layer_types=["full_attention"] * 3),
            "12 weights .*language_model.layers.2",
        ),
        (_with(vocab_size=4000), "1 weights .*first model.language_model.embed_tokens"),
        (_with(vocab_size=100), "its head only 100 rows"),
    ],
)
def test_a_damaged_folder_is_refused_in_one_sentence(
    student_folder: Path, tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    """The library loads some of these in silence: with an empty tokenizer, or with layers drawn at random."""
    folder = shutil.copytree(student_folder, tmp_path / "damaged")
    damage(folder)
    with pytest.raises(InputError, match=message.replace("|", r"\|")) as caught:
        Qwen2VL(path=str(folder))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["/nowhere/model", "./model", "a/b/c", "model"])
def test_a_missing_folder_is_named(path: str) -> None:
    """Asking the hub for it would take half a minute to say something else."""
    with pytest.raises(InputError, match="is neither a folder nor a hub id"):
        Qwen2VL(path=path)


def test_an_unreachable_hub_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's own message is a page of traceback."""

    def unreachable(*_: object, **__: object) -> None:
        raise OSError("We couldn't connect to 'https://hub' to load the files.\nCheck your connection.")

    monkeypatch.setattr("kd_rag.models._loading.AutoConfig.from_pretrained", unreachable)
    with pytest.raises(
        InputError, match=r"model 'Some/Model': cannot be loaded \(We couldn't connect to 'https://hub'"
    ):
        Qwen2VL(path="Some/Model")


def test_attention_that_is_not_installed_is_named(student_folder: Path) -> None:
    """flash-attn is no dependency of ours."""
    if torch.cuda.is_available():
        pytest.skip("flash attention may be there")
    with pytest.raises(InputError, match=r"cannot be loaded \(FlashAttention2"):
        Qwen2VL(path=str(student_folder), attention="flash_attention_2")
