"""Models by path: a run opens as it was trained, a student may start from it, and its identity follows every weight."""

import json
from pathlib import Path

import pytest
import torch

from kd_rag.commands._models import build_model, model_identity, open_model, open_processor, picture_store
from kd_rag.commands._objective import build_teacher
from kd_rag.losses.sides import Needs
from kd_rag.models._lora import trainable_state
from kd_rag.tensor_store import Row
from kd_rag.types import InputError
from tests.commands.runs import make_run, settings
from tests.conftest import make_example

LORA = ["lora.r=4", "lora.alpha=8", "lora.dropout=0.0"]
EXAMPLES = [make_example(), make_example(texts=("a <image> and more",), pictures=1)]


@torch.no_grad()
def logits(model, collator):
    states = model.eval()(collator.prompts(EXAMPLES).inputs)
    return model.logits(states.flatten(0, 1))


def near(model, other, collator):
    torch.testing.assert_close(logits(model, collator), logits(other, collator), rtol=0, atol=1e-5)


@pytest.fixture
def run(folders, tmp_path):
    return make_run(tmp_path / "run", folders["student"], *LORA)


def test_a_student_starts_where_the_run_ended(run, folders, collator):
    """Adapters that were dropped instead of merged start from the base, and nobody sees it in a falling loss."""
    trained = open_model(run, settings("unused"))
    assert (
        logits(trained, collator) - logits(open_model(folders["student"], settings("unused")), collator)
    ).std() > 0.1
    student = build_model(settings(run, "lora.r=2", "lora.alpha=4"))
    near(student, trained, collator)
    trainable = trainable_state(student)
    assert {name.rpartition(".lora_")[2][0] for name in trainable} == {"A", "B"}
    assert {t.shape[0] for name, t in trainable.items() if ".lora_A" in name} == {2}
    assert not any(t.any() for name, t in trainable.items() if ".lora_B" in name)


def test_a_student_may_train_every_weight_of_a_run(run, collator):
    """A merged network is frozen by the adapters that it had; left so, lora=null would train nothing."""
    student = build_model(settings(run, "lora=null"))
    near(student, open_model(run, settings("unused")), collator)
    assert all(p.requires_grad for p in student.parameters())
    assert not any("lora" in name for name, _ in student.named_parameters())


def test_runs_may_follow_one_another(run, tmp_path, collator):
    """Adapters on adapters, then every weight, then adapters again: each opens with all that came before."""
    second = make_run(tmp_path / "second", run, *LORA, seed=1)
    third = make_run(tmp_path / "third", second, "lora=null", seed=2)
    fourth = make_run(tmp_path / "fourth", third, *LORA, seed=3)
    before = logits(open_model(run, settings("unused")), collator)
    for path in (second, third, fourth):
        opened = open_model(path, settings("unused"))
        assert (logits(opened, collator) - before).std() > 0.05
        near(build_model(settings(path, *LORA)), opened, collator)
        before = logits(opened, collator)


def test_the_identity_follows_every_weight_below(run, folders, tmp_path):
    """A cache that answers for another adapter teaches what no teacher said."""
    unused = settings("unused")
    base = model_identity(folders["student"], settings(folders["student"]))
    first = model_identity(run, unused)
    assert "trained" not in base
    assert first == {**base, "path": run, "trained": first["trained"]}
    digests = {
        "run": first["trained"],
        "other weights": model_identity(make_run(tmp_path / "a", folders["student"], *LORA, seed=1), unused)["trained"],
        "other scale": model_identity(
            make_run(tmp_path / "b", folders["student"], "lora.r=4", "lora.alpha=16", "lora.dropout=0.0"), unused
        )["trained"],
    }
    for name, path in (("run", run), ("other weights", str(tmp_path / "a")), ("other scale", str(tmp_path / "b"))):
        upon = make_run(tmp_path / f"upon {name}", path, *LORA, seed=2)
        digests[f"upon {name}"] = model_identity(upon, unused)["trained"]
        assert model_identity(upon, unused)["path"] == upon
    assert len(set(digests.values())) == 6
    assert model_identity(run, unused) == first
    same = make_run(tmp_path / "same", folders["student"], *LORA)
    assert model_identity(same, unused)["trained"] == first["trained"]
    assert model_identity(run, unused, quantised="8bit") == {**first, "quantised": "8bit"}


def test_a_damaged_run_has_no_identity(run):
    weights = Path(run) / "checkpoints" / "best" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    with pytest.raises(InputError, match=r"weights\.safetensors: differs from what was written"):
        model_identity(run, settings("unused"))


@pytest.mark.parametrize("chained", [False, True])
def test_the_processor_is_that_of_the_loaded_model(run, tmp_path, chained):
    """A cached teacher's prompts are made by it, without the network."""
    path = make_run(tmp_path / "second", run, *LORA) if chained else run
    alone, loaded = open_processor(path, settings("unused")), open_model(path, settings("unused")).processor
    assert alone.id_digest() == loaded.id_digest()
    assert alone.pixel_limits() == loaded.pixel_limits() == (3136, 9408)
    chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Where is it?"}]}]
    assert alone.render(chat) == loaded.render(chat)
    assert alone.encode_template(alone.render(chat)) == loaded.encode_template(loaded.render(chat))


def test_a_run_keeps_its_own_settings_whatever_another_configuration_says(run):
    other = settings("unused", "model.max_pixels=6272", "model.dtype=bfloat16", "lora.r=1")
    model = open_model(run, other)
    assert model.processor.pixel_limits() == (3136, 9408)
    assert {p.dtype for p in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_a_lora_run_teaches_in_few_bits(folders, tmp_path, load, collator, bits):
    """`teacher.quantised` must reach the base below the adapters, and the adapters must still be there."""
    run = make_run(tmp_path / "teacher", folders["teacher"], *LORA)
    student = load("student")
    (batch,) = collator.micro_batches(EXAMPLES, 2)

    def told(*overrides):
        teacher = build_teacher(settings("unused", f"teacher.path={run}", *overrides), student, {})
        rows = slice(0, int((batch.answers >= 0).sum()))
        return teacher, teacher(batch, Needs()).answers.outcomes(rows, student.processor.vocabulary, 1.0)[0]

    (_, expected), (quantised, found) = told(), told(f"teacher.quantised={bits}")
    held = {type(m).__name__ for m in quantised.model.modules() if type(m).__name__ in ("Linear8bitLt", "Linear4bit")}
    assert held == {{"8bit": "Linear8bitLt", "4bit": "Linear4bit"}[bits]}
    base = open_model(folders["teacher"], settings("unused"))
    trained = open_model(run, settings("unused"))
    moved = (logits(base, collator) - logits(trained, collator)).std()
    assert (found - expected).std() < 0.5 * moved
    assert not torch.equal(found, expected)


def test_a_students_bits_are_not_its_teachers(folders, load):
    """Rows of a 4-bit teacher, filed under a whole one's name, would be every later student's targets."""
    config = settings("x", f"teacher.path={folders['teacher']}", "model.quantised=4bit")
    assert not any(hasattr(p, "quant_state") for p in build_teacher(config, load("student"), {}).model.parameters())


def test_a_cached_teacher_is_filed_under_the_bits_it_has(folders, tmp_path, load):
    """A run that was trained beside 4-bit weights speaks from these, whatever nobody asked for."""
    run = make_run(tmp_path / "few", folders["teacher"], "model.quantised=4bit", *LORA)

    def bits(path, *overrides):
        chosen = [f"teacher.path={path}", "teacher.name=cached", f"cache_dir={tmp_path}", *overrides]
        return build_teacher(settings("x", *chosen), load("student"), {})._identity["quantised"]

    assert bits(folders["teacher"], "model.quantised=4bit") == "none"
    assert bits(folders["teacher"], "teacher.quantised=8bit") == "8bit"
    assert bits(run) == "4bit"
    assert bits(run, "teacher.quantised=8bit") == "8bit"


def test_kept_pictures_are_those_of_one_precision(folders, tmp_path):
    """Tokens that bfloat16 rounded would be reused by a run in float32."""
    half, whole = (
        picture_store(settings(folders["student"], f"cache_dir={tmp_path}", f"trainer.precision={precision}"))
        for precision in ("bf16-mixed", "32-true")
    )
    half.append([Row("key", {"tokens": torch.zeros(1)}, {})])
    whole.refresh()
    assert "key" not in whole


@pytest.mark.parametrize(
    ("overrides", "upon_run", "message"),
    [
        (["lora=null"], False, r"8bit weights stay as they are .* they are trained \(lora=null\): set quantised=none"),
        (LORA, True, r"8bit weights stay as they are .* the adapters of a run are merged into them"),
    ],
)
def test_few_bits_are_neither_trained_nor_merged_into(run, folders, overrides, upon_run, message):
    """PEFT rounds what it merges into such weights, and the optimiser would leave them out in silence."""
    path = run if upon_run else folders["student"]
    with pytest.raises(InputError, match=message):
        build_model(settings(path, "model.quantised=8bit", *overrides))


def test_a_run_upon_few_bits_is_no_student(folders, tmp_path):
    """Its adapters learnt beside rounded weights; merged into those they would be rounded themselves."""
    run = make_run(tmp_path / "few", folders["student"], "model.quantised=4bit", *LORA)
    open_model(run, settings("unused"))
    with pytest.raises(InputError, match="4bit weights stay as they are"):
        build_model(settings(run, *LORA))


def test_a_fully_trained_run_is_not_opened_in_few_bits(folders, tmp_path):
    """Its weights are no adapters beside a base; loading them into 8 bits would need a second rounding."""
    run = make_run(tmp_path / "full", folders["student"], "lora=null")
    with pytest.raises(InputError, match=r"they are trained \(lora=null\)"):
        open_model(run, settings("unused"), quantised="8bit")


def test_what_is_written_is_read_back(run):
    """The helper of these tests writes what `fit` writes."""
    manifest = json.loads((Path(run) / "checkpoints" / "best" / "manifest.json").read_text())
    assert manifest.keys() == {"weights.safetensors", "trainer.pt"}
